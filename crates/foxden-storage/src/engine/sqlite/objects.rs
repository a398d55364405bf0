//! The rows of one collection's objects, as a write changes them.

use std::collections::HashSet;

use foxden_model::SyncTime;
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::patch::Wish;
use crate::command::{Field, Ttl};
use crate::engine::lives_from;

/// When something happens to one user.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// What the clock shows; expiry counts by it unless it is far behind.
    pub(super) now: SyncTime,
    /// The time the write gets.
    pub(super) next: SyncTime,
}

/// Lays patches over the objects of one owner and counts what that changes.
pub(super) struct Objects<'c> {
    connection: &'c Connection,
    owner: i64,
    moment: Moment,
    find: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    /// Objects that this very write gave a life of zero seconds. A further patch of the same write is
    /// laid over them as if they lived, because a write's patches for one object are one patch.
    stillborn: HashSet<Box<str>>,
    /// Whether the last object was new.
    expects_new: bool,
    pub(super) count: i64,
    pub(super) bytes: i64,
}

/// An object's row without its payload.
struct Head {
    row: i64,
    modified: i64,
    sortindex: Option<i64>,
    expiry: Option<i64>,
    parent_id: Option<String>,
    predecessor_id: Option<String>,
    bytes: i64,
}

impl<'c> Objects<'c> {
    pub(super) fn new(connection: &'c Connection, owner: i64, moment: Moment) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            owner,
            moment,
            find: connection.prepare_cached(
                "select row, modified, sortindex, expiry, parent_id, predecessor_id,
                   octet_length(payload)
                 from object where owner = ?1 and id = ?2",
            )?,
            insert: connection.prepare_cached(
                "insert into object
                   (owner, id, modified, sortindex, expiry, parent_id, predecessor_id, payload)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 on conflict (owner, id) do nothing",
            )?,
            update: connection.prepare_cached(
                "update object set modified = ?2, sortindex = ?3, expiry = ?4, parent_id = ?5,
                   predecessor_id = ?6, payload = ?7
                 where row = ?1",
            )?,
            stillborn: HashSet::new(),
            expects_new: false,
            count: 0,
            bytes: 0,
        })
    }

    /// Lays patches over their objects, each object's in the order given.
    pub(super) fn lay_all(&mut self, mut wishes: Vec<Wish<'_>>) -> rusqlite::Result<()> {
        // Neighbours in the index share pages. The sort is stable: patches of one object keep their order.
        wishes.sort_by(|a, b| a.id.cmp(b.id));
        wishes.iter().try_for_each(|wish| self.lay(wish))
    }

    fn lay(&mut self, wish: &Wish<'_>) -> rusqlite::Result<()> {
        // An upload brings mostly new objects or mostly known ones; a new one need not be looked for.
        let is_made = self.expects_new && self.make(wish)?;
        let was_stillborn = !is_made && self.stillborn.remove(wish.id);
        if !is_made {
            let now = self.moment.now.hundredths();
            let is_live = |head: &Head| was_stillborn || head.expiry.is_none_or(|expiry| now < expiry);
            let found = self.find(wish.id)?;
            self.expects_new = found.is_none();
            match found {
                None => self.make(wish).map(drop),
                Some(head) if is_live(&head) => self.change(wish, &head),
                Some(head) => self.replace(wish, &head),
            }?;
        }
        if wish.ttl == Ttl::In(0) || (was_stillborn && wish.ttl == Ttl::Keep) {
            self.stillborn.insert(wish.id.into());
        }
        Ok(())
    }

    fn find(&mut self, id: &str) -> rusqlite::Result<Option<Head>> {
        let head = |row: &rusqlite::Row<'_>| {
            Ok(Head {
                row: row.get(0)?,
                modified: row.get(1)?,
                sortindex: row.get(2)?,
                expiry: row.get(3)?,
                parent_id: row.get(4)?,
                predecessor_id: row.get(5)?,
                bytes: row.get(6)?,
            })
        };
        self.find.query_row((self.owner, id), head).optional()
    }

    /// Adds an object; `false`: it is there already.
    fn make(&mut self, wish: &Wish<'_>) -> rusqlite::Result<bool> {
        let payload = given(&wish.payload, "");
        let inserted = self.insert.execute((
            self.owner,
            wish.id,
            self.moment.next.hundredths(),
            laid(&wish.sortindex, None),
            self.moment.expiry(wish.ttl, None),
            laid(&wish.parent_id, None),
            laid(&wish.predecessor_id, None),
            payload,
        ))?;
        if inserted == 0 {
            return Ok(false);
        }
        self.count += 1;
        self.bytes += length(payload);
        Ok(true)
    }

    /// Puts an object in the place of one that has expired; nothing of the old one shows.
    fn replace(&mut self, wish: &Wish<'_>, old: &Head) -> rusqlite::Result<()> {
        let payload = given(&wish.payload, "");
        self.update.execute((
            old.row,
            self.moment.next.hundredths(),
            laid(&wish.sortindex, None),
            self.moment.expiry(wish.ttl, None),
            laid(&wish.parent_id, None),
            laid(&wish.predecessor_id, None),
            payload,
        ))?;
        self.bytes += length(payload) - old.bytes;
        Ok(())
    }

    fn change(&mut self, wish: &Wish<'_>, old: &Head) -> rusqlite::Result<()> {
        let modified = if wish.renews {
            self.moment.next.hundredths()
        } else {
            old.modified
        };
        let sortindex = laid(&wish.sortindex, old.sortindex);
        let expiry = self.moment.expiry(wish.ttl, old.expiry);
        let parent_id = laid(&wish.parent_id, old.parent_id.as_deref());
        let predecessor_id = laid(&wish.predecessor_id, old.predecessor_id.as_deref());
        if let Some(payload) = payload_given(&wish.payload) {
            self.update.execute((
                old.row,
                modified,
                sortindex,
                expiry,
                parent_id,
                predecessor_id,
                payload,
            ))?;
            self.bytes += length(payload) - old.bytes;
        } else {
            let mut update = self.connection.prepare_cached(
                "update object set modified = ?2, sortindex = ?3, expiry = ?4, parent_id = ?5,
                   predecessor_id = ?6
                 where row = ?1",
            )?;
            update.execute((old.row, modified, sortindex, expiry, parent_id, predecessor_id))?;
        }
        Ok(())
    }
}

impl Moment {
    fn expiry(self, ttl: Ttl, old: Option<i64>) -> Option<i64> {
        match ttl {
            Ttl::Keep => old,
            Ttl::Never => None,
            Ttl::In(seconds) => {
                let begin = lives_from(self.now, self.next);
                Some(begin.plus_seconds(seconds.into()).hundredths())
            }
        }
    }
}

fn laid<T: Copy>(field: &Field<T>, old: Option<T>) -> Option<T> {
    match field {
        Field::Keep => old,
        Field::Clear => None,
        Field::Set(value) => Some(*value),
    }
}

fn payload_given<'a>(field: &Field<&'a str>) -> Option<&'a str> {
    match field {
        Field::Keep => None,
        Field::Clear => Some(""),
        Field::Set(payload) => Some(payload),
    }
}

fn given<'a>(field: &Field<&'a str>, otherwise: &'a str) -> &'a str {
    payload_given(field).unwrap_or(otherwise)
}

fn length(payload: &str) -> i64 {
    i64::try_from(payload.len()).unwrap_or(i64::MAX)
}
