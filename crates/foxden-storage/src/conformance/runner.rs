//! Holds engines to the promises and reports it as `cargo test` does, with *ignored* for engines that are out of reach.

#![expect(clippy::print_stdout, reason = "the report is for whoever runs the tests")]

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::lab::{Lab, Opener};
use super::{TESTS, Test};

/// An engine that is held to the promises.
pub struct EngineFixture {
    /// The engine's name; the names of its tests begin with it.
    pub engine: &'static str,
    /// Opens the engine, or says what has to be set before it can be opened.
    pub opener: Result<Opener, String>,
}

/// What becomes of the tests of an engine that cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// They are reported as ignored.
    Ignored,
    /// They fail.
    Failed,
}

/// Runs every test for every engine, as far as the arguments ask for it; they are those of `cargo test`.
pub fn run(
    fixtures: &[EngineFixture],
    unreachable: Unreachable,
    arguments: impl IntoIterator<Item = String>,
) -> ExitCode {
    let arguments = Arguments::parse(arguments);
    let all = fixtures.iter().flat_map(Case::all_of);
    let (cases, others): (Vec<_>, Vec<_>) = all.partition(|case| arguments.asks_for(case));
    if arguments.lists {
        for case in &cases {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", cases.len());
    let outcomes = run_all(&cases, unreachable, arguments.threads);
    let count = |wanted| outcomes.iter().filter(|(outcome, _)| *outcome == wanted).count();
    let failed = count(Outcome::Failed);
    if failed > 0 {
        println!("\nfailures:");
        let failures = outcomes.iter().filter(|(outcome, _)| *outcome == Outcome::Failed);
        for (_, name) in failures {
            println!("    {name}");
        }
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {} ignored; 0 measured; {} filtered out\n",
        if failed == 0 { "ok" } else { "FAILED" },
        count(Outcome::Passed),
        count(Outcome::Ignored),
        others.len(),
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One test of one engine.
struct Case<'a> {
    name: String,
    test: &'static Test,
    opener: &'a Result<Opener, String>,
}

/// How a test ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Ignored,
}

impl<'a> Case<'a> {
    fn all_of(fixture: &'a EngineFixture) -> impl Iterator<Item = Self> {
        TESTS.iter().map(|test| Self {
            name: format!("{}::{}", fixture.engine, test.name),
            test,
            opener: &fixture.opener,
        })
    }

    fn run(&self, unreachable: Unreachable) -> Outcome {
        let opener = match self.opener {
            Ok(opener) => *opener,
            Err(wanted) => {
                return match unreachable {
                    Unreachable::Ignored => {
                        println!("test {} ... ignored, {wanted}", self.name);
                        Outcome::Ignored
                    }
                    Unreachable::Failed => {
                        println!("test {} ... FAILED, {wanted}", self.name);
                        Outcome::Failed
                    }
                };
            }
        };
        let test = self.test.run;
        // A panic names its thread, and so the test.
        let thread = std::thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build();
                let runtime = runtime.expect("a runtime can be built");
                runtime.block_on(async { test(Lab::open_with(opener).await).await });
            });
        let (outcome, word) = match thread.expect("a thread can be started").join() {
            Ok(()) => (Outcome::Passed, "ok"),
            Err(_) => (Outcome::Failed, "FAILED"),
        };
        println!("test {} ... {word}", self.name);
        outcome
    }
}

fn run_all(cases: &[Case<'_>], unreachable: Unreachable, threads: usize) -> Vec<(Outcome, String)> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = case.run(unreachable);
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    outcomes.push((outcome, case.name.clone()));
                }
            });
        }
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What the command line asks for.
struct Arguments {
    filters: Vec<String>,
    skipped: Vec<String>,
    is_exact: bool,
    lists: bool,
    ignored_only: bool,
    threads: usize,
}

impl Arguments {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut parsed = Self {
            filters: Vec::new(),
            skipped: Vec::new(),
            is_exact: false,
            lists: false,
            ignored_only: false,
            threads: std::thread::available_parallelism().map_or(1, NonZero::get),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with('-') => (name, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            match name {
                "--exact" => parsed.is_exact = true,
                "--list" => parsed.lists = true,
                "--ignored" => parsed.ignored_only = true,
                "--skip" => parsed.skipped.extend(value.or_else(|| arguments.next())),
                "--test-threads" => {
                    let count = value.or_else(|| arguments.next());
                    let count = count.and_then(|count| count.parse().ok());
                    parsed.threads = count.unwrap_or(parsed.threads).max(1);
                }
                "--color" | "--format" | "--logfile" | "--shuffle-seed" | "-Z" if value.is_none() => {
                    arguments.next();
                }
                // Other flags change nothing here.
                _ if name.starts_with('-') => {}
                _ => parsed.filters.push(argument),
            }
        }
        parsed
    }

    fn asks_for(&self, case: &Case<'_>) -> bool {
        let matches = |filter: &String| {
            if self.is_exact {
                case.name == *filter
            } else {
                case.name.contains(filter)
            }
        };
        let is_chosen = self.filters.is_empty() || self.filters.iter().any(matches);
        let is_ignored = case.opener.is_err();
        is_chosen && !self.skipped.iter().any(matches) && (is_ignored || !self.ignored_only)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::MemoryEngine;

    fn arguments(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    fn fixtures() -> [EngineFixture; 2] {
        let memory: Opener = |ground| {
            Box::pin(async move {
                let engine = MemoryEngine::new(ground.clock.clone(), ground.rng.clone());
                Arc::new(engine) as Arc<dyn crate::engine::Engine>
            })
        };
        [
            EngineFixture {
                engine: "memory",
                opener: Ok(memory),
            },
            EngineFixture {
                engine: "remote",
                opener: Err("FOXDEN_TEST_REMOTE is not set".to_owned()),
            },
        ]
    }

    fn chosen(words: &[&str]) -> Vec<String> {
        let arguments = Arguments::parse(arguments(words));
        let fixtures = fixtures();
        let cases = fixtures.iter().flat_map(Case::all_of);
        let chosen = cases.filter(|case| arguments.asks_for(case));
        chosen.map(|case| case.name).collect()
    }

    #[test]
    fn arguments_choose_among_the_tests() {
        assert_eq!(chosen(&[]).len(), 2 * TESTS.len());
        assert_eq!(chosen(&["--ignored"]).len(), TESTS.len());
        let newest = ["memory::order::newest_first", "remote::order::newest_first"];
        assert_eq!(chosen(&["newest_first", "--format", "pretty"]), newest);
        assert_eq!(chosen(&["--exact", newest[0]]), newest[..1]);
        assert_eq!(chosen(&["newest_first", "--skip=remote"]), newest[..1]);
        assert_eq!(chosen(&["--test-threads", "1", "newest_first"]), newest);
    }

    #[test]
    fn an_engine_out_of_reach_is_ignored_and_can_be_made_to_fail() {
        let run = |engine, unreachable| {
            let filter = arguments(&["--exact", engine]);
            format!("{:?}", super::run(&fixtures(), unreachable, filter))
        };
        let (success, failure) = (
            format!("{:?}", ExitCode::SUCCESS),
            format!("{:?}", ExitCode::FAILURE),
        );
        let (memory, remote) = ("memory::order::newest_first", "remote::order::newest_first");
        assert_eq!(run(memory, Unreachable::Failed), success);
        assert_eq!(run(remote, Unreachable::Ignored), success);
        assert_eq!(run(remote, Unreachable::Failed), failure);
    }
}
