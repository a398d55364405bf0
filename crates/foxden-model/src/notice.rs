//! What the log is told of bounds that are reached: a line now and then, however many run into them.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Milliseconds for which the log says nothing more of the same bound.
const PAUSE: u64 = 60_000;

/// How often one bound was reached since the log was told.
#[derive(Debug)]
pub struct Notice {
    began: Instant,
    /// In milliseconds since it began.
    next: AtomicU64,
    unsaid: AtomicU64,
}

/// How often it was reached without a line. Printed, it ends the line that says so; nothing where that is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsaid(u64);

impl Notice {
    /// The bound was reached. It is time for a line, which ends with what this returns, unless there was one a moment ago.
    pub fn is_due(&self) -> Option<Unsaid> {
        let now = self.began.elapsed().as_millis();
        self.is_due_at(u64::try_from(now).unwrap_or(u64::MAX))
    }

    fn is_due_at(&self, now: u64) -> Option<Unsaid> {
        let next = |next| (next <= now).then_some(now.saturating_add(PAUSE));
        let is_time = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok();
        if is_time {
            return Some(Unsaid(self.unsaid.swap(0, Ordering::Relaxed)));
        }
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for Notice {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next: AtomicU64::new(0),
            unsaid: AtomicU64::new(0),
        }
    }
}

impl fmt::Display for Unsaid {
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
    fn nobody_fills_the_log() {
        let notice = Notice::default();
        assert_eq!(notice.is_due_at(5), Some(Unsaid(0)));
        for moment in 6..1000 {
            assert_eq!(notice.is_due_at(moment), None);
        }
        let unsaid = notice.is_due_at(60_005).unwrap();
        assert_eq!(unsaid.to_string(), " (and 994 times since the last line)");
        assert_eq!(notice.is_due_at(60_006), None);
        assert_eq!(Unsaid(0).to_string(), "");
    }
}
