//! What can be asked of an engine. Every difference in meaning between the protocol's dialects is a
//! field here; no engine knows a version.

use foxden_model::{CollectionName, ObjectId, SyncTime};

/// How much a summary says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The store's time and each collection's time; counts and bytes may be stale.
    Times,
    /// Besides, the live objects of each collection and their bytes, exactly.
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
    /// At most so many objects; a page may hold fewer.
    pub limit: Option<u64>,
    /// Where to begin.
    pub cursor: Cursor,
    /// Ids alone or whole objects.
    pub fields: Fields,
}

/// Which objects of a collection are meant. All conditions must hold; none means all objects.
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

/// The order of a read. Each is total: ties are broken in an order of the engine's own, which holds
/// while nothing is written.
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
    /// After so many objects.
    Skip(u64),
    /// After the object that an earlier page ended with.
    After(PageToken),
}

/// The last object of a page: the value it was sorted by and what breaks ties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// `modified` in hundredths or `sortindex`, by the order of the query; `None`: no sortindex.
    pub key: Option<i64>,
    /// What the engine breaks ties by, as text; another engine's is refused as `BadCursor`.
    pub tie: Box<str>,
}

/// What of each object is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// The id alone.
    Ids,
    /// Everything.
    Whole,
}

/// A change to one user's store, made wholly or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The client's precondition, compared in the same step as the change.
    pub guard: Option<Guard>,
    /// The user's bytes allowed, those in open batches among them. Refused when the bytes before the write
    /// reach it; deletions always pass.
    pub quota: Option<u64>,
    /// The earliest time that the write may take, whatever the clock shows: a cache in front of the engine told readers that no
    /// earlier write will come.
    pub not_before: SyncTime,
    /// The change.
    pub change: Change,
}

/// A client's precondition: the target has not changed after `unmodified_since`. What is absent counts
/// as time zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Whose time is compared.
    pub target: Target,
    /// The latest time it may have.
    pub unmodified_since: SyncTime,
}

/// Whose time a guard compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The whole store.
    Store,
    /// A collection.
    Collection(CollectionName),
    /// An object.
    Object(CollectionName, ObjectId),
}

/// What a write changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Lays patches over objects, in order, making those that are missing. The collection's time
    /// moves even without a patch.
    Upsert {
        /// The collection, made if missing.
        collection: CollectionName,
        /// The patches; a later one of the same object is laid over an earlier one.
        patches: Vec<Patch>,
    },
    /// Deletes the selected objects of a collection, whose time moves even if none matched. A missing
    /// collection is not made and no time moves.
    DeleteObjects {
        /// The collection.
        collection: CollectionName,
        /// Which objects.
        selection: Selection,
        /// Which come first, where `limit` chooses.
        order: Order,
        /// At most so many.
        limit: Option<u64>,
        /// When nothing matched, change nothing, not even a time ([`crate::Written::changed`] is false).
        or_refuse: bool,
    },
    /// Deletes a collection at a cost that does not depend on its size. Missing: no time moves. Batches
    /// opened for it stay.
    DeleteCollection {
        /// The collection.
        collection: CollectionName,
        /// Whether it stays listed, empty, with the time of the deletion.
        keeps_name: bool,
    },
    /// Empties the store, open batches too, and always takes a time. The highest time given out is kept.
    DeleteAll,
    /// Empties the store in the same way and closes it for good. A store that is closed already stays as it is.
    Close,
    /// Makes a batch visible, all its objects at one time, and ends it.
    CommitBatch {
        /// The collection it was opened for.
        collection: CollectionName,
        /// The batch.
        batch: BatchId,
        /// The committing request's own patches, laid over last.
        patches: Vec<Patch>,
        /// The objects a batch may hold, those patches among them.
        max_objects: u64,
        /// The bytes of payload a batch may hold, theirs among them.
        max_bytes: u64,
    },
}

/// The fields a client gave for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The object.
    pub id: ObjectId,
    /// The payload; cleared: the empty text.
    pub payload: Field<String>,
    /// The ordering number.
    pub sortindex: Field<i64>,
    /// The old clients' parent.
    pub parent_id: Field<String>,
    /// The old clients' predecessor.
    pub predecessor_id: Field<String>,
    /// How long it is to live, counted from the write or the commit.
    pub ttl: Ttl,
    /// Whether the object's `modified` moves. One that is made anew always gets the write's time.
    pub renews: bool,
}

/// One field of a patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Not given: stays as it is.
    #[default]
    Keep,
    /// Given as nothing.
    Clear,
    /// Given.
    Set(T),
}

/// A client's wish for the life of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// As it is.
    #[default]
    Keep,
    /// For ever.
    Never,
    /// So many seconds from the write.
    In(u32),
}

/// Names a batch of one user. Letters, digits, `_` and `-`; random, so that nobody meets another's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub Box<str>);

/// A part of an upload in several requests, laid aside until the batch is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPart {
    /// The collection.
    pub collection: CollectionName,
    /// The batch to append to; `None` opens one.
    pub batch: Option<BatchId>,
    /// The client's precondition.
    pub guard: Option<Guard>,
    /// The patches; their lives still count from the commit.
    pub patches: Vec<Patch>,
    /// The objects a batch may hold, counted as patches.
    pub max_objects: u64,
    /// The bytes of payload a batch may hold.
    pub max_bytes: u64,
    /// The bytes of payload all open batches of the user may hold, and no less than `max_bytes`.
    pub max_open_bytes: u64,
    /// The user's bytes allowed, those in open batches among them.
    pub quota: Option<u64>,
}

impl Change {
    /// Whether a closed store takes it, since it does no more than empty the store.
    pub(crate) const fn is_taken_when_closed(&self) -> bool {
        matches!(self, Self::DeleteAll | Self::Close)
    }

    /// The patches it brings.
    pub fn patches(&self) -> &[Patch] {
        match self {
            Self::Upsert { patches, .. } | Self::CommitBatch { patches, .. } => patches,
            Self::DeleteObjects { .. } | Self::DeleteCollection { .. } | Self::DeleteAll | Self::Close => &[],
        }
    }
}

impl Write {
    /// A write without guard, quota or earliest time.
    pub const fn new(change: Change) -> Self {
        Self {
            guard: None,
            quota: None,
            not_before: SyncTime::ZERO,
            change,
        }
    }

    /// The same write, refused if the target changed after that time.
    #[must_use]
    pub fn guarded_by(self, guard: Option<Guard>) -> Self {
        Self { guard, ..self }
    }
}

impl Query {
    /// Everything in a collection, newest first.
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
    /// A patch that gives nothing.
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

    /// This patch laid over an earlier one of the same object: what it does not give, the earlier does.
    #[must_use]
    pub fn laid_over(self, earlier: Self) -> Self {
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

    /// Bytes of payload it brings.
    pub fn bytes(&self) -> u64 {
        match &self.payload {
            Field::Set(payload) => payload.len() as u64,
            Field::Keep | Field::Clear => 0,
        }
    }
}

impl<T> Field<T> {
    /// Lays this over what was there.
    pub fn apply(self, to: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *to = None,
            Self::Set(value) => *to = Some(value),
        }
    }

    /// This if it was given, else the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Keep => other,
            Self::Clear | Self::Set(_) => self,
        }
    }

    /// Whether the client gave it, as nothing or as something.
    pub const fn is_given(&self) -> bool {
        !matches!(self, Self::Keep)
    }
}
