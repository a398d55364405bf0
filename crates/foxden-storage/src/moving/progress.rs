//! How far a move has come.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::movable::MoveTotals;

/// What has been copied or compared so far; read while the work goes on.
#[derive(Debug, Default)]
pub struct MoveProgress {
    users: AtomicU64,
    objects: AtomicU64,
    bytes: AtomicU64,
    batches: AtomicU64,
}

impl MoveProgress {
    /// Users who are done, and objects and bytes.
    pub fn done(&self) -> MoveTotals {
        MoveTotals {
            users: self.users.load(Ordering::Relaxed),
            objects: self.objects.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// The unfinished uploads of the users who are done.
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Begins with what was done before.
    pub(super) fn begin_with(&self, totals: MoveTotals) {
        self.users.store(totals.users, Ordering::Relaxed);
        self.add_objects(totals.objects, totals.bytes);
    }

    pub(super) fn add_objects(&self, objects: u64, bytes: u64) {
        self.objects.fetch_add(objects, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes back what was counted of a user who begins anew.
    pub(super) fn take_objects(&self, objects: u64, bytes: u64) {
        self.objects.fetch_sub(objects, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_user(&self, batches: usize) {
        self.users.fetch_add(1, Ordering::Relaxed);
        self.batches.fetch_add(batches as u64, Ordering::Relaxed);
    }
}
