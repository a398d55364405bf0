//! Adding a part of an upload to a batch.

use foxden_model::{Rng, SyncTime};

use super::store::Store;
use crate::command::BatchPart;
use crate::engine::EngineError;
use crate::engine::usage::{BatchGrowth, BatchLimits, QuotaState, Usage};
use crate::page::Staged;

impl Store {
    pub(super) fn stage(
        &mut self,
        part: BatchPart,
        now: SyncTime,
        rng: &dyn Rng,
    ) -> Result<Staged, EngineError> {
        if self.is_closed {
            return Err(EngineError::Closed);
        }
        self.compare(part.guard.as_ref(), now)?;
        let before = match &part.batch {
            Some(id) => Usage::of(self.batches.find(id, part.collection, now)?),
            None => Usage::default(),
        };
        let limits = BatchLimits {
            objects: part.max_objects,
            bytes: part.max_bytes,
        };
        let after = limits.grown(before, &part.patches)?;
        let state = QuotaState {
            live: self.usage(now),
            own: before,
            quota: part.quota,
        };
        let growth = BatchGrowth {
            bytes: after.bytes,
            max_open_bytes: part.max_open_bytes,
            opens: part.batch.is_none(),
        };
        let others = self.batches.others(part.batch.as_ref(), now);
        let batches_to_end = state.batches_to_end_for(growth, &others)?;
        self.end_first(batches_to_end, part.batch.as_ref(), now);
        let batch = match part.batch {
            Some(id) => id,
            None => self.batches.open(part.collection, now, rng),
        };
        self.free_deleted(part.patches.len() as u64);
        self.batches.append(&batch, part.patches);
        Ok(Staged {
            batch,
            modified: self.modified(part.collection).unwrap_or_default(),
        })
    }
}
