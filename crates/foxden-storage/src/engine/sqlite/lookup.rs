//! Reads of one file: from the caches where they hold, otherwise from a snapshot of the file.

use std::sync::Arc;

use foxden_model::UserId;
use rusqlite::Connection;

use super::deletion;
use super::expiry;
use super::file::DataFile;
use super::read::{self, FoundPage, PageStart};
use super::user_state::{UserState, UserStateMut};
use crate::command::{Query, Write};
use crate::engine::EngineError;
use crate::engine::cache::FillTicket;
use crate::page::{Page, Summary};

impl DataFile {
    /// Returns the times of the user's collections; their counts may include expired objects.
    pub(super) fn times(&self, user: UserId) -> Result<Summary, EngineError> {
        let horizon = self.horizon(self.environment.now());
        let state = self.state(user)?;
        Ok(state.summary(horizon.max(state.modified)))
    }

    /// Returns the user's state, from the cache if it is there; a closed user is refused.
    pub(super) fn state(&self, user: UserId) -> Result<Arc<UserState>, EngineError> {
        let state = if let Some(state) = self.users.get(user) {
            state
        } else {
            let ticket = self.users.ticket(user);
            self.with_reader(|reader| self.load(reader, user, ticket))?
        };
        state.check_open()?;
        Ok(state)
    }

    /// Returns the times and exact counts, without expired objects.
    pub(super) fn full(&self, user: UserId) -> Result<Summary, EngineError> {
        let now = self.environment.now();
        let horizon = self.horizon(now);
        self.with_reader(|reader| {
            let _snapshot = Snapshot::take(reader)?;
            let mut state = UserStateMut::load(reader, user)?;
            expiry::discount(reader, user, &mut state, now)?;
            let state = state.to_shared();
            state.check_open()?;
            Ok(state.summary(horizon.max(state.modified)))
        })
    }

    /// Looks a page up in the caches.
    pub(super) fn lookup(&self, user: UserId, query: &Query) -> Result<CacheLookup, EngineError> {
        let now = self.environment.now();
        let horizon = self.horizon(now);
        let Some(state) = self.users.get(user) else {
            return Ok(CacheLookup::Miss);
        };
        state.check_open()?;
        let page = |rows, modified, expiry| {
            Ok(CacheLookup::Hit(Page {
                rows,
                modified,
                as_of: horizon.max(state.modified),
                next: None,
                expiry,
            }))
        };
        let Some((owner, listed)) = state.find(query.collection) else {
            return page(Arc::default(), None, None);
        };
        let newer = query.selection.newer;
        if listed.count == 0 || newer.is_some_and(|newer| listed.modified <= newer) {
            return page(Arc::default(), Some(listed.modified), None);
        }
        let single = query.single_object();
        match single.and_then(|id| self.objects.get(&state, owner, id, now)) {
            Some(object) => page(object.rows, Some(listed.modified), object.expiry),
            None => Ok(CacheLookup::State(state)),
        }
    }

    /// Reads a page from the file. The cached state saves the lookup of the collection. It holds if it is still cached after
    /// the read, because then nothing of this user was committed meanwhile.
    pub(super) fn page(
        &self,
        user: UserId,
        query: &Query,
        begin: &PageStart,
        state: &Arc<UserState>,
    ) -> Result<Page, EngineError> {
        let now = self.environment.now();
        let horizon = self.horizon(now);
        if let Some((owner, listed)) = state.find(query.collection) {
            let read = self.with_reader(|reader| read::page(reader, owner, query, begin, now));
            if self.users.is_current(user, state) {
                let found = read?;
                if query.single_object().is_some() {
                    self.objects.insert(state, owner, &found.rows, found.expiry);
                }
                return Ok(Page {
                    rows: found.rows,
                    modified: Some(listed.modified),
                    as_of: horizon.max(state.modified),
                    next: found.next,
                    expiry: found.expiry,
                });
            }
        }
        self.page_of_snapshot(user, query, begin)
    }

    /// Reads the state and the page from one snapshot.
    pub(super) fn page_of_snapshot(
        &self,
        user: UserId,
        query: &Query,
        begin: &PageStart,
    ) -> Result<Page, EngineError> {
        let now = self.environment.now();
        let horizon = self.horizon(now);
        self.with_reader(|reader| {
            // Taken before the snapshot, so that a state that a later write replaces is not cached.
            let ticket = self.users.ticket(user);
            let _snapshot = Snapshot::take(reader)?;
            let state = self.load(reader, user, ticket)?;
            state.check_open()?;
            let collection = state.find(query.collection);
            let found = match collection {
                Some((owner, _)) => read::page(reader, owner, query, begin, now)?,
                None => FoundPage::default(),
            };
            Ok(Page {
                rows: found.rows,
                modified: collection.map(|(_, listed)| listed.modified),
                as_of: horizon.max(state.modified),
                next: found.next,
                expiry: found.expiry,
            })
        })
    }

    /// Finds the rows that match a deletion, in one snapshot.
    pub(super) fn find(&self, user: UserId, write: &Write) -> Result<deletion::FoundRows, EngineError> {
        let now = self.environment.now();
        self.with_reader(|reader| {
            let _snapshot = Snapshot::take(reader)?;
            let state = UserStateMut::load(reader, user)?.to_shared();
            deletion::find(reader, &state, write, now)
        })
    }

    /// Returns whether the file can be read.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        self.with_reader(|reader| {
            reader
                .prepare_cached("select owner from collection limit 1")?
                .query(())?
                .next()?;
            Ok(())
        })
    }

    /// Loads the user's state and caches it unless it changes meanwhile. The ticket must be older than the reader's snapshot.
    fn load(
        &self,
        reader: &Connection,
        user: UserId,
        ticket: FillTicket,
    ) -> Result<Arc<UserState>, EngineError> {
        let state = Arc::new(UserStateMut::load(reader, user)?.to_shared());
        self.users.fill(user, ticket, Arc::clone(&state));
        Ok(state)
    }
}

/// The result of a cache lookup.
pub(super) enum CacheLookup {
    /// The page.
    Hit(Page),
    /// The user's state; the page must be read from the file.
    State(Arc<UserState>),
    /// The user is not cached.
    Miss,
}

/// A read transaction, which shows one state of the file until it is dropped.
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
        // `with_reader` closes a connection whose transaction did not end.
        let _: rusqlite::Result<usize> = end();
    }
}
