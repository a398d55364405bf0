//! A bounded cache of objects that were read by their id: `meta/global`, the keys, what a device reads in every sync.
//!
//! An entry holds as long as the user is in the very state in which the object was read. A write of the user replaces the state,
//! so it invalidates all entries of that user without searching for them.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::fast::RandomState;
use foxden_model::{ObjectId, SyncTime};

use crate::page::Rows;

const SEGMENTS: usize = 8;
/// Bytes that one generation of a segment may hold: four megabytes in all, some six thousand objects of the usual size.
const CAPACITY: usize = 256 * 1024;
/// The bytes of the largest object that is cached. A larger one is worth its read from the store.
const MAX_OBJECT: usize = 4096;
/// Bytes that an entry takes besides its object.
const ENTRY_OVERHEAD: usize = 256;

/// Some objects, each found by a user's state, its collection and its id. `C` names a collection of the engine.
pub(in crate::engine) struct ObjectCache<S, C> {
    segments: [Mutex<Segment<S, C>>; SEGMENTS],
    hasher: RandomState,
}

/// An object and when it expires.
#[derive(Clone)]
pub(in crate::engine) struct CachedObject {
    pub(in crate::engine) rows: Arc<Rows>,
    pub(in crate::engine) expiry: Option<SyncTime>,
}

/// Two generations, as in [`super::UserCache`]. The key is a hash: of two objects that share one, one is cached.
struct Segment<S, C> {
    young: HashMap<u64, CacheEntry<S, C>, Hashed>,
    old: HashMap<u64, CacheEntry<S, C>, Hashed>,
    /// Of the young generation.
    bytes: usize,
}

/// For keys that are hashes already.
type Hashed = BuildHasherDefault<KeyHasher>;

#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.is_empty(), "keys are written as one number");
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

struct CacheEntry<S, C> {
    /// The state in which the object was read. The weak reference does not keep the state alive.
    state: Weak<S>,
    collection: C,
    object: CachedObject,
}

impl<S, C: Copy + Eq + Hash> ObjectCache<S, C> {
    pub(in crate::engine) fn new() -> Self {
        Self {
            segments: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::default(),
        }
    }

    /// Returns the object if it was read in this state and has not expired.
    pub(in crate::engine) fn get(
        &self,
        state: &Arc<S>,
        collection: C,
        id: &ObjectId,
        now: SyncTime,
    ) -> Option<CachedObject> {
        let key = self.hasher.hash_one((collection, id.as_str()));
        let mut segment = self.segment(key);
        if let Some(entry) = segment.young.get(&key) {
            let is_found = entry.is_of(state, collection, id, now);
            return is_found.then(|| entry.object.clone());
        }
        let entry = segment.old.get(&key)?;
        if !entry.is_of(state, collection, id, now) {
            return None;
        }
        let object = entry.object.clone();
        if let Some(entry) = segment.old.remove(&key) {
            segment.insert(key, entry);
        }
        Some(object)
    }

    /// Caches the first of these rows, which must have been read in this state.
    pub(in crate::engine) fn insert(
        &self,
        state: &Arc<S>,
        collection: C,
        rows: &Arc<Rows>,
        expiry: Option<SyncTime>,
    ) {
        let Some(row) = rows.iter().next().filter(|_| rows.bytes() <= MAX_OBJECT) else {
            return;
        };
        let key = self.hasher.hash_one((collection, row.id));
        let entry = CacheEntry {
            state: Arc::downgrade(state),
            collection,
            object: CachedObject {
                rows: Arc::clone(rows),
                expiry,
            },
        };
        self.segment(key).insert(key, entry);
    }

    fn segment(&self, key: u64) -> MutexGuard<'_, Segment<S, C>> {
        // Not the bits by which a table finds its slots.
        let at = usize::try_from((key >> 32) % SEGMENTS as u64).unwrap_or_default();
        // No code panics under this lock, and each change leaves the segment whole.
        self.segments[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, C> Segment<S, C> {
    fn insert(&mut self, key: u64, entry: CacheEntry<S, C>) {
        let bytes = entry.bytes();
        if self.bytes + bytes > CAPACITY {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
        if let Some(replaced) = self.young.insert(key, entry) {
            self.bytes -= replaced.bytes();
        }
    }
}

impl<S, C> Default for Segment<S, C> {
    fn default() -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            bytes: 0,
        }
    }
}

impl<S, C> CacheEntry<S, C> {
    fn bytes(&self) -> usize {
        self.object.rows.bytes() + ENTRY_OVERHEAD
    }
}

impl<S, C: Copy + Eq> CacheEntry<S, C> {
    fn is_of(&self, state: &Arc<S>, collection: C, id: &ObjectId, now: SyncTime) -> bool {
        let object = &self.object;
        std::ptr::eq(self.state.as_ptr(), Arc::as_ptr(state))
            && self.collection == collection
            && object.rows.iter().next().is_some_and(|row| row.id == id.as_str())
            && object.expiry.is_none_or(|expiry| now < expiry)
    }
}
