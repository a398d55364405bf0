//! The store of one user, and how a write changes it.

use std::collections::BTreeMap;

use foxden_model::{Bso, CollectionName, ObjectId, SyncTime};

use super::ReadTime;
use super::batch::Batches;
use super::deleted::Deleted;
use crate::command::{BatchId, Change, Guard, Order, Patch, Selection, Target, Ttl, Write};
use crate::engine::usage::{BatchLimits, QuotaState, Usage};
use crate::engine::write_time::WriteTime;
use crate::engine::{EngineError, MAX_COLLECTIONS};
use crate::page::{CollectionSummary, Summary, Written};

/// One user's collections and open batches.
#[derive(Default)]
pub(super) struct Store {
    highest: SyncTime,
    pub(super) is_closed: bool,
    pub(super) collections: BTreeMap<CollectionName, Collection>,
    pub(super) batches: Batches,
    deleted: Deleted,
}

pub(super) struct Collection {
    pub(super) modified: SyncTime,
    pub(super) objects: BTreeMap<ObjectId, Bso>,
}

impl Store {
    /// The highest time of the user's writes.
    pub(super) fn highest(&self) -> SyncTime {
        self.highest
    }

    pub(super) fn summary(&self, time: ReadTime) -> Summary {
        let collections = self
            .collections
            .iter()
            .map(|(name, collection)| CollectionSummary {
                name: *name,
                modified: collection.modified,
                count: collection.live(time.now).count() as u64,
                bytes: collection.live(time.now).map(size).sum(),
            });
        Summary {
            modified: self.highest,
            as_of: time.as_of,
            collections: collections.collect(),
        }
    }

    /// Makes a change at `time.next`, or refuses it and stays as it was.
    pub(super) fn write(&mut self, write: Write, time: WriteTime) -> Result<Written, EngineError> {
        if self.is_closed && !write.change.is_taken_when_closed() {
            return Err(EngineError::Closed);
        }
        self.compare(write.guard.as_ref(), time.now)?;
        let bytes_before = self.usage(time.now).bytes;
        let brought = write.change.patches().len() as u64;
        let changed = match write.change {
            Change::Upsert { collection, patches } => {
                let batches_to_end = self.batches_to_end(write.quota, None, time.now)?;
                self.upsert(collection, patches, time)?;
                self.end_first(batches_to_end, None, time.now);
                true
            }
            Change::CommitBatch {
                collection,
                batch,
                patches,
                max_objects,
                max_bytes,
            } => {
                let staged = self.batches.find(&batch, collection, time.now)?;
                let limits = BatchLimits {
                    objects: max_objects,
                    bytes: max_bytes,
                };
                limits.grown(Usage::of(staged), &patches)?;
                let batches_to_end = self.batches_to_end(write.quota, Some(&batch), time.now)?;
                self.make_room(collection)?;
                let staged = self.batches.remove(&batch);
                self.upsert(collection, staged.into_iter().chain(patches), time)?;
                self.end_first(batches_to_end, None, time.now);
                true
            }
            Change::DeleteObjects {
                collection,
                selection,
                order,
                limit,
                or_refuse,
            } => {
                let doomed = self.doomed(collection, &selection, order, limit, time.now);
                let doomed = doomed.filter(|ids| !(ids.is_empty() && or_refuse));
                doomed.is_some_and(|ids| self.remove(collection, &ids, time))
            }
            Change::DeleteCollection {
                collection,
                keeps_name,
            } => self.delete_collection(collection, keeps_name, time),
            Change::DeleteAll => {
                self.empty();
                true
            }
            Change::Close => {
                self.empty();
                !std::mem::replace(&mut self.is_closed, true)
            }
        };
        if changed {
            self.highest = time.next;
        }
        self.free_deleted(brought);
        Ok(Written {
            modified: self.highest,
            changed,
            bytes_before,
            bytes_after: self.usage(time.now).bytes,
        })
    }

    pub(super) fn compare(&self, guard: Option<&Guard>, now: SyncTime) -> Result<(), EngineError> {
        let Some(guard) = guard else { return Ok(()) };
        let modified = match &guard.target {
            Target::Store => self.highest,
            Target::Collection(name) => self.modified(*name).unwrap_or_default(),
            Target::Object(name, id) => self
                .collections
                .get(name)
                .and_then(|collection| collection.objects.get(id))
                .filter(|object| is_live(object, now))
                .map(|object| object.modified)
                .unwrap_or_default(),
        };
        if modified > guard.unmodified_since {
            return Err(EngineError::Stale { modified });
        }
        Ok(())
    }

    pub(super) fn modified(&self, collection: CollectionName) -> Option<SyncTime> {
        self.collections.get(&collection).map(|found| found.modified)
    }

    /// The usage of the objects that have not expired.
    pub(super) fn usage(&self, now: SyncTime) -> Usage {
        let live = self
            .collections
            .values()
            .flat_map(|collection| collection.live(now));
        let one = |object| Usage {
            objects: 1,
            bytes: size(object),
        };
        live.map(one).sum()
    }

    /// Returns how many open batches, except the committed one, must end for a write, or refuses it.
    fn batches_to_end(
        &self,
        quota: Option<u64>,
        own: Option<&BatchId>,
        now: SyncTime,
    ) -> Result<usize, EngineError> {
        let state = QuotaState {
            live: self.usage(now),
            own: Usage::default(),
            quota,
        };
        state.batches_to_end(&self.batches.others(own, now))
    }

    fn make_room(&self, collection: CollectionName) -> Result<(), EngineError> {
        if self.collections.len() >= MAX_COLLECTIONS && !self.collections.contains_key(&collection) {
            return Err(EngineError::TooManyCollections);
        }
        Ok(())
    }

    fn upsert(
        &mut self,
        collection: CollectionName,
        patches: impl IntoIterator<Item = Patch>,
        time: WriteTime,
    ) -> Result<(), EngineError> {
        self.make_room(collection)?;
        let collection = self.collections.entry(collection).or_insert_with(|| Collection {
            modified: time.next,
            objects: BTreeMap::new(),
        });
        collection.modified = time.next;
        for patch in merged(patches) {
            collection.apply(patch, time);
        }
        Ok(())
    }

    /// The ids of the objects to delete, if the collection exists.
    fn doomed(
        &self,
        collection: CollectionName,
        selection: &Selection,
        order: Order,
        limit: Option<u64>,
        now: SyncTime,
    ) -> Option<Vec<ObjectId>> {
        let matching = self.collections.get(&collection)?.selected(selection, order, now);
        let most = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        Some(
            matching
                .iter()
                .take(most)
                .map(|object| object.id.clone())
                .collect(),
        )
    }

    fn remove(&mut self, collection: CollectionName, ids: &[ObjectId], time: WriteTime) -> bool {
        let Some(collection) = self.collections.get_mut(&collection) else {
            return false;
        };
        collection.modified = time.next;
        for id in ids {
            collection.objects.remove(id);
        }
        true
    }

    fn delete_collection(&mut self, name: CollectionName, keeps_name: bool, time: WriteTime) -> bool {
        let Some(old) = self.collections.remove(&name) else {
            return false;
        };
        self.deleted.add_objects(old.objects);
        if keeps_name {
            let left = Collection {
                modified: time.next,
                objects: BTreeMap::new(),
            };
            self.collections.insert(name, left);
        }
        true
    }

    fn empty(&mut self) {
        for old in std::mem::take(&mut self.collections).into_values() {
            self.deleted.add_objects(old.objects);
        }
        self.deleted.add_batches(self.batches.clear());
    }

    /// Ends the open batches that were opened first.
    pub(super) fn end_first(&mut self, count: usize, except: Option<&BatchId>, now: SyncTime) {
        let ended = self.batches.end_first(count, except, now);
        self.deleted.add_batches(ended);
    }

    /// Frees more deleted data than a command added, so that repeated writing and deleting does not grow the memory in use.
    /// A batch is added once and deleted twice: by its commit and by a deletion of its objects.
    pub(super) fn free_deleted(&mut self, added: u64) {
        self.deleted.free(&mut (3 * added));
    }

    /// Frees deleted and expired data until `left` rows are spent; returns whether any remain.
    pub(super) fn purge(&mut self, now: SyncTime, until: SyncTime, left: &mut u64) -> bool {
        self.deleted.add_batches(self.batches.remove_expired(now));
        if self.deleted.free(left) {
            return true;
        }
        self.collections
            .values_mut()
            .any(|collection| collection.purge(now.min(until), left))
    }
}

impl Collection {
    /// The objects that have not expired.
    pub(super) fn live(&self, now: SyncTime) -> impl Iterator<Item = &Bso> {
        self.objects.values().filter(move |object| is_live(object, now))
    }

    fn apply(&mut self, patch: Patch, time: WriteTime) {
        let old = self
            .objects
            .remove(&patch.id)
            .filter(|object| is_live(object, time.now));
        let mut object = old.unwrap_or_else(|| Bso {
            id: patch.id.clone(),
            payload: String::new(),
            modified: time.next,
            sortindex: None,
            expiry: None,
            parent_id: None,
            predecessor_id: None,
        });
        let mut payload = Some(object.payload);
        patch.payload.apply(&mut payload);
        object.payload = payload.unwrap_or_default();
        patch.sortindex.apply(&mut object.sortindex);
        patch.parent_id.apply(&mut object.parent_id);
        patch.predecessor_id.apply(&mut object.predecessor_id);
        match patch.ttl {
            Ttl::Keep => {}
            Ttl::Never => object.expiry = None,
            Ttl::In(seconds) => {
                object.expiry = Some(time.expiry(seconds));
            }
        }
        if patch.renews {
            object.modified = time.next;
        }
        self.objects.insert(patch.id, object);
    }

    fn purge(&mut self, now: SyncTime, left: &mut u64) -> bool {
        let mut remains = false;
        self.objects.retain(|_, object| {
            let stays = is_live(object, now) || *left == 0;
            if !stays {
                *left -= 1;
            }
            remains |= stays && !is_live(object, now);
            stays
        });
        remains
    }
}

pub(super) fn is_live(object: &Bso, now: SyncTime) -> bool {
    object.expiry.is_none_or(|expiry| now < expiry)
}

fn size(object: &Bso) -> u64 {
    object.payload.len() as u64
}

/// One patch for each object.
fn merged(patches: impl IntoIterator<Item = Patch>) -> impl Iterator<Item = Patch> {
    let mut merged: BTreeMap<ObjectId, Patch> = BTreeMap::new();
    for patch in patches {
        let patch = match merged.remove(&patch.id) {
            Some(earlier) => patch.merged_onto(earlier),
            None => patch,
        };
        merged.insert(patch.id.clone(), patch);
    }
    merged.into_values()
}
