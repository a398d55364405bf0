//! Writes, within the transaction of the writer thread.
//!
//! Every refusal comes before the first change, so a refused command needs no rollback.

use std::borrow::Cow;

use foxden_model::{CollectionName, SyncTime, UserId};
use rusqlite::OptionalExtension;

use super::batch::{self, OpenBatch};
use super::collection::{adjust, keep_time, make_collection};
use super::objects::Objects;
use super::select::{self, Search};
use super::user_state::{CollectionState, UserStateMut};
use super::write_tx::WriteTx;
use crate::command::{Change, Order, Patch, Selection, Write};
use crate::engine::patch_ref::PatchRef;
use crate::engine::usage::{BatchLimits, Usage};
use crate::engine::write_time::WriteTime;
use crate::engine::{EngineError, MAX_COLLECTIONS};
use crate::page::Written;

/// The number of objects from which a deletion of all of them replaces the collection.
const MANY: u64 = 100;

/// Makes a write, or refuses it without a visible change. `found` are the rows of a deletion, if they were searched before.
pub(super) fn write(
    tx: &mut WriteTx<'_>,
    user: UserId,
    write: &Write,
    found: Option<&[i64]>,
) -> Result<Written, EngineError> {
    let time = tx.time(user, write.not_before)?;
    if tx.state(user)?.is_closed && !write.change.is_taken_when_closed() {
        return Err(EngineError::Closed);
    }
    tx.compare(user, write.guard.as_ref(), time.now)?;
    let open = match &write.change {
        Change::CommitBatch {
            collection,
            batch,
            patches,
            max_objects,
            max_bytes,
        } => {
            let open = batch::find(tx.connection, user, *collection, batch, time.now)?;
            let limits = BatchLimits {
                objects: *max_objects,
                bytes: *max_bytes,
            };
            limits.grown(open.usage, patches)?;
            Some(open)
        }
        _ => None,
    };
    let adds_objects = open.is_some() || matches!(write.change, Change::Upsert { .. });
    let batches_to_end = if adds_objects {
        batches_to_end(tx, user, open.as_ref(), write.quota, time.now)?
    } else {
        Vec::new()
    };
    let bytes_before = tx.state(user)?.bytes();
    let changed = match &write.change {
        Change::Upsert { collection, patches }
        | Change::CommitBatch {
            collection, patches, ..
        } => {
            upsert(tx, user, *collection, open.as_ref(), patches, time)?;
            batch::end_all(tx.connection, &batches_to_end)?;
            true
        }
        Change::DeleteObjects {
            collection,
            selection,
            order,
            limit,
            or_refuse,
        } => {
            let deletion = Deletion {
                selection,
                order: *order,
                limit: *limit,
                or_refuse: *or_refuse,
                found,
            };
            delete_objects(tx, user, *collection, &deletion, time)?
        }
        Change::DeleteCollection {
            collection,
            keeps_name,
        } => delete_collection(tx, user, *collection, *keeps_name, time)?,
        Change::DeleteAll => {
            delete_all(tx, user, time)?;
            true
        }
        Change::Close => close(tx, user, time)?,
    };
    let state = tx.state(user)?;
    if changed {
        state.modified = time.next;
    }
    Ok(Written {
        modified: state.modified,
        changed,
        bytes_before,
        bytes_after: state.bytes(),
    })
}

/// The objects of a collection to delete.
struct Deletion<'a> {
    selection: &'a Selection,
    order: Order,
    limit: Option<u64>,
    or_refuse: bool,
    found: Option<&'a [i64]>,
}

/// Returns the open batches, except the committed one, that must end to make room, or refuses the write.
fn batches_to_end(
    tx: &mut WriteTx<'_>,
    user: UserId,
    own: Option<&OpenBatch>,
    quota: Option<u64>,
    now: SyncTime,
) -> Result<Vec<OpenBatch>, EngineError> {
    if quota.is_none() {
        return Ok(Vec::new());
    }
    let mut others = batch::others(tx.connection, user, own, now)?;
    let state = batch::quota_state(tx, user, Usage::default(), &others, quota, now)?;
    let count = state.batches_to_end(&batch::usage_of(&others))?;
    others.truncate(count);
    Ok(others)
}

/// Creates the collection if it is missing, applies a batch and patches to its objects, and ends the batch.
fn upsert(
    tx: &mut WriteTx<'_>,
    user: UserId,
    name: CollectionName,
    batch: Option<&OpenBatch>,
    patches: &[Patch],
    time: WriteTime,
) -> Result<(), EngineError> {
    let connection = tx.connection;
    let state = tx.state(user)?;
    let at = match state.position(name) {
        Ok(at) => at,
        Err(at) => {
            check_collection_limit(state)?;
            let collection = make_collection(connection, user, name, time.next)?;
            state.collections.insert(at, collection);
            at
        }
    };
    let collection = &mut state.collections[at];
    let mut objects = Objects::new(connection, collection.owner, time)?;
    if let Some(batch) = batch {
        batch::apply(connection, batch, &mut objects)?;
        batch::end(connection, batch)?;
    }
    objects.apply_all(patches.iter().map(PatchRef::from).collect())?;
    adjust(
        connection,
        collection,
        objects.count,
        objects.bytes,
        Some(time.next),
    )?;
    Ok(())
}

fn check_collection_limit(state: &UserStateMut) -> Result<(), EngineError> {
    if state.collections.len() >= MAX_COLLECTIONS {
        return Err(EngineError::TooManyCollections);
    }
    Ok(())
}

fn delete_objects(
    tx: &mut WriteTx<'_>,
    user: UserId,
    name: CollectionName,
    deletion: &Deletion<'_>,
    time: WriteTime,
) -> Result<bool, EngineError> {
    let connection = tx.connection;
    let state = tx.state(user)?;
    let Ok(at) = state.position(name) else {
        return Ok(false);
    };
    let CollectionState { owner, listed } = state.collections[at];
    let search = Search {
        owner,
        selection: deletion.selection,
        order: deletion.order,
        now: time.now,
    };
    let rows = match deletion.found {
        Some(rows) => Cow::Borrowed(rows),
        None => Cow::Owned(select::rows(connection, &search, deletion.limit)?.0),
    };
    if rows.is_empty() && deletion.or_refuse {
        return Ok(false);
    }
    if rows.len() as u64 >= listed.count.max(MANY) {
        // All objects match: they are hidden at once and removed by purges.
        return delete_collection(tx, user, name, true, time);
    }
    let (mut count, mut bytes) = (0, 0);
    let mut delete = connection
        .prepare_cached("delete from object where row = ?1 and owner = ?2 returning octet_length(payload)")?;
    for row in &*rows {
        // An object that was found before may have expired and been removed since.
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
        &mut state.collections[at],
        count,
        bytes,
        Some(time.next),
    )?;
    Ok(true)
}

fn delete_collection(
    tx: &mut WriteTx<'_>,
    user: UserId,
    name: CollectionName,
    keeps_name: bool,
    time: WriteTime,
) -> Result<bool, EngineError> {
    let connection = tx.connection;
    let state = tx.state(user)?;
    let Ok(at) = state.position(name) else {
        return Ok(false);
    };
    let owner = state.collections[at].owner;
    connection
        .prepare_cached("delete from collection where owner = ?1")?
        .execute([owner])?;
    connection
        .prepare_cached("insert into dropped (owner) values (?1)")?
        .execute([owner])?;
    if keeps_name {
        state.collections[at] = make_collection(connection, user, name, time.next)?;
    } else {
        state.collections.remove(at);
        keep_time(connection, user, time.next)?;
    }
    Ok(true)
}

fn delete_all(tx: &mut WriteTx<'_>, user: UserId, time: WriteTime) -> Result<(), EngineError> {
    let connection = tx.connection;
    let uid = user.0.cast_signed();
    for statement in [
        "insert into dropped (owner) select owner from collection where uid = ?1",
        "delete from collection where uid = ?1",
        "update batch set uid = null where uid = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([uid])?;
    }
    tx.state(user)?.collections.clear();
    keep_time(connection, user, time.next)?;
    Ok(())
}

/// Empties the store and marks it as closed, unless it already is.
fn close(tx: &mut WriteTx<'_>, user: UserId, time: WriteTime) -> Result<bool, EngineError> {
    if tx.state(user)?.is_closed {
        return Ok(false);
    }
    delete_all(tx, user, time)?;
    tx.connection
        .prepare_cached("update store set closed = 1 where uid = ?1")?
        .execute([user.0.cast_signed()])?;
    tx.state(user)?.is_closed = true;
    Ok(true)
}
