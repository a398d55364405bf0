//! Attempts to prove a password: who may make one, and what each leaves behind.
//!
//! A try counts for the name and the client's network. A network that failed often, whatever the names, is not shut out:
//! others may sit behind the same address. Only its tries for each name get fewer, and those at once.

use foxden_model::Network;

use crate::limits::Counted;
use crate::verifier::Applicant;
use crate::{AccountError, Accounts};

/// Tries of passwords for one name from one network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tries {
    name: u64,
    from: Network,
    /// Whether the network fails often: then more is counted.
    is_rare: bool,
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
    /// Tries for that name, whatever the letters' case. An address and the hashed name that old clients make of it count
    /// as one, also where nobody has them: else it would show whose names belong together.
    pub(crate) fn new(name: &str, from: Network) -> Self {
        let hashed = crate::plain::name_of(name);
        Self {
            name: crate::address::counted(hashed.as_deref().unwrap_or(name)),
            from,
            is_rare: false,
        }
    }

    /// Who makes the tries, for a share of the hashes.
    pub(crate) const fn applicant(self) -> Applicant {
        Applicant {
            name: self.name,
            from: self.from,
        }
    }

    /// What a failure counts for.
    fn counted(self) -> impl Iterator<Item = Counted> {
        let [rare, strain] = [Counted::RareTry(self.name, self.from), Counted::Strain(self.from)];
        let others = if self.is_rare {
            [Some(rare), Some(strain)]
        } else {
            [Some(Counted::Failure(self.from)), None]
        };
        std::iter::once(Counted::Try(self.name, self.from)).chain(others.into_iter().flatten())
    }
}

impl Attempt {
    /// Says whether the password was right.
    pub fn settle(mut self, is_right: bool) {
        self.is_failure = !is_right;
        if is_right {
            // What is proven is the account's own cost.
            let now = self.accounts.steady();
            self.accounts
                .0
                .limits
                .count(Counted::SignIn(self.tries.name), now);
        }
        if let Some(then) = self.then.take() {
            then(is_right);
        }
    }

    /// What it counts for.
    pub(crate) const fn tries(&self) -> Tries {
        self.tries
    }

    /// What else follows from the outcome.
    pub(crate) fn then(mut self, then: impl FnOnce(bool) + Send + 'static) -> Self {
        self.then = Some(Box::new(then));
        self
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Tries { name, from, .. } = self.tries;
        if self.is_failure {
            let now = self.accounts.steady();
            self.accounts.0.limits.count_locks(name, from, self.is_last, now);
        } else {
            self.accounts.take_back(self.tries, self.counted_at);
        }
    }
}

impl Accounts {
    /// Counts an attempt, or refuses it where too many failed. What is counted is counted in the same step, so that of
    /// many at once no more are heard than one after the other.
    pub(crate) fn attempt(&self, tries: Tries) -> Result<Attempt, AccountError> {
        let (limits, now) = (&self.0.limits, self.steady());
        let Tries { name, from, .. } = tries;
        limits.check(Counted::Lock(name, from), now)?;
        limits.check(Counted::SignIn(name), now)?;
        let is_last = limits.spend_try(name, from, now)?;
        if limits.spend(Counted::Failure(from), now).is_ok() {
            return Ok(self.counted(tries, is_last, now));
        }
        let rare = Counted::RareTry(name, from);
        let allowed = limits.spend(rare, now).and_then(|()| {
            let strained = limits.spend(Counted::Strain(from), now);
            strained.inspect_err(|_| limits.refund(rare, now, now))
        });
        if let Err(refused) = allowed {
            limits.refund(Counted::Try(name, from), now, now);
            return Err(refused);
        }
        // What is beyond a network's own bound does not make the wider ones fail often.
        let tries = Tries {
            is_rare: true,
            ..tries
        };
        Ok(self.counted(tries, is_last, now))
    }

    /// Counts an attempt that is heard whatever failed before.
    pub(crate) fn free_attempt(&self, tries: Tries) -> Attempt {
        let now = self.steady();
        for counted in tries.counted() {
            self.0.limits.count(counted, now);
        }
        self.counted(tries, [false; 3], now)
    }

    fn counted(&self, tries: Tries, is_last: [bool; 3], counted_at: i64) -> Attempt {
        Attempt {
            accounts: self.clone(),
            tries,
            counted_at,
            is_last,
            is_failure: false,
            then: None,
        }
    }

    /// Takes back what a try counted then.
    pub(crate) fn take_back(&self, tries: Tries, then: i64) {
        let (limits, now) = (&self.0.limits, self.steady());
        for counted in tries.counted() {
            limits.refund(counted, then, now);
        }
    }
}
