//! What readers and the writing thread of one file share: connections, caches and times.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foxden_model::SyncTime;
use rusqlite::Connection;

use super::environment::Environment;
use super::fault::Trouble;
use super::known::Known;
use super::open;
use crate::engine::EngineError;
use crate::engine::cache::{ObjectCache, UserCache};

/// One file with some of the users.
pub(super) struct DataFile {
    pub(super) number: usize,
    pub(super) path: PathBuf,
    pub(super) users: UserCache<Known>,
    /// Objects by the owner of their collection.
    pub(super) objects: ObjectCache<Known, i64>,
    pub(super) environment: Arc<Environment>,
    /// Reading connections that are idle, never more than threads that read; `None` once the file is closed.
    readers: Mutex<Option<Vec<Connection>>>,
    /// The earliest time of the writes that are being made; `i64::MAX`: there are none.
    oldest_pending: AtomicI64,
    /// Whether a checkpoint was asked for and has not begun.
    pub(super) awaits_checkpoint: AtomicBool,
    /// Held by whoever makes a checkpoint. SQLite refuses a second one at once instead of letting it wait.
    pub(super) checkpoint: Mutex<()>,
}

/// Marks writes as pending until it is dropped.
pub(super) struct PendingWrites<'a>(&'a AtomicI64);

impl Drop for PendingWrites<'_> {
    fn drop(&mut self) {
        self.0.store(i64::MAX, Ordering::SeqCst);
    }
}

impl DataFile {
    pub(super) fn new(
        number: usize,
        path: PathBuf,
        cached_users: usize,
        environment: Arc<Environment>,
    ) -> Self {
        Self {
            number,
            path,
            users: UserCache::new(cached_users),
            objects: ObjectCache::new(),
            environment,
            readers: Mutex::new(Some(Vec::new())),
            oldest_pending: AtomicI64::new(i64::MAX),
            awaits_checkpoint: AtomicBool::new(false),
            checkpoint: Mutex::default(),
        }
    }

    /// To be held by the writer thread from before it takes times for writes until readers see the writes.
    pub(super) fn begin_writes(&self) -> PendingWrites<'_> {
        self.oldest_pending
            .store(self.environment.now().hundredths(), Ordering::SeqCst);
        PendingWrites(&self.oldest_pending)
    }

    /// The earliest time that a pending write may take.
    pub(super) fn earliest(&self) -> SyncTime {
        let pending = SyncTime::from_hundredths(self.oldest_pending.load(Ordering::SeqCst));
        self.environment.announced.next().max(pending)
    }

    /// The *as of* of a read, which must begin after this call.
    pub(super) fn horizon(&self, now: SyncTime) -> SyncTime {
        let as_of = now.before();
        self.environment.announced.raise(as_of);
        // Read `oldest_pending` only after publishing `as_of`: a later write then starts above it, and an earlier write is visible
        // here.
        let pending = SyncTime::from_hundredths(self.oldest_pending.load(Ordering::SeqCst));
        as_of.min(pending.before())
    }

    /// Lends a reading connection to a look on this very thread: a hop to another costs more than most
    /// looks do.
    pub(super) fn with_reader<T>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let idle = self.readers().as_mut().ok_or(Trouble::Closed)?.pop();
        let reader = match idle {
            Some(reader) => reader,
            None => open::connect_reader(&self.path)?,
        };
        let result = look(&reader);
        // One that failed may have lost its hold on the file.
        let is_sound = !matches!(result, Err(EngineError::Unavailable(_)));
        if is_sound
            && reader.is_autocommit()
            && let Some(readers) = &mut *self.readers()
        {
            readers.push(reader);
        }
        result
    }

    /// Closes the reading connections and lets no further one be opened.
    pub(super) fn close_readers(&self) {
        *self.readers() = None;
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Option<Vec<Connection>>> {
        // A vector that is pushed to and popped from is whole at any time.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
