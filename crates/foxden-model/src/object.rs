//! One stored object.

use crate::{ObjectId, SyncTime};

/// A Basic Storage Object: one opaque payload of a user's collection and what the server knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bso {
    /// Its name within the collection.
    pub id: ObjectId,
    /// What the client stored; encrypted, and never looked into.
    pub payload: String,
    /// When the server last changed it.
    pub modified: SyncTime,
    /// The client's ordering number, within ±999,999,999.
    pub sortindex: Option<i64>,
    /// When it ends; `None`: never. It counts as absent once the clock has reached that time.
    pub expiry: Option<SyncTime>,
    /// The parent that old clients may give.
    pub parent_id: Option<String>,
    /// The predecessor that old clients may give.
    pub predecessor_id: Option<String>,
}
