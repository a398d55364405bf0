//! Asks clients to stay away for a while.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Whether clients are asked to stay away, and for how long. Shared with the code that decides it.
#[derive(Debug, Default)]
pub struct Backoff {
    seconds: AtomicU32,
    is_down: AtomicBool,
}

impl Backoff {
    /// Asks clients, with every response, not to sync for so many seconds; zero ends it.
    pub fn ask(&self, seconds: u32) {
        self.is_down.store(false, Ordering::Relaxed);
        self.seconds.store(seconds, Ordering::Relaxed);
    }

    /// Refuses every request for so many seconds, at least one, until [`Self::ask`] is called.
    pub fn close(&self, seconds: u32) {
        self.seconds.store(seconds.max(1), Ordering::Relaxed);
        self.is_down.store(true, Ordering::Relaxed);
    }

    /// Whether requests are refused.
    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// Returns the seconds to tell a client, of which its token says `asked`: up to a twentieth more, and at least five, so
    /// that clients do not all return at once. The last digits of the clock, `millis`, are random enough.
    pub(super) fn seconds(&self, asked: u32, millis: impl FnOnce() -> i64) -> Option<u32> {
        let seconds = self.seconds.load(Ordering::Relaxed).max(asked);
        if seconds == 0 {
            return None;
        }
        let spread = (seconds / 20).max(5);
        let more = u32::try_from(millis().rem_euclid(i64::from(spread) + 1)).unwrap_or_default();
        Some(seconds.saturating_add(more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_waits_at_least_as_long_as_configured() {
        let backoff = Backoff::default();
        assert_eq!(backoff.seconds(0, || 7), None);
        assert_eq!(backoff.seconds(60, || 0), Some(60));
        for wanted in [1, 5, 1800, u32::MAX] {
            backoff.ask(wanted);
            for millis in [i64::MIN, -1, 0, 7, 1_763_690_000_123, i64::MAX] {
                let seconds = backoff.seconds(0, || millis).unwrap();
                assert!(
                    (wanted..=wanted.saturating_add((wanted / 20).max(5))).contains(&seconds),
                    "{wanted}: {seconds}"
                );
            }
        }
    }

    #[test]
    fn a_node_in_maintenance_for_no_time_is_so_for_a_second() {
        let backoff = Backoff::default();
        backoff.close(0);
        assert!(backoff.is_down() && backoff.seconds(0, || 0) == Some(1));
    }
}
