//! Random values that follow from the seed of a run.

use foxden_model::{Rng, SeededRng};

use crate::number::fraction;

/// A sequence of random values. Two with the same seed are equal.
#[derive(Debug)]
pub struct Random(SeededRng);

impl Random {
    /// The sequence of a part of a run, such as one user, and of parts within it.
    pub fn new(seed: u64, parts: &[u64]) -> Self {
        let mut state = seed;
        for part in parts {
            state = Self(SeededRng::new(state ^ part.rotate_left(32))).word();
        }
        Self(SeededRng::new(state))
    }

    /// Any number.
    pub fn word(&self) -> u64 {
        let mut word = [0; 8];
        self.0.fill(&mut word);
        u64::from_le_bytes(word)
    }

    /// A number below this one. Below zero there is only zero.
    pub fn below(&self, end: u64) -> u64 {
        let scaled = u128::from(self.word()) * u128::from(end);
        u64::try_from(scaled >> 64).unwrap_or_default()
    }

    /// A fraction from 0 to 1, without 1.
    pub fn unit(&self) -> f64 {
        fraction(self.word() >> 11) / fraction(1 << 53)
    }

    /// A value of the normal distribution around 0 with deviation 1.
    pub fn normal(&self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Fills the buffer.
    pub fn fill(&self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_values() {
        let words = |seed, parts: &[u64]| {
            let random = Random::new(seed, parts);
            [random.word(), random.word(), random.below(1000)]
        };
        assert_eq!(words(1, &[2, 3]), words(1, &[2, 3]));
        assert_ne!(words(1, &[2, 3]), words(1, &[3, 2]));
        assert_ne!(words(1, &[2]), words(2, &[2]));
    }

    #[test]
    fn values_keep_to_their_range() {
        let random = Random::new(7, &[]);
        let mut sum = 0.0;
        for _ in 0..10_000 {
            assert!(random.below(3) < 3);
            let unit = random.unit();
            assert!((0.0..1.0).contains(&unit));
            sum += random.normal();
        }
        assert_eq!(random.below(0), 0);
        assert!(sum.abs() < 500.0, "{sum}");
    }
}
