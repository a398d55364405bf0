//! What the log is told of bounds that are reached: a line now and then, however many newcomers there are.

use std::fmt::{self, Display};
use std::sync::atomic::{AtomicU64, Ordering};

/// Milliseconds for which the log says nothing more of the same bound.
const PAUSE: u64 = 60_000;

/// How often one bound was reached since the log was told.
#[derive(Debug, Default)]
pub struct Notice {
    next: AtomicU64,
    unsaid: AtomicU64,
}

/// Counts what the last line did not say.
struct Before(u64);

impl Notice {
    /// The bound was reached `now`. Writes a line, unless one was written a moment ago.
    pub fn tell(&self, now: u64, text: impl Display) {
        if let Some(unsaid) = self.may_tell(now) {
            tracing::warn!("{text}{}", Before(unsaid));
        }
    }

    /// Returns how often it was reached without a line, if it is time for one.
    fn may_tell(&self, now: u64) -> Option<u64> {
        let next = |next| (next <= now).then_some(now.saturating_add(PAUSE));
        let is_time = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok();
        if is_time {
            return Some(self.unsaid.swap(0, Ordering::Relaxed));
        }
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            times => write!(f, " (and {times} times since the last line)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newcomers_cannot_fill_the_log() {
        let notice = Notice::default();
        assert_eq!(notice.may_tell(5), Some(0));
        for moment in 6..1000 {
            assert_eq!(notice.may_tell(moment), None);
        }
        assert_eq!(notice.may_tell(60_005), Some(994));
        assert_eq!(notice.may_tell(60_006), None);
    }
}
