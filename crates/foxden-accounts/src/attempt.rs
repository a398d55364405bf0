//! Attempts to prove a password: who may make one, and what each leaves behind.
//!
//! A try counts for the name and the client's network. A network that failed often, whatever the names, is not shut out:
//! others may sit behind the same address. Only its tries for each name get fewer, and those at once.

use foxden_model::Network;

use crate::limits::Counted;
use crate::{AccountError, Accounts};

/// Tries of passwords for one name from one network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tries {
    name: u64,
    from: Network,
}

/// An attempt to prove a password. It counts as a failure from its beginning, so that many at once cannot slip past,
/// and it goes to where the password is checked: a client that hangs up changes nothing of what comes of it. Dropped
/// without an outcome, it does not count.
pub struct Attempt {
    accounts: Accounts,
    tries: Tries,
    /// When it was counted, in steady milliseconds.
    counted_at: i64,
    /// In which widths of the network it was the last try.
    is_last: [bool; 3],
    is_failure: bool,
    then: Option<Box<dyn FnOnce(bool) + Send>>,
}

impl Tries {
    /// Tries for that name, whatever the letters' case.
    pub(crate) fn new(name: &str, from: Network) -> Self {
        Self {
            name: crate::address::counted(name),
            from,
        }
    }

    /// The network that they come from.
    pub(crate) const fn from(self) -> Network {
        self.from
    }

    /// What every failure counts for, but for the try itself.
    fn others(self) -> [Counted; 3] {
        [
            Counted::RareTry(self.name, self.from),
            Counted::Failure(self.from),
            Counted::Strain(self.from),
        ]
    }
}

impl Attempt {
    /// Says whether the password was right.
    pub fn settle(mut self, is_right: bool) {
        self.is_failure = !is_right;
        if let Some(then) = self.then.take() {
            then(is_right);
        }
    }

    /// The network that it comes from.
    pub const fn from(&self) -> Network {
        self.tries.from
    }

    /// What else follows from the outcome.
    pub(crate) fn then(mut self, then: impl FnOnce(bool) + Send + 'static) -> Self {
        self.then = Some(Box::new(then));
        self
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Tries { name, from } = self.tries;
        if self.is_failure {
            let now = self.accounts.steady();
            self.accounts.0.limits.count_locks(name, from, self.is_last, now);
        } else {
            self.accounts.take_back(self.tries, self.counted_at);
        }
    }
}

impl Accounts {
    /// Counts an attempt.
    pub(crate) fn attempt(&self, tries: Tries) -> Attempt {
        let counted_at = self.steady();
        let is_last = self.0.limits.count_try(tries.name, tries.from, counted_at);
        for counted in tries.others() {
            self.0.limits.count(counted, counted_at);
        }
        Attempt {
            accounts: self.clone(),
            tries,
            counted_at,
            is_last,
            is_failure: false,
            then: None,
        }
    }

    /// Refuses where too many attempts failed.
    pub(crate) fn allow_attempt(&self, tries: Tries) -> Result<(), AccountError> {
        let (limits, now) = (&self.0.limits, self.steady());
        let Tries { name, from } = tries;
        limits.check(Counted::Lock(name, from), now)?;
        limits.check(Counted::Try(name, from), now)?;
        if limits.check(Counted::Failure(from), now).is_ok() {
            return Ok(());
        }
        limits.check(Counted::RareTry(name, from), now)?;
        limits.check(Counted::Strain(from), now)
    }

    /// Takes back what a try counted then.
    pub(crate) fn take_back(&self, tries: Tries, then: i64) {
        let (limits, now) = (&self.0.limits, self.steady());
        limits.refund(Counted::Try(tries.name, tries.from), then, now);
        for counted in tries.others() {
            limits.refund(counted, then, now);
        }
    }
}
