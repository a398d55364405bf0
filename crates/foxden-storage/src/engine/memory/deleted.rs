//! Objects and patches that were deleted and wait to be freed by a purge.

use std::collections::BTreeMap;

use foxden_model::{Bso, ObjectId};

use crate::command::Patch;

/// The deleted data of one user; no read shows it.
#[derive(Default)]
pub(super) struct Deleted(Vec<Chunk>);

enum Chunk {
    Objects(BTreeMap<ObjectId, Bso>),
    Patches(Vec<Patch>),
}

impl Deleted {
    pub(super) fn add_objects(&mut self, objects: BTreeMap<ObjectId, Bso>) {
        self.0.push(Chunk::Objects(objects));
    }

    /// Adds the patches of batches that ended.
    pub(super) fn add_batches(&mut self, batches: impl IntoIterator<Item = Vec<Patch>>) {
        self.0.extend(batches.into_iter().map(Chunk::Patches));
    }

    /// Frees objects and patches until `left` of them are spent; returns whether any remain.
    pub(super) fn free(&mut self, left: &mut u64) -> bool {
        while let Some(last) = self.0.last_mut() {
            while *left > 0 && last.pop() {
                *left -= 1;
            }
            if !last.is_empty() {
                return true;
            }
            self.0.pop();
        }
        false
    }
}

impl Chunk {
    fn pop(&mut self) -> bool {
        match self {
            Self::Objects(objects) => objects.pop_first().is_some(),
            Self::Patches(patches) => patches.pop().is_some(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Objects(objects) => objects.is_empty(),
            Self::Patches(patches) => patches.is_empty(),
        }
    }
}
