//! Objects in PostgreSQL, MySQL or MariaDB: for several processes, on one machine or on several.
//!
//! A write begins with the lock of the user's row ([`transaction`]), so that writers of one user queue, in whatever process they
//! are; writers of different users never meet. All that the user's other rows say is read by statements that begin after that. A
//! read is one statement, and so shows one state ([`read`]). The dialects differ in how objects are stored ([`postgres`],
//! [`mysql`]) and in few words besides.

mod batch;
mod cache_row;
mod commands;
mod connection;
mod fault;
mod guard;
#[cfg(feature = "mysql")]
mod id_list;
mod known_upsert;
mod landing;
pub(super) mod movable;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "mysql")]
mod mysql_known;
mod object_change;
mod objects;
#[cfg(feature = "postgres")]
mod postgres;
mod purge;
mod read;
mod select;
mod server;
mod settle;
mod state;
mod statement;
mod transaction;
mod user_queue;
mod write;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use foxden_model::{Clock, Rng, SyncTime, UserId};
use foxden_sql::SqlError;
use foxden_sql::server::{ServerLook, ServerUrl};

use self::commands::{ATTEMPTS, Answer, Command};
use self::connection::Arg;
use self::fault::Fault;
use self::server::Server;
use self::state::UserState;
use self::user_queue::UserQueues;
use super::agreement::CacheControl;
use super::announced::Announced;
use super::cache::UserCache;
use super::purge_debt::{CHUNK_ROWS, PurgeChunk, PurgeDebt, ROW_BYTES};
use super::{Engine, EngineError, QueuedWrites};
use crate::command::{BatchPart, Detail, Patch, Query, Write};
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

/// How far, in seconds, *as of* stays behind the clock: a write under way may have an earlier time and not be visible yet.
/// Transactions and the server's limits on each connection end sooner.
const AS_OF_SECONDS: i64 = 10;
/// How often the outcome of a command is looked for, with growing pauses between: about five seconds in all.
const LOOKS: u32 = 6;
/// Of how many users the state is known: 3 MB with some twenty collections each, and 18 MB at most.
const KNOWN_USERS: usize = 2048;
/// How many reads of one user run at once.
const READS_AT_ONCE: usize = 4;

/// Users' objects on a database server. Any number of processes may have the same database open.
pub struct SqlEngine {
    server: Arc<Server>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    announced: Announced,
    /// A user's writes queue in this process, so that they take one connection.
    writers: UserQueues,
    readers: UserQueues,
    /// The states that users had after their last write by this process. A write that begins with one proves it by its mark.
    known: UserCache<UserState>,
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    debt: Mutex<PurgeDebt>,
    /// One purge runs at a time in this process.
    purge: tokio::sync::Mutex<()>,
}

impl SqlEngine {
    /// Connects to a server, checks whether it is fit, and creates or migrates the tables.
    pub async fn open(url: &ServerUrl, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Result<Self, SqlError> {
        Ok(Self {
            server: Arc::new(Server::open(url).await?),
            clock,
            rng,
            announced: Announced::nothing(),
            writers: UserQueues::new(1),
            readers: UserQueues::new(READS_AT_ONCE),
            known: UserCache::new(KNOWN_USERS),
            waiting: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            debt: Mutex::new(PurgeDebt::none()),
            purge: tokio::sync::Mutex::default(),
        })
    }

    /// The row by which processes agree on a cache.
    pub fn cache_control(&self) -> Arc<dyn CacheControl> {
        Arc::new(cache_row::SqlCacheRow(Arc::clone(&self.server)))
    }

    /// Looks at a database as [`Self::open`] would, and changes nothing.
    pub async fn inspect(url: &ServerUrl) -> Result<ServerLook, SqlError> {
        ServerLook::at(url, server::MIGRATIONS).await
    }

    /// The time until which all writes are visible, by the clock alone. To be called before the reader looks.
    fn horizon(&self) -> SyncTime {
        let horizon = self.clock.now().plus_seconds(-AS_OF_SECONDS);
        self.announced.raise(horizon);
        horizon
    }

    /// Notes what a command adds, and removes deleted data for it.
    async fn pay(&self, patches: &[Patch]) {
        let bytes = patches.iter().map(Patch::bytes).sum();
        self.debt().grow(patches.len() as u64, bytes);
        if !self.debt().is_payable() {
            return;
        }
        let Ok(_alone) = self.purge.try_lock() else { return };
        let budget = self.debt().budget();
        let chunk = self.purge_chunk(budget.rows, budget.until).await;
        if let Err(error) = &chunk {
            let error: &dyn std::error::Error = error;
            tracing::warn!(error, "cannot purge deleted data");
        }
        self.debt().pay(chunk.ok());
    }

    fn debt(&self) -> MutexGuard<'_, PurgeDebt> {
        // No code panics under this lock.
        self.debt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes up to this many rows.
    async fn purge_chunk(&self, most: u64, until: SyncTime) -> Result<PurgeChunk, EngineError> {
        let now = self.clock.now();
        let until = until.min(now);
        let dialect = self.server.dialect();
        let mut connection = self.server.acquire_alone().await?;
        let left = purge::is_left(&mut connection, dialect, until, now).await;
        if !self.after_read(connection, left).await? {
            return Ok(PurgeChunk {
                rows: 0,
                bytes: 0,
                has_more: false,
            });
        }
        let mut connection = self.server.acquire_alone().await?;
        let expired = purge::find_expired(&mut connection, until, most).await;
        let expired = self.after_read(connection, expired).await?;
        let mut rows = 0;
        for (user, expired) in expired {
            let command = Command::PurgeExpired(&expired, until);
            match self.run(user, command).await {
                Ok(Answer::Rows(removed)) => rows += removed,
                // The next purge finds the same.
                Ok(_) | Err(EngineError::Busy) => {}
                Err(error) => return Err(error),
            }
        }
        while rows < most
            && let Some((user, batch)) = self.expired_batch(now).await?
        {
            self.run(user, Command::EndBatch(batch)).await?;
            rows += 1;
        }
        let mut connection = self.server.acquire_alone().await?;
        let removed = purge::purge_deleted(&mut connection, dialect, most - rows.min(most)).await;
        let removed = removed.map_err(|fault| self.server.error(fault))?;
        let left = purge::is_left(&mut connection, dialect, until, now).await;
        let has_more = self.after_read(connection, left).await?;
        rows += removed;
        Ok(PurgeChunk {
            rows,
            bytes: rows * ROW_BYTES,
            has_more,
        })
    }

    async fn expired_batch(&self, now: SyncTime) -> Result<Option<(UserId, i64)>, EngineError> {
        let mut connection = self.server.acquire_alone().await?;
        let found = purge::find_expired_batch(&mut connection, now).await;
        self.after_read(connection, found).await
    }
}

/// A write that waits for its turn or for a connection.
struct Waiting<'a> {
    engine: &'a SqlEngine,
    bytes: usize,
}

impl<'a> Waiting<'a> {
    fn begin(engine: &'a SqlEngine, command: &Command<'_>) -> Self {
        let patches = match command {
            Command::Write(write) => write.change.patches(),
            Command::Stage(part) => &part.patches[..],
            Command::PurgeExpired(..) | Command::EndBatch(_) => &[],
        };
        let bytes: u64 = patches.iter().map(Patch::bytes).sum();
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        engine.waiting.fetch_add(1, Ordering::Relaxed);
        engine.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { engine, bytes }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.engine.waiting.fetch_sub(1, Ordering::Relaxed);
        self.engine.waiting_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[async_trait]
impl Engine for SqlEngine {
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError> {
        let _turn = self.readers.enter(user).await?;
        let horizon = self.horizon();
        let dialect = self.server.dialect();
        let now = self.clock.now();
        // Once more if the connection was of no use.
        let mut attempt = 1;
        let summary = loop {
            let mut connection = self.server.acquire_alone().await?;
            match read::summary(&mut connection, dialect, user, detail, now).await {
                Err(fault) if attempt < ATTEMPTS && fault.is_of_the_connection() => {
                    drop(self.server.error(fault));
                    attempt += 1;
                }
                summary => break self.after_read(connection, summary).await?,
            }
        };
        Ok(Summary {
            as_of: summary.modified.max(horizon),
            ..summary
        })
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        let _turn = self.readers.enter(user).await?;
        let horizon = self.horizon();
        let dialect = self.server.dialect();
        let now = self.clock.now();
        let mut attempt = 1;
        let page = loop {
            let mut connection = self.server.acquire_alone().await?;
            match read::page(&mut connection, dialect, user, query, now).await {
                Err(fault) if attempt < ATTEMPTS && fault.is_of_the_connection() => {
                    drop(self.server.error(fault));
                    attempt += 1;
                }
                page => break self.after_read(connection, page).await?,
            }
        };
        Ok(Page {
            as_of: page.as_of.max(horizon),
            ..page
        })
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        let answer = self.run(user, Command::Write(&write)).await?;
        if !matches!(answer, Answer::PassEnded) {
            self.pay(write.change.patches()).await;
        }
        match answer {
            Answer::Written(written) => Ok(written),
            Answer::PassEnded => Err(EngineError::PassEnded(Box::new(write))),
            Answer::Staged(_) | Answer::Rows(_) => Err(super::Corrupt("the answer of a write").into()),
        }
    }

    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        let answer = self.run(user, Command::Stage(&part)).await?;
        self.pay(&part.patches).await;
        match answer {
            Answer::Staged(staged) => Ok(staged),
            Answer::Written(_) | Answer::Rows(_) | Answer::PassEnded => {
                Err(super::Corrupt("the answer of a part").into())
            }
        }
    }

    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError> {
        let _alone = self.purge.lock().await;
        self.debt().note(budget.until, self.clock.now());
        let mut purged = Purged::default();
        loop {
            let most = (budget.rows - purged.rows).min(CHUNK_ROWS);
            let chunk = self.purge_chunk(most, budget.until).await?;
            purged.rows += chunk.rows;
            purged.has_more = chunk.has_more;
            if !chunk.has_more || chunk.rows == 0 || purged.rows >= budget.rows {
                return Ok(purged);
            }
        }
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        let Some(first) = after.map_or(Some(i64::MIN), |after| after.0.cast_signed().checked_add(1)) else {
            return Ok(Vec::new());
        };
        let mut connection = self.server.acquire_alone().await?;
        let sql = "SELECT uid FROM sync_user WHERE uid >= ? AND modified > 0 ORDER BY uid LIMIT ?";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let args = [Arg::Int(Some(first)), Arg::Int(Some(limit))];
        let rows = connection.fetch(sql, &args).await;
        let rows = self.after_read(connection, rows).await?;
        let users = rows
            .iter()
            .map(|row| row.int(0).map(|uid| UserId(uid.cast_unsigned())));
        let users: Result<_, Fault> = users.collect();
        users.map_err(|fault| self.server.error(fault))
    }

    async fn check(&self) -> Result<(), EngineError> {
        self.server.check().await
    }

    fn queued_writes(&self) -> QueuedWrites {
        QueuedWrites {
            count: self.waiting.load(Ordering::Relaxed),
            bytes: self.waiting_bytes.load(Ordering::Relaxed),
        }
    }

    async fn close(&self) {
        self.server.close().await;
    }
}

impl SqlEngine {
    /// Gives the connection of a read back, unless the read failed.
    async fn after_read<T>(
        &self,
        connection: connection::Connection,
        answer: Result<T, Fault>,
    ) -> Result<T, EngineError> {
        if matches!(answer, Ok(_) | Err(Fault::Refused(_))) {
            let ended = connection.end_alone().await;
            ended.map_err(|fault| self.server.error(fault))?;
        }
        answer.map_err(|fault| self.server.error(fault))
    }
}
