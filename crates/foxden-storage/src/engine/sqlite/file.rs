//! What readers and the writing thread of one file share: connections, caches and times.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foxden_model::SyncTime;
use rusqlite::Connection;

use super::cache::Cache;
use super::environment::Outside;
use super::fault::Trouble;
use super::lately::Lately;
use super::open;
use crate::engine::EngineError;

/// One file with some of the users.
pub(super) struct DataFile {
    pub(super) number: usize,
    pub(super) path: PathBuf,
    pub(super) cache: Cache,
    pub(super) lately: Lately,
    pub(super) outside: Arc<Outside>,
    /// Reading connections that are idle, never more than threads that read; `None` once the file is closed.
    readers: Mutex<Option<Vec<Connection>>>,
    /// No write under way will have an earlier time; `i64::MAX`: none is under way.
    under_way: AtomicI64,
    /// Whether a checkpoint was asked for and has not begun.
    pub(super) awaits_checkpoint: AtomicBool,
    /// Held by whoever makes a checkpoint. SQLite refuses a second one at once instead of letting it wait.
    pub(super) checkpoint: Mutex<()>,
}

/// Marks writes as under way, until dropped.
pub(super) struct UnderWay<'a>(&'a AtomicI64);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.store(i64::MAX, Ordering::SeqCst);
    }
}

impl DataFile {
    pub(super) fn new(number: usize, path: PathBuf, cached_users: usize, outside: Arc<Outside>) -> Self {
        Self {
            number,
            path,
            cache: Cache::new(cached_users),
            lately: Lately::new(),
            outside,
            readers: Mutex::new(Some(Vec::new())),
            under_way: AtomicI64::new(i64::MAX),
            awaits_checkpoint: AtomicBool::new(false),
            checkpoint: Mutex::default(),
        }
    }

    /// To be held by the writing thread while it gives out times and until they are known.
    pub(super) fn begin_writes(&self) -> UnderWay<'_> {
        self.under_way
            .store(self.outside.now().hundredths(), Ordering::SeqCst);
        UnderWay(&self.under_way)
    }

    /// The earliest time a write under way may be given.
    pub(super) fn earliest(&self) -> SyncTime {
        let told = self.outside.told();
        told.next()
            .max(SyncTime::from_hundredths(self.under_way.load(Ordering::SeqCst)))
    }

    /// As of when a read speaks that looks only after asking this.
    pub(super) fn horizon(&self, now: SyncTime) -> SyncTime {
        let told = now.before();
        self.outside.tell(told);
        // Read `under_way` only after publishing `told`: a later write then starts above it, and an earlier write is visible
        // here.
        let under_way = SyncTime::from_hundredths(self.under_way.load(Ordering::SeqCst));
        told.min(under_way.before())
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
