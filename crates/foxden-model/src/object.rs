//! One stored object.

use crate::{ObjectId, SyncTime};

/// A Basic Storage Object: one opaque payload of a user's collection and its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bso {
    /// Its name within the collection.
    pub id: ObjectId,
    /// The encrypted text that the client stored; the server never reads it.
    pub payload: String,
    /// When the server last changed it.
    pub modified: SyncTime,
    /// The client's ordering number, within ±999,999,999.
    pub sortindex: Option<i64>,
    /// When it expires; `None`: never. It counts as absent once the clock has reached that time.
    pub expiry: Option<SyncTime>,
    /// The parent, given by old clients only.
    pub parent_id: Option<String>,
    /// The predecessor, given by old clients only.
    pub predecessor_id: Option<String>,
}
