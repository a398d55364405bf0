//! Uploads in several requests, laid aside until they are committed.

use std::fmt::Write as _;

use foxden_model::{Chance, CollectionName, SyncTime};

use super::store::{Dropped, Store};
use crate::command::{BatchId, BatchPart, Patch};
use crate::engine::{BATCH_SECONDS, EngineError, Excess, OPEN_BATCHES};
use crate::page::Staged;

pub(super) struct Batch {
    pub(super) id: BatchId,
    collection: CollectionName,
    opened: SyncTime,
    pub(super) patches: Vec<Patch>,
}

impl Batch {
    pub(super) fn is_open(&self, now: SyncTime) -> bool {
        let life = BATCH_SECONDS;
        now < self.opened.plus_seconds(life) && self.opened <= now.plus_seconds(life)
    }
}

impl Store {
    /// Where the open batch of that name and collection is.
    pub(super) fn batch(
        &self,
        id: &BatchId,
        collection: CollectionName,
        now: SyncTime,
    ) -> Result<usize, EngineError> {
        let is_meant =
            |batch: &Batch| batch.id == *id && batch.collection == collection && batch.is_open(now);
        self.batches
            .iter()
            .position(is_meant)
            .ok_or(EngineError::NoSuchBatch)
    }

    pub(super) fn stage(
        &mut self,
        part: BatchPart,
        now: SyncTime,
        chance: &dyn Chance,
    ) -> Result<Staged, EngineError> {
        self.compare(part.guard.as_ref(), now)?;
        let open = match &part.batch {
            Some(id) => Some(self.batch(id, part.collection, now)?),
            None => None,
        };
        let held = open.map_or(&[][..], |at| &self.batches[at].patches);
        check_size(held, &part.patches, part.max_objects, part.max_bytes)?;
        let at = open.unwrap_or_else(|| self.open(part.collection, now, chance));
        let batch = &mut self.batches[at];
        batch.patches.extend(part.patches);
        Ok(Staged {
            batch: batch.id.clone(),
            modified: self.modified(part.collection).unwrap_or_default(),
        })
    }

    /// Opens a batch and says where it is. A user who has as many as may be loses the one opened first.
    fn open(&mut self, collection: CollectionName, now: SyncTime, chance: &dyn Chance) -> usize {
        while self.batches.iter().filter(|batch| batch.is_open(now)).count() as u64 >= OPEN_BATCHES
            && let Some(first) = self.batches.iter().position(|batch| batch.is_open(now))
        {
            let first = self.batches.remove(first);
            self.dropped.push(Dropped::Patches(first.patches));
        }
        self.batches.push(Batch {
            id: fresh_id(chance),
            collection,
            opened: now,
            patches: Vec::new(),
        });
        self.batches.len() - 1
    }
}

/// Refuses what would make a batch too large.
pub(super) fn check_size(
    held: &[Patch],
    more: &[Patch],
    max_objects: u64,
    max_bytes: u64,
) -> Result<(), EngineError> {
    if held.len() as u64 + more.len() as u64 > max_objects {
        return Err(EngineError::TooLarge(Excess::Objects));
    }
    let bytes: u64 = held.iter().chain(more).map(Patch::bytes).sum();
    if bytes > max_bytes {
        return Err(EngineError::TooLarge(Excess::Bytes));
    }
    Ok(())
}

fn fresh_id(chance: &dyn Chance) -> BatchId {
    let mut bytes = [0; 16];
    chance.fill(&mut bytes);
    let text = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    BatchId(text.into())
}
