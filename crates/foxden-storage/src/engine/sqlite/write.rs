//! Making a change, within the writing thread's transaction.
//!
//! Every refusal comes before the first change, so a refused command needs no undoing.

use std::borrow::Cow;

use foxden_model::{CollectionName, SyncTime, UserId};
use rusqlite::OptionalExtension;

use super::batch::{self, Open};
use super::collection::{adjust, keep_time, make_collection};
use super::known::{Draft, Entry};
use super::objects::{Moment, Objects};
use super::patch::Wish;
use super::select::{self, Search};
use super::work::Work;
use crate::command::{Change, Order, Patch, Selection, Write};
use crate::engine::held::{BatchLimits, Held};
use crate::engine::{EngineError, MAX_COLLECTIONS};
use crate::page::Written;

/// The objects from which a deletion of all there are is one of the collection's content.
const MANY: u64 = 100;

/// Carries a write out, or refuses it and changes nothing that anyone can see. What a deletion means may have been
/// found before.
pub(super) fn write(
    work: &mut Work<'_>,
    user: UserId,
    write: &Write,
    found: Option<&[i64]>,
) -> Result<Written, EngineError> {
    let moment = work.moment(user, write.not_before)?;
    if work.draft(user)?.is_closed && !write.change.is_taken_when_closed() {
        return Err(EngineError::Closed);
    }
    work.compare(user, write.guard.as_ref(), moment.now)?;
    let open = match &write.change {
        Change::CommitBatch {
            collection,
            batch,
            patches,
            max_objects,
            max_bytes,
        } => {
            let open = batch::find(work.connection, user, *collection, batch, moment.now)?;
            let limits = BatchLimits {
                objects: *max_objects,
                bytes: *max_bytes,
            };
            limits.grown(open.held, patches)?;
            Some(open)
        }
        _ => None,
    };
    let brings = open.is_some() || matches!(write.change, Change::Upsert { .. });
    let surplus = if brings {
        surplus(work, user, open.as_ref(), write.quota, moment.now)?
    } else {
        Vec::new()
    };
    let bytes_before = work.draft(user)?.bytes();
    let changed = match &write.change {
        Change::Upsert { collection, patches }
        | Change::CommitBatch {
            collection, patches, ..
        } => {
            upsert(work, user, *collection, open.as_ref(), patches, moment)?;
            batch::end_all(work.connection, &surplus)?;
            true
        }
        Change::DeleteObjects {
            collection,
            selection,
            order,
            limit,
            or_refuse,
        } => {
            let which = Which {
                selection,
                order: *order,
                limit: *limit,
                or_refuse: *or_refuse,
                found,
            };
            delete_objects(work, user, *collection, &which, moment)?
        }
        Change::DeleteCollection {
            collection,
            keeps_name,
        } => delete_collection(work, user, *collection, *keeps_name, moment)?,
        Change::DeleteAll => {
            delete_all(work, user, moment)?;
            true
        }
        Change::Close => close(work, user, moment)?,
    };
    let draft = work.draft(user)?;
    if changed {
        draft.modified = moment.next;
    }
    Ok(Written {
        modified: draft.modified,
        changed,
        bytes_before,
        bytes_after: draft.bytes(),
    })
}

/// Which objects of a collection are to go.
struct Which<'a> {
    selection: &'a Selection,
    order: Order,
    limit: Option<u64>,
    or_refuse: bool,
    found: Option<&'a [i64]>,
}

/// The open batches, other than the one committed, that end to make room; or the quota refuses the write.
fn surplus(
    work: &mut Work<'_>,
    user: UserId,
    own: Option<&Open>,
    quota: Option<u64>,
    now: SyncTime,
) -> Result<Vec<Open>, EngineError> {
    if quota.is_none() {
        return Ok(Vec::new());
    }
    let mut others = batch::others(work.connection, user, own, now)?;
    let room = batch::room(work, user, Held::default(), &others, quota, now)?;
    let count = room.surplus(&batch::held_by(&others))?;
    others.truncate(count);
    Ok(others)
}

/// Makes the collection if it is missing, lays a batch and patches over its objects, ends the batch.
fn upsert(
    work: &mut Work<'_>,
    user: UserId,
    name: CollectionName,
    batch: Option<&Open>,
    patches: &[Patch],
    moment: Moment,
) -> Result<(), EngineError> {
    let connection = work.connection;
    let draft = work.draft(user)?;
    let at = match draft.position(name) {
        Ok(at) => at,
        Err(at) => {
            make_room(draft)?;
            let entry = make_collection(connection, user, name, moment.next)?;
            draft.entries.insert(at, entry);
            at
        }
    };
    let entry = &mut draft.entries[at];
    let mut objects = Objects::new(connection, entry.owner, moment)?;
    if let Some(batch) = batch {
        batch::lay(connection, batch, &mut objects)?;
        batch::end(connection, batch)?;
    }
    objects.lay_all(patches.iter().map(Wish::from).collect())?;
    adjust(connection, entry, objects.count, objects.bytes, Some(moment.next))?;
    Ok(())
}

fn make_room(draft: &Draft) -> Result<(), EngineError> {
    if draft.entries.len() >= MAX_COLLECTIONS {
        return Err(EngineError::TooManyCollections);
    }
    Ok(())
}

fn delete_objects(
    work: &mut Work<'_>,
    user: UserId,
    name: CollectionName,
    which: &Which<'_>,
    moment: Moment,
) -> Result<bool, EngineError> {
    let connection = work.connection;
    let draft = work.draft(user)?;
    let Ok(at) = draft.position(name) else {
        return Ok(false);
    };
    let Entry { owner, listed } = draft.entries[at];
    let search = Search {
        owner,
        selection: which.selection,
        order: which.order,
        now: moment.now,
    };
    let rows = match which.found {
        Some(rows) => Cow::Borrowed(rows),
        None => Cow::Owned(select::rows(connection, &search, which.limit)?.0),
    };
    if rows.is_empty() && which.or_refuse {
        return Ok(false);
    }
    if rows.len() as u64 >= listed.count.max(MANY) {
        // All there are: they are put out of sight at once, and removed by and by.
        return delete_collection(work, user, name, true, moment);
    }
    let (mut count, mut bytes) = (0, 0);
    let mut delete = connection
        .prepare_cached("delete from object where row = ?1 and owner = ?2 returning octet_length(payload)")?;
    for row in &*rows {
        // One that was found beforehand may have expired and gone since.
        let gone = delete
            .query_row([*row, owner], |row| row.get::<_, i64>(0))
            .optional()?;
        if let Some(size) = gone {
            bytes -= size;
            count -= 1;
        }
    }
    adjust(
        connection,
        &mut draft.entries[at],
        count,
        bytes,
        Some(moment.next),
    )?;
    Ok(true)
}

fn delete_collection(
    work: &mut Work<'_>,
    user: UserId,
    name: CollectionName,
    keeps_name: bool,
    moment: Moment,
) -> Result<bool, EngineError> {
    let connection = work.connection;
    let draft = work.draft(user)?;
    let Ok(at) = draft.position(name) else {
        return Ok(false);
    };
    let owner = draft.entries[at].owner;
    connection
        .prepare_cached("delete from collection where owner = ?1")?
        .execute([owner])?;
    connection
        .prepare_cached("insert into dropped (owner) values (?1)")?
        .execute([owner])?;
    if keeps_name {
        draft.entries[at] = make_collection(connection, user, name, moment.next)?;
    } else {
        draft.entries.remove(at);
        keep_time(connection, user, moment.next)?;
    }
    Ok(true)
}

fn delete_all(work: &mut Work<'_>, user: UserId, moment: Moment) -> Result<(), EngineError> {
    let connection = work.connection;
    let uid = user.0.cast_signed();
    for statement in [
        "insert into dropped (owner) select owner from collection where uid = ?1",
        "delete from collection where uid = ?1",
        "update batch set uid = null where uid = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([uid])?;
    }
    work.draft(user)?.entries.clear();
    keep_time(connection, user, moment.next)?;
    Ok(())
}

/// Empties the store and marks it as closed, unless it is.
fn close(work: &mut Work<'_>, user: UserId, moment: Moment) -> Result<bool, EngineError> {
    if work.draft(user)?.is_closed {
        return Ok(false);
    }
    delete_all(work, user, moment)?;
    work.connection
        .prepare_cached("update store set closed = 1 where uid = ?1")?
        .execute([user.0.cast_signed()])?;
    work.draft(user)?.is_closed = true;
    Ok(true)
}
