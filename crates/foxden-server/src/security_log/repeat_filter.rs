//! Merges equal refusals into one line with a count, and limits the lines per minute: an old device repeats a bad
//! credential for ever.
//!
//! The first of equal refusals is written at once. The others within the window are counted, and when the window closes,
//! one line gives their number. Refusals that differ share a budget of lines per minute. In each of its widths, a network
//! gets a fraction of the lines that are left, so that neither a household nor a site fills the log. Severe refusals, and
//! the first refusal of each site, have budgets of their own.

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
/// The maximum number of open windows; beyond it the oldest closes early.
const MAX_WINDOWS: usize = 4096;
/// The budget of lines per minute for refusals of any kind.
const SHARED_LINES: u32 = 320;
/// The additional budget for severe refusals.
const SEVERE_LINES: u32 = 120;
/// The additional budget for first refusals of sites.
const FIRST_LINES: u32 = 160;
/// By width: a network gets another line while its lines, multiplied by this, are fewer than the lines left in the budget.
/// So its share is a sixth, a fifth or a quarter of the lines that others left: alone it gets 54, 64 or 80 of 320.
const SHARE_FACTORS: [u32; 3] = [5, 4, 3];
const MINUTE: i64 = 60_000;

/// The fields in which equal refusals agree. Method and path of the request may differ.
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

/// The filter's decision about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is written now.
    Write,
    /// It was counted; a later line gives the count.
    Counted,
    /// The budget is used up: its line is missing.
    TooMany,
}

/// The open windows, and the line budgets of the current minute.
#[derive(Default)]
pub(super) struct RepeatFilter {
    windows: HashMap<Key, Window>,
    /// In the order in which they opened.
    order: VecDeque<Key>,
    /// When the current minute began.
    minute: i64,
    shared: LineBudget<SHARED_LINES>,
    severe: LineBudget<SEVERE_LINES>,
    first: LineBudget<FIRST_LINES>,
}

/// Counts the lines of the current minute.
#[derive(Default)]
struct LineBudget<const LIMIT: u32> {
    written: u32,
    /// By network prefix; at most three entries for each line.
    by_network: HashMap<(Width, u64), u32>,
}

/// The network prefixes for which a line is counted, the narrowest first.
type Source = [Option<(Width, u64)>; 3];

impl RepeatFilter {
    /// Decides whether a refusal is written.
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
        if !self.take_line(event) {
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

    /// Closes the oldest window if its time is over or if there are too many windows.
    pub(super) fn close(&mut self, now: i64) -> Option<(QueuedEvent, Option<Repeats>)> {
        let oldest = self.windows.get(self.order.front()?)?;
        let is_open = (0..WINDOW).contains(&now.saturating_sub(oldest.opened));
        if is_open && self.order.len() <= MAX_WINDOWS {
            return None;
        }
        self.close_oldest()
    }

    /// Closes the oldest window, even before its time is over.
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

    /// Whether the minute of the current budgets is over.
    pub(super) fn is_minute_over(&self, now: i64) -> bool {
        !(0..MINUTE).contains(&now.saturating_sub(self.minute))
    }

    /// Takes a line for the refusal from the first budget that has one.
    fn take_line(&mut self, event: &QueuedEvent) -> bool {
        if self.is_minute_over(event.time) {
            self.minute = event.time;
            (self.shared, self.severe, self.first) = Default::default();
        }
        let source = source(event);
        let is_severe = Signature::of(event.kind).is_severe();
        self.shared.take(source)
            || is_severe && self.severe.take(source)
            || !self.has_written(source) && self.first.take(source)
    }

    /// Whether the site already got a line in this minute.
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

impl<const LIMIT: u32> LineBudget<LIMIT> {
    /// Takes a line, if the shares of all these prefixes allow it.
    fn take(&mut self, source: Source) -> bool {
        let left = LIMIT.saturating_sub(self.written);
        let may_take = source.into_iter().flatten().all(|key| {
            let taken = self.by_network.get(&key).copied().unwrap_or(0);
            taken * SHARE_FACTORS[key.0 as usize] < left
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

/// The prefixes of the client's network, by width. For events without an address the account or the name stands for the
/// narrow network, and all such events share one site.
fn source(event: &QueuedEvent) -> Source {
    let Some(network) = event.from.map(Network::of) else {
        let mut hasher = DefaultHasher::new();
        (&event.account, &event.name).hash(&mut hasher);
        return [
            Some((Width::Narrow, hasher.finish())),
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
    const ALL_LINES: usize = 600;

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
    fn repeated_refusals_are_one_line_in_five_minutes() {
        let mut filter = RepeatFilter::default();
        assert_eq!(filter.take(&refusal("ann", NOW)), Decision::Write);
        for second in 1..300 {
            assert_eq!(
                filter.take(&refusal("ann", NOW + second * 1000)),
                Decision::Counted
            );
            assert!(filter.close(NOW + second * 1000).is_none());
        }
        let (event, repeats) = filter.close(NOW + WINDOW).unwrap();
        let repeats = repeats.unwrap();
        assert_eq!(event.name.as_deref(), Some("ann"));
        assert_eq!(
            (repeats.count, repeats.first, repeats.last),
            (299, NOW + 1000, NOW + 299_000)
        );
        assert_eq!(filter.take(&refusal("ann", NOW + WINDOW)), Decision::Write);
    }

    /// Lines carry wall-clock time, so windows use it, too: a change of the clock writes the counts earlier.
    #[test]
    fn a_clock_that_is_set_closes_windows_early() {
        for set in [NOW + 400 * 86_400_000, NOW - 400 * 86_400_000, 86_400_000] {
            let mut filter = RepeatFilter::default();
            for second in 0..3 {
                filter.take(&refusal("ann", NOW + second * 1000));
            }
            let (_, repeats) = filter.close(set).expect("the window has closed");
            assert_eq!(repeats.map(|repeats| repeats.count), Some(2));
            assert_eq!(filter.take(&refusal("ann", set)), Decision::Write, "{set}");
            assert!(filter.is_minute_over(NOW), "a new minute has begun");
        }
    }

    #[test]
    fn a_window_without_repeats_writes_no_second_line() {
        let mut filter = RepeatFilter::default();
        filter.take(&refusal("ann", NOW));
        filter.take(&refusal("bea", NOW + 1));
        assert!(filter.close(NOW + WINDOW - 1).is_none());
        assert!(matches!(filter.close(NOW + WINDOW), Some((_, None))));
        assert!(filter.close(NOW + WINDOW).is_none());
    }

    /// Events without an address are counted for the account.
    #[test]
    fn events_without_an_address_are_counted_by_account() {
        let by = |account: u8, why: &str| QueuedEvent {
            from: None,
            name: None,
            account: Some(account.to_string()),
            why: Some(why.to_owned()),
            ..locked("")
        };
        let mut filter = RepeatFilter::default();
        assert_eq!(filter.take(&by(1, "answers")), Decision::Write);
        assert_eq!(filter.take(&by(1, "answers")), Decision::Counted);
        assert_eq!(filter.take(&by(2, "answers")), Decision::Write);
        let written = |account: u8, filter: &mut RepeatFilter| {
            let each = (0..500).map(|number| filter.take(&by(account, &number.to_string())));
            each.filter(|decision| *decision == Decision::Write).count()
        };
        assert!(written(1, &mut filter) < 80);
        assert!(written(3, &mut filter) > 0, "another account has lines left");
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

    /// Refuses each of these addresses in turn, with a new name each time. Returns the number of lines of each.
    fn flood(
        filter: &mut RepeatFilter,
        addresses: &[IpAddr],
        rounds: u32,
        event: fn(&str) -> QueuedEvent,
    ) -> Vec<u32> {
        let mut lines = vec![0; addresses.len()];
        for round in 0..rounds {
            for (index, address) in addresses.iter().enumerate() {
                let event = from(*address, event(&format!("{round} of {index}")));
                lines[index] += u32::from(filter.take(&event) == Decision::Write);
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
        let mut filter = RepeatFilter::default();
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
            if filter.take(&event) == Decision::Write {
                written += 1;
            }
            while filter.close(now).is_some() {}
            assert!(filter.windows.len() <= MAX_WINDOWS && filter.order.len() == filter.windows.len());
            let counted = filter.shared.by_network.len()
                + filter.severe.by_network.len()
                + filter.first.by_network.len();
            assert!(counted <= 3 * ALL_LINES);
        }
        assert_eq!(written, 2 * ALL_LINES);
    }

    /// A network's share depends on its width, not on the number of its addresses.
    #[test]
    fn a_network_gets_a_share_of_the_lines() {
        let lines = |spelled: &dyn Fn(u8) -> String| {
            let mut filter = RepeatFilter::default();
            flood(&mut filter, &addresses(250, spelled), 20, failed)
                .iter()
                .sum::<u32>()
        };
        assert_eq!(lines(&|_| "192.0.2.1".to_owned()), 54);
        assert_eq!(lines(&|number| format!("192.0.2.{number}")), 80);
        assert_eq!(lines(&|number| format!("2001:db8::{number:x}")), 54);
        assert_eq!(lines(&|number| format!("2001:db8:0:{number:x}::1")), 64);
        assert_eq!(lines(&|number| format!("2001:db8:0:{number:x}00::1")), 80);
    }

    /// However many sites flood the log, a later one gets lines.
    #[test]
    fn a_noisy_network_leaves_room_for_all_others() {
        for (sites, least) in [(1, 30), (10, 5), (100, 1)] {
            let mut filter = RepeatFilter::default();
            let noise = addresses(sites, |site| format!("2001:db8:{site:x}::1"));
            for site in &noise {
                flood(&mut filter, &[*site], 200, failed);
            }
            for other in ["192.0.3.1", "2001:db8:ffff::1"] {
                let lines = flood(&mut filter, &[other.parse().unwrap()], 100, failed);
                assert!(lines[0] >= least, "{sites}: {lines:?}");
            }
        }
    }

    /// Ten /64 networks of one household once took every line.
    #[test]
    fn a_household_of_ipv6_is_one_network() {
        let mut filter = RepeatFilter::default();
        let noise = addresses(10, |network| format!("2001:db8:1:{network:x}::1"));
        assert_eq!(flood(&mut filter, &noise, 62, failed).iter().sum::<u32>(), 64);
        let attacker = ["192.0.2.66".parse().unwrap()];
        assert_eq!(flood(&mut filter, &attacker, 12, failed), [12]);
        assert_eq!(flood(&mut filter, &attacker, 1, locked), [1]);
    }

    /// A lock is written even after refusals have used up all shared lines, and locks of one network leave lines for others.
    #[test]
    fn severe_refusals_have_their_own_budget() {
        let mut filter = RepeatFilter::default();
        let mut noise = addresses(250, |site| format!("192.0.{site}.1"));
        noise.extend(addresses(250, |site| format!("198.51.{site}.1")));
        assert_eq!(
            flood(&mut filter, &noise, 2, failed).iter().sum::<u32>(),
            SHARED_LINES + FIRST_LINES
        );
        let other = ["203.0.113.1".parse().unwrap()];
        assert_eq!(flood(&mut filter, &other, 1, failed), [0]);
        assert_eq!(flood(&mut filter, &noise[..1], 100, locked), [20]);
        flood(&mut filter, &noise[..10], 100, locked);
        assert_eq!(flood(&mut filter, &other, 2, locked), [2]);
        let became_public = QueuedEvent {
            kind: EventKind::BecamePublic,
            from: None,
            ..locked("")
        };
        assert_eq!(filter.take(&became_public), Decision::Write);
    }
}
