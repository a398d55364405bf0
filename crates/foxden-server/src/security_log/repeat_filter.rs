//! Equal refusals become one line with a count: an old device repeats a bad credential for ever.
//!
//! The first is written at once. Those that follow within the window are counted, and when it closes one line says how
//! many there were. Where each refusal differs from the last, only so many a minute are written: of one network a part of
//! the lines that others left, in all its widths, so that neither a household nor a site drowns what others do. Beside
//! these, what matters most has lines of its own, and so has each site that had none.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use foxden_accounts::security::{EntryPoint, EventKind};
use foxden_model::{Network, Width};

use super::QueuedEvent;
use super::cef::Repeats;
use super::signature::Signature;

/// How long equal refusals are counted, in milliseconds.
pub(super) const WINDOW: i64 = 5 * 60_000;
/// The maximum number of windows; beyond it the oldest closes early.
const OPEN: usize = 4096;
/// Refusals of any kind that are written within a minute.
const SHARED: u32 = 320;
/// Severe refusals that are written in addition.
const SEVERE: u32 = 120;
/// Sites whose first refusal is written in addition.
const FIRST: u32 = 160;
/// A network writes while its lines, taken so many times, are fewer than those that are left; by width. So it has a sixth,
/// a fifth, a quarter of what others left: one alone 54, 64, 80 of 320.
const PARTS: [u32; 3] = [5, 4, 3];
const MINUTE: i64 = 60_000;

/// What makes refusals equal. How the request was spelled does not.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: EventKind,
    entry_point: EntryPoint,
    from: Option<IpAddr>,
    name: Option<String>,
    account: Option<String>,
    why: Option<String>,
}

struct Window {
    event: QueuedEvent,
    opened: i64,
    count: u64,
    first: i64,
    last: i64,
}

/// What becomes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is written now.
    Write,
    /// It was counted; a later line gives the count.
    Counted,
    /// Too many differ: it is missing.
    TooMany,
}

/// The windows that are open.
#[derive(Default)]
pub(super) struct RepeatFilter {
    windows: HashMap<Key, Window>,
    /// In the order in which they opened.
    order: VecDeque<Key>,
    minute: i64,
    shared: Lines<SHARED>,
    severe: Lines<SEVERE>,
    first: Lines<FIRST>,
}

/// Lines that were written within the minute.
#[derive(Default)]
struct Lines<const MOST: u32> {
    written: u32,
    /// By the first bits of the network; at most three entries for each line.
    by_network: HashMap<(Width, u64), u32>,
}

/// What lines are counted by, the narrowest first.
type Source = [Option<(Width, u64)>; 3];

impl RepeatFilter {
    /// Judges a refusal.
    pub(super) fn take(&mut self, event: &QueuedEvent) -> Decision {
        let key = Key {
            kind: event.kind,
            entry_point: event.entry_point,
            from: event.from,
            name: event.name.clone(),
            account: event.account.clone(),
            why: event.why.clone(),
        };
        if let Some(window) = self.windows.get_mut(&key) {
            if window.count == 0 {
                window.first = event.time;
            }
            window.count += 1;
            window.last = event.time;
            return Decision::Counted;
        }
        if !self.has_line(event) {
            return Decision::TooMany;
        }
        let window = Window {
            event: event.clone(),
            opened: event.time,
            count: 0,
            first: event.time,
            last: event.time,
        };
        self.windows.insert(key.clone(), window);
        self.order.push_back(key);
        Decision::Write
    }

    /// The next window that is to close: one that was open long enough, or the oldest of too many.
    pub(super) fn close(&mut self, now: i64) -> Option<(QueuedEvent, Option<Repeats>)> {
        let oldest = self.windows.get(self.order.front()?)?;
        let is_open = (0..WINDOW).contains(&now.saturating_sub(oldest.opened));
        if is_open && self.order.len() <= OPEN {
            return None;
        }
        self.close_oldest()
    }

    /// Closes the oldest window, whenever it opened.
    pub(super) fn close_oldest(&mut self) -> Option<(QueuedEvent, Option<Repeats>)> {
        let key = self.order.pop_front()?;
        let window = self.windows.remove(&key)?;
        let repeats = Repeats {
            count: window.count,
            first: window.first,
            last: window.last,
        };
        Some((window.event, (repeats.count > 0).then_some(repeats)))
    }

    /// Whether the minute is over in which there may have been too many.
    pub(super) fn is_calm(&self, now: i64) -> bool {
        !(0..MINUTE).contains(&now.saturating_sub(self.minute))
    }

    /// Takes a line of this minute for the refusal, if it may have one.
    fn has_line(&mut self, event: &QueuedEvent) -> bool {
        if self.is_calm(event.time) {
            self.minute = event.time;
            (self.shared, self.severe, self.first) = Default::default();
        }
        let source = source(event);
        let is_severe = Signature::of(event.kind).is_severe();
        self.shared.take(source)
            || is_severe && self.severe.take(source)
            || !self.has_written(source) && self.first.take(source)
    }

    /// Whether the site has a line in this minute.
    fn has_written(&self, [.., site]: Source) -> bool {
        site.is_some_and(|site| {
            let tables = [
                &self.shared.by_network,
                &self.severe.by_network,
                &self.first.by_network,
            ];
            tables.iter().any(|table| table.contains_key(&site))
        })
    }
}

impl<const MOST: u32> Lines<MOST> {
    /// Takes one, if there is one for that network.
    fn take(&mut self, source: Source) -> bool {
        let left = MOST.saturating_sub(self.written);
        let may_take = source.into_iter().flatten().all(|key| {
            let taken = self.by_network.get(&key).copied().unwrap_or(0);
            taken * PARTS[key.0 as usize] < left
        });
        if may_take {
            self.written += 1;
            for key in source.into_iter().flatten() {
                *self.by_network.entry(key).or_default() += 1;
            }
        }
        may_take
    }
}

/// Whose lines these are: the network in its widths. What comes from no address is its account's, or that of the name, and
/// all such accounts are one site.
fn source(event: &QueuedEvent) -> Source {
    let Some(network) = event.from.map(Network::of) else {
        let mut whose = DefaultHasher::new();
        (&event.account, &event.name).hash(&mut whose);
        return [
            Some((Width::Narrow, whose.finish())),
            None,
            Some((Width::Wide, 0)),
        ];
    };
    Width::ALL.map(|width| network.prefix(width).map(|prefix| (width, prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_690_000_000;
    const MOST: usize = 600;

    fn refusal(name: &str, time: i64) -> QueuedEvent {
        QueuedEvent {
            time,
            kind: EventKind::LoginFailed,
            entry_point: EntryPoint::Basic,
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
        let mut fold = RepeatFilter::default();
        assert_eq!(fold.take(&refusal("ann", NOW)), Decision::Write);
        for second in 1..300 {
            assert_eq!(fold.take(&refusal("ann", NOW + second * 1000)), Decision::Counted);
            assert!(fold.close(NOW + second * 1000).is_none());
        }
        let (event, repeats) = fold.close(NOW + WINDOW).unwrap();
        let repeats = repeats.unwrap();
        assert_eq!(event.name.as_deref(), Some("ann"));
        assert_eq!(
            (repeats.count, repeats.first, repeats.last),
            (299, NOW + 1000, NOW + 299_000)
        );
        assert_eq!(fold.take(&refusal("ann", NOW + WINDOW)), Decision::Write);
    }

    /// Lines carry the clock's time, so windows go by it, too: what was counted is told, only sooner.
    #[test]
    fn a_clock_that_is_set_closes_windows_early() {
        for set in [NOW + 400 * 86_400_000, NOW - 400 * 86_400_000, 86_400_000] {
            let mut fold = RepeatFilter::default();
            for second in 0..3 {
                fold.take(&refusal("ann", NOW + second * 1000));
            }
            let (_, repeats) = fold.close(set).expect("the window has closed");
            assert_eq!(repeats.map(|repeats| repeats.count), Some(2));
            assert_eq!(fold.take(&refusal("ann", set)), Decision::Write, "{set}");
            assert!(fold.is_calm(NOW), "a new minute has begun");
        }
    }

    #[test]
    fn one_that_was_not_repeated_is_not_told_again() {
        let mut fold = RepeatFilter::default();
        fold.take(&refusal("ann", NOW));
        fold.take(&refusal("bea", NOW + 1));
        assert!(fold.close(NOW + WINDOW - 1).is_none());
        assert!(matches!(fold.close(NOW + WINDOW), Some((_, None))));
        assert!(fold.close(NOW + WINDOW).is_none());
    }

    /// What tells no address tells the account.
    #[test]
    fn accounts_are_told_apart() {
        let by = |account: u8, why: &str| QueuedEvent {
            from: None,
            name: None,
            account: Some(account.to_string()),
            why: Some(why.to_owned()),
            ..locked("")
        };
        let mut fold = RepeatFilter::default();
        assert_eq!(fold.take(&by(1, "answers")), Decision::Write);
        assert_eq!(fold.take(&by(1, "answers")), Decision::Counted);
        assert_eq!(fold.take(&by(2, "answers")), Decision::Write);
        let written = |account: u8, fold: &mut RepeatFilter| {
            let each = (0..500).map(|number| fold.take(&by(account, &number.to_string())));
            each.filter(|verdict| *verdict == Decision::Write).count()
        };
        assert!(written(1, &mut fold) < 80);
        assert!(written(3, &mut fold) > 0, "another account has lines left");
    }

    fn from(address: IpAddr, event: QueuedEvent) -> QueuedEvent {
        QueuedEvent {
            from: Some(address),
            ..event
        }
    }

    fn locked(name: &str) -> QueuedEvent {
        QueuedEvent {
            kind: EventKind::LoginLocked,
            ..refusal(name, NOW)
        }
    }

    /// Has each of these addresses in turn refused with ever other names; gives how many lines each has.
    fn flood(
        fold: &mut RepeatFilter,
        addresses: &[IpAddr],
        rounds: u32,
        event: fn(&str) -> QueuedEvent,
    ) -> Vec<u32> {
        let mut lines = vec![0; addresses.len()];
        for round in 0..rounds {
            for (sink, address) in addresses.iter().enumerate() {
                let event = from(*address, event(&format!("{round} of {sink}")));
                lines[sink] += u32::from(fold.take(&event) == Decision::Write);
            }
        }
        lines
    }

    fn failed(name: &str) -> QueuedEvent {
        refusal(name, NOW)
    }

    fn addresses(count: u8, spelled: impl Fn(u8) -> String) -> Vec<IpAddr> {
        (0..count)
            .map(|number| spelled(number).parse().unwrap())
            .collect()
    }

    #[test]
    fn memory_and_lines_are_bounded() {
        let mut fold = RepeatFilter::default();
        let mut written = 0;
        for number in 0..100_000_i64 {
            let now = NOW + number;
            let network = u32::try_from(number % 1000).unwrap() << 8;
            let kind = [EventKind::LoginFailed, EventKind::LoginLocked][usize::from(number % 2 == 0)];
            let event = QueuedEvent {
                from: Some(IpAddr::from(network.to_be_bytes())),
                kind,
                ..refusal(&number.to_string(), now)
            };
            if fold.take(&event) == Decision::Write {
                written += 1;
            }
            while fold.close(now).is_some() {}
            assert!(fold.windows.len() <= OPEN && fold.order.len() == fold.windows.len());
            let counted =
                fold.shared.by_network.len() + fold.severe.by_network.len() + fold.first.by_network.len();
            assert!(counted <= 3 * MOST);
        }
        assert_eq!(written, 2 * MOST);
    }

    /// One network alone has a part in each of its widths, however many addresses it has.
    #[test]
    fn a_network_has_a_part_of_the_lines() {
        let lines = |spelled: &dyn Fn(u8) -> String| {
            let mut fold = RepeatFilter::default();
            flood(&mut fold, &addresses(250, spelled), 20, failed)
                .iter()
                .sum::<u32>()
        };
        assert_eq!(lines(&|_| "192.0.2.1".to_owned()), 54);
        assert_eq!(lines(&|number| format!("192.0.2.{number}")), 80);
        assert_eq!(lines(&|number| format!("2001:db8::{number:x}")), 54);
        assert_eq!(lines(&|number| format!("2001:db8:0:{number:x}::1")), 64);
        assert_eq!(lines(&|number| format!("2001:db8:0:{number:x}00::1")), 80);
    }

    /// However many sites flood the log, one that comes later has lines of its own.
    #[test]
    fn a_noisy_network_leaves_room_for_all_others() {
        for (sites, least) in [(1, 30), (10, 5), (100, 1)] {
            let mut fold = RepeatFilter::default();
            let noise = addresses(sites, |site| format!("2001:db8:{site:x}::1"));
            for site in &noise {
                flood(&mut fold, &[*site], 200, failed);
            }
            for other in ["192.0.3.1", "2001:db8:ffff::1"] {
                let lines = flood(&mut fold, &[other.parse().unwrap()], 100, failed);
                assert!(lines[0] >= least, "{sites}: {lines:?}");
            }
        }
    }

    /// What was found: ten networks of 64 bits, of one household, had every line.
    #[test]
    fn a_household_of_ipv6_is_one_network() {
        let mut fold = RepeatFilter::default();
        let noise = addresses(10, |network| format!("2001:db8:1:{network:x}::1"));
        assert_eq!(flood(&mut fold, &noise, 62, failed).iter().sum::<u32>(), 64);
        let attacker = ["192.0.2.66".parse().unwrap()];
        assert_eq!(flood(&mut fold, &attacker, 12, failed), [12]);
        assert_eq!(flood(&mut fold, &attacker, 1, locked), [1]);
    }

    /// A lock is told even where refusals have used up every line, and locks leave room for those of others.
    #[test]
    fn what_is_severe_has_lines_of_its_own() {
        let mut fold = RepeatFilter::default();
        let mut noise = addresses(250, |site| format!("192.0.{site}.1"));
        noise.extend(addresses(250, |site| format!("198.51.{site}.1")));
        assert_eq!(
            flood(&mut fold, &noise, 2, failed).iter().sum::<u32>(),
            SHARED + FIRST
        );
        let other = ["203.0.113.1".parse().unwrap()];
        assert_eq!(flood(&mut fold, &other, 1, failed), [0]);
        assert_eq!(flood(&mut fold, &noise[..1], 100, locked), [20]);
        flood(&mut fold, &noise[..10], 100, locked);
        assert_eq!(flood(&mut fold, &other, 2, locked), [2]);
        let became_public = QueuedEvent {
            kind: EventKind::BecamePublic,
            from: None,
            ..locked("")
        };
        assert_eq!(fold.take(&became_public), Decision::Write);
    }
}
