//! Objects in a few SQLite files of one folder: the default engine, for one machine and one process.
//!
//! A hash of the uid assigns each user to one of the files, the shards. Each file has one writer thread ([`writer`]) and a
//! read connection for each thread that reads ([`mod@file`]). Most requests are answered from the [caches](super::cache) of
//! users' collections and of objects ([`lookup`]).

mod batch;
mod checkpoint;
mod collection;
mod deletion;
mod environment;
mod errors;
mod expiry;
mod file;
mod inspect;
mod lookup;
pub(super) mod movable;
mod objects;
mod open;
mod purge;
mod queued_command;
mod read;
mod read_pool;
mod select;
mod user_state;
mod users;
mod write;
mod write_queue;
mod write_tx;
mod writer;
mod writer_connection;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use foxden_model::{Clock, Rng, UserId};
use foxden_sql::FolderLock;

use self::checkpoint::{Checkpointer, Checkpoints};
use self::deletion::Deletion;
use self::environment::Environment;
use self::errors::EngineFault;
use self::file::DataFile;
pub(super) use self::inspect::inspect;
use self::lookup::CacheLookup;
pub(super) use self::open::MAX_FILES;
pub use self::open::OpenError;
use self::open::Purpose;
use self::read::PageStart;
use self::read_pool::ReadPool;
use self::writer::Writer;
use self::writer_connection::WriterConnection;
use super::{Engine, EngineError, MAX_PAGE_OBJECTS, QueuedWrites};
use crate::command::{BatchPart, Change, Detail, Order, Query, Write};
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

/// Where the files are and how they are used.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The folder; the engine creates it if it is missing.
    pub folder: PathBuf,
    /// The number of files, 1 to 64. It is fixed when the folder is created. More files let more cores write.
    pub shards: u32,
    /// The number of users whose state is cached.
    pub cached_users: usize,
    /// How long a write may wait in the queue; after that it is given up. Half of this time is how long a lock of another
    /// process is waited for.
    pub timeout: Duration,
}

/// Users' objects in SQLite files. One engine at a time has a folder open, and locks it: the caches of a second one would not
/// see the writes of the first. Writes and purges must be awaited within a runtime that has a timer.
pub struct SqliteEngine {
    // Shared with the thread on which `close` waits.
    read_pool: Arc<ReadPool>,
    shards: Arc<[Shard]>,
    checkpointer: Arc<Checkpointer>,
    checkpoints: Checkpoints,
    next_to_purge: AtomicUsize,
    health: Health,
    /// `None` after `close`.
    lock: Arc<Mutex<Option<FolderLock>>>,
}

/// Shares health checks among their callers. A check needs no token and uses every writer thread, so only one runs at a time,
/// and all callers who wait meanwhile share the next one.
#[derive(Default)]
struct Health {
    begun: AtomicU64,
    last: tokio::sync::Mutex<CheckResult>,
}

/// The result of a check.
#[derive(Default)]
struct CheckResult {
    number: u64,
    is_sound: bool,
}

/// A file and its writer.
struct Shard {
    file: Arc<DataFile>,
    writer: Writer,
}

/// A read of more objects than this goes to the read pool.
const SMALL_READ: u64 = 256;
/// The largest collection, expired objects included, that a read may scan on its caller's thread.
const MAX_SCANNED: u64 = 5000;
/// The user on whose share of the read pool users are listed.
const LISTING: UserId = UserId(u64::MAX);
/// The most vacuum steps that one purge makes for each file.
const VACUUM_STEPS: usize = 64;

impl SqliteOptions {
    /// Options for four files in this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            shards: 4,
            cached_users: 4096,
            timeout: Duration::from_secs(10),
        }
    }
}

impl SqliteEngine {
    /// Opens the files of a folder, and creates them if the folder is new.
    pub fn open(options: SqliteOptions, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Result<Self, OpenError> {
        let SqliteOptions {
            folder,
            shards,
            cached_users,
            timeout,
        } = options;
        let environment = Arc::new(Environment::new(clock, rng));
        // If the opening fails, the lock is dropped after the threads, which are started below.
        let (lock, opened) = open::open_files(&folder, shards, Purpose::Serving)?;
        let cached_users = cached_users / opened.len();
        let in_folder = |source: std::io::Error| open::unavailable(&folder, source);
        let (checkpointer, checkpoints) = Checkpointer::start(opened.len()).map_err(in_folder)?;
        let mut shards = Vec::with_capacity(opened.len());
        for (number, (path, connection)) in opened.into_iter().enumerate() {
            let id = movable::id_of(&connection).map_err(|source| open::unavailable(&path, source))?;
            let file = Arc::new(DataFile::new(
                number,
                id,
                path,
                cached_users,
                Arc::clone(&environment),
            ));
            let writer =
                WriterConnection::new(Arc::clone(&file), connection, checkpoints.clone(), timeout / 2)
                    .map_err(|source| open::unavailable(&file.path, source))?;
            let writer = Writer::start(writer, timeout).map_err(in_folder)?;
            shards.push(Shard { file, writer });
        }
        Ok(Self {
            read_pool: Arc::new(ReadPool::start().map_err(in_folder)?),
            shards: shards.into(),
            checkpointer: Arc::new(checkpointer),
            checkpoints,
            next_to_purge: AtomicUsize::new(0),
            health: Health::default(),
            lock: Arc::new(Mutex::new(Some(lock))),
        })
    }

    fn shard(&self, user: UserId) -> &Shard {
        &self.shards[shard_of(user, self.shards.len())]
    }

    /// Deletes by a selection.
    async fn delete(&self, user: UserId, shard: &Shard, write: Arc<Write>) -> Result<Written, EngineError> {
        for _ in 0..deletion::MAX_SEARCHES {
            let scanned_objects = deletion::scanned_objects(&write, &*shard.file.state(user)?);
            let found = if scanned_objects > deletion::MAX_WRITER_SCAN {
                let (file, write) = (Arc::clone(&shard.file), Arc::clone(&write));
                let find = move || file.find(user, &write);
                Some(self.read_pool.run(user, find).await?)
            } else {
                None
            };
            let deletion = Deletion {
                write: Arc::clone(&write),
                scanned_objects: usize::try_from(scanned_objects).unwrap_or(usize::MAX),
                found,
            };
            if let Some(written) = shard.writer.submit(user, deletion).await? {
                return Ok(written);
            }
        }
        // The user keeps writing, so that the selection may match other objects each time.
        Err(EngineError::Busy)
    }

    async fn check_files(&self) -> Result<(), EngineError> {
        for shard in &*self.shards {
            shard.file.check()?;
            shard.writer.run(WriterConnection::check).await?;
        }
        Ok(())
    }

    /// Returns free pages of a file to the file system, up to a number of steps; returns whether more are left.
    async fn vacuum(&self, shard: &Shard) -> Result<bool, EngineError> {
        let mut freed = 0;
        let mut has_more = true;
        for _ in 0..VACUUM_STEPS {
            let step = shard.writer.run(|writer| writer.maintain(purge::vacuum)).await?;
            freed += step.pages;
            has_more = step.has_more;
            if !has_more {
                break;
            }
        }
        if freed > 0 {
            // The file itself is truncated by a checkpoint.
            self.checkpoints.make(&shard.file).await;
        }
        Ok(has_more)
    }
}

#[async_trait]
impl Engine for SqliteEngine {
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError> {
        let file = &self.shard(user).file;
        match detail {
            Detail::Times => file.times(user),
            // This scans all expired objects of the file that are not purged yet, which may be many.
            Detail::Full => {
                let file = Arc::clone(file);
                Box::pin(self.read_pool.run(user, move || file.full(user))).await
            }
        }
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        let file = &self.shard(user).file;
        let begin = PageStart::of(query, file.id)?;
        let state = match file.lookup(user, query)? {
            CacheLookup::Hit(page) => return Ok(page),
            CacheLookup::State(state) => state,
            CacheLookup::Miss => file.state(user)?,
        };
        let count = state.find(query.collection).map_or(0, |(_, listed)| listed.count);
        if is_small(query, &begin, count) {
            return file.page(user, query, &begin, &state);
        }
        let (file, query) = (Arc::clone(file), query.clone());
        // Boxed, so that the future of a read that is answered here is small.
        Box::pin(
            self.read_pool
                .run(user, move || file.page(user, &query, &begin, &state)),
        )
        .await
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        let shard = self.shard(user);
        if !matches!(write.change, Change::DeleteObjects { .. }) {
            return shard.writer.submit(user, write).await;
        }
        self.delete(user, shard, Arc::new(write)).await
    }

    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        self.shard(user).writer.submit(user, part).await
    }

    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError> {
        let mut purged = Purged::default();
        // Each purge begins with another file, so that small budgets reach all of them.
        let first = self.next_to_purge.fetch_add(1, Ordering::Relaxed);
        let count = self.shards.len();
        let mut waiting: VecDeque<&Shard> = (0..count).map(|at| &self.shards[(first + at) % count]).collect();
        while let Some(shard) = waiting.pop_front() {
            let left = budget.rows - purged.rows;
            if left == 0 {
                let nothing = Budget { rows: 0, ..budget };
                purged.has_more |= shard
                    .writer
                    .run(move |writer| writer.purge_chunk(nothing))
                    .await?
                    .has_more;
                continue;
            }
            let chunk = shard
                .writer
                .run(move |writer| writer.purge_chunk(Budget { rows: left, ..budget }))
                .await?;
            purged.rows += chunk.rows;
            if chunk.has_more {
                waiting.push_back(shard);
            } else {
                purged.has_more |= self.vacuum(shard).await?;
            }
        }
        Ok(purged)
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        let mut users = BTreeSet::new();
        for shard in &*self.shards {
            let file = Arc::clone(&shard.file);
            let list = move || users::list(&file, after, limit);
            users.extend(self.read_pool.run(LISTING, list).await?);
        }
        let users = users.into_iter().take(limit);
        Ok(users.map(|uid| UserId(uid.cast_unsigned())).collect())
    }

    async fn check(&self) -> Result<(), EngineError> {
        let asked = self.health.begun.load(Ordering::SeqCst);
        let mut last = self.health.last.lock().await;
        // That check began after this call, so its result holds for this call as well.
        if last.number > asked {
            return if last.is_sound {
                Ok(())
            } else {
                Err(EngineFault::FailedCheck.into())
            };
        }
        let number = self.health.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let result = self.check_files().await;
        *last = CheckResult {
            number,
            is_sound: result.is_ok(),
        };
        result
    }

    fn queued_writes(&self) -> QueuedWrites {
        let queued = self.shards.iter().map(|shard| shard.writer.queued_writes());
        queued.fold(QueuedWrites::default(), |sum, queued| QueuedWrites {
            count: sum.count + queued.count,
            bytes: sum.bytes + queued.bytes,
        })
    }

    async fn close(&self) {
        let read_pool = Arc::clone(&self.read_pool);
        let shards = Arc::clone(&self.shards);
        let checkpointer = Arc::clone(&self.checkpointer);
        let lock = Arc::clone(&self.lock);
        // The writer threads first finish their queues, which may take long on a slow disk.
        let stopping = tokio::task::spawn_blocking(move || {
            stop(&read_pool, &shards, &checkpointer);
            // Another engine may open the folder from here on.
            *lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
        });
        if let Err(error) = stopping.await {
            tracing::error!(%error, "the SQLite files were not closed");
        }
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        stop(&self.read_pool, &self.shards, &self.checkpointer);
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.file.close_readers();
    }
}

/// Stops the threads and closes the files; each thread finishes its queue first.
fn stop(read_pool: &ReadPool, shards: &[Shard], checkpointer: &Checkpointer) {
    read_pool.stop();
    for shard in shards {
        // The connection that is closed last checkpoints the WAL, which a read-only connection cannot do.
        shard.file.close_readers();
        shard.writer.stop();
    }
    checkpointer.stop();
}

/// Which of the files a user lives in. Never to change: it says where everything is.
fn shard_of(user: UserId, shards: usize) -> usize {
    // The multiplication spreads neighbouring uids over the files, whatever their number.
    let hash = user.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(hash % shards as u64).unwrap_or_default()
}

/// Returns whether a read is faster on the caller's thread than in the read pool.
fn is_small(query: &Query, begin: &PageStart, count: u64) -> bool {
    let selection = &query.selection;
    let filters = selection.index_above.is_some()
        || selection.index_below.is_some()
        || selection.parent_id.is_some()
        || selection.predecessor_id.is_some();
    let looked_at = match &selection.ids {
        Some(ids) => ids.len() as u64,
        // These conditions and this order have no index.
        None if filters || query.order == Order::Index => count,
        None => query
            .limit
            .unwrap_or(u64::MAX)
            .min(MAX_PAGE_OBJECTS as u64)
            .saturating_add(begin.skip),
    };
    // The scan also passes expired objects, and all objects may have expired.
    let may_scan_too_many = selection.ids.is_none() && count > MAX_SCANNED;
    looked_at.min(count) <= SMALL_READ && !may_scan_too_many
}
