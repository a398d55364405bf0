//! Who asks for too much. Two devices that poll each second behind one address stay far below every allowance.

use std::net::IpAddr;

use foxden_model::{Counters, LogThrottle, MemoryCounters, Meter, Width};

use super::owner::Owner;

/// What is done about networks that ask for too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vigilance {
    /// They are refused until they have asked for less.
    #[default]
    Refuse,
    /// They are served, and the log says that they would be refused.
    Observe,
    /// Nobody counts.
    Off,
}

/// What one household may ask for: an address of IPv4, 64 bits of IPv6. Wider networks may ask for more, private ones for
/// much more. Times are in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Allowances {
    /// Requests within a window.
    pub requests: u32,
    /// How long that window is. New channels are counted in it, too.
    pub window: u32,
    /// New channels within a window.
    pub channels: u32,
    /// Answers with status 400 within a window of theirs.
    pub bad: u32,
    /// How long that one is.
    pub bad_window: u32,
}

impl Default for Allowances {
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

/// A network has asked for too much. After this many seconds it may ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OverLimit {
    pub(super) retry_after: u32,
}

/// What was asked for of late.
pub(super) struct Callers {
    vigilance: Vigilance,
    allowances: Allowances,
    counters: MemoryCounters,
    /// In the order of [`Kind`].
    notices: [LogThrottle; 3],
}

/// What is counted.
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

    /// How much of it one household may have within which span of time, in milliseconds.
    fn bound(self, rules: &Allowances) -> (u32, i64) {
        let (most, seconds) = match self {
            Self::Requests => (rules.requests, rules.window),
            Self::Channels => (rules.channels, rules.window),
            Self::Bad => (rules.bad, rules.bad_window),
        };
        (most, i64::from(seconds) * 1000)
    }

    /// Each width has a memory of its own.
    fn meter(self, width: Width, rules: &Allowances) -> Meter {
        Meter {
            name: self.name(),
            width: Some(width),
            span: self.bound(rules).1,
        }
    }
}

impl OverLimit {
    fn wait(millis: i64) -> Self {
        let seconds = u64::try_from(millis).unwrap_or(0).div_ceil(1000);
        Self {
            retry_after: u32::try_from(seconds).unwrap_or(u32::MAX),
        }
    }
}

impl Callers {
    pub(super) fn new(vigilance: Vigilance, allowances: Allowances) -> Self {
        let meters = KINDS
            .into_iter()
            .flat_map(|kind| Width::ALL.map(|width| kind.meter(width, &allowances)));
        Self {
            vigilance,
            allowances,
            counters: MemoryCounters::new(&meters.collect::<Vec<_>>()),
            notices: Default::default(),
        }
    }

    /// Counts a request, and refuses one too many, and all of a network that sent too many bad ones.
    pub(super) fn admit(&self, address: IpAddr, now: i64) -> Result<(), OverLimit> {
        let wait = self.wait(Kind::Bad, address, now);
        match wait.or_else(|| self.spend(Kind::Requests, address, now)) {
            Some(wait) => Err(OverLimit::wait(wait)),
            None => Ok(()),
        }
    }

    /// Counts an answer that says that the request was bad.
    pub(super) fn count_bad(&self, address: IpAddr, now: i64) {
        if self.vigilance == Vigilance::Off {
            return;
        }
        for ((width, prefix), _) in Owner::of(address).parts() {
            let meter = Kind::Bad.meter(width, &self.allowances);
            self.counters.add(meter, [0, prefix], now);
        }
    }

    /// Counts a new channel, and refuses one too many.
    pub(super) fn count_channel(&self, address: IpAddr, now: i64) -> Result<(), OverLimit> {
        match self.spend(Kind::Channels, address, now) {
            Some(wait) => Err(OverLimit::wait(wait)),
            None => Ok(()),
        }
    }

    /// Whose share of what is held counts; `None` for those who are not held to one.
    pub(super) fn counted(&self, address: IpAddr) -> Option<Owner> {
        (self.vigilance == Vigilance::Refuse).then(|| Owner::of(address))
    }

    /// How long one of this address's networks must wait for one more, in milliseconds, if it must. What is refused is not
    /// counted: the neighbours of a client that asks on are served as soon as they would be without it.
    fn wait(&self, kind: Kind, address: IpAddr, now: i64) -> Option<i64> {
        if self.vigilance == Vigilance::Off {
            return None;
        }
        let (most, _) = kind.bound(&self.allowances);
        let waits = Owner::of(address).parts().filter_map(|((width, prefix), times)| {
            let meter = kind.meter(width, &self.allowances);
            self.counters
                .retry_after(meter, [0, prefix], most.saturating_mul(times), now)
        });
        let wait = waits.max()?;
        self.tell(kind, address);
        (self.vigilance == Vigilance::Refuse).then_some(wait)
    }

    /// Counts one for each of this address's networks, in one step of look and count: of many at once no more come through
    /// than one after the other. Where one of them has no more, none is counted, and it says how long to wait.
    fn spend(&self, kind: Kind, address: IpAddr, now: i64) -> Option<i64> {
        if self.vigilance == Vigilance::Off {
            return None;
        }
        let (most, _) = kind.bound(&self.allowances);
        for (number, ((width, prefix), times)) in Owner::of(address).parts().enumerate() {
            let (meter, most) = (kind.meter(width, &self.allowances), most.saturating_mul(times));
            let Err(wait) = self.counters.check_and_add(meter, [0, prefix], most, now) else {
                continue;
            };
            for ((width, prefix), _) in Owner::of(address).parts().take(number) {
                let meter = kind.meter(width, &self.allowances);
                self.counters.refund(meter, [0, prefix], now, now);
            }
            let longest = self.wait(kind, address, now);
            return (self.vigilance == Vigilance::Refuse).then(|| longest.unwrap_or(wait));
        }
        None
    }

    fn tell(&self, kind: Kind, address: IpAddr) {
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
    use super::*;

    /// The beginning of a window of either kind.
    const NOW: i64 = 1_763_690_400_000;

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
        assert!(callers.admit(one, NOW + 360_000).is_err());
        callers.admit(other, NOW + 1).unwrap();
        callers.admit(one, NOW + 720_000).unwrap();
    }

    /// A client that asks on while it is refused keeps neither itself nor its neighbours waiting longer.
    #[test]
    fn what_is_refused_is_not_counted() {
        let callers = refusing();
        for second in 0..3600 {
            for _ in 0..20 {
                // What comes of it is looked at from next door.
                let _ = callers.admit(address("192.0.2.1"), NOW + second * 1000);
            }
            callers.admit(address("192.0.2.2"), NOW + second * 1000).unwrap();
        }
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
    fn bad_requests_are_held_against_a_network() {
        let callers = refusing();
        let one = address("2001:db8::1");
        for _ in 0..100 {
            callers.admit(one, NOW).unwrap();
            callers.count_bad(one, NOW);
        }
        assert!(callers.admit(address("2001:db8::2"), NOW + 3_599_999).is_err());
        callers.admit(address("2001:db8:0:1::1"), NOW).unwrap();
        callers.admit(one, NOW + 7_200_000).unwrap();
    }

    #[test]
    fn channels_are_counted_apart() {
        let callers = refusing();
        let one = address("192.0.2.1");
        for _ in 0..60 {
            callers.count_channel(one, NOW).unwrap();
        }
        let refused = callers.count_channel(one, NOW);
        assert!(matches!(
            refused,
            Err(OverLimit {
                retry_after: 361..720
            })
        ));
        callers.admit(one, NOW).unwrap();
        callers.count_channel(one, NOW + 720_000).unwrap();
    }

    #[test]
    fn of_many_at_once_no_more_come_through() {
        for round in 0..20 {
            let (callers, start) = (refusing(), std::sync::Barrier::new(8));
            let (callers, start) = (&callers, &start);
            let opened = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|host| {
                        scope.spawn(move || {
                            let one = address(&format!("192.0.2.{}", host % 4));
                            start.wait();
                            let asked = (0..100).filter(|_| callers.count_channel(one, NOW).is_ok());
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

    /// Sixty-nine addresses took every channel. Those of one wide network have four times as much as one of them.
    #[test]
    fn neighbours_share_what_a_wide_network_has() {
        type Neighbour = fn(u8) -> String;
        let networks: [(Neighbour, usize); 3] = [
            (|host| format!("192.0.2.{host}"), 240),
            (|host| format!("2001:db8:0:{host:02x}00::1"), 240),
            (|host| format!("2001:db8:0:ff{host:02x}::1"), 120),
        ];
        for (neighbour, most) in networks {
            let callers = refusing();
            let asked = (0..69).flat_map(|host| std::iter::repeat_n(address(&neighbour(host)), 60));
            let opened = asked.filter(|address| callers.count_channel(*address, NOW).is_ok());
            assert_eq!(opened.count(), most, "{}", neighbour(0));
        }
    }

    #[test]
    fn private_networks_have_ten_times_as_much_and_observers_refuse_none() {
        for (vigilance, address, most) in [
            (Vigilance::Refuse, "192.0.2.1", 60),
            (Vigilance::Refuse, "::ffff:192.0.2.1", 60),
            (Vigilance::Refuse, "127.0.0.1", 600),
            (Vigilance::Refuse, "10.1.2.3", 600),
            (Vigilance::Refuse, "::ffff:192.168.1.2", 600),
            (Vigilance::Refuse, "::1", 600),
            (Vigilance::Observe, "192.0.2.1", 1000),
            (Vigilance::Off, "192.0.2.1", 1000),
        ] {
            let callers = Callers::new(vigilance, Allowances::default());
            let address: IpAddr = address.parse().unwrap();
            let opened = (0..1000).filter(|_| callers.count_channel(address, NOW).is_ok());
            assert_eq!(opened.count(), most, "{vigilance:?} {address}");
        }
    }

    /// Any number of networks neither empties the memory nor makes it grow.
    #[test]
    fn strangers_wash_nothing_out() {
        let callers = refusing();
        let one = address("192.0.2.1");
        for _ in 0..100 {
            callers.count_bad(one, NOW);
        }
        for number in 0..20_000_u32 {
            let stranger = IpAddr::V4((0xc600_0000 + number * 256).into());
            callers.admit(stranger, NOW).unwrap();
            callers.count_bad(stranger, NOW);
        }
        assert!(callers.admit(one, NOW).is_err());
    }
}
