//! The rows of one collection's objects, as a write changes them.

use std::collections::HashSet;

use rusqlite::{CachedStatement, Connection, OptionalExtension};

use crate::command::{Field, Ttl};
use crate::engine::patch_ref::PatchRef;
use crate::engine::write_time::WriteTime;

/// Applies patches to the objects of one owner and counts the changes.
pub(super) struct Objects<'c> {
    connection: &'c Connection,
    owner: i64,
    time: WriteTime,
    find: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    /// Objects that this write gave a TTL of zero. A further patch of the same write is applied as if they had not expired,
    /// because the patches of one write for one object are one patch.
    already_expired: HashSet<Box<str>>,
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
    pub(super) fn new(connection: &'c Connection, owner: i64, time: WriteTime) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            owner,
            time,
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
            already_expired: HashSet::new(),
            expects_new: false,
            count: 0,
            bytes: 0,
        })
    }

    /// Applies patches, those of each object in their order.
    pub(super) fn apply_all(&mut self, mut patches: Vec<PatchRef<'_>>) -> rusqlite::Result<()> {
        // Neighbours in the index share pages. The sort is stable, so patches of one object keep their order.
        patches.sort_by(|a, b| a.id.cmp(b.id));
        patches.iter().try_for_each(|patch| self.apply(patch))
    }

    fn apply(&mut self, patch: &PatchRef<'_>) -> rusqlite::Result<()> {
        // An upload has mostly new objects or mostly existing ones, so a new object usually needs no lookup.
        let is_made = self.expects_new && self.make(patch)?;
        let was_already_expired = !is_made && self.already_expired.remove(patch.id);
        if !is_made {
            let now = self.time.now.hundredths();
            let is_live = |head: &Head| was_already_expired || head.expiry.is_none_or(|expiry| now < expiry);
            let found = self.find(patch.id)?;
            self.expects_new = found.is_none();
            match found {
                None => self.make(patch).map(drop),
                Some(head) if is_live(&head) => self.change(patch, &head),
                Some(head) => self.replace(patch, &head),
            }?;
        }
        if patch.ttl == Ttl::In(0) || (was_already_expired && patch.ttl == Ttl::Keep) {
            self.already_expired.insert(patch.id.into());
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

    /// Inserts an object; returns `false` if it exists.
    fn make(&mut self, patch: &PatchRef<'_>) -> rusqlite::Result<bool> {
        let payload = payload_or(&patch.payload, "");
        let inserted = self.insert.execute((
            self.owner,
            patch.id,
            self.time.next.hundredths(),
            new_value(&patch.sortindex, None),
            expiry(self.time, patch.ttl, None),
            new_value(&patch.parent_id, None),
            new_value(&patch.predecessor_id, None),
            payload,
        ))?;
        if inserted == 0 {
            return Ok(false);
        }
        self.count += 1;
        self.bytes += length(payload);
        Ok(true)
    }

    /// Replaces an expired object; no field of the old one is kept.
    fn replace(&mut self, patch: &PatchRef<'_>, old: &Head) -> rusqlite::Result<()> {
        let payload = payload_or(&patch.payload, "");
        self.update.execute((
            old.row,
            self.time.next.hundredths(),
            new_value(&patch.sortindex, None),
            expiry(self.time, patch.ttl, None),
            new_value(&patch.parent_id, None),
            new_value(&patch.predecessor_id, None),
            payload,
        ))?;
        self.bytes += length(payload) - old.bytes;
        Ok(())
    }

    fn change(&mut self, patch: &PatchRef<'_>, old: &Head) -> rusqlite::Result<()> {
        let modified = if patch.renews {
            self.time.next.hundredths()
        } else {
            old.modified
        };
        let sortindex = new_value(&patch.sortindex, old.sortindex);
        let expiry = expiry(self.time, patch.ttl, old.expiry);
        let parent_id = new_value(&patch.parent_id, old.parent_id.as_deref());
        let predecessor_id = new_value(&patch.predecessor_id, old.predecessor_id.as_deref());
        if let Some(payload) = given_payload(&patch.payload) {
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

/// When an object expires after a write with this TTL.
fn expiry(time: WriteTime, ttl: Ttl, old: Option<i64>) -> Option<i64> {
    match ttl {
        Ttl::Keep => old,
        Ttl::Never => None,
        Ttl::In(seconds) => Some(time.expiry(seconds).hundredths()),
    }
}

fn new_value<T: Copy>(field: &Field<T>, old: Option<T>) -> Option<T> {
    match field {
        Field::Keep => old,
        Field::Clear => None,
        Field::Set(value) => Some(*value),
    }
}

fn given_payload<'a>(field: &Field<&'a str>) -> Option<&'a str> {
    match field {
        Field::Keep => None,
        Field::Clear => Some(""),
        Field::Set(payload) => Some(payload),
    }
}

fn payload_or<'a>(field: &Field<&'a str>, otherwise: &'a str) -> &'a str {
    given_payload(field).unwrap_or(otherwise)
}

fn length(payload: &str) -> i64 {
    i64::try_from(payload.len()).unwrap_or(i64::MAX)
}
