//! Reads of one file: from the caches where they hold, otherwise from a snapshot of the file.

use std::sync::Arc;

use foxden_model::UserId;
use rusqlite::Connection;

use super::deletion;
use super::expiry;
use super::file::DataFile;
use super::known::{Draft, Known};
use super::read::{self, Begin, Found};
use crate::command::{Query, Write};
use crate::engine::EngineError;
use crate::engine::cache::Ticket;
use crate::page::{Page, Rows, Summary};

impl DataFile {
    /// The times of the user's collections; their counts may still hold what has expired.
    pub(super) fn times(&self, user: UserId) -> Result<Summary, EngineError> {
        let horizon = self.horizon(self.environment.now());
        let known = self.known(user)?;
        Ok(known.summary(horizon.max(known.modified)))
    }

    /// The user's collections, from memory if they are there; a closed user is refused.
    pub(super) fn known(&self, user: UserId) -> Result<Arc<Known>, EngineError> {
        let known = if let Some(known) = self.users.get(user) {
            known
        } else {
            let ticket = self.users.ticket(user);
            self.with_reader(|reader| self.load(reader, user, ticket))?
        };
        known.admit()?;
        Ok(known)
    }

    /// The same with what is live and nothing else.
    pub(super) fn full(&self, user: UserId) -> Result<Summary, EngineError> {
        let now = self.environment.now();
        let horizon = self.horizon(now);
        self.with_reader(|reader| {
            let _snapshot = Snapshot::take(reader)?;
            let mut draft = Draft::load(reader, user)?;
            expiry::discount(reader, user, &mut draft, now)?;
            let known = draft.freeze();
            known.admit()?;
            Ok(known.summary(horizon.max(known.modified)))
        })
    }

    /// What memory knows about a page: the page itself, if nothing of the file is needed.
    pub(super) fn recall(&self, user: UserId, query: &Query) -> Result<Recalled, EngineError> {
        let now = self.environment.now();
        let horizon = self.horizon(now);
        let Some(known) = self.users.get(user) else {
            return Ok(Recalled::Nothing);
        };
        known.admit()?;
        let page = |rows, modified, expiry| {
            Ok(Recalled::Page(Page {
                rows,
                modified,
                as_of: horizon.max(known.modified),
                next: None,
                expiry,
            }))
        };
        let Some((owner, listed)) = known.find(query.collection) else {
            return page(Rows::default(), None, None);
        };
        let newer = query.selection.newer;
        if listed.count == 0 || newer.is_some_and(|newer| listed.modified <= newer) {
            return page(Rows::default(), Some(listed.modified), None);
        }
        let single = query.single_object();
        match single.and_then(|id| self.objects.get(&known, owner, id, now)) {
            Some(object) => page(object.rows, Some(listed.modified), object.expiry),
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
        let now = self.environment.now();
        let horizon = self.horizon(now);
        if let Some((owner, listed)) = known.find(query.collection) {
            let read = self.with_reader(|reader| read::page(reader, owner, query, begin, now));
            if self.users.is_current(user, known) {
                let found = read?;
                if query.single_object().is_some() {
                    self.objects.insert(known, owner, &found.rows, found.expiry);
                }
                return Ok(Page {
                    rows: found.rows,
                    modified: Some(listed.modified),
                    as_of: horizon.max(known.modified),
                    next: found.next,
                    expiry: found.expiry,
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
        let now = self.environment.now();
        let horizon = self.horizon(now);
        self.with_reader(|reader| {
            // Before the snapshot: what is written after it must not be taken for what it shows.
            let ticket = self.users.ticket(user);
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
                expiry: found.expiry,
            })
        })
    }

    /// What a deletion means, from one snapshot.
    pub(super) fn find(&self, user: UserId, write: &Write) -> Result<deletion::Found, EngineError> {
        let now = self.environment.now();
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
        self.users.fill(user, ticket, Arc::clone(&known));
        Ok(known)
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
