//! Tells the operator when an account has reached a bound.

use std::sync::Mutex;
use std::sync::PoisonError;

/// Milliseconds between two lines in the log.
const QUIET: u64 = 60_000;

/// What the log was told of late, so that an account that stays at its bound does not fill it.
#[derive(Default)]
pub(crate) struct Bounds(Mutex<Told>);

#[derive(Default)]
struct Told {
    at: Option<i64>,
    left_out: u64,
}

impl Bounds {
    /// Logs what `text` says, unless something was logged within the last minute.
    pub(crate) fn tell(&self, now: i64, text: impl FnOnce() -> String) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.at.is_some_and(|at| at.abs_diff(now) < QUIET) {
            told.left_out += 1;
            return;
        }
        let left_out = std::mem::take(&mut told.left_out);
        told.at = Some(now);
        drop(told);
        let text = text();
        if left_out == 0 {
            tracing::warn!("{text}");
        } else {
            tracing::warn!("{text}; {left_out} times more since the last such line");
        }
    }
}
