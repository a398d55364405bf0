//! Limits how often the log repeats that a bound was reached.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Milliseconds between two lines about the same bound.
const PAUSE: u64 = 60_000;

/// Counts how often one bound was reached since the last log line.
#[derive(Debug)]
pub struct LogThrottle {
    began: Instant,
    /// When the next line is due, in milliseconds since `began`.
    next: AtomicU64,
    suppressed: AtomicU64,
}

/// How many lines were suppressed. Its `Display` is the end of the next line, and empty for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suppressed(u64);

impl LogThrottle {
    /// Counts that the bound was reached. Returns `Some` if a line is due; the line ends with the returned value.
    pub fn should_log(&self) -> Option<Suppressed> {
        let now = self.began.elapsed().as_millis();
        self.should_log_at(u64::try_from(now).unwrap_or(u64::MAX))
    }

    fn should_log_at(&self, now: u64) -> Option<Suppressed> {
        let next = |next| (next <= now).then_some(now.saturating_add(PAUSE));
        let is_time = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok();
        if is_time {
            return Some(Suppressed(self.suppressed.swap(0, Ordering::Relaxed)));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }
}

impl fmt::Display for Suppressed {
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
    fn a_bound_does_not_fill_the_log() {
        let throttle = LogThrottle::default();
        assert_eq!(throttle.should_log_at(5), Some(Suppressed(0)));
        for millis in 6..1000 {
            assert_eq!(throttle.should_log_at(millis), None);
        }
        let suppressed = throttle.should_log_at(60_005).unwrap();
        assert_eq!(suppressed.to_string(), " (and 994 times since the last line)");
        assert_eq!(throttle.should_log_at(60_006), None);
        assert_eq!(Suppressed(0).to_string(), "");
    }
}
