//! Histories: the records of what concurrent clients asked and were answered, and [`check`], which finds out whether an order of
//! atomic steps explains them.

mod check;
mod explain;
mod state;

use std::collections::BTreeMap;

use foxden_model::SyncTime;

use crate::BatchId;

pub use check::{check, check_with};

/// The description of a fault in a history.
pub type Violation = String;

/// What a history may hold besides single landings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// How long a call takes at least whose write may land again, with a later time: readers may have passed the first one. No
    /// other write comes between. `None`: each write lands once.
    pub lands_again_after: Option<u64>,
    /// How long after the end of a call a write may land whose outcome is unknown. `None`: at any time.
    pub lands_within: Option<u64>,
}

/// One call of one client on one user's store. `start` and `end` order all calls: one that ended before another began has the
/// lower number.
#[derive(Clone, Debug)]
pub struct Call {
    /// The number of the client.
    pub client: u64,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// What was asked and answered.
    pub event: Event,
}

/// What was asked and answered.
#[derive(Clone, Debug)]
pub enum Event {
    /// A write that succeeded.
    Wrote {
        /// Its change.
        effect: Effect,
        /// Its guard.
        guard: Option<GuardRecord>,
        /// Its time.
        time: SyncTime,
        /// The bytes of the store before and after it, if they were told.
        bytes: Option<(u64, u64)>,
    },
    /// A write whose outcome is not known.
    Unknown {
        /// Its change.
        effect: Effect,
        /// Its guard.
        guard: Option<GuardRecord>,
    },
    /// A deletion that had this time, or changed nothing in a store of this time.
    Deleted {
        /// Its change.
        effect: Effect,
        /// Its guard.
        guard: Option<GuardRecord>,
        /// The time.
        time: SyncTime,
    },
    /// A write that changed nothing, and the time of the store if it was told.
    Idle {
        /// Its change.
        effect: Effect,
        /// The time of the store.
        time: Option<SyncTime>,
    },
    /// A write that a guard refused, and the time that it met.
    Refused {
        /// The guard.
        guard: GuardRecord,
        /// The time of the collection.
        modified: SyncTime,
    },
    /// A commit that came too late.
    Lost {
        /// Its batch.
        batch: BatchId,
    },
    /// A read of a collection.
    Read {
        /// The collection.
        collection: &'static str,
        /// Only objects that are newer were asked for.
        newer: Option<SyncTime>,
        /// The time of the collection, if there is one.
        seen: Option<SyncTime>,
        /// The objects.
        rows: SeenRows,
        /// As of which time it was said to be.
        as_of: Option<SyncTime>,
    },
    /// A read of one object.
    ReadObject {
        /// Its collection.
        collection: &'static str,
        /// Its id.
        object: String,
        /// What was found.
        row: Option<SeenRow>,
    },
    /// The numbers of objects of all collections; those without any may be left out.
    Counts {
        /// The time of the store.
        modified: SyncTime,
        /// The numbers.
        objects: BTreeMap<String, u64>,
    },
    /// The bytes of all collections; those without any may be left out.
    Usage {
        /// The time of the store.
        modified: SyncTime,
        /// The bytes.
        bytes: BTreeMap<String, u64>,
    },
    /// A summary.
    Summary {
        /// The time of the store.
        modified: SyncTime,
        /// The times of its collections.
        collections: BTreeMap<String, SyncTime>,
        /// As of which time it was said to be.
        as_of: Option<SyncTime>,
    },
}

/// The change of a write.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Objects are written.
    Put {
        /// Their collection.
        collection: &'static str,
        /// Their payloads, which no other write has.
        rows: Rows,
        /// The batch that is committed.
        batch: Option<BatchId>,
    },
    /// One object goes.
    DeleteObject {
        /// Its collection.
        collection: &'static str,
        /// Its id.
        object: String,
        /// Without the object nothing changes; else the time of the collection changes all the same.
        or_refuse: bool,
    },
    /// A collection goes.
    DeleteCollection {
        /// The collection.
        collection: &'static str,
        /// Whether it stays listed.
        keeps_name: bool,
    },
    /// Everything goes.
    DeleteAll,
}

/// A guard on a collection.
#[derive(Clone, Copy, Debug)]
pub struct GuardRecord {
    /// The collection.
    pub collection: &'static str,
    /// It has not changed since.
    pub since: SyncTime,
}

/// Objects to be written: ids and payloads.
pub type Rows = BTreeMap<String, String>;

/// Objects that were read, by id.
pub type SeenRows = BTreeMap<String, SeenRow>;

/// An object that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRow {
    /// Its payload.
    pub payload: String,
    /// When it was written.
    pub modified: SyncTime,
}
