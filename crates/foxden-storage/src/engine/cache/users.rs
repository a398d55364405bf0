//! A bounded cache of one state for each user.

use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;
use foxden_model::UserId;

const SEGMENTS: usize = 16;

/// The committed states of some users.
pub(in crate::engine) struct UserCache<S> {
    segments: [Mutex<Segment<S>>; SEGMENTS],
    /// How many users each generation of a segment may hold.
    capacity: usize,
}

/// Two generations: entries in use live in the young one. When that is full it becomes the old one, and the entries that were
/// not read since the last time are dropped.
struct Segment<S> {
    young: HashMap<UserId, Arc<S>>,
    old: HashMap<UserId, Arc<S>>,
    /// Users with writes that are not resolved. None of them is in a generation.
    pending: HashMap<UserId, PendingWrites>,
    /// Counts calls of `invalidate`, `resolve` and `clear`.
    changes: u64,
}

/// The writes of a user that are not resolved.
struct PendingWrites {
    count: usize,
    /// Whether more than one write was pending at some time: then the order of their commits is unknown.
    overlapped: bool,
}

/// Shows that a reader asked the store after this many changes of its segment.
#[derive(Clone, Copy)]
pub(in crate::engine) struct FillTicket(u64);

impl<S> UserCache<S> {
    /// A cache for about this many users.
    pub(in crate::engine) fn new(users: usize) -> Self {
        Self {
            segments: std::array::from_fn(|_| Mutex::default()),
            capacity: (users / SEGMENTS / 2).max(1),
        }
    }

    pub(in crate::engine) fn get(&self, user: UserId) -> Option<Arc<S>> {
        let mut segment = self.segment(user);
        if let Some(state) = segment.young.get(&user) {
            return Some(Arc::clone(state));
        }
        let state = segment.old.remove(&user)?;
        segment.insert(user, Arc::clone(&state), self.capacity);
        Some(state)
    }

    /// Whether this is the user's current state.
    pub(in crate::engine) fn is_current(&self, user: UserId, state: &Arc<S>) -> bool {
        self.get(user).is_some_and(|current| Arc::ptr_eq(&current, state))
    }

    /// To be called before the store is asked.
    pub(in crate::engine) fn ticket(&self, user: UserId) -> FillTicket {
        FillTicket(self.segment(user).changes)
    }

    /// Caches what the store answered, unless a write may have come between.
    pub(in crate::engine) fn fill(&self, user: UserId, ticket: FillTicket, state: Arc<S>) {
        let mut segment = self.segment(user);
        if segment.changes == ticket.0 && !segment.pending.contains_key(&user) {
            segment.insert(user, state, self.capacity);
        }
    }

    /// Sends readers of this user to the store until [`Self::resolve`] is called. To be called before the commit.
    pub(in crate::engine) fn invalidate(&self, user: UserId) {
        let mut segment = self.segment(user);
        segment.changes += 1;
        segment.young.remove(&user);
        segment.old.remove(&user);
        segment.begin_write(user);
    }

    /// Ends one invalidation. `state` is the committed state if the writer knows it. It is cached unless another write of the user
    /// was pending meanwhile.
    pub(in crate::engine) fn resolve(&self, user: UserId, state: Option<Arc<S>>) {
        let mut segment = self.segment(user);
        segment.changes += 1;
        if segment.end_write(user)
            && let Some(state) = state
        {
            segment.insert(user, state, self.capacity);
        }
    }

    /// Drops all entries.
    pub(in crate::engine) fn clear(&self) {
        for segment in &self.segments {
            let mut segment = lock(segment);
            segment.changes += 1;
            segment.young.clear();
            segment.old.clear();
        }
    }

    fn segment(&self, user: UserId) -> MutexGuard<'_, Segment<S>> {
        // Engines with several files choose a user's file by a hash of the uid, so the low bits are still spread here.
        lock(&self.segments[usize::try_from(user.0 % SEGMENTS as u64).unwrap_or_default()])
    }
}

fn lock<S>(segment: &Mutex<Segment<S>>) -> MutexGuard<'_, Segment<S>> {
    // No code panics under this lock, and each change leaves the segment whole.
    segment.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> Segment<S> {
    fn begin_write(&mut self, user: UserId) {
        let pending = self.pending.entry(user).or_insert(PendingWrites {
            count: 0,
            overlapped: false,
        });
        pending.overlapped |= pending.count > 0;
        pending.count += 1;
    }

    /// Returns whether the state that the write has made is the user's current one.
    fn end_write(&mut self, user: UserId) -> bool {
        let Entry::Occupied(mut pending) = self.pending.entry(user) else {
            return true;
        };
        pending.get_mut().count -= 1;
        pending.get().count == 0 && !pending.remove().overlapped
    }

    fn insert(&mut self, user: UserId, state: Arc<S>, capacity: usize) {
        self.old.remove(&user);
        if self.young.len() >= capacity && !self.young.contains_key(&user) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(user, state);
    }
}

impl<S> Default for Segment<S> {
    fn default() -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            pending: HashMap::default(),
            changes: 0,
        }
    }
}
