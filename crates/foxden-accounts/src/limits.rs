//! Rate limits: the budgets of `docs/security.md`.
//!
//! Actions of strangers are counted for their network in all its widths, before they are carried out. Times are
//! steady ones: setting the clock neither opens a window nor closes it.

mod table;

use std::sync::Arc;

use foxden_model::{CounterSpec, Counters, Key, MemoryCounters, Network, Width};

use crate::security::{Event, EventKind};
use crate::shared::Shared;
use crate::{Accounts, ClientInfo, TooMany};
pub(crate) use table::QUARTER;
use table::{BUDGETS, Limit, RateLimit};

/// A counter and its key. Names are numbers, so that a key is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RateLimitKey {
    /// Wrong passwords for a name from a network.
    Try(u64, Network),
    /// The same from a network that fails often.
    ThrottledTry(u64, Network),
    /// Wrong passwords for a name from a network, by the day.
    DayTry(u64, Network),
    /// Right passwords of an account.
    SignIn(u64),
    /// Spellings that were told to a network which was told too much.
    Spelling(Network),
    /// Mails with new codes to confirm an address, asked for by a network.
    Claim(u64, Network),
    /// The same, from all networks together.
    Claims(u64),
    /// Those beyond that, asked for by a network.
    LateClaim(u64, Network),
    /// Wrong passwords from a network, whatever the name.
    Failure(Network),
    /// The same from a part of a network that fails often.
    ReservedFailure(Network),
    /// The same within seconds, from a network that fails often.
    ThrottledFailure(Network),
    /// Answers that tell a network whether an address or a name is known.
    Enumeration(Network),
    /// Questions of a network for names, known or not.
    Lookup(Network),
    /// Accounts created from a network.
    Creation(Network),
    /// Codes that a network asked for, whatever the address and whether they are mailed.
    CodesFrom(Network),
    /// Mails that a network asked for.
    MailsFrom(Network),
    /// Mails with codes, by address.
    MailsTo(u64),
    /// Those of them whose code was mailed before, by address.
    Repeats(u64),
    /// Mails of the operator and notices of what a proven owner did, by address.
    Notices(u64),
    /// Mails that were not written and of which the operator was told, by address.
    Unwritten(u64),
    /// Wrong digits to confirm an address, by account.
    DigitsOf(u64),
    /// The same, by address.
    DigitsFor(u64),
    /// Wrong digits to open a reset, by account.
    ResetDigits(u64),
    /// Changes of an account's address.
    AddressChange(u64),
    /// Codes, links and invitations that were wrong, from a network.
    Guess(Network),
}

/// One counter that something is counted in.
#[derive(Clone, Copy, Debug)]
struct Entry {
    counter: CounterSpec,
    key: Key,
    most: u32,
}

/// The counters. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Limits(Arc<dyn Counters>);

impl RateLimitKey {
    const fn parts(self) -> (&'static RateLimit, u64, Option<Network>) {
        match self {
            Self::Try(name, from) => (&table::LOGIN_FAILURES_BY_NAME, name, Some(from)),
            Self::ThrottledTry(name, from) => (&table::LOGIN_FAILURES_BY_NAME_THROTTLED, name, Some(from)),
            Self::DayTry(name, from) => (&table::LOGIN_FAILURES_BY_NAME_DAILY, name, Some(from)),
            Self::SignIn(account) => (&table::SIGN_IN, account, None),
            Self::Spelling(from) => (&table::SPELLING_HINT, 0, Some(from)),
            Self::Claim(address, from) => (&table::CONFIRM_MAIL_BY_NETWORK, address, Some(from)),
            Self::Claims(address) => (&table::CONFIRM_MAIL_TOTAL, address, None),
            Self::LateClaim(address, from) => (&table::CONFIRM_MAIL_OVERFLOW, address, Some(from)),
            Self::Failure(from) => (&table::LOGIN_FAILURES_BY_NETWORK, 0, Some(from)),
            Self::ReservedFailure(from) => (&table::RESERVED_FAILURES, 0, Some(from)),
            Self::ThrottledFailure(from) => (&table::THROTTLED_FAILURES, 0, Some(from)),
            Self::Enumeration(from) => (&table::ENUMERATION, 0, Some(from)),
            Self::Lookup(from) => (&table::LOOKUP, 0, Some(from)),
            Self::Creation(from) => (&table::CREATION, 0, Some(from)),
            Self::CodesFrom(from) => (&table::CODES_FROM, 0, Some(from)),
            Self::Guess(from) => (&table::GUESS, 0, Some(from)),
            Self::MailsFrom(from) => (&table::MAIL_BY_NETWORK, 0, Some(from)),
            Self::MailsTo(address) => (&table::MAIL_BY_ADDRESS, address, None),
            Self::Repeats(address) => (&table::REPEATS, address, None),
            Self::Notices(address) => (&table::NOTICES, address, None),
            Self::Unwritten(address) => (&table::SUPPRESSED_MAIL_WARNINGS, address, None),
            Self::DigitsOf(account) => (&table::CONFIRM_FAILURES_BY_ACCOUNT, account, None),
            Self::DigitsFor(address) => (&table::CONFIRM_FAILURES_BY_ADDRESS, address, None),
            Self::ResetDigits(account) => (&table::RESET_DIGITS, account, None),
            Self::AddressChange(account) => (&table::ADDRESS_CHANGE, account, None),
        }
    }

    /// How many times as much the client has. Behind an address that is none of the internet's many may stand: a private
    /// network, or a proxy that names no client.
    fn times_for(self, client: &ClientInfo) -> u32 {
        let (rate_limit, ..) = self.parts();
        if client.is_private {
            rate_limit.private_factor
        } else if matches!(rate_limit.most, Limit::PerNetwork(_)) {
            client.network().allowance_factor()
        } else {
            1
        }
    }

    /// Its counters: one for each width of its network.
    fn entries(self) -> impl Iterator<Item = Entry> {
        let (rate_limit, subject, network) = self.parts();
        let widths = match rate_limit.most {
            Limit::PerSubject(most) => [Some((None, 0, most)), None, None],
            Limit::PerNetwork(most) => Width::ALL.map(|width| {
                let prefix = network.and_then(|network| network.prefix(width))?;
                Some((Some(width), prefix, most[width as usize]))
            }),
        };
        widths
            .into_iter()
            .flatten()
            .map(move |(width, prefix, most)| Entry {
                counter: rate_limit.counter(width),
                key: [subject, prefix],
                most,
            })
    }
}

impl Limits {
    /// Limits whose counts the processes share.
    pub(crate) fn new(shared: &dyn Shared) -> Self {
        let sized = |rate_limit: &&RateLimit| {
            rate_limit
                .specs()
                .into_iter()
                .zip(std::iter::repeat(rate_limit.columns))
        };
        Self(shared.counters(MemoryCounters::sized(BUDGETS.iter().flat_map(sized))))
    }

    /// Refuses when the allowance is spent; counts nothing.
    pub(crate) fn check(&self, what: RateLimitKey, now: i64) -> Result<(), TooMany> {
        self.check_times(what, 1, now)
    }

    /// Counts one.
    pub(crate) fn count(&self, what: RateLimitKey, now: i64) {
        for entry in what.entries() {
            self.0.add(entry.counter, entry.key, now);
        }
    }

    /// Refuses when the allowance is spent, else counts one, in one step.
    pub(crate) fn check_and_count(&self, what: RateLimitKey, now: i64) -> Result<(), TooMany> {
        self.check_and_count_times(what, 1, now)
    }

    /// Counts one of each, or none where the allowance of one of them is spent.
    pub(crate) fn check_and_count_all(
        &self,
        all: impl Iterator<Item = RateLimitKey> + Clone,
        now: i64,
    ) -> Result<(), TooMany> {
        for (number, what) in all.clone().enumerate() {
            if let Err(refused) = self.check_and_count(what, now) {
                all.take(number).for_each(|spent| self.refund(spent, now, now));
                return Err(refused);
            }
        }
        Ok(())
    }

    /// Returns whether at least so many are counted.
    pub(crate) fn has_counted(&self, what: RateLimitKey, least: u32, now: i64) -> bool {
        what.entries()
            .any(|entry| self.0.retry_after(entry.counter, entry.key, least, now).is_some())
    }

    /// Returns whether so many more are allowed.
    pub(crate) fn has_room(&self, what: RateLimitKey, more: u32, now: i64) -> bool {
        what.entries().all(|entry| {
            let allowed = (entry.most + 1).saturating_sub(more);
            self.0
                .retry_after(entry.counter, entry.key, allowed, now)
                .is_none()
        })
    }

    /// Takes back what was counted then for an attempt that turned out well.
    pub(crate) fn refund(&self, what: RateLimitKey, then: i64, now: i64) {
        for entry in what.entries() {
            self.0.refund(entry.counter, entry.key, then, now);
        }
    }

    fn check_times(&self, what: RateLimitKey, times: u32, now: i64) -> Result<(), TooMany> {
        let waits = what.entries().filter_map(|entry| {
            let most = entry.most.saturating_mul(times);
            self.0.retry_after(entry.counter, entry.key, most, now)
        });
        waits.max().map_or(Ok(()), |wait| Err(too_many(wait)))
    }

    /// Counts one in each width, or in none where one of them has no more.
    fn check_and_count_times(&self, what: RateLimitKey, times: u32, now: i64) -> Result<(), TooMany> {
        for (number, entry) in what.entries().enumerate() {
            let most = entry.most.saturating_mul(times);
            if let Err(wait) = self.0.check_and_add(entry.counter, entry.key, most, now) {
                for spent in what.entries().take(number) {
                    self.0.refund(spent.counter, spent.key, now, now);
                }
                return Err(self.check_times(what, times, now).err().unwrap_or(too_many(wait)));
            }
        }
        Ok(())
    }
}

fn too_many(wait: i64) -> TooMany {
    TooMany {
        retry_after: u64::try_from(wait).unwrap_or(0).div_ceil(1000).max(1),
    }
}

impl Accounts {
    /// Counts one for this client, or refuses and emits a security event if the limit is reached, in one step.
    /// Clients on this machine have a larger allowance; the same holds for the methods below.
    pub(crate) fn check_and_count_for(&self, what: RateLimitKey, client: &ClientInfo) -> Result<(), TooMany> {
        let times = what.times_for(client);
        let spent = self.0.limits.check_and_count_times(what, times, self.steady());
        spent.inspect_err(|_| self.emit_limit_reached(what, client))
    }

    /// Refuses and emits a security event if the limit of this client is reached; counts nothing.
    pub(crate) fn check_for(&self, what: RateLimitKey, client: &ClientInfo) -> Result<(), TooMany> {
        let times = what.times_for(client);
        let checked = self.0.limits.check_times(what, times, self.steady());
        checked.inspect_err(|_| self.emit_limit_reached(what, client))
    }

    fn emit_limit_reached(&self, what: RateLimitKey, client: &ClientInfo) {
        let (rate_limit, ..) = what.parts();
        self.emit(&Event::from_client(client, EventKind::LimitReached).with_reason(rate_limit.name));
    }

    /// Counts one for the network of this client, or refuses and emits a security event if the limit is reached.
    pub(crate) fn check_and_count_network(
        &self,
        what: fn(Network) -> RateLimitKey,
        client: &ClientInfo,
    ) -> Result<(), TooMany> {
        self.check_and_count_for(what(client.network()), client)
    }
}

impl ClientInfo {
    /// The network that the client is in.
    pub const fn network(&self) -> Network {
        Network::of(self.address)
    }
}

#[cfg(test)]
mod tests;
