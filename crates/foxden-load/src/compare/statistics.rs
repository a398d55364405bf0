//! How much more one of two numbers is, and how sure that is.
//!
//! Two runs that follow each other are a pair: what changes slowly on the machine changes both. Of each pair the ratio counts,
//! and of all ratios the mean of the middle ones, since single runs are disturbed. Drawing pairs again and again from those
//! that there are (the bootstrap) shows how far chance moves that mean.

use crate::number::{fraction, whole};
use crate::random::Random;

/// How often pairs are drawn again.
const DRAWS: u32 = 5_000;

/// A ratio, with the bounds between which it lies by some certainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The ratio.
    pub ratio: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

impl Interval {
    /// Of the second numbers to the first ones of these pairs, all above zero, which fails with this chance.
    pub fn of(pairs: &[(f64, f64)], failing: f64, seed: u64) -> Self {
        let random = Random::new(seed, &[u64::try_from(pairs.len()).unwrap_or_default()]);
        let differences: Vec<f64> = pairs
            .iter()
            .map(|(first, second)| (second / first).ln())
            .collect();
        let mut drawn = differences.clone();
        let mut means: Vec<f64> = (0..DRAWS)
            .map(|_| {
                for place in &mut drawn {
                    *place = differences[index(&random, differences.len())];
                }
                middle(&mut drawn)
            })
            .collect();
        means.sort_by(f64::total_cmp);
        let outside = usize::try_from(whole(failing / 2.0 * f64::from(DRAWS))).unwrap_or_default();
        let at = |number: usize| means.get(number).copied().unwrap_or_default().exp();
        drawn.clone_from(&differences);
        Self {
            ratio: middle(&mut drawn).exp(),
            low: at(outside),
            high: at(means.len() - 1 - outside),
        }
    }

    /// How far the farther bound is from the ratio 1.
    pub fn reach(&self) -> f64 {
        (1.0 - self.low).abs().max((self.high - 1.0).abs())
    }
}

fn index(random: &Random, length: usize) -> usize {
    let length = u64::try_from(length).unwrap_or_default();
    usize::try_from(random.below(length)).unwrap_or_default()
}

/// The mean without a fifth at either end.
fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let cut = values.len() / 5;
    let kept = &values[cut..values.len() - cut];
    kept.iter().sum::<f64>() / fraction(u64::try_from(kept.len()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_lies_within_its_bounds_and_a_disturbed_run_moves_nothing() {
        let mut pairs: Vec<(f64, f64)> = (0..10)
            .map(|at| (100.0 + f64::from(at), 110.0 + f64::from(at)))
            .collect();
        let quiet = Interval::of(&pairs, 0.05, 1);
        assert!(quiet.low <= quiet.ratio && quiet.ratio <= quiet.high, "{quiet:?}");
        assert!(
            quiet.low > 1.08 && quiet.high < 1.11,
            "the smallest and the greatest ratio are 1.092 and 1.1: {quiet:?}"
        );
        pairs[3].1 *= 9.0;
        let disturbed = Interval::of(&pairs, 0.05, 1);
        assert!((disturbed.ratio - quiet.ratio).abs() < 0.003, "{disturbed:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_bounds() {
        let pairs = [(1.0, 2.0), (2.0, 3.0), (3.0, 3.0), (4.0, 3.0)];
        assert_eq!(Interval::of(&pairs, 0.05, 7), Interval::of(&pairs, 0.05, 7));
        assert!(Interval::of(&pairs, 0.01, 7).reach() >= Interval::of(&pairs, 0.2, 7).reach());
    }
}
