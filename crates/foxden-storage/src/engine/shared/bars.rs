//! Which users' entries are barred, and since when.
//!
//! A few keys hold the bars of all users, each a list for many, and with them the run of the server. So a server that removes what it
//! likes cannot lose a bar unnoticed: the run is lost with it.

use std::sync::{Mutex, PoisonError};

use foxden_model::UserId;

/// How many lists there are, for all processes of a store.
pub(super) const LISTS: u64 = 64;
/// The most bars of a list.
const MOST_BARS: usize = 256;
/// The most writes of a user that are under way, so that no user fills a list.
const MOST_OF_USER: usize = 16;
/// When a bar that is still there has no writer any more: later than the leave of any write ends.
pub(super) const OLD_MILLIS: i64 = 60_000;

/// The bars of a list and the run of the server in which it was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BarList {
    pub(super) number: u64,
    pub(super) run: String,
    bars: Vec<Bar>,
}

/// A write that is under way, by a random number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) user: UserId,
    pub(super) token: u64,
}

impl BarList {
    pub(super) fn empty(number: u64, run: &str) -> Self {
        Self {
            number,
            run: run.to_owned(),
            bars: Vec::new(),
        }
    }

    /// The number of the list of a user.
    pub(super) const fn number_of(user: UserId) -> u64 {
        user.0 % LISTS
    }

    pub(super) fn has(&self, bar: Bar) -> bool {
        self.bars.contains(&bar)
    }

    pub(super) fn bars_user(&self, user: UserId) -> bool {
        self.bars.iter().any(|bar| bar.user == user)
    }

    /// The same with another bar.
    pub(super) fn with(mut self, bar: Bar) -> Self {
        self.bars.push(bar);
        self
    }

    /// The same without these.
    pub(super) fn without(mut self, ended: &[Bar]) -> Self {
        self.bars.retain(|bar| !ended.contains(bar));
        self
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = b"B".to_vec();
        bytes.extend(self.number.to_le_bytes());
        bytes.extend((self.run.len() as u64).to_le_bytes());
        bytes.extend_from_slice(self.run.as_bytes());
        for bar in &self.bars {
            bytes.extend(bar.user.0.to_le_bytes());
            bytes.extend(bar.token.to_le_bytes());
        }
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"B")?;
        let (number, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (run, rest) = rest.split_at_checked(length)?;
        let (bars, rest) = rest.as_chunks::<16>();
        let bars = bars.iter().map(|bar| {
            let (user, token) = bar.split_at(8);
            let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
            Bar {
                user: UserId(number(user)),
                token: number(token),
            }
        });
        rest.is_empty().then_some(Self {
            number: u64::from_le_bytes(*number),
            run: String::from_utf8(run.to_vec()).ok()?,
            bars: bars.collect(),
        })
    }
}

/// When this process first saw the bars that there are.
#[derive(Default)]
pub(super) struct SeenBars(Mutex<Vec<Vec<(Bar, i64)>>>);

/// What a writer finds in the list of its user.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FoundBars {
    /// Those of the user whose writers have died or given up. Their writes may still land, until a later write of the user has.
    pub(super) old: Vec<Bar>,
    /// How many others the user has.
    young: usize,
    /// How many old ones there are of all users.
    all_old: usize,
}

/// Why there is no room for another bar.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// Too many writes are under way.
    Busy,
    /// Too many writers have died, and no later write takes their bars off.
    Full,
}

impl SeenBars {
    /// Notes the bars of a list, and returns what concerns a user.
    pub(super) fn found(&self, bars: &BarList, user: UserId, now: i64) -> FoundBars {
        // No code panics under this lock.
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(bars.number % LISTS).unwrap_or_default();
        if lists.len() <= at {
            lists.resize_with(at + 1, Vec::new);
        }
        let Some(seen) = lists.get_mut(at) else {
            return FoundBars::default();
        };
        let first = |bar: &Bar| {
            let before = seen.iter().find(|(seen, _)| seen == bar);
            (*bar, before.map_or(now, |(_, first)| *first))
        };
        *seen = bars.bars.iter().map(first).collect();
        let mut found = FoundBars::default();
        for (bar, first) in seen.iter() {
            let is_old = now - *first >= OLD_MILLIS;
            found.all_old += usize::from(is_old);
            match (bar.user == user, is_old) {
                (true, true) => found.old.push(*bar),
                (true, false) => found.young += 1,
                (false, _) => {}
            }
        }
        found
    }
}

impl FoundBars {
    /// The list with another bar of the user. Of the old ones it keeps one, which bars the entry as well as all of them.
    pub(super) fn list_with(&mut self, bars: BarList, bar: Bar) -> Result<BarList, NoRoom> {
        let spare = self.old.split_off(self.old.len().min(1));
        let bars = bars.without(&spare).with(bar);
        let is_full = bars.bars.len() > MOST_BARS;
        if is_full && self.all_old >= MOST_BARS / 2 {
            Err(NoRoom::Full)
        } else if is_full || self.young >= MOST_OF_USER {
            Err(NoRoom::Busy)
        } else {
            Ok(bars)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn bar(user: u64, token: u64) -> Bar {
        Bar {
            user: UserId(user),
            token,
        }
    }

    #[test]
    fn a_list_comes_back_as_it_was() {
        let list = BarList::empty(3, "7 é").with(bar(1, u64::MAX));
        let list = list.with(bar(u64::MAX, 2));
        let bytes = list.write();
        assert_eq!(BarList::read(&bytes).unwrap(), list);
        // Where a bar ends, a shorter list is one, too.
        for end in (0..bytes.len()).filter(|end| !(bytes.len() - end).is_multiple_of(16)) {
            assert_eq!(BarList::read(&bytes[..end]), None);
        }
        assert!(list.bars_user(UserId(1)) && !list.bars_user(UserId(2)));
        let left = list.without(&[bar(1, u64::MAX)]);
        assert!(!left.bars_user(UserId(1)) && left.has(bar(u64::MAX, 2)));
    }

    /// A list with so many bars of each of these users.
    fn list(bars: u64, users: impl IntoIterator<Item = u64>) -> BarList {
        let bars = users
            .into_iter()
            .flat_map(|user| (0..bars).map(move |token| bar(user, token)));
        bars.fold(BarList::empty(1, ""), BarList::with)
    }

    #[test]
    fn a_user_takes_a_few_places_of_a_list() {
        let seen = SeenBars::default();
        let (user, another) = (UserId(1), bar(1, 99));
        let try_at = |bars: &BarList, now| seen.found(bars, user, now).list_with(bars.clone(), another);
        assert!(try_at(&list(15, [1]), 0).is_ok());
        let full = list(16, [1]);
        assert_eq!(try_at(&full, 0), Err(NoRoom::Busy));
        assert!(
            seen.found(&full, UserId(65), 0)
                .list_with(full.clone(), bar(65, 1))
                .is_ok()
        );
        // Once their writers have died, one bar stays for them.
        let next = try_at(&full, 60_000).unwrap();
        assert_eq!(next, BarList::empty(1, "").with(bar(1, 0)).with(another));
    }

    #[test]
    fn a_list_is_bounded() {
        let seen = SeenBars::default();
        let full = list(16, (2..18).map(|user| user * 64 + 1));
        for (now, no_room) in [(0, NoRoom::Busy), (60_000, NoRoom::Full)] {
            let mut found = seen.found(&full, UserId(1), now);
            assert_eq!(found.list_with(full.clone(), bar(1, 1)), Err(no_room));
        }
    }

    #[test]
    fn a_bar_is_old_a_minute_after_it_was_seen() {
        let seen = SeenBars::default();
        let user = UserId(1);
        let old = |bars: &BarList, now| seen.found(bars, user, now).old;
        let (first, second) = (bar(1, 1), bar(1, 2));
        let empty = BarList::empty(1, "");
        let one = empty.clone().with(first);
        let two = one.clone().with(second).with(bar(65, 3));
        assert!(old(&one, 0).is_empty());
        assert!(old(&two, 59_999).is_empty());
        assert_eq!(old(&two, 60_000), [first]);
        assert_eq!(old(&two, 119_999), [first, second]);
        // One that was gone meanwhile is another one.
        assert!(old(&empty, 120_000).is_empty());
        assert!(old(&one, 130_000).is_empty());
    }
}
