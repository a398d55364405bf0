//! Removes expired and deleted data, in chunks small enough not to delay writers.

use std::collections::BTreeMap;

use foxden_model::{SyncTime, UserId};

use super::connection::{Connection, Dialect, int};
use super::fault::Fault;
use super::transaction::UserTransaction;
use crate::engine::batch_id::OpenedRange;

/// Expired objects of one user, by the number of their collection.
pub(super) type ExpiredObjects = BTreeMap<i64, Vec<String>>;

/// Finds expired objects, those first that expired first.
pub(super) async fn find_expired(
    connection: &mut Connection,
    until: SyncTime,
    most: u64,
) -> Result<BTreeMap<UserId, ExpiredObjects>, Fault> {
    let sql = "SELECT uid, collection, id FROM sync_object WHERE expiry <= ? ORDER BY expiry LIMIT ?";
    let args = [int(until.hundredths()), int(most.cast_signed())];
    let mut found: BTreeMap<UserId, ExpiredObjects> = BTreeMap::new();
    for row in connection.fetch(sql, &args).await? {
        let user = UserId(row.int(0)?.cast_unsigned());
        let collections = found.entry(user).or_default();
        collections
            .entry(row.int(1)?)
            .or_default()
            .push(row.text(2)?.to_owned());
    }
    Ok(found)
}

/// Deletes those of the objects that are still expired, and returns how many rows went.
pub(super) async fn delete_expired(
    tx: &mut UserTransaction,
    expired: &ExpiredObjects,
    until: SyncTime,
) -> Result<u64, Fault> {
    let mut removed = 0;
    for (&collection, ids) in expired {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (objects, bytes) = tx.still_expired(collection, &ids, until).await?;
        tx.delete_expired(collection, &ids, until).await?;
        removed += objects.cast_unsigned();
        tx.discount(collection, objects, bytes);
    }
    Ok(removed)
}

/// Removes the rows of deleted collections and of batches that have ended; returns how many rows went.
pub(super) async fn purge_deleted(
    connection: &mut Connection,
    dialect: Dialect,
    most: u64,
) -> Result<u64, Fault> {
    let removed = purge_dropped(connection, dialect, most).await?;
    Ok(removed + purge_batches(connection, dialect, most - removed.min(most)).await?)
}

/// Removes objects of deleted collections; returns how many rows went.
async fn purge_dropped(connection: &mut Connection, dialect: Dialect, most: u64) -> Result<u64, Fault> {
    let mut removed = 0;
    while removed < most {
        let sql = "SELECT uid, collection FROM sync_dropped LIMIT 1";
        let rows = connection.fetch(sql, &[]).await?;
        let Some(row) = rows.first() else { break };
        let (user, collection) = (row.int(0)?, row.int(1)?);
        let left = most - removed;
        let objects = match dialect {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                let sql = "DELETE FROM sync_object WHERE uid = ? AND collection = ? AND id = ANY (ARRAY
                           (SELECT id FROM sync_object WHERE uid = ? AND collection = ? LIMIT ? FOR UPDATE SKIP LOCKED))";
                let args = [
                    int(user),
                    int(collection),
                    int(user),
                    int(collection),
                    int(left.cast_signed()),
                ];
                connection.execute(sql, &args).await?.rows
            }
            #[cfg(feature = "mysql")]
            Dialect::Mysql => {
                let sql = "DELETE FROM sync_object WHERE uid = ? AND collection = ? LIMIT ?";
                let args = [int(user), int(collection), int(left.cast_signed())];
                connection.execute(sql, &args).await?.rows
            }
        };
        removed += objects;
        if objects < left {
            // Another process may be removing the same objects, and not be done.
            let sql = "DELETE FROM sync_dropped WHERE uid = ? AND collection = ?
                       AND NOT EXISTS (SELECT 1 FROM sync_object WHERE uid = ? AND collection = ?)";
            let args = [int(user), int(collection), int(user), int(collection)];
            if connection.execute(sql, &args).await?.rows == 0 {
                break;
            }
            // The tombstone counts as a row, so that many empty collections are bounded work, too.
            removed += 1;
        }
    }
    Ok(removed)
}

/// Finds a batch that is no longer open and has not ended.
pub(super) async fn find_expired_batch(
    connection: &mut Connection,
    now: SyncTime,
) -> Result<Option<(UserId, i64)>, Fault> {
    let OpenedRange { expired, ahead } = OpenedRange::at(now);
    let sql = "SELECT uid, number FROM sync_batch WHERE (opened <= ? OR opened > ?) AND ended = 0 LIMIT 1";
    let rows = connection.fetch(sql, &[int(expired), int(ahead)]).await?;
    let batch = rows
        .first()
        .map(|row| Ok::<_, Fault>((UserId(row.int(0)?.cast_unsigned()), row.int(1)?)));
    batch.transpose()
}

/// Removes parts of batches that have ended; returns how many rows went.
async fn purge_batches(connection: &mut Connection, dialect: Dialect, most: u64) -> Result<u64, Fault> {
    let mut removed = 0;
    while removed < most {
        let sql = "SELECT uid, number FROM sync_batch WHERE ended = 1 LIMIT 1";
        let rows = connection.fetch(sql, &[]).await?;
        let Some(row) = rows.first() else { break };
        let (user, batch) = (row.int(0)?, row.int(1)?);
        let left = most - removed;
        let parts = match dialect {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                let sql = "DELETE FROM sync_part WHERE uid = ? AND batch = ? AND part = ANY (ARRAY
                           (SELECT part FROM sync_part WHERE uid = ? AND batch = ? LIMIT ? FOR UPDATE SKIP LOCKED))";
                let args = [
                    int(user),
                    int(batch),
                    int(user),
                    int(batch),
                    int(left.cast_signed()),
                ];
                connection.execute(sql, &args).await?.rows
            }
            #[cfg(feature = "mysql")]
            Dialect::Mysql => {
                let sql = "DELETE FROM sync_part WHERE uid = ? AND batch = ? LIMIT ?";
                let args = [int(user), int(batch), int(left.cast_signed())];
                connection.execute(sql, &args).await?.rows
            }
        };
        removed += parts;
        if parts < left {
            let sql = "DELETE FROM sync_batch WHERE uid = ? AND number = ?
                       AND NOT EXISTS (SELECT 1 FROM sync_part WHERE uid = ? AND batch = ?)";
            let args = [int(user), int(batch), int(user), int(batch)];
            if connection.execute(sql, &args).await?.rows == 0 {
                break;
            }
            // The batch counts as a row, too.
            removed += 1;
        }
    }
    Ok(removed)
}

/// Returns whether anything is left to purge.
pub(super) async fn is_left(
    connection: &mut Connection,
    dialect: Dialect,
    until: SyncTime,
    now: SyncTime,
) -> Result<bool, Fault> {
    let OpenedRange { expired, ahead } = OpenedRange::at(now);
    let sql = format!(
        "SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM sync_object WHERE expiry <= ?)
         OR EXISTS (SELECT 1 FROM sync_dropped)
         OR EXISTS (SELECT 1 FROM sync_batch WHERE ended = 1 OR opened <= ? OR opened > ?)
         THEN 1 ELSE 0 END AS {})",
        dialect.integer()
    );
    let rows = connection
        .fetch(&sql, &[int(until.hundredths()), int(expired), int(ahead)])
        .await?;
    let left = rows.first().map(|row| row.int(0)).transpose()?;
    Ok(left == Some(1))
}
