//! A bounded memory of users' collection times.
//!
//! It answers what most syncs ask ("did anything change?") without SQLite, and tells the writing thread
//! what it is about to change. It holds only committed states, and never an older one than a reader may
//! already have seen in the file:
//!
//! - The writer *bars* the users of a group before it commits, and settles them after it. In between,
//!   readers ask the file, which shows either state; the memory does not lag behind it.
//! - A reader that looked into the file may fill in what it saw only if no user of the same shard was
//!   barred or settled since it took its ticket, which is before it looked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foxden_model::UserId;

use super::known::Known;

const SHARDS: usize = 16;

/// Users' collections as last committed, for some of the users of one file.
pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    /// How many users each half of a shard may hold.
    half: usize,
}

/// Two halves: what is asked for lives in the young one; when that is full it becomes the old one, and
/// what nobody asked for since the last time is forgotten.
#[derive(Default)]
struct Shard {
    young: HashMap<UserId, Arc<Known>>,
    old: HashMap<UserId, Arc<Known>>,
    barred: Vec<UserId>,
    changes: u64,
}

/// What a reader must show to fill in what it has seen.
#[derive(Clone, Copy)]
pub(super) struct Ticket(u64);

impl Cache {
    /// A memory for about so many users.
    pub(super) fn new(users: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            half: (users / SHARDS / 2).max(1),
        }
    }

    pub(super) fn get(&self, user: UserId) -> Option<Arc<Known>> {
        let mut shard = self.shard(user);
        if shard.barred.contains(&user) {
            return None;
        }
        if let Some(known) = shard.young.get(&user) {
            return Some(Arc::clone(known));
        }
        let known = shard.old.remove(&user)?;
        shard.insert(user, Arc::clone(&known), self.half);
        Some(known)
    }

    /// To be taken before looking into the file.
    pub(super) fn ticket(&self, user: UserId) -> Ticket {
        Ticket(self.shard(user).changes)
    }

    /// Keeps what a reader has seen, unless somebody may have written since.
    pub(super) fn fill(&self, user: UserId, ticket: Ticket, known: Arc<Known>) {
        let mut shard = self.shard(user);
        if shard.changes == ticket.0 && !shard.barred.contains(&user) {
            shard.insert(user, known, self.half);
        }
    }

    /// Sends readers of this user to the file until the user is settled.
    pub(super) fn bar(&self, user: UserId) {
        let mut shard = self.shard(user);
        shard.changes += 1;
        shard.young.remove(&user);
        shard.old.remove(&user);
        shard.barred.push(user);
    }

    /// Lifts the bar; `known` is the committed state, if the writer can tell.
    pub(super) fn settle(&self, user: UserId, known: Option<Arc<Known>>) {
        let mut shard = self.shard(user);
        shard.changes += 1;
        shard.barred.retain(|&barred| barred != user);
        if let Some(known) = known {
            shard.insert(user, known, self.half);
        }
    }

    fn shard(&self, user: UserId) -> MutexGuard<'_, Shard> {
        // Users of one file are dealt to it by their number's hash, so the low bits are as good as any.
        let at = usize::try_from(user.0 % SHARDS as u64).unwrap_or_default();
        // Nothing panics under this lock, and each change leaves the shard whole.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn insert(&mut self, user: UserId, known: Arc<Known>, half: usize) {
        self.old.remove(&user);
        if self.young.len() >= half && !self.young.contains_key(&user) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(user, known);
    }
}
