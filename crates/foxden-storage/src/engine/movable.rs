//! The rows of a store below the commands of an [`Engine`](super::Engine), so that they can be moved to another engine as they are.
//!
//! A store that takes part in a move is flagged ([`MoveFlag`]). The flag closes it: no engine opens it, and an engine of a database
//! server that has it open finds its tables no more. Within a store that is the target of a move, a user is half there from
//! [`MovableStore::begin_user`] to [`MovableStore::finish_user`], and is not listed.

use std::error::Error;

use async_trait::async_trait;
use foxden_model::{Bso, CollectionName, ObjectId, SyncTime, UserId};
use foxden_sql::SqlError;

use super::EngineError;

/// The most objects that are read or added at once.
pub const MAX_MOVED_OBJECTS: usize = 1000;
/// The bytes of payload after which no more objects are read or added at once.
pub const MAX_MOVED_BYTES: usize = 1 << 20;
/// The most parts of a batch that are read at once.
pub(super) const MAX_MOVED_PARTS: usize = 4;

/// A store whose rows can be moved. The process that has it open has it alone.
///
/// Everything that a client can still see is moved: a user's times, the collections, every object, also one that has expired and is
/// not purged, and every batch that was not committed or dropped. What was deleted stays where it is.
#[async_trait]
pub trait MovableStore: Send + Sync + 'static {
    /// The flag of the move in which the store takes part; `None`: engines may open it.
    async fn flag(&self) -> Result<Option<MoveFlag>, EngineError>;
    /// Sets the flag and so closes the store to engines, or removes it and opens the store to them, unless a user is half there. May be
    /// repeated if it was interrupted. The first flag that a run of a move sets takes the store over: an earlier run of the same move
    /// changes nothing any more.
    async fn set_flag(&self, flag: Option<&MoveFlag>) -> Result<(), EngineError>;
    /// Whether an unflagged store never had a user.
    async fn is_empty(&self) -> Result<bool, EngineError>;
    /// Deletes all rows of a flagged store.
    async fn clear(&self) -> Result<(), EngineError>;

    /// What the users of a flagged store hold, who are wholly there.
    async fn totals(&self) -> Result<MoveTotals, EngineError>;
    /// Returns at most `limit` of the users who follow `after`, by their uids as signed numbers: those who are wholly there and have
    /// a write or an open batch. An empty page is the end.
    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError>;
    /// What is stored of a user besides objects and parts.
    async fn head(&self, user: UserId) -> Result<UserHead, EngineError>;
    /// A page of the objects of a collection that follow `after`, by their ids as bytes.
    async fn objects(
        &self,
        user: UserId,
        collection: &CollectionHead,
        after: Option<&ObjectId>,
    ) -> Result<ObjectsPage, EngineError>;
    /// A few parts of a batch that follow the part with the number `after`, which is zero for the first. None: the end.
    async fn parts(&self, user: UserId, batch: i64, after: i64) -> Result<Vec<MovedPart>, EngineError>;

    /// Adds a user who is half there, with the collections and batches of `head` but nothing in them. What was left of the user by
    /// an interrupted move is dropped before; a user who is wholly there is an error. Returns the keys of the collections and batches in this store.
    async fn begin_user(&self, user: UserId, head: &UserHead) -> Result<MoveKeys, EngineError>;
    /// Adds objects, each to the collection with that key.
    async fn add_objects(&self, user: UserId, objects: Vec<(i64, Bso)>) -> Result<(), EngineError>;
    /// Adds parts to the batch with that key.
    async fn add_parts(&self, user: UserId, batch: i64, parts: Vec<MovedPart>) -> Result<(), EngineError>;
    /// Ends what [`Self::begin_user`] began. `head` has the keys of this store, and counts that fit what was added.
    async fn finish_user(&self, user: UserId, head: &UserHead) -> Result<(), EngineError>;

    /// How many users are best read or written at once.
    fn concurrency(&self) -> usize;
    /// Closes files and connections.
    async fn close(&self);
}

/// Which of the stores of a move is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveSide {
    /// The one to move from.
    From,
    /// The one to move to, which may be new.
    To,
    /// Either of them, to give the move up, whichever release began it.
    GivingUp,
}

/// The flag of a store that takes part in a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveFlag {
    /// The random name of the move; both stores have it.
    pub id: String,
    /// What the store is to the move.
    pub role: MoveRole,
    /// The other store, for people. Holds no password.
    pub peer: String,
}

/// What a store is to a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveRole {
    /// Its rows are being moved away.
    Source,
    /// Its rows are all in the other store, as a comparison has shown.
    Moved,
    /// Rows will be moved here, once it is certain that nothing was written before it was closed.
    Unseen,
    /// Rows are being moved here.
    Target,
    /// Rows were moved here, and are all here, as a comparison has shown.
    Arrived,
}

/// What users hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveTotals {
    /// Users.
    pub users: u64,
    /// Objects, expired ones included.
    pub objects: u64,
    /// The bytes of their payloads.
    pub bytes: u64,
}

/// What is stored of a user besides objects and parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserHead {
    /// The highest time of the user's writes.
    pub modified: SyncTime,
    /// Whether the store is closed permanently.
    pub is_closed: bool,
    /// The collections, by name.
    pub collections: Vec<CollectionHead>,
    /// The batches that were not committed or dropped, in the order they were opened. Some may have expired.
    pub batches: Vec<BatchHead>,
}

/// A collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionHead {
    /// Its number in its store.
    pub key: i64,
    /// Its name.
    pub name: CollectionName,
    /// When it last changed.
    pub modified: SyncTime,
    /// Its objects, expired ones included.
    pub objects: u64,
    /// The bytes of their payloads.
    pub bytes: u64,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchHead {
    /// Its number in its store.
    pub key: i64,
    /// The id that the client knows.
    pub name: String,
    /// The collection for which it is meant.
    pub collection: CollectionName,
    /// When it was opened; it ends two hours later.
    pub opened: SyncTime,
    /// How many parts it has.
    pub parts: u64,
    /// Its patches, each counted as an object.
    pub objects: u64,
    /// The bytes of their payloads.
    pub bytes: u64,
}

/// The keys of a user's collections and batches in a store, in the order of the [`UserHead`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveKeys {
    /// Those of the collections.
    pub collections: Vec<i64>,
    /// Those of the batches.
    pub batches: Vec<i64>,
}

/// Objects in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectsPage {
    /// The objects.
    pub objects: Vec<Bso>,
    /// An object whose size, which a server keeps beside it, is not that of its payload.
    pub wrong_size: Option<ObjectId>,
    /// Whether more may follow.
    pub has_more: bool,
}

/// The patches of one request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedPart {
    /// Its number within the batch; numbers rise.
    pub number: i64,
    /// The patches, encoded as all engines store them.
    pub patches: Vec<u8>,
}

/// A step of a move that a store refuses, and will refuse again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Barred(pub(crate) &'static str);

impl From<Barred> for EngineError {
    fn from(error: Barred) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why a store was not opened for a move.
#[derive(Debug, thiserror::Error)]
pub enum MovableError {
    /// Its files cannot be used.
    #[error(transparent)]
    Files(Box<dyn Error + Send + Sync>),
    /// The database of the server cannot be used.
    #[error("the database {place}")]
    Server {
        /// The URL without its password.
        place: String,
        /// Why.
        #[source]
        source: SqlError,
    },
    /// The store does not exist.
    #[error("there are no objects at {0}; check the URL")]
    Missing(String),
    /// The engine stores nothing.
    #[error("{0} stores nothing that could be moved; name a SQLite folder or the database of a server")]
    NotStored(String),
    /// Other sessions have the database open.
    #[error(
        "the database {place} is in use by {sessions} other session{}; stop every Foxden process that has it open, and other clients, \
         then run the same command again",
        if *.sessions == 1 { "" } else { "s" }
    )]
    InUse {
        /// The URL without its password.
        place: String,
        /// How many.
        sessions: i64,
    },
    /// The store was flagged by a program with other tables.
    #[error(
        "{place} takes part in a move that another release began (its tables are at version {found}, this program's at {known}); \
         go on with that release, or give the move up: foxden migrate --give-up URL"
    )]
    OtherRelease {
        /// The store.
        place: String,
        /// The version of its tables.
        found: i64,
        /// The version that this program makes.
        known: i64,
    },
    /// The server failed.
    #[error("the store {place} cannot be used")]
    Engine {
        /// The URL without its password.
        place: String,
        /// Why.
        #[source]
        source: EngineError,
    },
}

impl MoveRole {
    /// The word for it in the store.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Moved => "moved",
            Self::Unseen => "unseen",
            Self::Target => "target",
            Self::Arrived => "arrived",
        }
    }

    pub(super) fn of(word: &str) -> Option<Self> {
        let all = [
            Self::Source,
            Self::Moved,
            Self::Unseen,
            Self::Target,
            Self::Arrived,
        ];
        all.into_iter().find(|role| role.word() == word)
    }
}

/// Why a flagged store is not served, and what the operator can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedAway(Option<MoveFlag>);

impl MovedAway {
    pub(super) const fn of(flag: Option<MoveFlag>) -> Self {
        Self(flag)
    }

    /// What becomes of the objects.
    pub fn what(&self) -> String {
        match &self.0 {
            None => "its objects take part in a move".to_owned(),
            Some(MoveFlag { role, peer, .. }) => match role {
                MoveRole::Source => format!("its objects are being moved to {peer}"),
                MoveRole::Moved => format!("its objects were moved to {peer}"),
                MoveRole::Unseen | MoveRole::Target | MoveRole::Arrived => {
                    format!("objects are being moved here from {peer}")
                }
            },
        }
    }

    /// What the operator can do.
    pub fn cure(&self) -> &'static str {
        match self.0.as_ref().map(|flag| flag.role) {
            None => "run that `foxden migrate` to its end, or give it up: foxden migrate --give-up URL",
            Some(MoveRole::Moved) => {
                "set storage.url to that, or open what is here again: foxden migrate --give-up URL"
            }
            Some(MoveRole::Source | MoveRole::Unseen | MoveRole::Target | MoveRole::Arrived) => {
                "run `foxden migrate` again to go on, or give the move up: foxden migrate --give-up URL"
            }
        }
    }
}

impl std::fmt::Display for MovedAway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.what(), self.cure())
    }
}
