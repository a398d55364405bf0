//! One user's batches: uploads in several requests, kept until they are committed.

use foxden_model::{CollectionName, Rng, SyncTime};

use crate::command::{BatchId, Patch};
use crate::engine::batch_id::random_id;
use crate::engine::usage::Usage;
use crate::engine::{BATCH_TTL_SECONDS, EngineError};

/// Batches in the order they were opened.
#[derive(Default)]
pub(super) struct Batches(Vec<Batch>);

struct Batch {
    id: BatchId,
    collection: CollectionName,
    opened: SyncTime,
    patches: Vec<Patch>,
}

impl Batches {
    /// Returns the patches of an open batch of this collection.
    pub(super) fn find(
        &self,
        id: &BatchId,
        collection: CollectionName,
        now: SyncTime,
    ) -> Result<&[Patch], EngineError> {
        let is_meant =
            |batch: &&Batch| batch.id == *id && batch.collection == collection && batch.is_open(now);
        let batch = self.0.iter().find(is_meant).ok_or(EngineError::NoSuchBatch)?;
        Ok(&batch.patches)
    }

    /// Opens an empty batch.
    pub(super) fn open(&mut self, collection: CollectionName, now: SyncTime, rng: &dyn Rng) -> BatchId {
        let id = random_id(rng);
        self.0.push(Batch {
            id: id.clone(),
            collection,
            opened: now,
            patches: Vec::new(),
        });
        id
    }

    /// Adds patches to a batch that [`Self::find`] has found.
    pub(super) fn append(&mut self, id: &BatchId, patches: Vec<Patch>) {
        if let Some(batch) = self.0.iter_mut().find(|batch| batch.id == *id) {
            batch.patches.extend(patches);
        }
    }

    /// Ends a batch and returns its patches.
    pub(super) fn remove(&mut self, id: &BatchId) -> Vec<Patch> {
        let removed = self.0.extract_if(.., |batch| batch.id == *id);
        removed.flat_map(|batch| batch.patches).collect()
    }

    /// The usage of each open batch but `except`, in the order they were opened.
    pub(super) fn others(&self, except: Option<&BatchId>, now: SyncTime) -> Vec<Usage> {
        let others = self.0.iter().filter(|batch| batch.is_other(except, now));
        others.map(|batch| Usage::of(&batch.patches)).collect()
    }

    /// Ends the `count` open batches but `except` that were opened first, and returns their patches.
    pub(super) fn end_first(
        &mut self,
        count: usize,
        except: Option<&BatchId>,
        now: SyncTime,
    ) -> Vec<Vec<Patch>> {
        let ended = self.0.extract_if(.., |batch| batch.is_other(except, now));
        ended.take(count).map(|batch| batch.patches).collect()
    }

    /// Removes the batches that are no longer open, and returns their patches.
    pub(super) fn remove_expired(&mut self, now: SyncTime) -> Vec<Vec<Patch>> {
        let expired = self.0.extract_if(.., |batch| !batch.is_open(now));
        expired.map(|batch| batch.patches).collect()
    }

    /// Removes all batches, and returns their patches.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Vec<Patch>> {
        self.0.drain(..).map(|batch| batch.patches)
    }
}

impl Batch {
    fn is_open(&self, now: SyncTime) -> bool {
        let ttl = BATCH_TTL_SECONDS;
        now < self.opened.plus_seconds(ttl) && self.opened <= now.plus_seconds(ttl)
    }

    fn is_other(&self, except: Option<&BatchId>, now: SyncTime) -> bool {
        self.is_open(now) && except != Some(&self.id)
    }
}
