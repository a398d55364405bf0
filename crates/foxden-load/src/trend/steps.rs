//! Where the level of a series changes for good.
//!
//! The best place for a step is where the means before and after it differ most. Whether there is a step at all, shuffling the
//! series shows: if one as high is rarely found without the order, the order made it. Both parts are then looked at in the same way.

use crate::number::fraction;
use crate::random::Random;

/// How often a series is shuffled.
const SHUFFLES: u32 = 1000;
/// How many of them may have a step as high.
const RARELY: u32 = SHUFFLES / 100;
/// The fewest runs before and after a step.
const FEWEST: usize = 2;
/// In fewer runs not even a high step is told from chance.
pub const FEWEST_RUNS: usize = 10;
/// A lower step has no meaning.
const LEAST: f64 = 0.03;
/// The same runs in another order may differ by that in their sums.
const ROUNDED: f64 = 1.0 - 1e-9;
/// The seed of the shuffles.
const SEED: u64 = 1;

/// A step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The first run after it.
    pub at: usize,
    /// The level after it in relation to the level before it.
    pub ratio: f64,
}

/// The steps of a series of values above zero, from left to right.
pub fn steps(values: &[f64]) -> Vec<Step> {
    let logarithms: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    let mut places = Vec::new();
    split(&logarithms, 0, &mut places);
    places.sort_unstable();
    let mut steps = Vec::new();
    let mut begin = 0;
    for (number, at) in places.iter().enumerate() {
        let end = places.get(number + 1).copied().unwrap_or(values.len());
        let ratio = (median(&logarithms[*at..end]) - median(&logarithms[begin..*at])).exp();
        if (ratio - 1.0).abs() >= LEAST {
            steps.push(Step { at: *at, ratio });
        }
        begin = *at;
    }
    steps
}

/// Adds the places of all steps in a part that begins there.
fn split(part: &[f64], begin: usize, places: &mut Vec<usize>) {
    let Some((at, height)) = highest(part) else {
        return;
    };
    let random = Random::new(SEED, &[u64::try_from(begin + part.len()).unwrap_or_default()]);
    let mut shuffled = part.to_vec();
    let mut as_high = 0;
    for _ in 0..SHUFFLES {
        shuffle(&mut shuffled, &random);
        as_high += u32::from(highest(&shuffled).is_some_and(|(_, other)| other >= height * ROUNDED));
        if as_high >= RARELY {
            return;
        }
    }
    places.push(begin + at);
    split(&part[..at], begin, places);
    split(&part[at..], begin + at, places);
}

/// The best place for a step, and how high it is there: the distance of both means, more for longer parts.
fn highest(part: &[f64]) -> Option<(usize, f64)> {
    let all = fraction(u64::try_from(part.len()).unwrap_or_default());
    let mean = part.iter().sum::<f64>() / all;
    let mut sum = 0.0;
    let mut best = None;
    for (number, value) in part.iter().enumerate() {
        if number >= FEWEST && part.len() - number >= FEWEST {
            let before = fraction(u64::try_from(number).unwrap_or_default());
            let height = f64::abs(sum) / (before * (all - before) / all).sqrt();
            if best.is_none_or(|(_, other)| height > other) {
                best = Some((number, height));
            }
        }
        sum += value - mean;
    }
    best
}

fn shuffle(values: &mut [f64], random: &Random) {
    for last in (1..values.len()).rev() {
        let other = random.below(u64::try_from(last + 1).unwrap_or_default());
        values.swap(last, usize::try_from(other).unwrap_or_default());
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs around these levels, so many each.
    fn series(levels: &[(usize, f64)], seed: u64) -> Vec<f64> {
        let random = Random::new(seed, &[]);
        let levels = levels
            .iter()
            .flat_map(|(count, level)| std::iter::repeat_n(*level, *count));
        levels
            .map(|level| level * (0.02 * random.normal()).exp())
            .collect()
    }

    #[test]
    fn steps_are_found_where_they_are() {
        let found = steps(&series(&[(15, 100.0), (10, 112.0), (12, 90.0)], 3));
        let places: Vec<usize> = found.iter().map(|step| step.at).collect();
        assert_eq!(places, [15, 25]);
        assert!(
            (found[0].ratio - 1.12).abs() < 0.02 && (found[1].ratio - 0.8).abs() < 0.02,
            "{found:?}"
        );
        let found = steps(&series(&[(25, 100.0), (3, 120.0)], 4));
        assert_eq!(found.iter().map(|step| step.at).collect::<Vec<_>>(), [25]);
    }

    #[test]
    fn fewer_runs_have_no_steps() {
        let highest = |runs: usize| {
            (0..20).flat_map(move |seed| {
                (1..runs).map(move |before| {
                    steps(&series(&[(before, 100.0), (runs - before, 1000.0)], seed)).len()
                })
            })
        };
        for runs in 1..FEWEST_RUNS {
            assert_eq!(highest(runs).max().unwrap_or_default(), 0, "{runs}");
        }
        assert!(highest(FEWEST_RUNS).any(|found| found == 1));
    }

    #[test]
    fn noise_and_single_runs_are_no_steps() {
        let with_steps = (0..20).filter(|seed| !steps(&series(&[(30, 100.0)], *seed)).is_empty());
        assert!(with_steps.count() <= 1);
        let mut disturbed = series(&[(30, 100.0)], 5);
        disturbed[12] *= 3.0;
        assert_eq!(steps(&disturbed), []);
        assert_eq!(steps(&[1.0, 2.0]), []);
        assert_eq!(steps(&[]), []);
    }
}
