//! The [`Engine`] trait, and the engines.

pub mod agreement;
mod announced;
mod batch_id;
mod cache;
mod cache_url;
mod cached;
pub mod memory;
pub mod movable;
mod open;
mod patch_codec;
mod patch_ref;
mod purge_debt;
mod shared;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub mod sql;
pub mod sqlite;
mod uncached;
mod usage;
mod write_time;

use std::error::Error;

use async_trait::async_trait;
use foxden_model::{SyncTime, UserId};

use crate::command::{BatchPart, Detail, Query, Write};
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

pub use agreement::{Agreement, CacheControl, CacheKind, CacheRow, CacheTimes};
pub(crate) use batch_id::random_id;
pub use cache_url::{BadCacheUrl, CacheUrl, inspect_cache};
pub use cached::Cached;
pub use memory::MemoryEngine;
pub use movable::MoveSide;
pub use open::{
    BadStoreUrl, OpenError, OpenOptions, StoreUrl, inspect, inspect_files, moved_away, open, open_movable,
};
pub use shared::{CacheAddress, CacheFault, CacheLook, CacheServer, SharedCached, cache_server};
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub use sql::SqlEngine;
pub use sqlite::{SqliteEngine, SqliteOptions};
pub use uncached::Uncached;
pub(crate) use usage::Usage;

/// A store of users' objects.
///
/// Each method is atomic for one user. Limits are checked before an engine is called. Every engine promises:
///
/// 1. No reader sees part of a write.
/// 2. A write takes the time `max(clock, last + 0.01 s)`. `last` is the highest of the user's write times and of all *as of* values
///    that were returned since the engine was opened (these matter only if the clock slips back). Staging takes no time.
/// 3. Every later read sees an acknowledged write. A read returns its *as of*: each write of this user that it has not seen takes
///    a later time. With one process, *as of* is the clock minus 0.01 s, or just before the oldest pending write, but at least the
///    user's highest visible time.
/// 4. A guard is compared in the same step as the change; an absent target has time zero; a refused write changes nothing. If
///    several checks fail, the first of guard, batch, quota and collections is the answer.
/// 5. If the engine cannot tell whether a write was committed, the answer is `OutcomeUnknown`, and the write takes effect at most
///    once. After any other error the write has no effect, now or later.
/// 6. Fields that a patch does not set keep their value; on an absent or expired object they start empty. The patches of one write
///    or batch for one object are merged, the later ones over the earlier: expiry is checked once, before the write.
/// 7. An expired object is absent for all readers and writers at the same moment: when the clock, not the time of a write, has
///    reached the clock at the write plus the TTL.
/// 8. Counts and bytes change in the same step as the write. The quota is compared with the bytes before the write, without expired
///    objects; removing these takes no time. An object counts as at least 400 bytes, beyond the first MiB. Open batches count as
///    well, for parts and for writes: the engine drops the batches opened first to make room, and a write is refused if the objects and the
///    batch that it appends to fill the quota alone. A batch does not count against its own commit. The bytes in [`Written`] are
///    those of objects alone and may include expired ones.
/// 9. Orders are total, page tokens hold the last key, and a page is bounded and shows one state.
/// 10. A batch is invisible until its commit. It ends two hours after its opening, with its commit, or with the store. A batch that
///     was opened more than two hours ahead of the clock has ended, too. A refused commit leaves it open. A part or a commit beyond
///     the limits that it names is refused as a whole, with `TooLarge`. A user has at most [`MAX_OPEN_BATCHES`] open batches, with at
///     most the bytes that a part names for all of them: a further part drops the batches opened first.
/// 11. Deleting a collection or a store costs the same whatever its size. Deleted data does not grow beyond the size of the store:
///     writes remove more of it than they add.
/// 12. Several processes may serve one user at once, if the engine's documentation says so.
/// 13. [`Change::Close`](crate::Change::Close) is stored: afterwards every read and write of the user is refused with `Closed`,
///     before any other check, by each handle on the store and after a restart.
///     [`Change::DeleteAll`](crate::Change::DeleteAll) and closing again succeed and find nothing.
///
/// Only old clients use [`Cursor::Skip`](crate::Cursor::Skip), [`Order::Index`](crate::Order::Index) and selections by index,
/// parent or predecessor. These queries may scan the whole collection.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Returns when each collection last changed and, if asked for, its counts and bytes.
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError>;
    /// Returns one bounded page of the objects that `query` selects, in its order.
    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError>;
    /// Checks the guard and makes the change, in one atomic step.
    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError>;
    /// Adds patches to a batch, which is invisible until a write commits it.
    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError>;
    /// Removes objects that have expired by the clock and by the budget's own time, and deleted data, until the budget is
    /// spent.
    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError>;
    /// Returns at most `limit` of the users who follow `after`, in a fixed order of the engine's own: every user with a
    /// write, closed ones included. Unless the limit is zero, an empty page is the end of the list.
    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError>;
    /// Checks whether the engine can serve right now.
    async fn check(&self) -> Result<(), EngineError>;
    /// Returns the writes that wait in this process before the engine works on them; an engine without a queue returns
    /// none. Costs at most a short lock.
    fn queued_writes(&self) -> QueuedWrites;
    /// Finishes accepted writes, ends background work and closes files and connections. Later calls may be refused; closing
    /// again does nothing.
    async fn close(&self);
}

/// Writes that wait in this process, maintenance work included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueuedWrites {
    /// How many.
    pub count: usize,
    /// The bytes of their payloads.
    pub bytes: usize,
}

/// Why an engine refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The guard did not hold; nothing changed.
    #[error("changed at {modified}, after the client last read it")]
    Stale {
        /// The target's time.
        modified: SyncTime,
    },
    /// The user's bytes had reached the quota; nothing changed.
    #[error("{used} bytes used, {quota} allowed")]
    OverQuota {
        /// Bytes of payload before the write.
        used: u64,
        /// Bytes allowed.
        quota: u64,
    },
    /// The store is closed permanently; nothing changed.
    #[error("the user is closed")]
    Closed,
    /// The user has no open batch with this id and collection.
    #[error("no such batch")]
    NoSuchBatch,
    /// The part or commit would exceed the limits of a batch; the batch stays as it was.
    #[error("the batch would hold too many {0}")]
    TooLarge(BatchLimit),
    /// The write would create more collections than a user may have.
    #[error("a user may own at most 100 collections")]
    TooManyCollections,
    /// The page token does not come from this engine.
    #[error("the page token is not one of ours")]
    BadCursor,
    /// Too many writes wait; the same request may succeed in a moment.
    #[error("too many writers at once")]
    Busy,
    /// The write's [`Pass`](crate::Pass) had ended before it landed; nothing changed. The write comes back, to be made with another pass.
    #[error("the leave to write has ended")]
    PassEnded(Box<Write>),
    /// The engine cannot serve; nothing changed.
    #[error("the engine cannot serve")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The engine lost track of a write after its commit may have begun: it is stored or it is not.
    #[error("the outcome of the write is unknown")]
    OutcomeUnknown(#[source] Box<dyn Error + Send + Sync>),
}

/// The limit that a batch would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchLimit {
    /// Objects.
    Objects,
    /// Bytes of payload.
    Bytes,
}

impl std::fmt::Display for BatchLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Objects => "objects",
            Self::Bytes => "bytes",
        })
    }
}

/// The most collections of one user.
pub const MAX_COLLECTIONS: usize = 100;
/// The most objects of one page.
pub const MAX_PAGE_OBJECTS: usize = 1000;
/// The bytes of payload after which a page ends.
pub const MAX_PAGE_BYTES: usize = 1 << 20;
/// The most objects of one batch.
pub const MAX_BATCH_OBJECTS: u64 = 10_000;
/// The most open batches of one user.
pub const MAX_OPEN_BATCHES: u64 = 16;
/// The TTL of a batch, in seconds.
pub const BATCH_TTL_SECONDS: i64 = 2 * 60 * 60;
/// Stored data that no release has written.
#[derive(Debug, thiserror::Error)]
#[error("{0} is damaged")]
pub(crate) struct Corrupt(pub(crate) &'static str);

impl From<Corrupt> for EngineError {
    fn from(error: Corrupt) -> Self {
        Self::Unavailable(error.into())
    }
}
