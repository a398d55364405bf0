//! The trait every engine keeps, and the engines.

mod announced;
mod cache;
mod cached;
mod held;
pub mod memory;
mod open;
pub mod sqlite;

use std::error::Error;

use async_trait::async_trait;
use foxden_model::{SyncTime, UserId};

use crate::command::{BatchPart, Detail, Query, Write};
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

pub use cached::Cached;
pub(crate) use held::Held;
pub use memory::MemoryEngine;
pub use open::{BadStoreUrl, OpenError, OpenOptions, StoreUrl, open};
pub use sqlite::{SqliteEngine, SqliteOptions};

/// A place where users' objects are kept.
///
/// Each method is one step for one user: it happens wholly or not at all. Limits and hooks have been
/// dealt with before an engine is called. What every engine promises:
///
/// 1. No reader sees part of a write.
/// 2. `modified` of a write is `max(clock, last + 0.01 s)`, where `last` is the highest time ever given
///    to that user, by deletions too, or told as *as of* since the engine was opened (which matters
///    only when the clock slips back). Staging moves no time.
/// 3. What was acknowledged is seen by every later read, and a read says *as of* when it speaks: every
///    write of this user that it has not seen will have a later time. With one process that is the
///    hundredth before the clock, or before the oldest time given to a write still under way, but
///    never less than the user's highest visible time.
/// 4. A guard is compared in the same step as the change; what is absent counts as time zero; a refused
///    write leaves no trace. Where a write fails several checks, the answer is the first of: guard,
///    batch, quota, collections.
/// 5. If the outcome of a write cannot be known, the answer is `OutcomeUnknown`, and the write shows at
///    most once. After any other error nothing of the write shows, now or later.
/// 6. Fields a patch does not give keep their value; on an absent or expired object they start empty.
///    Patches of one write (or batch) for one object are one patch, each laid over those before it:
///    expiry is judged once, by what was there before the write.
/// 7. An object whose expiry has come is absent for every reader and writer at once. It comes when the
///    clock, not the time given to a write, has reached the clock at the write plus the ttl.
/// 8. Counts and bytes change in the same step as the write. The quota is compared with the bytes
///    before it, after expired objects are cleared away; clearing moves no time. An object counts as
///    400 bytes at least, beyond the first MiB. What lies in open batches counts as well, for a part
///    like for a write: those opened first end to make room, and one is refused where the objects and
///    the batch it appends to fill the quota alone. A batch does not count against its own commit. The
///    bytes that [`Written`] tells may still hold expired objects and are those of objects alone.
/// 9. Orders are total, page tokens hold the last key, a page is one state and bounded.
/// 10. A batch is unseen until committed, lives two hours from its opening, and ends with its commit
///     or with the store. One that was opened more than two hours later than now has ended, too. A
///     refused commit leaves it open. A part or a commit that would pass the objects or bytes it
///     carries as the greatest is refused, `TooLarge`, as a whole. A user has at most
///     [`OPEN_BATCHES`] open, which hold at most the bytes that a part carries as the greatest for all
///     of them: a part beyond that ends those that were opened first.
/// 11. Deleting a collection or a store costs the same whatever its size. What waits to be removed for
///     that grows no further than what the store held: writes remove of it more than they bring.
/// 12. Several processes may serve one user at once, where the engine's documents say so.
/// 13. [`Change::Close`](crate::Change::Close) is kept in the store: from then on every read and write of the user is refused
///     with `Closed`, before anything else is checked, by each handle on the store and after a restart.
///     [`Change::DeleteAll`](crate::Change::DeleteAll) and a further closing succeed and find nothing.
///
/// Old clients alone ask for [`Cursor::Skip`](crate::Cursor::Skip), [`Order::Index`](crate::Order::Index) and selections by
/// index, parent or predecessor. Those may look at every object of the collection.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// When each collection last changed and, if asked for, how much it holds.
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError>;
    /// One bounded page of the objects that `query` asks for, in its order.
    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError>;
    /// Checks the guard and makes the change, as a single step.
    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError>;
    /// Lays patches aside in a batch, unseen until a write commits it.
    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError>;
    /// Removes what has expired, by the clock and by the budget's own time, and puts counts right, until the budget is
    /// spent.
    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError>;
    /// Users who were ever given a time, closed ones among them, each once and in a fixed order of the engine's own: at most
    /// `limit` of those that follow `after`. Without a limit of zero, only the end of the list is an empty page.
    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError>;
    /// Whether the engine can serve right now.
    async fn check(&self) -> Result<(), EngineError>;
    /// Finishes the writes that were accepted, ends background work and gives files and connections back. Later calls may be
    /// refused; closing once more does nothing.
    async fn close(&self);
}

/// Why an engine did not do what it was asked.
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
    /// The store was closed for good; nothing changed.
    #[error("the user is closed")]
    Closed,
    /// No open batch of that name, user and collection.
    #[error("no such batch")]
    NoSuchBatch,
    /// The part or commit would pass what a batch may hold; the batch stays as it was.
    #[error("the batch would hold too many {0}")]
    TooLarge(Excess),
    /// The write would make more collections than a user may own.
    #[error("a user may own at most 100 collections")]
    TooManyCollections,
    /// The page token is not one of this engine's.
    #[error("the page token is not one of ours")]
    BadCursor,
    /// Others write; the same request may succeed in a moment.
    #[error("too many writers at once")]
    Busy,
    /// The engine cannot serve; nothing changed.
    #[error("the engine cannot serve")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The engine lost track of a write after its commit may have begun: it is stored or it is not.
    #[error("the outcome of the write is unknown")]
    OutcomeUnknown(#[source] Box<dyn Error + Send + Sync>),
}

/// What a batch would hold too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Objects.
    Objects,
    /// Bytes of payload.
    Bytes,
}

impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Objects => "objects",
            Self::Bytes => "bytes",
        })
    }
}

/// The collections one user may own.
pub const MAX_COLLECTIONS: usize = 100;
/// The objects one page may hold.
pub const PAGE_OBJECTS: usize = 1000;
/// The bytes of payload after which a page ends.
pub const PAGE_BYTES: usize = 1 << 20;
/// The objects one batch may hold.
pub const BATCH_OBJECTS: u64 = 10_000;
/// The batches one user may have open at once.
pub const OPEN_BATCHES: u64 = 16;
/// How long a batch lives, in seconds.
pub const BATCH_SECONDS: i64 = 2 * 60 * 60;
/// How far behind a user's own times the clock may be, in seconds, and still be what lives are counted from.
const BEHIND_SECONDS: i64 = 24 * 60 * 60;

/// When a life begins that a write gives which happens at `next` while the clock shows `now`. A clock that is far behind is
/// wrong, as on a machine without a battery that has just started: counted from it, what is written then would have expired
/// once the clock is put right.
fn lives_from(now: SyncTime, next: SyncTime) -> SyncTime {
    if next > now.plus_seconds(BEHIND_SECONDS) {
        next
    } else {
        now
    }
}
