//! Whether comparisons tell a slow-down from noise: over runs that were recorded, and over a model of what disturbs runs.

use super::*;
use crate::measure::latency::LatencySummary;
use crate::number::whole;
use crate::random::Random;
use crate::result::{Figures, Pair, Settings};

/// How often a server is compared with itself, and with a slower one.
const TRIES: usize = 10;

/// A run with these requests a second, and these latencies in nanoseconds.
fn run(began: usize, rate: f64, [p50, p90, p99]: [f64; 3]) -> RunResult {
    let response = LatencySummary {
        count: 10_000,
        p50: whole(p50),
        p90: whole(p90),
        p99: whole(p99),
        ..LatencySummary::default()
    };
    let figures = Figures {
        rate,
        all: Pair {
            response,
            ..Pair::default()
        },
        ..Figures::default()
    };
    let began = i64::try_from(began).unwrap();
    RunResult::new(
        began,
        Settings::example(),
        crate::result::Machine::default(),
        figures,
    )
}

fn side(letter: char, runs: Vec<RunResult>) -> Side {
    Side {
        letter,
        path: letter.to_string(),
        runs,
    }
}

/// What is found of all requests, and the most important sentence.
fn found(first: Vec<RunResult>, other: Vec<RunResult>) -> (Vec<Difference>, String) {
    let sides = [side('A', first), side('B', other)];
    let comparison = Comparison::of(&sides).unwrap();
    let against = &comparison.against[0];
    let verdicts = against.whole.iter().map(|compared| compared.verdict).collect();
    (verdicts, text::sentence(against))
}

fn is_same(first: Vec<RunResult>, other: Vec<RunResult>) -> bool {
    let (verdicts, sentence) = found(first, other);
    let is_same = verdicts.iter().all(|verdict| *verdict == Difference::Same);
    assert_eq!(is_same, sentence.starts_with("No difference"), "{sentence}");
    is_same
}

fn is_slower(first: Vec<RunResult>, other: Vec<RunResult>) -> bool {
    let (verdicts, _) = found(first, other);
    let slower = verdicts
        .iter()
        .filter(|verdict| **verdict == Difference::Slower)
        .count();
    slower > 0 && !verdicts.contains(&Difference::Faster)
}

/// Runs that were recorded on a busy machine, in turn: twice against one server, and once against the same with a delay of a
/// tenth of what an answer takes.
mod recorded {
    use super::*;

    /// Each line: the try, the pair, the server, when it began, requests a second, and three latencies in nanoseconds.
    const RUNS: &str = include_str!("../../tests/recorded/pairs.csv");

    fn runs(number: usize, server: &str) -> Vec<RunResult> {
        let lines = RUNS.lines().filter(|line| !line.starts_with('#'));
        let mut runs = Vec::new();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            let [try_, _, name, began, rate, p50, p90, p99] = cells[..] else {
                panic!("{line}");
            };
            if try_.parse() == Ok(number) && name == server {
                let [rate, p50, p90, p99] = [rate, p50, p90, p99].map(|cell| cell.parse().unwrap());
                runs.push(super::run(began.parse().unwrap(), rate, [p50, p90, p99]));
            }
        }
        assert!(runs.len() >= FEWEST_PAIRS, "{number}, {server}");
        runs
    }

    #[test]
    fn the_same_server_shows_no_difference_in_nine_of_ten_tries() {
        let same = (1..=TRIES).filter(|number| is_same(runs(*number, "same"), runs(*number, "again")));
        let right = same.count();
        assert!(right * 10 >= TRIES * 9, "{right} of {TRIES}");
    }

    #[test]
    fn a_slow_down_of_a_tenth_is_found_in_nine_of_ten_tries() {
        let slower = (1..=TRIES).filter(|number| is_slower(runs(*number, "same"), runs(*number, "slower")));
        let right = slower.count();
        assert!(right * 10 >= TRIES * 9, "{right} of {TRIES}");
    }
}

/// Runs as a model gives them: the machine gets faster and slower for a while (each run takes half of its disturbance over from the
/// one before), drifts away, and now and then has something else to do.
mod modelled {
    use super::*;

    /// The tries of each kind.
    const MANY: usize = 30;
    const PAIRS: usize = 15;
    /// How much a run differs from the one before, and how much the drift of a run is.
    const NOISE: f64 = 0.02;
    const DRIFT: f64 = 0.02;

    /// Two sides, of which the second is slower by this share.
    fn sides(number: usize, slower: f64) -> (Vec<RunResult>, Vec<RunResult>) {
        let random = Random::new(11, &[u64::try_from(number).unwrap()]);
        let (mut first, mut other) = (Vec::new(), Vec::new());
        let (mut drift, mut lasting) = (0.0, 0.0);
        for at in 0..2 * PAIRS {
            drift += DRIFT * random.normal();
            lasting = 0.5 * lasting + NOISE * random.normal();
            let other_work = if random.unit() < 0.05 {
                0.4 * random.unit()
            } else {
                0.0
            };
            let is_other = (at % 2 == 1) != (at / 2 % 2 == 1);
            let slow = if is_other { (1.0 + slower).ln() } else { 0.0 };
            let common: f64 = drift + lasting + other_work + slow;
            let takes = |usual: f64, noise: f64| usual * (common + noise * NOISE * random.normal()).exp();
            let latencies = [takes(4e5, 0.3), takes(9e5, 0.6), takes(3e6, 2.0)];
            let run = super::run(at, 1e9 / takes(5e5, 0.3), latencies);
            if is_other {
                other.push(run);
            } else {
                first.push(run);
            }
        }
        (first, other)
    }

    fn count(slower: f64, is_right: impl Fn(Vec<RunResult>, Vec<RunResult>) -> bool) -> usize {
        let tries = (0..MANY).map(|number| sides(number, slower));
        tries
            .filter(|(first, other)| is_right(first.clone(), other.clone()))
            .count()
    }

    #[test]
    fn no_difference_is_seen_where_there_is_none() {
        let right = count(0.0, is_same);
        assert!(right * 10 >= MANY * 9, "{right} of {MANY}");
    }

    #[test]
    fn a_tenth_is_seen() {
        let right = count(0.1, is_slower);
        assert!(right * 10 >= MANY * 9, "{right} of {MANY}");
    }
}

#[test]
fn too_few_pairs_say_nothing() {
    let runs = |factor: f64| {
        (0..5)
            .map(|at| run(at, 100.0 * factor, [1e6, 2e6, 3e6]))
            .collect()
    };
    let (verdicts, sentence) = found(runs(1.0), runs(2.0));
    assert_eq!(verdicts, [Difference::Unknown; 4]);
    assert!(sentence.contains("Too few pairs"), "{sentence}");
}

#[test]
fn servers_that_did_not_answer_are_not_compared() {
    let runs = |rate: f64| (0..8).map(|at| run(at, rate, [1e6, 2e6, 3e6])).collect();
    let silent = |mut runs: Vec<RunResult>| {
        runs[3].figures = Figures::default();
        runs
    };
    let (differences, sentence) = found(runs(100.0), silent(runs(100.0)));
    assert_eq!(differences, []);
    assert_eq!(sentence, "B or A answered too little to be compared");
}

#[test]
fn what_is_better_is_said_in_words() {
    let runs = |factor: f64| -> Vec<RunResult> {
        (0..8)
            .map(|at| {
                let takes = 1e6 / factor * (1.0 + f64::from(at) / 1000.0);
                run(
                    usize::try_from(at).unwrap(),
                    1e9 / takes,
                    [takes, takes * 2.0, takes * 3.0],
                )
            })
            .collect()
    };
    let sentence = |factor| found(runs(1.0), runs(factor)).1;
    assert_eq!(sentence(1.17), "B serves 17\u{a0}% more, and answers sooner");
    assert_eq!(sentence(0.9), "B serves 10\u{a0}% less, and answers later");
    assert_eq!(sentence(1.0), "No difference larger than the noise (±1\u{a0}%)");
}

#[test]
fn runs_that_were_not_made_in_turn_are_named() {
    let runs = |from: usize| {
        (from..from + 8)
            .map(|at| run(at, 100.0, [1e6, 2e6, 3e6]))
            .collect()
    };
    let sides = [side('A', runs(0)), side('B', runs(8))];
    let text = text::text(&Comparison::of(&sides).unwrap());
    assert!(text.contains("not made in turn"), "{text}");
}

#[test]
fn what_a_ratio_is_stands_below_the_figures() {
    let runs = || (0..8).map(|at| run(at, 100.0, [1e6, 2e6, 3e6])).collect();
    let sides = [side('A', runs()), side('B', runs())];
    let comparison = Comparison::of(&sides).unwrap();
    let says = "B / A is the mean of the ratios of the pairs";
    assert_eq!(text::text(&comparison).matches(says).count(), 1);
    assert!(
        crate::report::comparison::page(&comparison)
            .unwrap()
            .contains(says)
    );
}
