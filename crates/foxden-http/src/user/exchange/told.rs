//! What the log is told of a bound that was reached: once a minute, however many run into it.

use std::sync::{Mutex, PoisonError};

/// How long the log hears no more of it, in milliseconds.
const PAUSE: i64 = 60_000;

/// When the log was last told of one bound.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Lately>);

#[derive(Debug, Default)]
struct Lately {
    told_at: Option<i64>,
    left_out: u64,
}

impl Told {
    /// How often the bound was reached since the last line, if it is time for another one.
    pub(super) fn may_tell(&self, now: i64) -> Option<u64> {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lately.told_at.is_some_and(|told| now - told < PAUSE) {
            lately.left_out += 1;
            return None;
        }
        lately.told_at = Some(now);
        Some(std::mem::take(&mut lately.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_once_a_minute() {
        let told = Told::default();
        assert_eq!(told.may_tell(5), Some(0));
        assert_eq!((told.may_tell(6), told.may_tell(60_004)), (None, None));
        assert_eq!(told.may_tell(60_005), Some(2));
        assert_eq!(told.may_tell(60_006), None);
    }
}
