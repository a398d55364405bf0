//! The commands of an engine. Each difference in meaning between the protocol's dialects is a field here; no engine knows a
//! protocol version.

use foxden_model::{CollectionName, ObjectId, SyncTime};

use crate::pass::Pass;

/// How detailed a summary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The store's time and each collection's time; counts and bytes may be stale.
    Times,
    /// The times, and the exact counts and bytes of each collection without expired objects.
    Full,
}

/// A read of one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The collection.
    pub collection: CollectionName,
    /// Which of its objects.
    pub selection: Selection,
    /// In which order.
    pub order: Order,
    /// The most objects; a page may hold fewer.
    pub limit: Option<u64>,
    /// Where to begin.
    pub cursor: Cursor,
    /// Ids alone or whole objects.
    pub fields: Fields,
}

/// Selects objects of a collection. All conditions must hold; without conditions all objects match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these, each once. An empty list selects nothing.
    pub ids: Option<Vec<ObjectId>>,
    /// `modified` later than this.
    pub newer: Option<SyncTime>,
    /// `modified` earlier than this.
    pub older: Option<SyncTime>,
    /// `modified` not later than this: the further pages of a read that began at that time.
    pub until: Option<SyncTime>,
    /// `sortindex` above this; objects without one never match.
    pub index_above: Option<i64>,
    /// `sortindex` below this; objects without one never match.
    pub index_below: Option<i64>,
    /// `parent_id` equal to this.
    pub parent_id: Option<String>,
    /// `predecessor_id` equal to this.
    pub predecessor_id: Option<String>,
}

/// The order of a read. It is total: ties are broken in an order of the engine's own, which is stable between writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// `modified` falling.
    #[default]
    Newest,
    /// `modified` rising.
    Oldest,
    /// `sortindex` falling, objects without one last.
    Index,
}

/// Where a read begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    /// At the first object.
    #[default]
    Start,
    /// After this many objects.
    Skip(u64),
    /// After the object that an earlier page ended with.
    After(PageToken),
}

/// The last object of a page: its sort key and its tie-breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// `modified` in hundredths or `sortindex`, by the order of the query; `None`: no sortindex.
    pub key: Option<i64>,
    /// The engine's tie-breaker, as text; that of another engine is refused as `BadCursor`.
    pub tie: Box<str>,
}

/// The fields that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// The id alone.
    Ids,
    /// Everything.
    Whole,
}

/// An atomic change to one user's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The client's precondition, compared in the same step as the change.
    pub guard: Option<Guard>,
    /// The user's quota in bytes, open batches included. A write is refused if the bytes before it reach the quota; deletions
    /// are not.
    pub quota: Option<u64>,
    /// The earliest time that the write may take, whatever the clock shows: a cache in front of the engine told readers that no
    /// earlier write will come.
    pub not_before: SyncTime,
    /// Leave to write, which an engine that several processes use compares in the same step as the change. `None`: nothing is
    /// compared, as nothing stands in front of the engine.
    pub pass: Option<Pass>,
    /// The change.
    pub change: Change,
}

/// A client's precondition: the target has not changed after `unmodified_since`. An absent target has time zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The target whose time is compared.
    pub target: Target,
    /// The latest time it may have.
    pub unmodified_since: SyncTime,
}

/// The target of a guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The whole store.
    Store,
    /// A collection.
    Collection(CollectionName),
    /// An object.
    Object(CollectionName, ObjectId),
}

/// The change of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Applies patches in order and creates missing objects. The collection gets the write's time even without a patch.
    Upsert {
        /// The collection; it is created if it is missing.
        collection: CollectionName,
        /// The patches; those of one object are merged, the later over the earlier.
        patches: Vec<Patch>,
    },
    /// Deletes the selected objects of a collection, which gets the write's time even if no object matched. A missing
    /// collection is not created, and the write takes no time.
    DeleteObjects {
        /// The collection.
        collection: CollectionName,
        /// Which objects.
        selection: Selection,
        /// The order in which `limit` counts.
        order: Order,
        /// The most objects.
        limit: Option<u64>,
        /// If no object matches, change nothing, not even a time ([`crate::Written::changed`] is false).
        or_refuse: bool,
    },
    /// Deletes a collection, at a cost that does not depend on its size. If it is missing, the write takes no time. Batches
    /// for it stay open.
    DeleteCollection {
        /// The collection.
        collection: CollectionName,
        /// Whether it stays listed, empty, with the time of the deletion.
        keeps_name: bool,
    },
    /// Deletes all collections and open batches, and always takes a time. The highest time of the user is kept.
    DeleteAll,
    /// Empties the store in the same way and closes it permanently. A closed store stays as it is.
    Close,
    /// Commits a batch, all its objects with one time.
    CommitBatch {
        /// The collection it was opened for.
        collection: CollectionName,
        /// The batch.
        batch: BatchId,
        /// The committing request's own patches, applied last.
        patches: Vec<Patch>,
        /// The most objects of a batch, those patches included.
        max_objects: u64,
        /// The most bytes of payload of a batch, those patches included.
        max_bytes: u64,
    },
}

/// The fields that a client set for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The object.
    pub id: ObjectId,
    /// The payload; clearing it stores the empty text.
    pub payload: Field<String>,
    /// The ordering number.
    pub sortindex: Field<i64>,
    /// The parent, used by old clients only.
    pub parent_id: Field<String>,
    /// The predecessor, used by old clients only.
    pub predecessor_id: Field<String>,
    /// The TTL, which counts from the write or the commit.
    pub ttl: Ttl,
    /// Whether the object gets the write's time. A new object always does.
    pub renews: bool,
}

/// One field of a patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Not set by the client: it stays as it is.
    #[default]
    Keep,
    /// Cleared.
    Clear,
    /// Set.
    Set(T),
}

/// The TTL of an object, as a client sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// It stays as it is.
    #[default]
    Keep,
    /// The object does not expire.
    Never,
    /// The object expires this many seconds after the write.
    In(u32),
}

/// The random id of a batch, made of letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub Box<str>);

/// A part of an upload in several requests, stored until the batch is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPart {
    /// The collection.
    pub collection: CollectionName,
    /// The batch to append to; `None` opens one.
    pub batch: Option<BatchId>,
    /// The client's precondition.
    pub guard: Option<Guard>,
    /// The patches; their TTLs count from the commit.
    pub patches: Vec<Patch>,
    /// The most objects of a batch, counted as patches.
    pub max_objects: u64,
    /// The most bytes of payload of a batch.
    pub max_bytes: u64,
    /// The most bytes of payload of all open batches of the user, at least `max_bytes`.
    pub max_open_bytes: u64,
    /// The user's quota in bytes, open batches included.
    pub quota: Option<u64>,
}

impl Change {
    /// Returns whether a closed store accepts it, because it only empties the store.
    pub(crate) const fn is_taken_when_closed(&self) -> bool {
        matches!(self, Self::DeleteAll | Self::Close)
    }

    /// The patches of the change.
    pub fn patches(&self) -> &[Patch] {
        match self {
            Self::Upsert { patches, .. } | Self::CommitBatch { patches, .. } => patches,
            Self::DeleteObjects { .. } | Self::DeleteCollection { .. } | Self::DeleteAll | Self::Close => &[],
        }
    }
}

impl Write {
    /// A write without guard, quota, earliest time or pass.
    pub const fn new(change: Change) -> Self {
        Self {
            guard: None,
            quota: None,
            not_before: SyncTime::ZERO,
            pass: None,
            change,
        }
    }

    /// The same write with a guard.
    #[must_use]
    pub fn guarded_by(self, guard: Option<Guard>) -> Self {
        Self { guard, ..self }
    }
}

impl Query {
    /// All objects of a collection, newest first.
    pub fn all(collection: CollectionName, fields: Fields) -> Self {
        Self {
            collection,
            selection: Selection::default(),
            order: Order::default(),
            limit: None,
            cursor: Cursor::Start,
            fields,
        }
    }

    /// One object.
    pub fn one(collection: CollectionName, id: ObjectId) -> Self {
        let mut query = Self::all(collection, Fields::Whole);
        query.selection.ids = Some(vec![id]);
        query
    }

    /// Returns the id if the query asks for one whole object by its id, without further conditions.
    pub(crate) fn single_object(&self) -> Option<&ObjectId> {
        let Query {
            selection,
            limit,
            cursor: Cursor::Start,
            fields: Fields::Whole,
            ..
        } = self
        else {
            return None;
        };
        let Selection {
            ids: Some(ids),
            newer: None,
            older: None,
            until: None,
            index_above: None,
            index_below: None,
            parent_id: None,
            predecessor_id: None,
        } = selection
        else {
            return None;
        };
        let [id] = &ids[..] else { return None };
        limit.is_none_or(|limit| limit > 0).then_some(id)
    }
}

impl Patch {
    /// A patch that sets no field.
    pub const fn empty(id: ObjectId) -> Self {
        Self {
            id,
            payload: Field::Keep,
            sortindex: Field::Keep,
            parent_id: Field::Keep,
            predecessor_id: Field::Keep,
            ttl: Ttl::Keep,
            renews: false,
        }
    }

    /// Merges this patch over an earlier one of the same object: fields that it does not set are those of the earlier one.
    #[must_use]
    pub fn merged_onto(self, earlier: Self) -> Self {
        Self {
            id: self.id,
            payload: self.payload.or(earlier.payload),
            sortindex: self.sortindex.or(earlier.sortindex),
            parent_id: self.parent_id.or(earlier.parent_id),
            predecessor_id: self.predecessor_id.or(earlier.predecessor_id),
            ttl: match self.ttl {
                Ttl::Keep => earlier.ttl,
                Ttl::Never | Ttl::In(_) => self.ttl,
            },
            renews: self.renews || earlier.renews,
        }
    }

    /// The bytes of its payload.
    pub fn bytes(&self) -> u64 {
        match &self.payload {
            Field::Set(payload) => payload.len() as u64,
            Field::Keep | Field::Clear => 0,
        }
    }
}

impl<T> Field<T> {
    /// Applies the field to a stored value.
    pub fn apply(self, to: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *to = None,
            Self::Set(value) => *to = Some(value),
        }
    }

    /// This field if the client set it, else the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Keep => other,
            Self::Clear | Self::Set(_) => self,
        }
    }

    /// Returns whether the client set or cleared it.
    pub const fn is_given(&self) -> bool {
        !matches!(self, Self::Keep)
    }
}
