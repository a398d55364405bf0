//! Objects in a few SQLite files of one folder: the default, for one machine and one process.
//!
//! A user lives in one of the files, by a hash of the uid. Each file has one thread that writes
//! ([`writer`]) and as many reading connections as threads read ([`mod@file`]). Most requests are answered from the
//! [caches](super::cache) of users' collections and of objects ([`lookup`]).

mod batch;
mod checkpoint;
mod codec;
mod collection;
mod debt;
mod deletion;
mod environment;
mod expiry;
mod fault;
mod file;
mod hand;
mod known;
mod lookup;
mod objects;
mod open;
mod patch;
mod purge;
mod read;
mod scan;
mod select;
mod step;
mod turns;
mod users;
mod work;
mod write;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use foxden_model::{Clock, Rng, UserId};

use self::checkpoint::{Checkpointer, Checkpoints};
use self::deletion::Deletion;
use self::environment::Environment;
use self::fault::Trouble;
use self::file::DataFile;
use self::hand::Hand;
use self::lookup::Recalled;
pub(super) use self::open::MAX_FILES;
pub use self::open::OpenError;
use self::read::Begin;
use self::scan::Scanners;
use self::writer::Writer;
use super::{Engine, EngineError, PAGE_OBJECTS};
use crate::command::{BatchPart, Change, Detail, Order, Query, Write};
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

/// Where the files are and how they are used.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The folder, made if missing.
    pub folder: PathBuf,
    /// How many files, 1 to 64; fixed when the folder is made. More of them let more cores write.
    pub files: u32,
    /// How many users' collection times are kept in memory.
    pub cached_users: usize,
    /// How long a write may wait for its turn before it is given up; half of it, for another process
    /// that has locked a file.
    pub patience: Duration,
}

/// Users' objects in SQLite files. One process at a time may serve a folder: a second one would answer from its own memory
/// what the first has changed since. Writes and purges are to be
/// waited for within a runtime that has a timer.
pub struct SqliteEngine {
    // Shared with the thread that waits for their end.
    scanners: Arc<Scanners>,
    files: Arc<[Served]>,
    checkpointer: Arc<Checkpointer>,
    checkpoints: Checkpoints,
    next_to_purge: AtomicUsize,
    health: Health,
}

/// The checks that were made. Anybody may ask for one without a token, and each asks every writing thread:
/// so there is one at a time, and who waited for it shares the next.
#[derive(Default)]
struct Health {
    begun: AtomicU64,
    last: tokio::sync::Mutex<Checked>,
}

/// How a check ended.
#[derive(Default)]
struct Checked {
    number: u64,
    is_sound: bool,
}

/// A file and its writer.
struct Served {
    file: Arc<DataFile>,
    writer: Writer,
}

/// A read of more objects than this goes to the reading threads.
const SMALL_READ: u64 = 256;
/// Objects of a collection, expired or not, that a read may pass over on the thread that it came by.
const PASSED_OVER: u64 = 5000;
/// The user whose share of the reading threads a list of users takes.
const LISTING: UserId = UserId(u64::MAX);
/// The steps of vacuuming that one purge makes for each file at most.
const VACUUM_STEPS: usize = 64;

impl SqliteOptions {
    /// Four files in that folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            files: 4,
            cached_users: 4096,
            patience: Duration::from_secs(10),
        }
    }
}

impl SqliteEngine {
    /// Opens the files of a folder, and makes them if the folder is new.
    pub fn open(options: SqliteOptions, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Result<Self, OpenError> {
        let SqliteOptions {
            folder,
            files,
            cached_users,
            patience,
        } = options;
        let environment = Arc::new(Environment::new(clock, rng));
        let opened = open::open_files(&folder, files)?;
        let cached_users = cached_users / opened.len();
        let in_folder = |source: std::io::Error| open::unavailable(&folder, source);
        let (checkpointer, checkpoints) = Checkpointer::start(opened.len()).map_err(in_folder)?;
        let mut files = Vec::with_capacity(opened.len());
        for (number, (path, connection)) in opened.into_iter().enumerate() {
            let file = Arc::new(DataFile::new(
                number,
                path,
                cached_users,
                Arc::clone(&environment),
            ));
            let hand = Hand::new(Arc::clone(&file), connection, checkpoints.clone(), patience / 2)
                .map_err(|source| open::unavailable(&file.path, source))?;
            let writer = Writer::start(hand, patience).map_err(in_folder)?;
            files.push(Served { file, writer });
        }
        Ok(Self {
            scanners: Arc::new(Scanners::start().map_err(in_folder)?),
            files: files.into(),
            checkpointer: Arc::new(checkpointer),
            checkpoints,
            next_to_purge: AtomicUsize::new(0),
            health: Health::default(),
        })
    }

    fn served(&self, user: UserId) -> &Served {
        &self.files[place_of(user, self.files.len())]
    }

    /// Deletes by a selection.
    async fn delete(&self, user: UserId, served: &Served, write: Arc<Write>) -> Result<Written, EngineError> {
        for _ in 0..deletion::LOOKS {
            let looks_at = deletion::looks_at(&write, &*served.file.known(user)?);
            let found = if looks_at > deletion::FEW {
                let (file, write) = (Arc::clone(&served.file), Arc::clone(&write));
                let find = move || file.find(user, &write);
                Some(self.scanners.run(user, find).await?)
            } else {
                None
            };
            let deletion = Deletion {
                write: Arc::clone(&write),
                looks_at: usize::try_from(looks_at).unwrap_or(usize::MAX),
                found,
            };
            if let Some(written) = served.writer.ask(user, deletion).await? {
                return Ok(written);
            }
        }
        // The user writes on and on, and each time something else may be meant.
        Err(EngineError::Busy)
    }

    async fn check_files(&self) -> Result<(), EngineError> {
        for served in &*self.files {
            served.file.check()?;
            served.writer.run(Hand::check).await?;
        }
        Ok(())
    }

    /// Gives free pages of a file back, some steps' worth; says whether more should be.
    async fn vacuum(&self, served: &Served) -> Result<bool, EngineError> {
        let mut freed = 0;
        let mut has_more = true;
        for _ in 0..VACUUM_STEPS {
            let step = served.writer.run(|hand| hand.upkeep(purge::vacuum)).await?;
            freed += step.pages;
            has_more = step.has_more;
            if !has_more {
                break;
            }
        }
        if freed > 0 {
            // The file itself becomes shorter when the log is moved into it.
            self.checkpoints.make(&served.file).await;
        }
        Ok(has_more)
    }
}

#[async_trait]
impl Engine for SqliteEngine {
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError> {
        let file = &self.served(user).file;
        match detail {
            Detail::Times => file.times(user),
            // Looks at whatever has expired in this file and is not purged yet, which may be much.
            Detail::Full => {
                let file = Arc::clone(file);
                Box::pin(self.scanners.run(user, move || file.full(user))).await
            }
        }
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        let begin = Begin::of(query)?;
        let file = &self.served(user).file;
        let known = match file.recall(user, query)? {
            Recalled::Page(page) => return Ok(page),
            Recalled::User(known) => known,
            Recalled::Nothing => file.known(user)?,
        };
        let count = known.find(query.collection).map_or(0, |(_, listed)| listed.count);
        if is_small(query, &begin, count) {
            return file.page(user, query, &begin, &known);
        }
        let (file, query) = (Arc::clone(file), query.clone());
        // In a box, so that a read which is answered here is small.
        Box::pin(
            self.scanners
                .run(user, move || file.page(user, &query, &begin, &known)),
        )
        .await
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        let served = self.served(user);
        if !matches!(write.change, Change::DeleteObjects { .. }) {
            return served.writer.ask(user, write).await;
        }
        self.delete(user, served, Arc::new(write)).await
    }

    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        self.served(user).writer.ask(user, part).await
    }

    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError> {
        let mut purged = Purged::default();
        // Each time another file comes first, so that a small budget reaches all of them.
        let first = self.next_to_purge.fetch_add(1, Ordering::Relaxed);
        let count = self.files.len();
        let mut waiting: VecDeque<&Served> = (0..count).map(|at| &self.files[(first + at) % count]).collect();
        while let Some(served) = waiting.pop_front() {
            let left = budget.rows - purged.rows;
            if left == 0 {
                let nothing = Budget { rows: 0, ..budget };
                purged.has_more |= served.writer.run(move |hand| hand.bite(nothing)).await?.has_more;
                continue;
            }
            let bite = served
                .writer
                .run(move |hand| hand.bite(Budget { rows: left, ..budget }))
                .await?;
            purged.rows += bite.rows;
            if bite.has_more {
                waiting.push_back(served);
            } else {
                purged.has_more |= self.vacuum(served).await?;
            }
        }
        Ok(purged)
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        let mut users = BTreeSet::new();
        for served in &*self.files {
            let file = Arc::clone(&served.file);
            let list = move || users::list(&file, after, limit);
            users.extend(self.scanners.run(LISTING, list).await?);
        }
        let users = users.into_iter().take(limit);
        Ok(users.map(|uid| UserId(uid.cast_unsigned())).collect())
    }

    async fn check(&self) -> Result<(), EngineError> {
        let asked = self.health.begun.load(Ordering::SeqCst);
        let mut last = self.health.last.lock().await;
        // It began after this was asked, so it answers this as well.
        if last.number > asked {
            return if last.is_sound {
                Ok(())
            } else {
                Err(Trouble::Unsound.into())
            };
        }
        let number = self.health.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let result = self.check_files().await;
        *last = Checked {
            number,
            is_sound: result.is_ok(),
        };
        result
    }

    async fn close(&self) {
        let scanners = Arc::clone(&self.scanners);
        let files = Arc::clone(&self.files);
        let checkpointer = Arc::clone(&self.checkpointer);
        // The threads write what waits, for which the disk may take its time.
        let stopping = tokio::task::spawn_blocking(move || stop(&scanners, &files, &checkpointer));
        if let Err(error) = stopping.await {
            tracing::error!(%error, "the SQLite files were not closed");
        }
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        stop(&self.scanners, &self.files, &self.checkpointer);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.file.close_readers();
    }
}

/// Ends the threads and closes the files; each thread finishes its queue first.
fn stop(scanners: &Scanners, files: &[Served], checkpointer: &Checkpointer) {
    scanners.stop();
    for served in files {
        // The last connection to close empties the log, which one that only reads cannot do.
        served.file.close_readers();
        served.writer.stop();
    }
    checkpointer.stop();
}

/// Which of the files a user lives in. Never to change: it says where everything is.
fn place_of(user: UserId, files: usize) -> usize {
    // Neighbouring uids are spread, whatever the number of files.
    let hash = user.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(hash % files as u64).unwrap_or_default()
}

/// Whether a read is done sooner here than handed to another thread.
fn is_small(query: &Query, begin: &Begin, count: u64) -> bool {
    let selection = &query.selection;
    let filters = selection.index_above.is_some()
        || selection.index_below.is_some()
        || selection.parent_id.is_some()
        || selection.predecessor_id.is_some();
    let looked_at = match &selection.ids {
        Some(ids) => ids.len() as u64,
        // Those conditions and that order have no index.
        None if filters || query.order == Order::Index => count,
        None => query
            .limit
            .unwrap_or(u64::MAX)
            .min(PAGE_OBJECTS as u64)
            .saturating_add(begin.skip),
    };
    // Objects that have expired are passed over on the way, and they may be all there are.
    let has_passed_over = selection.ids.is_none() && count > PASSED_OVER;
    looked_at.min(count) <= SMALL_READ && !has_passed_over
}
