//! How the number of seats that are taken rises and falls.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How the number of seats that are taken rises and falls. Many connections hold much memory in small pieces, which lie
/// between others once they are free.
#[derive(Debug, Default)]
pub struct Tide {
    /// The most since it went out.
    most: AtomicUsize,
}

impl Tide {
    /// Below so many connections there is little to give back.
    const FEW: usize = 32;

    /// So many are taken now.
    pub fn comes_in(&self, seats: usize) {
        self.most.fetch_max(seats, Ordering::Relaxed);
    }

    /// Whether half of many have left since it went out the last time.
    pub fn goes_out(&self, seats: usize) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        let is_out = most >= Self::FEW && seats <= most / 2;
        if is_out {
            self.most.store(seats, Ordering::Relaxed);
        }
        is_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_back_each_time_half_of_many_have_left() {
        let tide = Tide::default();
        for (seats, is_out) in [
            (0, false),
            (31, false),
            (0, false),
            (600, false),
            (301, false),
            (300, true),
            (299, false),
            (310, false),
            (155, true),
            (40, true),
            (40, false),
            (0, true),
            (0, false),
        ] {
            tide.comes_in(seats);
            assert_eq!(tide.goes_out(seats), is_out, "{seats}");
        }
        // They came and went between two looks.
        tide.comes_in(600);
        assert!(tide.goes_out(0) && !tide.goes_out(0));
    }
}
