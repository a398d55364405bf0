//! Who asks for too much. Two devices that poll each second behind one address stay far below every allowance.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use super::answer::Refusal;

/// Addresses remembered at once; those that came first make room.
const REMEMBERED: usize = 4096;

/// What is done about addresses that ask for too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vigilance {
    /// They are refused for a while.
    #[default]
    Refuse,
    /// They are served, and the log says that they would be refused.
    Observe,
    /// Nobody counts.
    Off,
}

/// What an address may ask for, in windows that begin with the first request; all times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Allowances {
    /// Requests within a window.
    pub requests: u32,
    /// How long that window is. New channels are counted in it, too.
    pub window: u32,
    /// How long an address is refused that asked more often.
    pub refused: u32,
    /// New channels within a window.
    pub channels: u32,
    /// Answers with status 400 within the time for which more of them are refused.
    pub bad: u32,
    /// How long an address is refused that earned more of them.
    pub bad_refused: u32,
}

impl Default for Allowances {
    fn default() -> Self {
        Self {
            requests: 3500,
            window: 360,
            refused: 600,
            channels: 60,
            bad: 100,
            bad_refused: 3600,
        }
    }
}

/// The addresses that were seen lately.
pub(super) struct Callers {
    vigilance: Vigilance,
    allowances: Allowances,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    callers: HashMap<IpAddr, Caller>,
    /// In the order in which they came first.
    order: VecDeque<IpAddr>,
}

#[derive(Default)]
struct Caller {
    requests: Count,
    channels: Count,
    bad: Count,
    /// Refused since then for so many seconds.
    refused: Option<(i64, u32)>,
}

#[derive(Default)]
struct Count {
    began: i64,
    count: u32,
}

impl Callers {
    pub(super) fn new(vigilance: Vigilance, allowances: Allowances) -> Self {
        Self {
            vigilance,
            allowances,
            seen: Mutex::default(),
        }
    }

    /// Counts a request, and refuses whoever asked for too much.
    pub(super) fn admit(&self, address: IpAddr, now: i64) -> Result<(), Refusal> {
        let rules = self.allowances;
        let verdict = self.with(address, |caller| {
            let is_refused = caller
                .refused
                .is_some_and(|(since, seconds)| is_within(since, seconds, now));
            let requests = caller.requests.add(rules.window, now);
            if is_refused {
                return Err(Refusal::Blocked);
            }
            if requests > rules.requests {
                caller.refuse(address, rules.refused, now, "requests");
                return Err(Refusal::Blocked);
            }
            Ok(())
        });
        self.judge(verdict)
    }

    /// Counts an answer that says that the request was bad.
    pub(super) fn count_bad(&self, address: IpAddr, now: i64) {
        let rules = self.allowances;
        self.with(address, |caller| {
            if caller.bad.add(rules.bad_refused, now) > rules.bad {
                caller.refuse(address, rules.bad_refused, now, "bad requests");
            }
        });
    }

    /// Counts a new channel, and refuses one too many.
    pub(super) fn count_channel(&self, address: IpAddr, now: i64) -> Result<(), Refusal> {
        let rules = self.allowances;
        let verdict = self.with(address, |caller| {
            if caller.channels.add(rules.window, now) > rules.channels {
                return Err(Refusal::ManyChannels {
                    retry_after: rules.window,
                });
            }
            Ok(())
        });
        self.judge(verdict)
    }

    /// Does something with what is known of an address; with nothing where nobody counts.
    fn with<T>(&self, address: IpAddr, act: impl FnOnce(&mut Caller) -> T) -> Option<T> {
        let address = address.to_canonical();
        if self.vigilance == Vigilance::Off || is_spared(address) {
            return None;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Some(act(seen.caller(network(address))))
    }

    /// What counts as the one who asks; `None` for those who are not held to a share.
    pub(super) fn counted(&self, address: IpAddr) -> Option<IpAddr> {
        let address = address.to_canonical();
        (self.vigilance == Vigilance::Refuse && !is_spared(address)).then(|| network(address))
    }

    fn judge(&self, verdict: Option<Result<(), Refusal>>) -> Result<(), Refusal> {
        match (self.vigilance, verdict) {
            (Vigilance::Refuse, Some(verdict)) => verdict,
            (Vigilance::Refuse | Vigilance::Observe | Vigilance::Off, _) => Ok(()),
        }
    }
}

impl Seen {
    fn caller(&mut self, address: IpAddr) -> &mut Caller {
        if !self.callers.contains_key(&address) {
            if self.order.len() >= REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.callers.remove(&oldest);
            }
            self.order.push_back(address);
        }
        self.callers.entry(address).or_default()
    }
}

impl Caller {
    /// Says so once, when it begins: an address that is refused goes on asking.
    fn refuse(&mut self, address: IpAddr, seconds: u32, now: i64, what: &str) {
        let is_refused = self
            .refused
            .is_some_and(|(since, seconds)| is_within(since, seconds, now));
        if !is_refused {
            tracing::warn!(
                "the key exchange counted too many {what} from {address} for the next {seconds} s"
            );
            self.refused = Some((now, seconds));
        }
    }
}

impl Count {
    fn add(&mut self, window: u32, now: i64) -> u32 {
        if self.count == 0 || !is_within(self.began, window, now) {
            *self = Self { began: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

fn is_within(since: i64, seconds: u32, now: i64) -> bool {
    now - since < i64::from(seconds) * 1000
}

/// This machine and private networks: many devices, or a proxy that was not made known, may stand behind one address.
fn is_spared(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// What counts as one address: of IPv6, whoever has one has as many as fit into the lower half.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_690_000_000;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn refusing() -> Callers {
        Callers::new(Vigilance::Refuse, Allowances::default())
    }

    #[test]
    fn who_asks_too_often_waits_and_is_served_again() {
        let callers = refusing();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..3500 {
            callers.admit(one, NOW).unwrap();
        }
        assert!(callers.admit(one, NOW + 1).is_err());
        assert!(callers.admit(one, NOW + 600_000).is_err());
        callers.admit(other, NOW + 1).unwrap();
        callers.admit(one, NOW + 600_001).unwrap();
    }

    /// Two devices poll each second for five minutes, one after the other pairs again, all behind one address.
    #[test]
    fn pairing_is_never_too_much() {
        let callers = refusing();
        for second in 0..3600 {
            for _ in 0..4 {
                callers.admit(address("192.0.2.1"), NOW + second * 1000).unwrap();
            }
        }
    }

    #[test]
    fn bad_requests_are_held_against_an_address_for_an_hour() {
        let callers = refusing();
        let one = address("2001:db8::1");
        for _ in 0..101 {
            callers.admit(one, NOW).unwrap();
            callers.count_bad(one, NOW);
        }
        assert!(callers.admit(address("2001:db8::2"), NOW + 3_599_999).is_err());
        callers.admit(address("2001:db8:0:1::1"), NOW).unwrap();
        callers.admit(one, NOW + 3_600_000).unwrap();
    }

    #[test]
    fn channels_are_counted_apart() {
        let callers = refusing();
        let one = address("192.0.2.1");
        for _ in 0..60 {
            callers.count_channel(one, NOW).unwrap();
        }
        let refused = callers.count_channel(one, NOW);
        assert!(matches!(refused, Err(Refusal::ManyChannels { retry_after: 360 })));
        callers.admit(one, NOW).unwrap();
        callers.count_channel(one, NOW + 360_000).unwrap();
    }

    #[test]
    fn private_networks_are_spared_and_observers_refuse_nobody() {
        for (vigilance, address, is_refused) in [
            (Vigilance::Refuse, "192.0.2.1", true),
            (Vigilance::Refuse, "::ffff:192.0.2.1", true),
            (Vigilance::Refuse, "127.0.0.1", false),
            (Vigilance::Refuse, "10.1.2.3", false),
            (Vigilance::Refuse, "192.168.1.2", false),
            (Vigilance::Refuse, "::ffff:192.168.1.2", false),
            (Vigilance::Refuse, "::1", false),
            (Vigilance::Observe, "192.0.2.1", false),
            (Vigilance::Off, "192.0.2.1", false),
        ] {
            let callers = Callers::new(vigilance, Allowances::default());
            let address: IpAddr = address.parse().unwrap();
            let refused = (0..4000).any(|_| callers.admit(address, NOW).is_err());
            assert_eq!(refused, is_refused, "{vigilance:?} {address}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let callers = refusing();
        for number in 0..10_000_u32 {
            let address = IpAddr::V4((0xc600_0000 + number).into());
            callers.admit(address, NOW).unwrap();
        }
        let seen = callers.seen.lock().unwrap();
        assert_eq!((seen.callers.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
    }
}
