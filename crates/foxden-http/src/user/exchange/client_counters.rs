//! Rate limits of clients. Two devices that poll each second behind one address stay far below every limit.

use std::net::IpAddr;
use std::sync::Arc;

use foxden_accounts::Shared;
use foxden_model::{CounterSpec, Counters, LogThrottle, MemoryCounters, Width};

use super::client_networks::ClientNetworks;

/// How networks that exceed their limits are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AbuseControl {
    /// They are refused until their window has passed.
    #[default]
    Refuse,
    /// They are served, and the log tells that they would be refused.
    Observe,
    /// Nothing is counted.
    Off,
}

/// The limits of one IPv4 address or IPv6 /64. Wider networks have larger limits, private ones much larger ones.
/// Times are in seconds.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// Requests in a window.
    pub requests: u32,
    /// The length of that window, which also applies to new channels.
    pub window: u32,
    /// New channels in a window.
    pub channels: u32,
    /// Responses with status 400 in a window of their own.
    pub bad: u32,
    /// The length of that window.
    pub bad_window: u32,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            requests: 3500,
            window: 360,
            channels: 60,
            bad: 100,
            bad_window: 3600,
        }
    }
}

/// A network has exceeded a limit. It may try again after this many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LimitExceeded {
    pub(super) retry_after: u32,
}

/// Counters of recent requests.
pub(super) struct ClientCounters {
    abuse_control: AbuseControl,
    limits: ClientLimits,
    counters: Arc<dyn Counters>,
    /// In the order of [`Kind`].
    notices: [LogThrottle; 3],
}

/// The counted events.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Requests,
    Channels,
    Bad,
}

const KINDS: [Kind; 3] = [Kind::Requests, Kind::Channels, Kind::Bad];

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Channels => "new channels",
            Self::Bad => "bad requests",
        }
    }

    /// Returns the limit of one IPv4 address or IPv6 /64, and the window in milliseconds.
    fn bound(self, rules: &ClientLimits) -> (u32, i64) {
        let (most, seconds) = match self {
            Self::Requests => (rules.requests, rules.window),
            Self::Channels => (rules.channels, rules.window),
            Self::Bad => (rules.bad, rules.bad_window),
        };
        (most, i64::from(seconds) * 1000)
    }

    /// Each width has its own counters.
    fn counter(self, width: Width, rules: &ClientLimits) -> CounterSpec {
        CounterSpec {
            name: self.name(),
            width: Some(width),
            span: self.bound(rules).1,
        }
    }
}

impl LimitExceeded {
    fn wait(millis: i64) -> Self {
        let seconds = u64::try_from(millis).unwrap_or(0).div_ceil(1000);
        Self {
            retry_after: u32::try_from(seconds).unwrap_or(u32::MAX),
        }
    }
}

impl ClientCounters {
    /// Counters that the processes share.
    pub(super) fn new(abuse_control: AbuseControl, limits: ClientLimits, shared: &dyn Shared) -> Self {
        let specs = KINDS
            .into_iter()
            .flat_map(|kind| Width::ALL.map(|width| kind.counter(width, &limits)));
        Self {
            abuse_control,
            limits,
            counters: shared.counters(MemoryCounters::new(&specs.collect::<Vec<_>>())),
            notices: Default::default(),
        }
    }

    /// Counts a request. Refuses requests over the limit, and all requests of a network that sent too many bad
    /// ones.
    pub(super) fn admit(&self, address: IpAddr, now: i64) -> Result<(), LimitExceeded> {
        let wait = self.wait(Kind::Bad, address, now);
        match wait.or_else(|| self.count(Kind::Requests, address, now)) {
            Some(wait) => Err(LimitExceeded::wait(wait)),
            None => Ok(()),
        }
    }

    /// Counts a response with status 400.
    pub(super) fn count_bad(&self, address: IpAddr, now: i64) {
        if self.abuse_control == AbuseControl::Off {
            return;
        }
        for ((width, prefix), _) in ClientNetworks::of(address).prefixes() {
            let counter = Kind::Bad.counter(width, &self.limits);
            self.counters.add(counter, [0, prefix], now);
        }
    }

    /// Counts a new channel, and refuses one over the limit.
    pub(super) fn count_channel(&self, address: IpAddr, now: i64) -> Result<(), LimitExceeded> {
        match self.count(Kind::Channels, address, now) {
            Some(wait) => Err(LimitExceeded::wait(wait)),
            None => Ok(()),
        }
    }

    /// Returns the networks whose shares an address counts towards; `None` where no limits are enforced.
    pub(super) fn counted(&self, address: IpAddr) -> Option<ClientNetworks> {
        (self.abuse_control == AbuseControl::Refuse).then(|| ClientNetworks::of(address))
    }

    /// Returns how many milliseconds an address must wait before one more, if one of its networks is at its limit.
    /// Refused requests are not counted: a client that keeps asking does not delay its neighbours.
    fn wait(&self, kind: Kind, address: IpAddr, now: i64) -> Option<i64> {
        if self.abuse_control == AbuseControl::Off {
            return None;
        }
        let (most, _) = kind.bound(&self.limits);
        let waits = ClientNetworks::of(address)
            .prefixes()
            .filter_map(|((width, prefix), times)| {
                let counter = kind.counter(width, &self.limits);
                self.counters
                    .retry_after(counter, [0, prefix], most.saturating_mul(times), now)
            });
        let wait = waits.max()?;
        self.warn(kind, address);
        (self.abuse_control == AbuseControl::Refuse).then_some(wait)
    }

    /// Counts one for each network of the address. Check and count are one step, so that concurrent requests cannot
    /// exceed the limit. If one network is at its limit, none is counted, and the result is the time to wait in
    /// milliseconds.
    fn count(&self, kind: Kind, address: IpAddr, now: i64) -> Option<i64> {
        if self.abuse_control == AbuseControl::Off {
            return None;
        }
        let (most, _) = kind.bound(&self.limits);
        for (number, ((width, prefix), times)) in ClientNetworks::of(address).prefixes().enumerate() {
            let (counter, most) = (kind.counter(width, &self.limits), most.saturating_mul(times));
            let Err(wait) = self.counters.check_and_add(counter, [0, prefix], most, now) else {
                continue;
            };
            for ((width, prefix), _) in ClientNetworks::of(address).prefixes().take(number) {
                let counter = kind.counter(width, &self.limits);
                self.counters.refund(counter, [0, prefix], now, now);
            }
            let longest = self.wait(kind, address, now);
            return (self.abuse_control == AbuseControl::Refuse).then(|| longest.unwrap_or(wait));
        }
        None
    }

    fn warn(&self, kind: Kind, address: IpAddr) {
        let Some(suppressed) = self.notices[kind as usize].should_log() else {
            return;
        };
        let address = address.to_canonical();
        let kind = kind.name();
        tracing::warn!("the key exchange counts too many {kind} from {address} or its network{suppressed}");
    }
}

#[cfg(test)]
mod tests {
    use foxden_accounts::SingleProcess;

    use super::*;

    /// The start of a window of either kind.
    const NOW: i64 = 1_763_690_400_000;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn refusing() -> ClientCounters {
        ClientCounters::new(AbuseControl::Refuse, ClientLimits::default(), &SingleProcess)
    }

    #[test]
    fn a_client_that_asks_too_often_waits_and_is_served_again() {
        let counters = refusing();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..3500 {
            counters.admit(one, NOW).unwrap();
        }
        assert!(counters.admit(one, NOW + 1).is_err());
        assert!(counters.admit(one, NOW + 360_000).is_err());
        counters.admit(other, NOW + 1).unwrap();
        counters.admit(one, NOW + 720_000).unwrap();
    }

    /// A client that keeps asking while it is refused delays neither itself nor its neighbours.
    #[test]
    fn refused_requests_are_not_counted() {
        let counters = refusing();
        for second in 0..3600 {
            for _ in 0..20 {
                // The neighbour's requests show the effect.
                let _ = counters.admit(address("192.0.2.1"), NOW + second * 1000);
            }
            counters.admit(address("192.0.2.2"), NOW + second * 1000).unwrap();
        }
    }

    /// Two devices poll each second for five minutes, and pairs follow one another, all behind one address.
    #[test]
    fn pairing_is_never_too_much() {
        let counters = refusing();
        for second in 0..3600 {
            for _ in 0..4 {
                counters.admit(address("192.0.2.1"), NOW + second * 1000).unwrap();
            }
        }
    }

    #[test]
    fn bad_requests_are_held_against_a_network() {
        let counters = refusing();
        let one = address("2001:db8::1");
        for _ in 0..100 {
            counters.admit(one, NOW).unwrap();
            counters.count_bad(one, NOW);
        }
        assert!(counters.admit(address("2001:db8::2"), NOW + 3_599_999).is_err());
        counters.admit(address("2001:db8:0:1::1"), NOW).unwrap();
        counters.admit(one, NOW + 7_200_000).unwrap();
    }

    #[test]
    fn channels_are_counted_apart() {
        let counters = refusing();
        let one = address("192.0.2.1");
        for _ in 0..60 {
            counters.count_channel(one, NOW).unwrap();
        }
        let refused = counters.count_channel(one, NOW);
        assert!(matches!(
            refused,
            Err(LimitExceeded {
                retry_after: 361..720
            })
        ));
        counters.admit(one, NOW).unwrap();
        counters.count_channel(one, NOW + 720_000).unwrap();
    }

    #[test]
    fn of_many_at_once_no_more_come_through() {
        for round in 0..20 {
            let (counters, start) = (refusing(), std::sync::Barrier::new(8));
            let (counters, start) = (&counters, &start);
            let opened = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|host| {
                        scope.spawn(move || {
                            let one = address(&format!("192.0.2.{}", host % 4));
                            start.wait();
                            let asked = (0..100).filter(|_| counters.count_channel(one, NOW).is_ok());
                            asked.count()
                        })
                    })
                    .collect();
                let opened = threads.into_iter().map(|thread| thread.join().unwrap());
                opened.sum::<usize>()
            });
            assert_eq!(opened, 240, "{round}");
        }
    }

    /// Sixty-nine addresses of one network once took every channel. A wide network has four times the limit of one
    /// address.
    #[test]
    fn neighbours_share_the_limit_of_their_wide_network() {
        type Neighbour = fn(u8) -> String;
        let networks: [(Neighbour, usize); 3] = [
            (|host| format!("192.0.2.{host}"), 240),
            (|host| format!("2001:db8:0:{host:02x}00::1"), 240),
            (|host| format!("2001:db8:0:ff{host:02x}::1"), 120),
        ];
        for (neighbour, most) in networks {
            let counters = refusing();
            let asked = (0..69).flat_map(|host| std::iter::repeat_n(address(&neighbour(host)), 60));
            let opened = asked.filter(|address| counters.count_channel(*address, NOW).is_ok());
            assert_eq!(opened.count(), most, "{}", neighbour(0));
        }
    }

    #[test]
    fn private_networks_have_ten_times_as_much_and_observers_refuse_none() {
        for (abuse_control, address, most) in [
            (AbuseControl::Refuse, "192.0.2.1", 60),
            (AbuseControl::Refuse, "::ffff:192.0.2.1", 60),
            (AbuseControl::Refuse, "127.0.0.1", 600),
            (AbuseControl::Refuse, "10.1.2.3", 600),
            (AbuseControl::Refuse, "::ffff:192.168.1.2", 600),
            (AbuseControl::Refuse, "::1", 600),
            (AbuseControl::Observe, "192.0.2.1", 1000),
            (AbuseControl::Off, "192.0.2.1", 1000),
        ] {
            let counters = ClientCounters::new(abuse_control, ClientLimits::default(), &SingleProcess);
            let address: IpAddr = address.parse().unwrap();
            let opened = (0..1000).filter(|_| counters.count_channel(address, NOW).is_ok());
            assert_eq!(opened.count(), most, "{abuse_control:?} {address}");
        }
    }

    /// Requests from many networks neither evict counters nor grow the memory.
    #[test]
    fn unknown_clients_evict_nothing() {
        let counters = refusing();
        let one = address("192.0.2.1");
        for _ in 0..100 {
            counters.count_bad(one, NOW);
        }
        for number in 0..20_000_u32 {
            let stranger = IpAddr::V4((0xc600_0000 + number * 256).into());
            counters.admit(stranger, NOW).unwrap();
            counters.count_bad(stranger, NOW);
        }
        assert!(counters.admit(one, NOW).is_err());
    }
}
