//! The users whose accounts are closed. Their passes live on for a while; what they ask for is refused.

use std::collections::{HashSet, VecDeque};
use std::sync::{PoisonError, RwLock};

use foxden_model::UserId;

/// How many are remembered. A pass ends within hours, long before so many others are closed.
const REMEMBERED: usize = 65_536;

/// The users closed last. A uid is never given out twice, so none is ever opened again.
#[derive(Default)]
pub(crate) struct Closed(RwLock<Latest>);

#[derive(Default)]
struct Latest {
    users: HashSet<UserId>,
    oldest_first: VecDeque<UserId>,
}

impl Closed {
    pub(crate) fn insert(&self, user: UserId) {
        // A panic cannot leave more behind than one user in one of the two lists.
        let mut latest = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !latest.users.insert(user) {
            return;
        }
        latest.oldest_first.push_back(user);
        if latest.oldest_first.len() > REMEMBERED
            && let Some(oldest) = latest.oldest_first.pop_front()
        {
            latest.users.remove(&oldest);
        }
    }

    pub(crate) fn contains(&self, user: UserId) -> bool {
        let latest = self.0.read().unwrap_or_else(PoisonError::into_inner);
        latest.users.contains(&user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_users_closed_last() {
        let closed = Closed::default();
        for user in 0..=REMEMBERED as u64 {
            closed.insert(UserId(user));
            closed.insert(UserId(user));
        }
        assert!(!closed.contains(UserId(0)));
        assert!(closed.contains(UserId(1)) && closed.contains(UserId(REMEMBERED as u64)));
    }
}
