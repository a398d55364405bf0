//! The state that readers and the writer thread of one file share: read connections, caches and times.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foxden_model::SyncTime;
use rusqlite::Connection;

use super::environment::Environment;
use super::errors::EngineFault;
use super::open;
use super::select::FileId;
use super::user_state::UserState;
use crate::engine::EngineError;
use crate::engine::cache::{ObjectCache, UserCache};

/// One database file with some of the users.
pub(super) struct DataFile {
    pub(super) number: usize,
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    pub(super) users: UserCache<UserState>,
    /// Cached objects, by the owner of their collection.
    pub(super) objects: ObjectCache<UserState, i64>,
    pub(super) environment: Arc<Environment>,
    /// Idle read connections, at most one for each thread that reads; `None` after the file is closed.
    readers: Mutex<Option<Vec<Connection>>>,
    /// The earliest time that a pending write may have taken; `i64::MAX` if no write is pending.
    oldest_pending: AtomicI64,
    /// Whether a checkpoint was requested and has not begun.
    pub(super) awaits_checkpoint: AtomicBool,
    /// Held during a checkpoint. SQLite refuses a second one at once instead of letting it wait.
    pub(super) checkpoint: Mutex<()>,
}

/// Marks writes as pending until it is dropped.
pub(super) struct WriteWindow<'a>(&'a AtomicI64);

impl Drop for WriteWindow<'_> {
    fn drop(&mut self) {
        self.0.store(i64::MAX, Ordering::SeqCst);
    }
}

impl DataFile {
    pub(super) fn new(
        number: usize,
        id: FileId,
        path: PathBuf,
        cached_users: usize,
        environment: Arc<Environment>,
    ) -> Self {
        Self {
            number,
            id,
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

    /// The writer thread holds the result from before it takes times for writes until readers see these writes.
    pub(super) fn begin_writes(&self) -> WriteWindow<'_> {
        self.oldest_pending
            .store(self.environment.now().hundredths(), Ordering::SeqCst);
        WriteWindow(&self.oldest_pending)
    }

    /// The earliest time that a pending write may take.
    pub(super) fn earliest(&self) -> SyncTime {
        let pending = SyncTime::from_hundredths(self.oldest_pending.load(Ordering::SeqCst));
        self.environment.announced.next().max(pending)
    }

    /// Returns the *as of* of a read, which must begin after this call.
    pub(super) fn horizon(&self, now: SyncTime) -> SyncTime {
        let as_of = now.before();
        self.environment.announced.raise(as_of);
        // Read `oldest_pending` only after publishing `as_of`: a later write then starts above it, and an earlier write is visible
        // here.
        let pending = SyncTime::from_hundredths(self.oldest_pending.load(Ordering::SeqCst));
        as_of.min(pending.before())
    }

    /// Runs `read` with a read connection on the caller's thread: a switch to another thread costs more than most reads.
    pub(super) fn with_reader<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let idle = self.readers().as_mut().ok_or(EngineFault::Closed)?.pop();
        let reader = match idle {
            Some(reader) => reader,
            None => open::connect_reader(&self.path)?,
        };
        let result = read(&reader);
        // After a failure the connection may no longer work, so it is closed.
        let is_sound = !matches!(result, Err(EngineError::Unavailable(_)));
        if is_sound
            && reader.is_autocommit()
            && let Some(readers) = &mut *self.readers()
        {
            readers.push(reader);
        }
        result
    }

    /// Closes the read connections and prevents new ones.
    pub(super) fn close_readers(&self) {
        *self.readers() = None;
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Option<Vec<Connection>>> {
        // A panic cannot leave a vector that is only pushed to and popped from half changed.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
