//! Objects that were asked for one by one lately: `meta/global`, the keys, what a device looks at in every
//! sync. A snapshot of the file costs more than all else that such a request needs.
//!
//! An entry holds as long as memory knows the user in the very state in which the object was read. A write of
//! the user puts another state in its place, so it ends all entries of that user without having to find them.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foxden_model::{ObjectId, SyncTime};

use super::known::Known;
use crate::command::{Cursor, Fields, Query, Selection};
use crate::page::Rows;

const SHARDS: usize = 8;
/// Bytes that one half of a shard may hold: half a megabyte in all.
const HALF: usize = 32 * 1024;
/// The largest object that is kept. A large one is worth its look into the file.
const LARGEST: usize = 4096;
/// What an entry takes besides its object.
const FRAME: usize = 256;

/// Some of the objects of one file.
pub(super) struct Lately {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

/// Two halves, as in [`super::cache`]. Found by a hash: of two objects that share one, one is kept.
#[derive(Default)]
struct Shard {
    young: HashMap<u64, Entry>,
    old: HashMap<u64, Entry>,
    /// Of the young half.
    bytes: usize,
}

#[derive(Clone)]
struct Entry {
    /// The state in which it was read. A weak hold, so that no state lives on for the sake of this.
    known: Weak<Known>,
    owner: i64,
    object: Rows,
    expiry: Option<SyncTime>,
}

impl Lately {
    pub(super) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// The object, if it was read in this state and has not ended.
    pub(super) fn get(&self, known: &Arc<Known>, owner: i64, id: &ObjectId, now: SyncTime) -> Option<Rows> {
        let key = self.hasher.hash_one((owner, id.as_str()));
        let mut shard = self.shard(key);
        let is_young = shard.young.contains_key(&key);
        let entry = if is_young {
            shard.young.get(&key)
        } else {
            shard.old.get(&key)
        };
        let entry = entry.filter(|entry| entry.is_of(known, owner, id, now))?;
        let object = entry.object.clone();
        if !is_young && let Some(entry) = shard.old.remove(&key) {
            shard.insert(key, entry);
        }
        Some(object)
    }

    /// Keeps an object that was read in this state.
    pub(super) fn keep(&self, known: &Arc<Known>, owner: i64, object: &Rows, expiry: Option<SyncTime>) {
        let Some(row) = object.iter().next().filter(|_| object.bytes() <= LARGEST) else {
            return;
        };
        let key = self.hasher.hash_one((owner, row.id));
        let entry = Entry {
            known: Arc::downgrade(known),
            owner,
            object: object.clone(),
            expiry,
        };
        self.shard(key).insert(key, entry);
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(key % SHARDS as u64).unwrap_or_default();
        // Nothing panics under this lock, and each change leaves the shard whole.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn insert(&mut self, key: u64, entry: Entry) {
        let bytes = entry.object.bytes() + FRAME;
        if self.bytes + bytes > HALF {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
        if let Some(before) = self.young.insert(key, entry) {
            self.bytes -= before.object.bytes() + FRAME;
        }
    }
}

impl Entry {
    fn is_of(&self, known: &Arc<Known>, owner: i64, id: &ObjectId, now: SyncTime) -> bool {
        std::ptr::eq(self.known.as_ptr(), Arc::as_ptr(known))
            && self.owner == owner
            && self.object.iter().next().is_some_and(|row| row.id == id.as_str())
            && self.expiry.is_none_or(|expiry| now < expiry)
    }
}

/// The one object that a query asks for whole, whatever it is.
pub(super) fn single(query: &Query) -> Option<&ObjectId> {
    let Query {
        selection,
        limit,
        cursor: Cursor::Start,
        fields: Fields::Whole,
        ..
    } = query
    else {
        return None;
    };
    let Selection {
        ids: Some(ids),
        newer: None,
        older: None,
        until: None,
        index_above: None,
        index_below: None,
        parent_id: None,
        predecessor_id: None,
    } = selection
    else {
        return None;
    };
    let [id] = &ids[..] else { return None };
    limit.is_none_or(|limit| limit > 0).then_some(id)
}
