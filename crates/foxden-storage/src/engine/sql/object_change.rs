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

/// Changes that all set the payload and the time, and of the other fields the same ones: what clients send. A statement for them
/// needs no old value of a row that is not there.
#[derive(Clone, Copy)]
pub(super) struct PlainChanges<'c, 'a> {
    pub(super) all: &'c [ObjectChange<'a>],
    pub(super) given: GivenFields,
}

/// The fields that plain changes set.
#[derive(Clone, Copy)]
pub(super) struct GivenFields(i64);

/// A field of an object besides payload and time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectField {
    Sortindex,
    ParentId,
    PredecessorId,
    Expiry,
}

impl<'c, 'a> PlainChanges<'c, 'a> {
    /// `None` if they are not so.
    pub(super) fn of(all: &'c [ObjectChange<'a>]) -> Option<Self> {
        let given = GivenFields::of(all)?;
        Some(Self { all, given })
    }
}

impl GivenFields {
    /// `None` if the changes are not plain.
    pub(super) fn of(changes: &[ObjectChange<'_>]) -> Option<Self> {
        let flags = changes.first()?.flags;
        let is_plain = flags & (flag::RENEWS | flag::LIVES) == flag::RENEWS
            && changes
                .iter()
                .all(|change| change.flags == flags && change.payload.is_some());
        is_plain.then_some(Self(flags))
    }

    /// Each of them.
    pub(super) fn iter(self) -> impl Iterator<Item = ObjectField> {
        ObjectField::ALL
            .into_iter()
            .filter(move |field| self.contains(*field))
    }

    /// Whether a field is one of them.
    pub(super) const fn contains(self, field: ObjectField) -> bool {
        self.0 & field.flag() != 0
    }
}

impl ObjectField {
    /// The expiry comes last: it decides what becomes of the others, and MySQL assigns one after the other.
    pub(super) const ALL: [Self; 4] = [Self::Sortindex, Self::ParentId, Self::PredecessorId, Self::Expiry];

    /// Its column.
    pub(super) const fn column(self) -> &'static str {
        match self {
            Self::Sortindex => "sortindex",
            Self::ParentId => "parent_id",
            Self::PredecessorId => "predecessor_id",
            Self::Expiry => "expiry",
        }
    }

    const fn flag(self) -> i64 {
        match self {
            Self::Sortindex => flag::SORTINDEX,
            Self::ParentId => flag::PARENT,
            Self::PredecessorId => flag::PREDECESSOR,
            Self::Expiry => flag::EXPIRY,
        }
    }
}
