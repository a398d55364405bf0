//! Batches: each part of an upload is one row until the batch is committed.

use foxden_model::{CollectionName, SyncTime, UserId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::expiry;
use super::objects::Objects;
use super::write_tx::WriteTx;
use crate::command::{BatchId, BatchPart};
use crate::engine::EngineError;
use crate::engine::batch_id::{OpenedRange, random_id};
use crate::engine::patch_codec as codec;
use crate::engine::usage::{BatchGrowth, BatchLimits, QuotaState, Usage};
use crate::page::Staged;

/// An open batch.
pub(super) struct OpenBatch {
    key: i64,
    pub(super) usage: Usage,
}

impl OpenBatch {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let usage = Usage {
            objects: row.get::<_, i64>(1)?.max(0).cast_unsigned(),
            bytes: row.get::<_, i64>(2)?.max(0).cast_unsigned(),
        };
        Ok(Self {
            key: row.get(0)?,
            usage,
        })
    }
}

/// Adds a part to its batch, or refuses it and leaves the batch as it was.
pub(super) fn stage(tx: &mut WriteTx<'_>, user: UserId, part: &BatchPart) -> Result<Staged, EngineError> {
    let now = tx.now();
    if tx.state(user)?.is_closed {
        return Err(EngineError::Closed);
    }
    tx.compare(user, part.guard.as_ref(), now)?;
    let connection = tx.connection;
    let open = match &part.batch {
        Some(batch) => Some(find(connection, user, part.collection, batch, now)?),
        None => None,
    };
    let limits = BatchLimits {
        objects: part.max_objects,
        bytes: part.max_bytes,
    };
    let own = open.as_ref().map_or_else(Usage::default, |open| open.usage);
    let grown = limits.grown(own, &part.patches)?;
    let others = others(connection, user, open.as_ref(), now)?;
    let quota = quota_state(tx, user, own, &others, part.quota, now)?;
    let growth = BatchGrowth {
        bytes: grown.bytes,
        max_open_bytes: part.max_open_bytes,
        opens: open.is_none(),
    };
    let batches_to_end = quota.batches_to_end_for(growth, &usage_of(&others))?;
    end_all(connection, &others[..batches_to_end])?;
    let (key, batch) = match (open, &part.batch) {
        (Some(open), Some(batch)) => (open.key, batch.clone()),
        _ => insert_batch(tx, user, part.collection, now)?,
    };
    connection
        .prepare_cached("update batch set objects = ?2, bytes = ?3 where key = ?1")?
        .execute((key, grown.objects.cast_signed(), grown.bytes.cast_signed()))?;
    if !part.patches.is_empty() {
        let number = connection
            .prepare_cached("insert into part (batch, patches) values (?1, ?2)")?
            .insert((key, codec::encode(&part.patches)))?;
        tx.note_part(number);
    }
    let state = tx.state(user)?;
    let modified = state
        .get(part.collection)
        .map(|collection| collection.listed.modified);
    Ok(Staged {
        batch,
        modified: modified.unwrap_or_default(),
    })
}

/// The usage that the quota is compared with. Expired objects are removed first if they would decide.
pub(super) fn quota_state(
    tx: &mut WriteTx<'_>,
    user: UserId,
    own: Usage,
    others: &[OpenBatch],
    quota: Option<u64>,
    now: SyncTime,
) -> Result<QuotaState, EngineError> {
    let connection = tx.connection;
    let state = tx.state(user)?;
    let open = others.iter().map(|batch| batch.usage).sum::<Usage>() + own;
    if (state.usage() + open).fills(quota) && tx.may_hold_expired(user) {
        // Expired objects do not count, even if they are not removed yet.
        expiry::clear_user(connection, user, tx.state(user)?, now)?;
    }
    Ok(QuotaState {
        live: tx.state(user)?.usage(),
        own,
        quota,
    })
}

/// The user's open batches except `but`, in the order they were opened.
pub(super) fn others(
    connection: &Connection,
    user: UserId,
    except: Option<&OpenBatch>,
    now: SyncTime,
) -> rusqlite::Result<Vec<OpenBatch>> {
    let mut find = connection.prepare_cached(
        "select key, objects, bytes from batch
         where uid = ?1 and opened > ?2 and opened <= ?3 and key is not ?4 order by key",
    )?;
    let OpenedRange { expired, ahead } = OpenedRange::at(now);
    let except = except.map(|open| open.key);
    find.query_map((user.0.cast_signed(), expired, ahead, except), OpenBatch::read)?
        .collect()
}

pub(super) fn usage_of(batches: &[OpenBatch]) -> Vec<Usage> {
    batches.iter().map(|batch| batch.usage).collect()
}

/// Opens a batch.
fn insert_batch(
    tx: &WriteTx<'_>,
    user: UserId,
    collection: CollectionName,
    now: SyncTime,
) -> Result<(i64, BatchId), EngineError> {
    let uid = user.0.cast_signed();
    let batch = random_id(tx.rng());
    let mut insert = tx.connection.prepare_cached(
        "insert into batch (uid, name, collection, opened, objects, bytes) values (?1, ?2, ?3, ?4, 0, 0)",
    )?;
    let key = insert.insert((uid, &*batch.0, collection.as_str(), now.hundredths()))?;
    Ok((key, batch))
}

/// Finds the open batch with this id and collection.
pub(super) fn find(
    connection: &Connection,
    user: UserId,
    collection: CollectionName,
    batch: &BatchId,
    now: SyncTime,
) -> Result<OpenBatch, EngineError> {
    let mut find = connection.prepare_cached(
        "select key, objects, bytes from batch
         where uid = ?1 and name = ?2 and collection = ?3 and opened > ?4 and opened <= ?5",
    )?;
    let OpenedRange { expired, ahead } = OpenedRange::at(now);
    let found = find.query_row(
        (
            user.0.cast_signed(),
            &*batch.0,
            collection.as_str(),
            expired,
            ahead,
        ),
        OpenBatch::read,
    );
    found.optional()?.ok_or(EngineError::NoSuchBatch)
}

/// Applies all parts of a batch to their objects, with one part in memory at a time.
pub(super) fn apply(
    connection: &Connection,
    batch: &OpenBatch,
    objects: &mut Objects<'_>,
) -> Result<(), EngineError> {
    let mut parts = connection.prepare_cached("select patches from part where batch = ?1 order by number")?;
    let mut parts = parts.query([batch.key])?;
    while let Some(part) = parts.next()? {
        let patches = part.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        objects.apply_all(codec::decode(patches)?)?;
    }
    Ok(())
}

/// Ends batches. Their parts lose their user and wait for a purge: removing them here would write as many bytes to the WAL
/// again while all writers of the file wait.
pub(super) fn end_all(connection: &Connection, batches: &[OpenBatch]) -> rusqlite::Result<()> {
    batches.iter().try_for_each(|batch| end(connection, batch))
}

/// Ends one batch.
pub(super) fn end(connection: &Connection, batch: &OpenBatch) -> rusqlite::Result<()> {
    connection
        .prepare_cached("update batch set uid = null where key = ?1")?
        .execute([batch.key])?;
    Ok(())
}
