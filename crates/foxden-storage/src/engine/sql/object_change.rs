//! What a statement changes: the merged patches of objects, and the totals of their collection.

use crate::engine::write_time::WriteTime;

/// The collection, by its number, whose objects a write changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ObjectTarget {
    pub(super) collection: i64,
    pub(super) time: WriteTime,
}

/// How a write changes the number of objects and the bytes of a collection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) objects: i64,
    pub(super) bytes: i64,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

/// The merged patches of one object, as a statement takes them.
pub(super) struct ObjectChange<'a> {
    pub(super) id: &'a str,
    /// `None`: it stays.
    pub(super) payload: Option<&'a str>,
    pub(super) sortindex: Option<i64>,
    pub(super) expiry: Option<i64>,
    pub(super) parent_id: Option<&'a str>,
    pub(super) predecessor_id: Option<&'a str>,
    /// Which fields are set, and how: the sum of the constants of [`flag`].
    pub(super) flags: i64,
}

/// The bits of [`ObjectChange::flags`].
pub(super) mod flag {
    /// The object gets the time of the write.
    pub const RENEWS: i64 = 1;
    /// The patch sets or clears the sortindex.
    pub const SORTINDEX: i64 = 2;
    /// The patch sets or ends the TTL.
    pub const EXPIRY: i64 = 4;
    /// The patch sets or clears the parent.
    pub const PARENT: i64 = 8;
    /// The patch sets or clears the predecessor.
    pub const PREDECESSOR: i64 = 16;
    /// The object counts as live whatever its expiry.
    pub const LIVES: i64 = 32;
}
