//! Attempts to prove a password: who may make one, and what each leaves behind.
//!
//! A try counts for the name and the client's network, by the quarter of an hour and by the day. A network that failed
//! often, whatever the names, is not shut out: others may sit behind the same address. Only its tries for each name get
//! fewer, and those at once.

use std::net::IpAddr;

use foxden_model::Network;

use crate::address::{Address, counted};
use crate::limits::Counted;
use crate::security::Door;
use crate::verifier::Applicant;
use crate::{AccountId, Accounts, TooMany, Visitor};

/// Tries of passwords for one name from one network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tries {
    /// The forms of the name that they count for.
    names: [Option<u64>; 2],
    /// The account that was found by the name, as a number.
    account: Option<u64>,
    by: (IpAddr, Door),
    way: Way,
}

/// By which allowance a try is heard, whatever the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By that of its network.
    Usual,
    /// By what an address has for itself where its network fails often.
    Beside,
    /// By what is heard at once from a network that fails often.
    Strained,
}

/// An attempt to prove a password. It counts as a failure from its beginning, so that many at once cannot slip past. It
/// moves into the blocking task that hashes, so the result is counted even if the client disconnects. Dropped without an
/// outcome, it does not count.
pub(crate) struct Attempt {
    accounts: Accounts,
    tries: Tries,
    /// When it was counted, in steady milliseconds.
    counted_at: i64,
    is_failure: bool,
}

impl Tries {
    /// Tries for that name, whatever the letters' case, and for the account that was found by it.
    ///
    /// What they count for follows from the name alone. Were all names of an account one, two of them would show whether
    /// they belong to somebody. So an address counts for the hashed names that old clients make of it, whoever has them,
    /// and a name that was chosen counts for itself.
    pub(crate) fn new(name: &str, account: Option<AccountId>, visitor: &Visitor) -> Self {
        let mut hashed = Address::new(name).map_or_else(|_| Vec::new(), |address| address.names());
        let mut hashed = hashed.drain(1.min(hashed.len())..).map(|form| counted(&form));
        Self {
            names: [
                Some(hashed.next().unwrap_or_else(|| counted(name))),
                hashed.next(),
            ],
            account: account.map(|uid| counted(&uid.to_string())),
            by: (visitor.address, visitor.door),
            way: Way::Usual,
        }
    }

    /// Who makes the tries, for a share of the hashes.
    pub(crate) fn applicant(self) -> Applicant {
        Applicant {
            name: self.names.into_iter().flatten().last().unwrap_or_default(),
            by: self.by,
        }
    }

    const fn network(self) -> Network {
        Network::of(self.by.0)
    }

    /// What a failure counts for: first what refuses the longest.
    fn counted(self) -> impl Iterator<Item = Counted> + Clone {
        let from = self.network();
        let (is_rare, of_network) = match self.way {
            Way::Usual => (false, Counted::Failure(from)),
            Way::Beside => (true, Counted::Neighbour(from)),
            Way::Strained => (true, Counted::Strain(from)),
        };
        let of_name = move |name| {
            let rare = is_rare.then_some(Counted::RareTry(name, from));
            [
                Some(Counted::DayTry(name, from)),
                Some(Counted::Try(name, from)),
                rare,
            ]
        };
        let of_names = self.names.into_iter().flatten().flat_map(of_name).flatten();
        of_names.chain(std::iter::once(of_network))
    }
}

impl Attempt {
    /// Says whether the password was right.
    pub(crate) fn settle(mut self, is_right: bool) {
        self.is_failure = !is_right;
        if let Some(account) = self.tries.account.filter(|_| is_right) {
            // What is proven is the account's own cost.
            let now = self.accounts.steady();
            self.accounts.0.limits.count(Counted::SignIn(account), now);
        }
    }

    /// What it counts for.
    pub(crate) const fn tries(&self) -> Tries {
        self.tries
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_failure {
            self.accounts.take_back(self.tries, self.counted_at);
        }
    }
}

impl Accounts {
    /// Counts an attempt, or refuses it where too many failed. What is counted is counted in the same step, so that of
    /// many at once no more are heard than one after the other. What is beyond a network's own bound does not make the
    /// wider ones fail often.
    pub(crate) fn attempt(&self, tries: Tries) -> Result<Attempt, TooMany> {
        let (limits, now) = (&self.0.limits, self.steady());
        if let Some(account) = tries.account {
            limits.check(Counted::SignIn(account), now)?;
        }
        let by = |way| {
            let tries = Tries { way, ..tries };
            limits.spend_all(tries.counted(), now).map(|()| tries)
        };
        let heard = by(Way::Usual)
            .or_else(|_| by(Way::Beside))
            .or_else(|_| by(Way::Strained));
        heard.map(|tries| self.counted(tries, now))
    }

    /// Counts an attempt that is heard whatever failed before.
    pub(crate) fn free_attempt(&self, tries: Tries) -> Attempt {
        let now = self.steady();
        for counted in tries.counted() {
            self.0.limits.count(counted, now);
        }
        self.counted(tries, now)
    }

    fn counted(&self, tries: Tries, counted_at: i64) -> Attempt {
        Attempt {
            accounts: self.clone(),
            tries,
            counted_at,
            is_failure: false,
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
