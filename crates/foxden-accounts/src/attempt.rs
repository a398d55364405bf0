//! Attempts to prove a password, and what they leave behind when nobody waits for the outcome any more.

use crate::limits::Counted;
use crate::{AccountError, Accounts};

/// An attempt to prove a password. It counts as a failure from its beginning, so that many at once cannot slip past,
/// and it goes to where the password is checked: a client that hangs up changes nothing of what comes of it. Dropped
/// without an outcome, it does not count.
pub struct Attempt {
    accounts: Accounts,
    counters: [Counted; 2],
    /// When it was counted, in steady milliseconds.
    counted_at: i64,
    is_failure: bool,
    then: Option<Box<dyn FnOnce(bool) + Send>>,
}

impl Attempt {
    /// Says whether the password was right.
    pub fn settle(mut self, is_right: bool) {
        self.is_failure = !is_right;
        if let Some(then) = self.then.take() {
            then(is_right);
        }
    }

    /// What else follows from the outcome.
    pub(crate) fn then(mut self, then: impl FnOnce(bool) + Send + 'static) -> Self {
        self.then = Some(Box::new(then));
        self
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_failure {
            for counter in self.counters {
                self.accounts.0.limits.refund(counter, self.counted_at);
            }
        }
    }
}

impl Accounts {
    /// An attempt that counts there.
    pub(crate) fn attempt(&self, counters: [Counted; 2]) -> Attempt {
        let counted_at = self.steady();
        for counter in counters {
            self.0.limits.count(counter, counted_at);
        }
        Attempt {
            accounts: self.clone(),
            counters,
            counted_at,
            is_failure: false,
            then: None,
        }
    }

    /// Refuses where too many attempts failed.
    pub(crate) fn allow_attempt(&self, counters: [Counted; 2]) -> Result<(), AccountError> {
        let mut checked = counters
            .into_iter()
            .map(|counter| self.0.limits.check(counter, self.steady()));
        checked.find(Result::is_err).unwrap_or(Ok(()))
    }
}
