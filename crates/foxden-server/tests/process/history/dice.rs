//! Chance that a seed decides.

use std::time::Duration;

use foxden_model::{Rng, SeededRng};

/// Random numbers that follow from a seed.
pub(super) struct Dice(SeededRng);

impl Dice {
    /// Those of one of the threads of a history.
    pub(super) fn new(seed: u64, thread: u64) -> Self {
        Self(SeededRng::new(seed.wrapping_mul(1009).wrapping_add(thread)))
    }

    /// A number below this one.
    pub(super) fn draw(&self, below: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        usize::try_from(u32::from_le_bytes(bytes)).unwrap() % below
    }

    /// One of these.
    pub(super) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.draw(from.len())]
    }

    /// Some time up to that many milliseconds.
    pub(super) fn millis(&self, from: usize, to: usize) -> Duration {
        Duration::from_millis((from + self.draw(to - from)).try_into().unwrap())
    }
}
