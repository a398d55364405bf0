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
/// When a bar that is still there has no writer any more: later than the leave of any write ends.
const OLD_MILLIS: i64 = 60_000;

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

    /// The same with another bar, unless it is full.
    pub(super) fn with(mut self, bar: Bar) -> Option<Self> {
        self.bars.push(bar);
        (self.bars.len() <= MOST_BARS).then_some(self)
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

impl SeenBars {
    /// Notes the bars of a list; returns those of the user whose writers have died or given up. Their writes may still land, until
    /// a later write of the user has.
    pub(super) fn old(&self, bars: &BarList, user: UserId, now: i64) -> Vec<Bar> {
        // No code panics under this lock.
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(bars.number % LISTS).unwrap_or_default();
        if lists.len() <= at {
            lists.resize_with(at + 1, Vec::new);
        }
        let Some(seen) = lists.get_mut(at) else {
            return Vec::new();
        };
        let first = |bar: &Bar| {
            let before = seen.iter().find(|(seen, _)| seen == bar);
            (*bar, before.map_or(now, |(_, first)| *first))
        };
        *seen = bars.bars.iter().map(first).collect();
        let old = seen
            .iter()
            .filter(|(bar, first)| bar.user == user && now - first >= OLD_MILLIS);
        old.map(|(bar, _)| *bar).collect()
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
        let list = BarList::empty(3, "7 é").with(bar(1, u64::MAX)).unwrap();
        let list = list.with(bar(u64::MAX, 2)).unwrap();
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

    #[test]
    fn a_list_is_bounded() {
        let full = (0..256).try_fold(BarList::empty(0, ""), |list, token| list.with(bar(1, token)));
        assert_eq!(full.unwrap().with(bar(1, 256)), None);
    }

    #[test]
    fn a_bar_is_old_a_minute_after_it_was_seen() {
        let seen = SeenBars::default();
        let user = UserId(1);
        let (first, second) = (bar(1, 1), bar(1, 2));
        let empty = BarList::empty(1, "");
        let one = empty.clone().with(first).unwrap();
        let two = one.clone().with(second).unwrap().with(bar(65, 3)).unwrap();
        assert!(seen.old(&one, user, 0).is_empty());
        assert!(seen.old(&two, user, 59_999).is_empty());
        assert_eq!(seen.old(&two, user, 60_000), [first]);
        assert_eq!(seen.old(&two, user, 119_999), [first, second]);
        // One that was gone meanwhile is another one.
        assert!(seen.old(&empty, user, 120_000).is_empty());
        assert!(seen.old(&one, user, 130_000).is_empty());
    }
}
