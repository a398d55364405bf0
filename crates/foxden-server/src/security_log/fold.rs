//! Equal refusals become one line with a count: an old device repeats a bad credential for ever.
//!
//! The first is written at once. Those that follow within the window are counted, and when it closes one line says how
//! many there were. Whoever makes each refusal differ from the last finds that only so many a minute are written: of one
//! network first, so that it drowns nobody else's, then altogether.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use foxden_accounts::security::{Door, What};

use super::Record;
use super::cef::Repeats;

/// How long equal refusals are counted, in milliseconds.
pub(super) const WINDOW: i64 = 5 * 60_000;
/// Refusals counted apart; the oldest window closes early to make room.
const OPEN: usize = 4096;
/// Refusals of one network that are written within a minute.
const EACH: u32 = 60;
/// Refusals that are written within a minute.
const MOST: u32 = 600;
const MINUTE: i64 = 60_000;

/// What makes refusals equal. How the request was spelled does not.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    what: What,
    door: Door,
    from: Option<IpAddr>,
    name: Option<String>,
    why: Option<String>,
}

/// Where refusals come from: the first 24 bits of an IPv4 address, the first 64 of an IPv6 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4(u32),
    V6(u128),
}

struct Window {
    record: Record,
    opened: i64,
    count: u64,
    first: i64,
    last: i64,
}

/// What becomes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is written now.
    Write,
    /// It was counted; a later line tells.
    Counted,
    /// Too many differ: it is missing.
    TooMany,
}

/// The windows that are open.
#[derive(Default)]
pub(super) struct Fold {
    windows: HashMap<Key, Window>,
    /// In the order in which they opened.
    order: VecDeque<Key>,
    minute: i64,
    /// Within the minute; no more networks than lines.
    written: u32,
    by_network: HashMap<Option<Network>, u32>,
}

impl Fold {
    /// Judges a refusal.
    pub(super) fn take(&mut self, record: &Record) -> Verdict {
        let key = Key {
            what: record.what,
            door: record.door,
            from: record.from,
            name: record.name.clone(),
            why: record.why.clone(),
        };
        if let Some(window) = self.windows.get_mut(&key) {
            if window.count == 0 {
                window.first = record.time;
            }
            window.count += 1;
            window.last = record.time;
            return Verdict::Counted;
        }
        if !self.may_write(record.from.map(Network::of), record.time) {
            return Verdict::TooMany;
        }
        let window = Window {
            record: record.clone(),
            opened: record.time,
            count: 0,
            first: record.time,
            last: record.time,
        };
        self.windows.insert(key.clone(), window);
        self.order.push_back(key);
        Verdict::Write
    }

    /// The next window that is to close: one that was open long enough, or the oldest of too many.
    pub(super) fn close(&mut self, now: i64) -> Option<(Record, Option<Repeats>)> {
        let oldest = self.windows.get(self.order.front()?)?;
        let is_open = (0..WINDOW).contains(&now.saturating_sub(oldest.opened));
        if is_open && self.order.len() <= OPEN {
            return None;
        }
        self.close_oldest()
    }

    /// Closes the oldest window, whenever it opened.
    pub(super) fn close_oldest(&mut self) -> Option<(Record, Option<Repeats>)> {
        let key = self.order.pop_front()?;
        let window = self.windows.remove(&key)?;
        let repeats = Repeats {
            count: window.count,
            first: window.first,
            last: window.last,
        };
        Some((window.record, (repeats.count > 0).then_some(repeats)))
    }

    /// Whether the minute is over in which there may have been too many.
    pub(super) fn is_calm(&self, now: i64) -> bool {
        !(0..MINUTE).contains(&now.saturating_sub(self.minute))
    }

    fn may_write(&mut self, network: Option<Network>, now: i64) -> bool {
        if !(0..MINUTE).contains(&now.saturating_sub(self.minute)) {
            (self.minute, self.written) = (now, 0);
            self.by_network.clear();
        }
        if self.written >= MOST {
            return false;
        }
        let of_it = self.by_network.entry(network).or_default();
        if *of_it >= EACH {
            return false;
        }
        *of_it += 1;
        self.written += 1;
        true
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits() >> 8),
            IpAddr::V6(v6) => Self::V6(v6.to_bits() >> 64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_690_000_000;

    fn refusal(name: &str, time: i64) -> Record {
        Record {
            time,
            what: What::LoginFailed,
            door: Door::Basic,
            from: Some("192.0.2.1".parse().unwrap()),
            name: Some(name.to_owned()),
            account: None,
            why: None,
            method: None,
            path: None,
        }
    }

    #[test]
    fn a_device_that_never_gives_up_fills_a_line_in_five_minutes() {
        let mut fold = Fold::default();
        assert_eq!(fold.take(&refusal("ann", NOW)), Verdict::Write);
        for second in 1..300 {
            assert_eq!(fold.take(&refusal("ann", NOW + second * 1000)), Verdict::Counted);
            assert!(fold.close(NOW + second * 1000).is_none());
        }
        let (record, repeats) = fold.close(NOW + WINDOW).unwrap();
        let repeats = repeats.unwrap();
        assert_eq!(record.name.as_deref(), Some("ann"));
        assert_eq!(
            (repeats.count, repeats.first, repeats.last),
            (299, NOW + 1000, NOW + 299_000)
        );
        assert_eq!(fold.take(&refusal("ann", NOW + WINDOW)), Verdict::Write);
    }

    /// Lines carry the clock's time, so windows go by it, too: what was counted is told, only sooner.
    #[test]
    fn a_clock_that_is_set_closes_windows_early() {
        for set in [NOW + 400 * 86_400_000, NOW - 400 * 86_400_000, 86_400_000] {
            let mut fold = Fold::default();
            for second in 0..3 {
                fold.take(&refusal("ann", NOW + second * 1000));
            }
            let (_, repeats) = fold.close(set).expect("the window has closed");
            assert_eq!(repeats.map(|repeats| repeats.count), Some(2));
            assert_eq!(fold.take(&refusal("ann", set)), Verdict::Write, "{set}");
            assert!(fold.is_calm(NOW), "a new minute has begun");
        }
    }

    #[test]
    fn one_that_was_not_repeated_is_not_told_again() {
        let mut fold = Fold::default();
        fold.take(&refusal("ann", NOW));
        fold.take(&refusal("bea", NOW + 1));
        assert!(fold.close(NOW + WINDOW - 1).is_none());
        assert!(matches!(fold.close(NOW + WINDOW), Some((_, None))));
        assert!(fold.close(NOW + WINDOW).is_none());
    }

    #[test]
    fn memory_and_lines_are_bounded() {
        let mut fold = Fold::default();
        let mut written = 0;
        for number in 0..100_000_i64 {
            let now = NOW + number;
            let network = u32::try_from(number % 11).unwrap() << 8;
            let record = Record {
                from: Some(IpAddr::from(network.to_be_bytes())),
                ..refusal(&number.to_string(), now)
            };
            if fold.take(&record) == Verdict::Write {
                written += 1;
            }
            while fold.close(now).is_some() {}
            assert!(fold.windows.len() <= OPEN && fold.order.len() == fold.windows.len());
        }
        assert_eq!(written, 2 * MOST);
    }

    /// Whoever floods the log does not drown what others do.
    #[test]
    fn a_noisy_network_leaves_room_for_all_others() {
        let mut fold = Fold::default();
        let mut written = 0;
        for number in 0..5000 {
            if fold.take(&refusal(&number.to_string(), NOW)) == Verdict::Write {
                written += 1;
            }
        }
        assert_eq!(written, EACH);
        for other in ["192.0.3.1", "2001:db8::1"] {
            let record = Record {
                from: Some(other.parse().unwrap()),
                ..refusal("ann", NOW)
            };
            assert_eq!(fold.take(&record), Verdict::Write, "{other}");
        }
    }
}
