//! What one user keeps in memory, and how a write changes it.

use std::collections::BTreeMap;

use foxden_model::{Bso, CollectionName, ObjectId, SyncTime};

use super::batch::Batches;
use super::deleted::Deleted;
use super::{Moment, Seen};
use crate::command::{BatchId, Change, Guard, Order, Patch, Selection, Target, Ttl, Write};
use crate::engine::held::{BatchLimits, Held, Room};
use crate::engine::{EngineError, MAX_COLLECTIONS, lives_from};
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
    /// The highest time ever given to this user.
    pub(super) fn highest(&self) -> SyncTime {
        self.highest
    }

    pub(super) fn summary(&self, seen: Seen) -> Summary {
        let collections = self
            .collections
            .iter()
            .map(|(name, collection)| CollectionSummary {
                name: *name,
                modified: collection.modified,
                count: collection.live(seen.now).count() as u64,
                bytes: collection.live(seen.now).map(size).sum(),
            });
        Summary {
            modified: self.highest,
            as_of: seen.as_of,
            collections: collections.collect(),
        }
    }

    /// Makes a change at `moment.next`, or refuses it and stays as it was.
    pub(super) fn write(&mut self, write: Write, moment: Moment) -> Result<Written, EngineError> {
        if self.is_closed && !write.change.is_taken_when_closed() {
            return Err(EngineError::Closed);
        }
        self.compare(write.guard.as_ref(), moment.now)?;
        let bytes_before = self.held(moment.now).bytes;
        let brought = write.change.patches().len() as u64;
        let changed = match write.change {
            Change::Upsert { collection, patches } => {
                let surplus = self.surplus(write.quota, None, moment.now)?;
                self.upsert(collection, patches, moment)?;
                self.end_first(surplus, None, moment.now);
                true
            }
            Change::CommitBatch {
                collection,
                batch,
                patches,
                max_objects,
                max_bytes,
            } => {
                let staged = self.batches.find(&batch, collection, moment.now)?;
                let limits = BatchLimits {
                    objects: max_objects,
                    bytes: max_bytes,
                };
                limits.grown(Held::of(staged), &patches)?;
                let surplus = self.surplus(write.quota, Some(&batch), moment.now)?;
                self.make_room(collection)?;
                let staged = self.batches.remove(&batch);
                self.upsert(collection, staged.into_iter().chain(patches), moment)?;
                self.end_first(surplus, None, moment.now);
                true
            }
            Change::DeleteObjects {
                collection,
                selection,
                order,
                limit,
                or_refuse,
            } => {
                let doomed = self.doomed(collection, &selection, order, limit, moment.now);
                let doomed = doomed.filter(|ids| !(ids.is_empty() && or_refuse));
                doomed.is_some_and(|ids| self.remove(collection, &ids, moment))
            }
            Change::DeleteCollection {
                collection,
                keeps_name,
            } => self.delete_collection(collection, keeps_name, moment),
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
            self.highest = moment.next;
        }
        self.free_deleted(brought);
        Ok(Written {
            modified: self.highest,
            changed,
            bytes_before,
            bytes_after: self.held(moment.now).bytes,
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

    /// What the objects take that have not expired.
    pub(super) fn held(&self, now: SyncTime) -> Held {
        let live = self
            .collections
            .values()
            .flat_map(|collection| collection.live(now));
        let one = |object| Held {
            objects: 1,
            bytes: size(object),
        };
        live.map(one).sum()
    }

    /// How many open batches a write ends, other than the one it commits; or that the quota refuses it.
    fn surplus(
        &self,
        quota: Option<u64>,
        own: Option<&BatchId>,
        now: SyncTime,
    ) -> Result<usize, EngineError> {
        let room = Room {
            live: self.held(now),
            own: Held::default(),
            quota,
        };
        room.surplus(&self.batches.others(own, now))
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
        moment: Moment,
    ) -> Result<(), EngineError> {
        self.make_room(collection)?;
        let collection = self.collections.entry(collection).or_insert_with(|| Collection {
            modified: moment.next,
            objects: BTreeMap::new(),
        });
        collection.modified = moment.next;
        for patch in merged(patches) {
            collection.apply(patch, moment);
        }
        Ok(())
    }

    /// The ids of the objects that are meant, if there is such a collection.
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

    fn remove(&mut self, collection: CollectionName, ids: &[ObjectId], moment: Moment) -> bool {
        let Some(collection) = self.collections.get_mut(&collection) else {
            return false;
        };
        collection.modified = moment.next;
        for id in ids {
            collection.objects.remove(id);
        }
        true
    }

    fn delete_collection(&mut self, name: CollectionName, keeps_name: bool, moment: Moment) -> bool {
        let Some(old) = self.collections.remove(&name) else {
            return false;
        };
        self.deleted.add_objects(old.objects);
        if keeps_name {
            let left = Collection {
                modified: moment.next,
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

    fn apply(&mut self, patch: Patch, moment: Moment) {
        let old = self
            .objects
            .remove(&patch.id)
            .filter(|object| is_live(object, moment.now));
        let mut object = old.unwrap_or_else(|| Bso {
            id: patch.id.clone(),
            payload: String::new(),
            modified: moment.next,
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
                let begin = lives_from(moment.now, moment.next);
                object.expiry = Some(begin.plus_seconds(seconds.into()));
            }
        }
        if patch.renews {
            object.modified = moment.next;
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
            Some(earlier) => patch.laid_over(earlier),
            None => patch,
        };
        merged.insert(patch.id.clone(), patch);
    }
    merged.into_values()
}
