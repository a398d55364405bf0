//! Users with a write that may still be carried out although its caller has no answer.

use std::collections::{HashMap, VecDeque};

use foxden_model::UserId;

/// The most users that are recorded. A client that gives up many writes takes one place.
pub(super) const MAX_USERS: usize = 8192;

/// The users and when their writes can no longer be carried out.
#[derive(Default)]
pub(super) struct UnknownOutcomes {
    ends: HashMap<UserId, i64>,
    /// Each recorded user once, with a time at which its end is compared with the clock.
    checks: VecDeque<(i64, UserId)>,
}

/// The results of recording a user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// The user is recorded now.
    New,
    /// The user was recorded before, and stays so until the new end.
    Extended,
    /// Too many users are recorded.
    Full,
}

impl UnknownOutcomes {
    /// Records that a write of the user may be carried out until `ends`, which is not before any earlier one.
    pub(super) fn add(&mut self, user: UserId, ends: i64) -> Added {
        if let Some(recorded) = self.ends.get_mut(&user) {
            *recorded = ends;
            return Added::Extended;
        }
        if self.ends.len() >= MAX_USERS {
            return Added::Full;
        }
        self.ends.insert(user, ends);
        self.checks.push_back((ends, user));
        Added::New
    }

    /// Removes a user whose writes can no longer be carried out.
    pub(super) fn take_ended(&mut self, now: i64) -> Option<UserId> {
        while self.checks.front().is_some_and(|(at, _)| *at < now)
            && let Some((_, user)) = self.checks.pop_front()
        {
            match self.ends.get(&user) {
                Some(&ends) if ends >= now => self.checks.push_back((ends, user)),
                _ => {
                    self.ends.remove(&user);
                    return Some(user);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_end_after_their_last_write() {
        let mut unknown = UnknownOutcomes::default();
        assert_eq!(unknown.add(UserId(1), 10), Added::New);
        assert_eq!(unknown.add(UserId(2), 11), Added::New);
        assert_eq!(unknown.add(UserId(1), 20), Added::Extended);
        assert_eq!(unknown.take_ended(11), None);
        assert_eq!(unknown.take_ended(12), Some(UserId(2)));
        assert_eq!(unknown.take_ended(20), None);
        assert_eq!(unknown.take_ended(21), Some(UserId(1)));
        assert_eq!(unknown.take_ended(99), None);
    }

    #[test]
    fn the_number_of_users_is_bounded() {
        let mut unknown = UnknownOutcomes::default();
        for user in 0..MAX_USERS as u64 {
            assert_eq!(unknown.add(UserId(user), 10), Added::New);
        }
        assert_eq!(unknown.add(UserId(u64::MAX), 10), Added::Full);
        assert_eq!(unknown.add(UserId(0), 10), Added::Extended);
        assert!(unknown.take_ended(11).is_some());
        assert_eq!(unknown.add(UserId(u64::MAX), 20), Added::New);
    }
}
