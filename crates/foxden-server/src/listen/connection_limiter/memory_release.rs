//! When memory is returned to the system.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Decides when memory is returned, from how the number of connections rises and falls. Many connections hold much memory in
/// small pieces, which lie between others once they are free.
#[derive(Debug, Default)]
pub struct ReleaseTrigger {
    /// The most connections since the last release.
    most: AtomicUsize,
}

impl ReleaseTrigger {
    /// Below so many connections there is little to return.
    const FEW: usize = 32;

    /// Records that so many connections are open now.
    pub fn record(&self, connections: usize) {
        self.most.fetch_max(connections, Ordering::Relaxed);
    }

    /// Returns whether at least half of many connections have closed since the last release.
    pub fn should_release(&self, connections: usize) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        let is_due = most >= Self::FEW && connections <= most / 2;
        if is_due {
            self.most.store(connections, Ordering::Relaxed);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_back_each_time_half_of_many_have_left() {
        let release = ReleaseTrigger::default();
        for (connections, is_due) in [
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
            release.record(connections);
            assert_eq!(release.should_release(connections), is_due, "{connections}");
        }
        // The connections opened and closed between two checks.
        release.record(600);
        assert!(release.should_release(0) && !release.should_release(0));
    }
}
