//! Rate limits of log-ins.
//!
//! A failed attempt counts for the name and the network of the client, within a quarter of an hour and within a day.
//! A network that failed often, whatever the names, is not locked out: many clients may share its address. It only
//! gets fewer attempts for each name, and fewer at once.

use std::net::IpAddr;

use foxden_model::Network;

use crate::address::{Address, counted};
use crate::limits::RateLimitKey;
use crate::password_hasher::HashRequester;
use crate::security::EntryPoint;
use crate::{AccountId, Accounts, ClientInfo, TooMany};

/// The counters of an attempt to log in: for one name, from one network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptKeys {
    /// The forms of the name that are counted.
    names: [Option<u64>; 2],
    /// The account that was found by the name, as a number.
    account: Option<u64>,
    by: (IpAddr, EntryPoint),
    allowance: Allowance,
}

/// The allowance of the network that an attempt uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allowance {
    /// The normal one.
    Normal,
    /// The one that each address has for itself where its network fails often.
    Reserved,
    /// The short-term allowance of a network that fails often.
    Throttled,
}

/// An attempt to log in. It counts as a failure from its beginning, so that concurrent attempts cannot slip past. It
/// moves into the blocking task that hashes, so the result is counted even if the client disconnects. Dropped without
/// an outcome, it does not count.
pub(crate) struct LoginAttempt {
    accounts: Accounts,
    tries: AttemptKeys,
    /// When it was counted, in steady milliseconds.
    counted_at: i64,
    is_failure: bool,
}

impl AttemptKeys {
    /// The keys for a name, in any case, and for the account that was found by it.
    ///
    /// The counters depend on the name alone. If all names of an account shared a counter, two names would reveal
    /// whether they belong to the same account. So an address counts for the hashed names that old clients derive
    /// from it, whether or not an account has them, and a chosen name counts for itself.
    pub(crate) fn new(name: &str, account: Option<AccountId>, client: &ClientInfo) -> Self {
        let mut hashed = Address::new(name).map_or_else(|_| Vec::new(), |address| address.names());
        let mut hashed = hashed.drain(1.min(hashed.len())..).map(|form| counted(&form));
        Self {
            names: [
                Some(hashed.next().unwrap_or_else(|| counted(name))),
                hashed.next(),
            ],
            account: account.map(|uid| counted(&uid.to_string())),
            by: (client.address, client.entry_point),
            allowance: Allowance::Normal,
        }
    }

    /// The requester, for its share of the hashes.
    pub(crate) fn requester(self) -> HashRequester {
        HashRequester {
            name: self.names.into_iter().flatten().last().unwrap_or_default(),
            by: self.by,
        }
    }

    const fn network(self) -> Network {
        Network::of(self.by.0)
    }

    /// The counters of a failure, those with the longest wait first.
    fn counted(self) -> impl Iterator<Item = RateLimitKey> + Clone {
        let from = self.network();
        let (is_rare, of_network) = match self.allowance {
            Allowance::Normal => (false, RateLimitKey::Failure(from)),
            Allowance::Reserved => (true, RateLimitKey::ReservedFailure(from)),
            Allowance::Throttled => (true, RateLimitKey::ThrottledFailure(from)),
        };
        let of_name = move |name| {
            let rare = is_rare.then_some(RateLimitKey::ThrottledTry(name, from));
            [
                Some(RateLimitKey::DayTry(name, from)),
                Some(RateLimitKey::Try(name, from)),
                rare,
            ]
        };
        let of_names = self.names.into_iter().flatten().flat_map(of_name).flatten();
        of_names.chain(std::iter::once(of_network))
    }
}

impl LoginAttempt {
    /// Records whether the password was right.
    pub(crate) fn record_result(mut self, is_right: bool) {
        self.is_failure = !is_right;
        if let Some(account) = self.tries.account.filter(|_| is_right) {
            // A verified log-in costs the account, not the network.
            let now = self.accounts.steady();
            self.accounts.0.limits.count(RateLimitKey::SignIn(account), now);
        }
    }

    /// Its counters.
    pub(crate) const fn tries(&self) -> AttemptKeys {
        self.tries
    }
}

impl Drop for LoginAttempt {
    fn drop(&mut self) {
        if !self.is_failure {
            self.accounts.refund_attempt(self.tries, self.counted_at);
        }
    }
}

impl Accounts {
    /// Counts an attempt, or refuses it after too many failures. The check and the count are one step, so that
    /// concurrent attempts are bounded as sequential ones are. Attempts beyond the limit of a network do not count
    /// for the wider networks.
    pub(crate) fn attempt(&self, tries: AttemptKeys) -> Result<LoginAttempt, TooMany> {
        let (limits, now) = (&self.0.limits, self.steady());
        if let Some(account) = tries.account {
            limits.check(RateLimitKey::SignIn(account), now)?;
        }
        let by = |allowance| {
            let tries = AttemptKeys { allowance, ..tries };
            limits.check_and_count_all(tries.counted(), now).map(|()| tries)
        };
        let heard = by(Allowance::Normal)
            .or_else(|_| by(Allowance::Reserved))
            .or_else(|_| by(Allowance::Throttled));
        heard.map(|tries| self.counted(tries, now))
    }

    /// Counts an attempt without a limit.
    pub(crate) fn free_attempt(&self, tries: AttemptKeys) -> LoginAttempt {
        let now = self.steady();
        for counted in tries.counted() {
            self.0.limits.count(counted, now);
        }
        self.counted(tries, now)
    }

    fn counted(&self, tries: AttemptKeys, counted_at: i64) -> LoginAttempt {
        LoginAttempt {
            accounts: self.clone(),
            tries,
            counted_at,
            is_failure: false,
        }
    }

    /// Refunds an attempt.
    pub(crate) fn refund_attempt(&self, tries: AttemptKeys, then: i64) {
        let (limits, now) = (&self.0.limits, self.steady());
        for counted in tries.counted() {
            limits.refund(counted, then, now);
        }
    }
}
