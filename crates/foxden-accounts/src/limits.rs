//! How often things may be tried. Counted in memory, in windows that begin with the first attempt; what is counted is
//! bounded, and the counters that began first make room for new ones. Times are steady ones: setting the clock neither
//! opens a window nor closes it.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::address::counted;
use crate::security::{Event, What};
use crate::{AccountError, Accounts, Visitor};

/// Counters kept at once.
const COUNTERS: usize = 20_000;
pub(crate) const QUARTER: i64 = 15 * 60_000;
const HOUR: i64 = 60 * 60_000;
const DAY: i64 = 24 * HOUR;

/// What is counted. Names stand as hashes of at most 32 bytes, so that a counter is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    /// Wrong passwords for an address from a network.
    FailedLogin(u64, Network),
    /// Wrong passwords from a network.
    FailedFrom(Network),
    /// Accounts created from a network.
    Creation(Network),
    /// Questions whether an address or a name is known.
    Status(Network),
    /// Codes asked for, by address.
    Code(u64),
    /// Resets begun, by address.
    Reset(u64),
    /// Resets begun from a network, whatever the address: else anybody could push out all other counters.
    ResetFrom(Network),
    /// Wrong digits that were to open a reset, by address.
    Otp(u64),
    /// Changes of an account's address.
    AddressChange(u64),
    /// Codes, links and invitations that were wrong.
    Guess(Network),
}

/// The network a client is in: the first 24 bits of an IPv4 address, the first 64 of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(u64);

/// The counters.
#[derive(Default)]
pub(crate) struct Limits(Mutex<Counters>);

#[derive(Default)]
struct Counters {
    windows: HashMap<Counted, Window>,
    /// In the order in which they began.
    order: VecDeque<(Counted, i64)>,
}

#[derive(Clone, Copy)]
struct Window {
    began: i64,
    count: u32,
}

impl Network {
    pub(crate) fn of(address: IpAddr) -> Self {
        let v6 = match address.to_canonical() {
            IpAddr::V4(v4) => return Self(u64::from(v4.to_bits() >> 8)),
            IpAddr::V6(v6) => v6,
        };
        // An IPv6 network has its high bits set wherever one is in use, so it never equals an IPv4 one.
        Self(u64::try_from(v6.to_bits() >> 64).unwrap_or(u64::MAX))
    }
}

impl Counted {
    /// Wrong passwords for whoever is called that, whatever the letters' case.
    pub(crate) fn failed_login(name: &str, from: Network) -> Self {
        Self::FailedLogin(counted(name), from)
    }

    /// How many are allowed within how many milliseconds.
    const fn allowance(self) -> (u32, i64) {
        match self {
            Self::FailedLogin(..) => (10, QUARTER),
            Self::FailedFrom(_) => (60, QUARTER),
            Self::Creation(_) => (5, HOUR),
            Self::Status(_) | Self::Guess(_) | Self::ResetFrom(_) => (30, QUARTER),
            Self::Code(_) => (5, QUARTER),
            Self::Otp(_) => (50, DAY),
            Self::Reset(_) | Self::AddressChange(_) => (5, DAY),
        }
    }
}

impl Limits {
    /// Refuses when the allowance is spent; counts nothing.
    pub(crate) fn check(&self, what: Counted, now: i64) -> Result<(), AccountError> {
        let (allowed, span) = what.allowance();
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counters.windows.get(&what) {
            Some(window) if window.is_open(now, span) && window.count >= allowed => {
                let left = u64::try_from(window.began + span - now).unwrap_or(0);
                Err(AccountError::TooMany {
                    retry_after: left.div_ceil(1000).max(1),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts one.
    pub(crate) fn count(&self, what: Counted, now: i64) {
        let (_, span) = what.allowance();
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counters.windows.get_mut(&what) {
            Some(window) if window.is_open(now, span) => window.count = window.count.saturating_add(1),
            Some(_) | None => counters.begin(what, now),
        }
    }

    /// Refuses when the allowance is spent, else counts one.
    pub(crate) fn spend(&self, what: Counted, now: i64) -> Result<(), AccountError> {
        self.check(what, now)?;
        self.count(what, now);
        Ok(())
    }

    /// Takes back what was counted then for an attempt that turned out well. A window that began since did not count it.
    pub(crate) fn refund(&self, what: Counted, then: i64) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = counters.windows.get_mut(&what)
            && window.began <= then
        {
            window.count = window.count.saturating_sub(1);
        }
    }
}

impl Accounts {
    /// Refuses this visitor's network when its allowance is spent. Whoever sits at the machine itself may do as they like:
    /// so here and below.
    pub(crate) fn check_visitor(
        &self,
        what: fn(Network) -> Counted,
        visitor: &Visitor,
    ) -> Result<(), AccountError> {
        if visitor.is_private {
            return Ok(());
        }
        let what = what(Network::of(visitor.address));
        self.0.limits.check(what, self.steady())
    }

    /// Counts one against this visitor's network.
    pub(crate) fn count_visitor(&self, what: fn(Network) -> Counted, visitor: &Visitor) {
        if !visitor.is_private {
            self.0
                .limits
                .count(what(Network::of(visitor.address)), self.steady());
        }
    }

    /// Refuses this visitor's network when its allowance is spent, else counts one.
    pub(crate) fn spend_visitor(
        &self,
        what: fn(Network) -> Counted,
        visitor: &Visitor,
    ) -> Result<(), AccountError> {
        self.check_visitor(what, visitor)?;
        self.count_visitor(what, visitor);
        Ok(())
    }

    /// Refuses whoever guessed too many codes.
    pub(crate) fn check_guesses(&self, visitor: &Visitor) -> Result<(), AccountError> {
        self.check_visitor(Counted::Guess, visitor).inspect_err(|_| {
            self.tell(&Event::by(visitor, What::LoginLocked).because("too many wrong codes"));
        })
    }

    /// Counts a wrong code, and tells of it.
    pub(crate) fn count_guess(&self, visitor: &Visitor, wrong: &Event<'_>) {
        self.count_visitor(Counted::Guess, visitor);
        self.tell(wrong);
    }
}

impl Window {
    const fn is_open(&self, now: i64, span: i64) -> bool {
        now - self.began < span
    }
}

impl Counters {
    fn begin(&mut self, what: Counted, now: i64) {
        while self.order.len() >= COUNTERS {
            let Some((oldest, began)) = self.order.pop_front() else {
                break;
            };
            if self
                .windows
                .get(&oldest)
                .is_some_and(|window| window.began == began)
            {
                self.windows.remove(&oldest);
            }
        }
        self.windows.insert(what, Window { began: now, count: 1 });
        self.order.push_back((what, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Network {
        Network::of("192.0.2.1".parse().unwrap())
    }

    #[test]
    fn the_eleventh_failure_waits_and_the_window_passes() {
        let limits = Limits::default();
        let what = Counted::FailedLogin(7, home());
        for _ in 0..10 {
            limits.spend(what, 1000).unwrap();
        }
        let refused = limits.check(what, 1000 + 60_000);
        assert!(matches!(refused, Err(AccountError::TooMany { retry_after: 840 })));
        assert!(limits.check(Counted::FailedLogin(8, home()), 1000).is_ok());
        assert!(limits.check(what, 1000 + QUARTER).is_ok());
    }

    #[test]
    fn what_is_taken_back_was_counted_in_the_same_window() {
        let limits = Limits::default();
        let what = Counted::FailedFrom(home());
        limits.count(what, 0);
        for _ in 0..60 {
            limits.count(what, QUARTER);
        }
        limits.refund(what, QUARTER - 1);
        assert!(limits.check(what, QUARTER).is_err());
        limits.refund(what, QUARTER);
        assert!(limits.check(what, QUARTER).is_ok());
    }

    #[test]
    fn neighbours_share_a_network_and_strangers_do_not() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(network("192.0.2.1"), network("192.0.2.200"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.9"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }

    #[test]
    fn old_counters_make_room() {
        let limits = Limits::default();
        for address in 0..50_000 {
            limits.count(Counted::Reset(address), 0);
        }
        let counters = limits.0.lock().unwrap();
        assert!(counters.windows.len() <= COUNTERS && counters.order.len() <= COUNTERS);
    }
}
