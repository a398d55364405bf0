//! What readers and the writing thread of one file share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foxden_model::{Chance, Clock, SyncTime, UserId};
use rusqlite::Connection;

use super::cache::{Cache, Ticket};
use super::deletion;
use super::fault::Trouble;
use super::known::{Draft, Known};
use super::lately::{self, Lately};
use super::open;
use super::purge;
use super::read::{self, Begin, Found};
use crate::command::{Query, Write};
use crate::engine::EngineError;
use crate::page::{Page, Rows, Summary};

/// One file with some of the users.
pub(super) struct DataFile {
    pub(super) number: usize,
    pub(super) path: PathBuf,
    pub(super) cache: Cache,
    lately: Lately,
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

/// Where time and chance come from, and what was told of the time; the same for all files.
pub(super) struct Outside {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: Arc<dyn Chance>,
    /// The highest hundredth told as *as of* by the clock alone. Writes stay above it, so that a clock
    /// that slips back cannot put a write where a reader has already looked.
    told: AtomicI64,
}

/// Marks writes as under way, until dropped.
pub(super) struct UnderWay<'a>(&'a AtomicI64);

impl Outside {
    pub(super) fn new(clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        Self {
            clock,
            chance,
            told: AtomicI64::new(i64::MIN),
        }
    }

    pub(super) fn now(&self) -> SyncTime {
        self.clock.now()
    }
}

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
        let told = SyncTime::from_hundredths(self.outside.told.load(Ordering::SeqCst));
        told.next()
            .max(SyncTime::from_hundredths(self.under_way.load(Ordering::SeqCst)))
    }

    /// As of when a read speaks that looks only after asking this.
    fn horizon(&self, now: SyncTime) -> SyncTime {
        let told = now.before();
        // A hundredth is long: nearly always another reader has told it already.
        if self.outside.told.load(Ordering::SeqCst) < told.hundredths() {
            self.outside.told.fetch_max(told.hundredths(), Ordering::SeqCst);
        }
        // Only now: a write that begins after this look learns what was told, and one that began before
        // it is seen here.
        let under_way = SyncTime::from_hundredths(self.under_way.load(Ordering::SeqCst));
        told.min(under_way.before())
    }

    /// The times of the user's collections; their counts may still hold what has expired.
    pub(super) fn times(&self, user: UserId) -> Result<Summary, EngineError> {
        let horizon = self.horizon(self.outside.now());
        let known = self.known(user)?;
        Ok(known.summary(horizon.max(known.modified)))
    }

    /// The user's collections, from memory if they are there; a closed user is refused.
    pub(super) fn known(&self, user: UserId) -> Result<Arc<Known>, EngineError> {
        let known = if let Some(known) = self.cache.get(user) {
            known
        } else {
            let ticket = self.cache.ticket(user);
            self.with_reader(|reader| self.load(reader, user, ticket))?
        };
        known.admit()?;
        Ok(known)
    }

    /// The same with what is live and nothing else.
    pub(super) fn full(&self, user: UserId) -> Result<Summary, EngineError> {
        let now = self.outside.now();
        let horizon = self.horizon(now);
        self.with_reader(|reader| {
            let _snapshot = Snapshot::take(reader)?;
            let mut draft = Draft::load(reader, user)?;
            purge::discount(reader, user, &mut draft, now)?;
            let known = draft.freeze();
            known.admit()?;
            Ok(known.summary(horizon.max(known.modified)))
        })
    }

    /// What memory knows about a page: the page itself, if nothing of the file is needed.
    pub(super) fn recall(&self, user: UserId, query: &Query) -> Result<Recalled, EngineError> {
        let now = self.outside.now();
        let horizon = self.horizon(now);
        let Some(known) = self.cache.get(user) else {
            return Ok(Recalled::Nothing);
        };
        known.admit()?;
        let page = |rows, modified| {
            Ok(Recalled::Page(Page {
                rows,
                modified,
                as_of: horizon.max(known.modified),
                next: None,
            }))
        };
        let Some((owner, listed)) = known.find(query.collection) else {
            return page(Rows::default(), None);
        };
        let newer = query.selection.newer;
        if listed.count == 0 || newer.is_some_and(|newer| listed.modified <= newer) {
            return page(Rows::default(), Some(listed.modified));
        }
        let single = lately::single(query);
        match single.and_then(|id| self.lately.get(&known, owner, id, now)) {
            Some(rows) => page(rows, Some(listed.modified)),
            None => Ok(Recalled::User(known)),
        }
    }

    /// A page from the file. What memory knows of the user saves looking up the collection; it holds if
    /// memory still says the same afterwards, because then nothing of this user was committed meanwhile.
    pub(super) fn page(
        &self,
        user: UserId,
        query: &Query,
        begin: &Begin,
        known: &Arc<Known>,
    ) -> Result<Page, EngineError> {
        let now = self.outside.now();
        let horizon = self.horizon(now);
        if let Some((owner, listed)) = known.find(query.collection) {
            let read = self.with_reader(|reader| read::page(reader, owner, query, begin, now));
            if self
                .cache
                .get(user)
                .is_some_and(|current| Arc::ptr_eq(&current, known))
            {
                let found = read?;
                if lately::single(query).is_some() {
                    self.lately.keep(known, owner, &found.rows, found.expiry);
                }
                return Ok(Page {
                    rows: found.rows,
                    modified: Some(listed.modified),
                    as_of: horizon.max(known.modified),
                    next: found.next,
                });
            }
        }
        self.page_of_snapshot(user, query, begin)
    }

    /// The same, with everything read from one snapshot.
    pub(super) fn page_of_snapshot(
        &self,
        user: UserId,
        query: &Query,
        begin: &Begin,
    ) -> Result<Page, EngineError> {
        let now = self.outside.now();
        let horizon = self.horizon(now);
        self.with_reader(|reader| {
            // Before the snapshot: what is written after it must not be taken for what it shows.
            let ticket = self.cache.ticket(user);
            let _snapshot = Snapshot::take(reader)?;
            let known = self.load(reader, user, ticket)?;
            known.admit()?;
            let collection = known.find(query.collection);
            let found = match collection {
                Some((owner, _)) => read::page(reader, owner, query, begin, now)?,
                None => Found::default(),
            };
            Ok(Page {
                rows: found.rows,
                modified: collection.map(|(_, listed)| listed.modified),
                as_of: horizon.max(known.modified),
                next: found.next,
            })
        })
    }

    /// What a deletion means, from one snapshot.
    pub(super) fn find(&self, user: UserId, write: &Write) -> Result<deletion::Found, EngineError> {
        let now = self.outside.now();
        self.with_reader(|reader| {
            let _snapshot = Snapshot::take(reader)?;
            let known = Draft::load(reader, user)?.freeze();
            deletion::find(reader, &known, write, now)
        })
    }

    /// Whether readers can be served.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        self.with_reader(|reader| {
            reader
                .prepare_cached("select owner from collection limit 1")?
                .query(())?
                .next()?;
            Ok(())
        })
    }

    /// Reads the user's collections, and remembers them unless they change meanwhile.
    /// The ticket is older than the reader's snapshot.
    fn load(&self, reader: &Connection, user: UserId, ticket: Ticket) -> Result<Arc<Known>, EngineError> {
        let known = Arc::new(Draft::load(reader, user)?.freeze());
        self.cache.fill(user, ticket, Arc::clone(&known));
        Ok(known)
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

/// What memory knows about a page.
pub(super) enum Recalled {
    /// The page itself.
    Page(Page),
    /// The user, whose collection is there.
    User(Arc<Known>),
    /// Nothing of the user.
    Nothing,
}

/// One state of the file, for as long as this lives.
struct Snapshot<'a>(&'a Connection);

impl<'a> Snapshot<'a> {
    fn take(reader: &'a Connection) -> rusqlite::Result<Self> {
        reader.prepare_cached("begin")?.execute(())?;
        Ok(Self(reader))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        let end = || self.0.prepare_cached("commit")?.execute(());
        // A connection whose snapshot did not end is closed rather than lent again.
        let _: rusqlite::Result<usize> = end();
    }
}
