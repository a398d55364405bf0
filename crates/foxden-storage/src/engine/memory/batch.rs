//! Uploads in several requests, laid aside until they are committed.

use std::fmt::Write as _;

use foxden_model::{Chance, CollectionName, SyncTime};

use super::store::{Dropped, Store};
use crate::command::{BatchId, BatchPart, Patch};
use crate::engine::held::{Growth, Held, Room};
use crate::engine::{BATCH_SECONDS, EngineError, Excess};
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

    fn held(&self) -> Held {
        held(&self.patches)
    }

    fn is_other(&self, but: Option<&BatchId>, now: SyncTime) -> bool {
        self.is_open(now) && but != Some(&self.id)
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
        if self.is_closed {
            return Err(EngineError::Closed);
        }
        self.compare(part.guard.as_ref(), now)?;
        let open = match &part.batch {
            Some(id) => Some(self.batch(id, part.collection, now)?),
            None => None,
        };
        let before = open.map_or(&[][..], |at| &self.batches[at].patches);
        check_size(before, &part.patches, part.max_objects, part.max_bytes)?;
        let room = Room {
            live: self.held(now),
            own: held(before),
            quota: part.quota,
        };
        let growth = Growth {
            bytes: held(before).bytes + held(&part.patches).bytes,
            max_open_bytes: part.max_open_bytes,
            opens: open.is_none(),
        };
        let surplus = room.surplus_for(growth, &self.others(part.batch.as_ref(), now))?;
        self.end_first(surplus, part.batch.as_ref(), now);
        let at = match &part.batch {
            Some(id) => self.batch(id, part.collection, now)?,
            None => self.open(part.collection, now, chance),
        };
        self.pay(part.patches.len() as u64);
        let batch = &mut self.batches[at];
        batch.patches.extend(part.patches);
        Ok(Staged {
            batch: batch.id.clone(),
            modified: self.modified(part.collection).unwrap_or_default(),
        })
    }

    /// What the open batches hold, but that one; the one opened first comes first.
    pub(super) fn others(&self, but: Option<&BatchId>, now: SyncTime) -> Vec<Held> {
        let others = self.batches.iter().filter(|batch| batch.is_other(but, now));
        others.map(Batch::held).collect()
    }

    /// Ends so many of them, the one opened first first.
    pub(super) fn end_first(&mut self, count: usize, but: Option<&BatchId>, now: SyncTime) {
        let ended = self.batches.extract_if(.., |batch| batch.is_other(but, now));
        let ended: Vec<_> = ended
            .take(count)
            .map(|batch| Dropped::Patches(batch.patches))
            .collect();
        self.dropped.extend(ended);
    }

    /// Opens a batch and says where it is.
    fn open(&mut self, collection: CollectionName, now: SyncTime, chance: &dyn Chance) -> usize {
        self.batches.push(Batch {
            id: fresh_id(chance),
            collection,
            opened: now,
            patches: Vec::new(),
        });
        self.batches.len() - 1
    }
}

fn held(patches: &[Patch]) -> Held {
    Held {
        objects: patches.len() as u64,
        bytes: patches.iter().map(Patch::bytes).sum(),
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
