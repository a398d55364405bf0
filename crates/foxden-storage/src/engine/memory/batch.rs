//! Uploads in several requests, laid aside until they are committed.

use std::fmt::Write as _;

use foxden_model::{Chance, CollectionName, SyncTime};

use super::store::Store;
use crate::command::{BatchId, BatchPart, Patch};
use crate::engine::{BATCH_SECONDS, EngineError, Excess};
use crate::page::Staged;

pub(super) struct Batch {
    collection: CollectionName,
    opened: SyncTime,
    pub(super) patches: Vec<Patch>,
}

impl Batch {
    pub(super) fn is_open(&self, now: SyncTime) -> bool {
        now < self.opened.plus_seconds(BATCH_SECONDS)
    }
}

impl Store {
    /// The open batch of that name and collection.
    pub(super) fn batch(
        &self,
        id: &BatchId,
        collection: CollectionName,
        now: SyncTime,
    ) -> Result<&Batch, EngineError> {
        let found = self.batches.get(id);
        found
            .filter(|batch| batch.collection == collection && batch.is_open(now))
            .ok_or(EngineError::NoSuchBatch)
    }

    pub(super) fn stage(
        &mut self,
        part: BatchPart,
        now: SyncTime,
        chance: &dyn Chance,
    ) -> Result<Staged, EngineError> {
        self.compare(part.guard.as_ref(), now)?;
        let held = match &part.batch {
            Some(id) => self.batch(id, part.collection, now)?.patches.as_slice(),
            None => &[],
        };
        if held.len() as u64 + part.patches.len() as u64 > part.max_objects {
            return Err(EngineError::TooLarge(Excess::Objects));
        }
        let bytes: u64 = held.iter().chain(&part.patches).map(Patch::bytes).sum();
        if bytes > part.max_bytes {
            return Err(EngineError::TooLarge(Excess::Bytes));
        }
        let id = part.batch.unwrap_or_else(|| fresh_id(chance));
        let batch = self.batches.entry(id.clone()).or_insert_with(|| Batch {
            collection: part.collection,
            opened: now,
            patches: Vec::new(),
        });
        batch.patches.extend(part.patches);
        Ok(Staged {
            batch: id,
            modified: self.modified(part.collection).unwrap_or_default(),
        })
    }
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
