//! Removes expired and deleted data, in chunks small enough not to delay writers.

use std::collections::BTreeMap;

use foxden_model::{SyncTime, UserId};
use rusqlite::{Connection, OptionalExtension};

use super::collection::adjust;
use super::write_tx::WriteTx;
use crate::engine::EngineError;
use crate::engine::batch_id::OpenedRange;
use crate::engine::purge_debt::{CHUNK_ROWS, PurgeChunk, ROW_BYTES};
use crate::page::Budget;

/// The bytes after which a chunk ends: removed data is overwritten, and so written to the WAL.
const CHUNK_BYTES: i64 = 4 << 20;
/// The most pages that one vacuum step frees.
const VACUUM_PAGES: i64 = 128;
/// Free pages that stay, so that a busy file does not shrink and grow all the time: this many, and one in `SLACK_SHARE` of
/// its pages.
const SLACK_PAGES: i64 = 64;
const SLACK_SHARE: i64 = 32;

/// One expired object.
struct Expired {
    row: i64,
    owner: i64,
    bytes: i64,
}

/// Removes one chunk of expired and deleted data, within the budget.
pub(super) fn purge_chunk(tx: &mut WriteTx<'_>, budget: Budget) -> Result<PurgeChunk, EngineError> {
    let most = budget.rows.min(CHUNK_ROWS);
    let (now, until) = (tx.now(), tx.now().min(budget.until));
    let mut taken = 0;
    let mut rows = purge_expired(tx, until, most, &mut taken)?;
    rows += purge_tombstones(tx.connection, most - rows, &mut taken)?;
    rows += purge_batches(tx.connection, now, most - rows, &mut taken)?;
    let bytes = taken.cast_unsigned() + rows * ROW_BYTES;
    let has_more = is_left(tx.connection, now, until)?;
    Ok(PurgeChunk {
        rows,
        bytes,
        has_more,
    })
}

fn is_left(connection: &Connection, now: SyncTime, until: SyncTime) -> rusqlite::Result<bool> {
    let OpenedRange { expired, ahead } = OpenedRange::at(now);
    let mut left = connection.prepare_cached(
        "select exists (select 1 from object indexed by object_expiry where expiry <= ?1)
           or exists (select 1 from dropped)
           or exists (select 1 from batch where uid is null or opened <= ?2 or opened > ?3)",
    )?;
    left.query_row((until.hundredths(), expired, ahead), |row| row.get(0))
}

fn purge_expired(
    tx: &mut WriteTx<'_>,
    until: SyncTime,
    most: u64,
    all: &mut i64,
) -> Result<u64, EngineError> {
    let connection = tx.connection;
    let mut find = connection.prepare_cached(
        "select row, owner, octet_length(payload) from object indexed by object_expiry
         where expiry <= ?1 order by expiry limit ?2",
    )?;
    let mut rows = find.query((until.hundredths(), most.cast_signed()))?;
    let (mut found, mut taken) = (Vec::new(), 0);
    while taken < CHUNK_BYTES
        && let Some(row) = rows.next()?
    {
        let (row, owner, bytes) = (row.get(0)?, row.get(1)?, row.get(2)?);
        taken += bytes;
        found.push(Expired { row, owner, bytes });
    }
    drop(rows);
    *all += taken;
    let mut lost: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    let mut delete = connection.prepare_cached("delete from object where row = ?1")?;
    for expired in &found {
        delete.execute([expired.row])?;
        let (count, bytes) = lost.entry(expired.owner).or_default();
        *count -= 1;
        *bytes -= expired.bytes;
    }
    for (owner, (count, bytes)) in lost {
        // A deleted collection has no counts.
        if let Some(user) = user_of(connection, owner)? {
            let state = tx.state(user)?;
            if let Some(collection) = state
                .collections
                .iter_mut()
                .find(|collection| collection.owner == owner)
            {
                adjust(connection, collection, count, bytes, None)?;
            }
        }
    }
    Ok(found.len() as u64)
}

fn user_of(connection: &Connection, owner: i64) -> rusqlite::Result<Option<UserId>> {
    let mut find = connection.prepare_cached("select uid from collection where owner = ?1")?;
    let uid: Option<i64> = find.query_row([owner], |row| row.get(0)).optional()?;
    Ok(uid.map(|uid| UserId(uid.cast_unsigned())))
}

fn purge_tombstones(connection: &Connection, most: u64, all: &mut i64) -> rusqlite::Result<u64> {
    let mut find = connection.prepare_cached("select owner from dropped limit 1")?;
    let (mut removed, mut taken) = (0, 0);
    while removed < most && taken < CHUNK_BYTES {
        let Some(owner) = find.query_row((), |row| row.get::<_, i64>(0)).optional()? else {
            break;
        };
        let objects = OwnedRows {
            find: "select row, octet_length(payload) from object where owner = ?1 limit ?2",
            delete: "delete from object where row = ?1",
        };
        let gone = objects.remove(connection, owner, most - removed, &mut taken)?;
        removed += gone.rows;
        if !gone.has_more {
            connection
                .prepare_cached("delete from dropped where owner = ?1")?
                .execute([owner])?;
            // The tombstone counts as a row, so that many empty collections are bounded work, too.
            removed += 1;
        }
    }
    *all += taken;
    Ok(removed)
}

fn purge_batches(connection: &Connection, now: SyncTime, most: u64, all: &mut i64) -> rusqlite::Result<u64> {
    let OpenedRange { expired, ahead } = OpenedRange::at(now);
    let mut find = connection
        .prepare_cached("select key from batch where uid is null or opened <= ?1 or opened > ?2 limit 1")?;
    let (mut removed, mut taken) = (0, 0);
    while removed < most && taken < CHUNK_BYTES {
        let found = find.query_row((expired, ahead), |row| row.get::<_, i64>(0));
        let Some(key) = found.optional()? else { break };
        let parts = OwnedRows {
            find: "select number, octet_length(patches) from part where batch = ?1 limit ?2",
            delete: "delete from part where number = ?1",
        };
        let gone = parts.remove(connection, key, most - removed, &mut taken)?;
        removed += gone.rows;
        if !gone.has_more {
            connection
                .prepare_cached("delete from batch where key = ?1")?
                .execute([key])?;
            // The batch counts as a row, too.
            removed += 1;
        }
    }
    *all += taken;
    Ok(removed)
}

/// How many rows of one owner or batch were removed, and whether it has more.
struct Removed {
    rows: u64,
    has_more: bool,
}

/// Statements that find the rows of one owner or batch, with their bytes, and delete them.
struct OwnedRows {
    find: &'static str,
    delete: &'static str,
}

impl OwnedRows {
    /// Removes up to `most` rows of one owner or batch, until the chunk has its bytes.
    fn remove(
        &self,
        connection: &Connection,
        of: i64,
        most: u64,
        taken: &mut i64,
    ) -> rusqlite::Result<Removed> {
        let mut find = connection.prepare_cached(self.find)?;
        let mut rows = find.query((of, most.cast_signed()))?;
        let mut found: Vec<i64> = Vec::new();
        while *taken < CHUNK_BYTES
            && let Some(row) = rows.next()?
        {
            found.push(row.get(0)?);
            *taken += row.get::<_, i64>(1)?;
        }
        drop(rows);
        let mut delete = connection.prepare_cached(self.delete)?;
        for row in &found {
            delete.execute([row])?;
        }
        let rows = found.len() as u64;
        let has_more = rows == most || *taken >= CHUNK_BYTES;
        Ok(Removed { rows, has_more })
    }
}

/// The result of a vacuum step.
pub(super) struct Vacuumed {
    /// The freed pages.
    pub(super) pages: u64,
    /// Whether more pages should be freed.
    pub(super) has_more: bool,
}

/// Returns a few free pages to the file system, unless they are within the slack.
pub(super) fn vacuum(connection: &Connection) -> rusqlite::Result<Vacuumed> {
    let excess = excess(connection)?;
    if excess <= 0 {
        return Ok(Vacuumed {
            pages: 0,
            has_more: false,
        });
    }
    let pages = excess.min(VACUUM_PAGES);
    let mut step = connection.prepare(&format!("pragma incremental_vacuum({pages})"))?;
    let mut freed = step.query(())?;
    // Each row of the result is one freed page.
    while freed.next()?.is_some() {}
    Ok(Vacuumed {
        pages: pages.unsigned_abs(),
        has_more: excess > pages,
    })
}

/// The number of free pages beyond the slack.
fn excess(connection: &Connection) -> rusqlite::Result<i64> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (free, all) = (number("freelist_count")?, number("page_count")?);
    Ok(free - SLACK_PAGES - all / SLACK_SHARE)
}
