//! Adds the rows of users.

use foxden_model::{Bso, SyncTime};
use rusqlite::{Connection, TransactionBehavior};

use super::HALF;
use crate::engine::EngineError;
use crate::engine::movable::{Barred, MoveKeys, MovedPart, UserHead};
use crate::engine::sqlite::select::FileId;

/// The objects or parts that one transaction deletes: the WAL stays short.
const DELETED_ROWS: u32 = 500;

/// Deletes all rows of users, and gives the file another id: page tokens of other files mean nothing here.
pub(super) fn clear(connection: &mut Connection) -> Result<(), EngineError> {
    for table in ["object", "part"] {
        let delete =
            format!("delete from {table} where rowid in (select rowid from {table} limit {DELETED_ROWS})");
        while connection.execute(&delete, ())? > 0 {}
    }
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for table in ["batch", "collection", "dropped", "store"] {
        step.execute_batch(&format!("delete from {table}"))?;
    }
    let id: FileId = step.query_row("select abs(random() % 2147483647) + 1", (), |row| row.get(0))?;
    step.pragma_update(None, "application_id", id)?;
    Ok(step.commit()?)
}

/// Adds a user who is half there.
pub(super) fn begin_user(
    connection: &mut Connection,
    uid: i64,
    head: &UserHead,
) -> Result<MoveKeys, EngineError> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let there = "select exists (select 1 from store where uid = ?1 and closed <> ?2)";
    if step
        .prepare_cached(there)?
        .query_row((uid, HALF), |row| row.get(0))?
    {
        return Err(Barred("the user is there already").into());
    }
    // What an interrupted move left is dropped, as the engine drops collections and batches: its purge removes the rows.
    for statement in [
        "insert or ignore into dropped (owner) select owner from collection where uid = ?1",
        "delete from collection where uid = ?1",
        "update batch set uid = null where uid = ?1",
        "delete from store where uid = ?1",
    ] {
        step.prepare_cached(statement)?.execute([uid])?;
    }
    step.prepare_cached("insert into store (uid, modified, closed) values (?1, ?2, ?3)")?
        .execute((uid, head.modified.hundredths(), HALF))?;
    let mut keys = MoveKeys::default();
    for collection in &head.collections {
        let mut insert = step.prepare_cached(
            "insert into collection (uid, name, modified, count, bytes) values (?1, ?2, ?3, 0, 0)",
        )?;
        let modified = collection.modified.hundredths();
        keys.collections
            .push(insert.insert((uid, collection.name.as_str(), modified))?);
    }
    for batch in &head.batches {
        let mut insert = step.prepare_cached(
            "insert into batch (uid, name, collection, opened, objects, bytes) values (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        keys.batches.push(insert.insert((
            uid,
            &batch.name,
            batch.collection.as_str(),
            batch.opened.hundredths(),
            batch.objects.cast_signed(),
            batch.bytes.cast_signed(),
        ))?);
    }
    step.commit()?;
    Ok(keys)
}

/// Adds objects.
pub(super) fn add_objects(connection: &mut Connection, objects: &[(i64, Bso)]) -> Result<(), EngineError> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut insert = step.prepare_cached(
            "insert into object (owner, id, modified, sortindex, expiry, parent_id, predecessor_id, payload)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for (owner, object) in objects {
            insert.execute((
                owner,
                object.id.as_str(),
                object.modified.hundredths(),
                object.sortindex,
                object.expiry.map(SyncTime::hundredths),
                &object.parent_id,
                &object.predecessor_id,
                &object.payload,
            ))?;
        }
    }
    Ok(step.commit()?)
}

/// Adds parts of a batch, in their order.
pub(super) fn add_parts(
    connection: &mut Connection,
    batch: i64,
    parts: &[MovedPart],
) -> Result<(), EngineError> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for part in parts {
        step.prepare_cached("insert into part (batch, patches) values (?1, ?2)")?
            .execute((batch, &part.patches))?;
    }
    Ok(step.commit()?)
}

/// Stores the counts of a user, who then is wholly there.
pub(super) fn finish_user(connection: &mut Connection, uid: i64, head: &UserHead) -> Result<(), EngineError> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for collection in &head.collections {
        step.prepare_cached("update collection set count = ?2, bytes = ?3 where owner = ?1")?
            .execute((
                collection.key,
                collection.objects.cast_signed(),
                collection.bytes.cast_signed(),
            ))?;
    }
    // Who has no write has no such row.
    if head.modified == SyncTime::ZERO && !head.is_closed {
        step.prepare_cached("delete from store where uid = ?1")?
            .execute([uid])?;
    }
    step.prepare_cached("update store set closed = ?2 where uid = ?1")?
        .execute((uid, i64::from(head.is_closed)))?;
    Ok(step.commit()?)
}
