//! Removing what nobody can see any more, in bites that do not hold up the writers beside it.

use std::collections::BTreeMap;

use foxden_model::{SyncTime, UserId};
use rusqlite::{Connection, OptionalExtension};

use super::batch::Span;
use super::collection::adjust;
use super::work::Work;
use crate::engine::EngineError;
use crate::page::Budget;

/// The rows one bite removes at most.
pub(super) const BITE: u64 = 1000;
/// What an object takes besides its payload: the rest of its row, and index entries.
pub(super) const ROW_BYTES: u64 = 256;
/// The bytes after which a bite ends: what is removed is overwritten, and goes through the log for that.
const BITE_BYTES: i64 = 4 << 20;
/// The pages one step of vacuuming frees at most.
const VACUUM_PAGES: i64 = 128;
/// Free pages that may stay, so that a busy file does not shrink and grow all the time: so many, and
/// besides one in so many of its pages.
const SLACK_PAGES: i64 = 64;
const SLACK_SHARE: i64 = 32;

/// One expired object.
struct Expired {
    row: i64,
    owner: i64,
    bytes: i64,
}

/// What a bite did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bite {
    /// The rows removed.
    pub(super) rows: u64,
    /// The bytes they took in the file, roughly.
    pub(super) bytes: u64,
    /// Whether there are more of them.
    pub(super) has_more: bool,
}

/// Removes what nobody can see, within the budget.
pub(super) fn bite(work: &mut Work<'_>, budget: Budget) -> Result<Bite, EngineError> {
    let most = budget.rows.min(BITE);
    let (now, until) = (work.now(), work.now().min(budget.until));
    let mut taken = 0;
    let mut rows = expired(work, until, most, &mut taken)?;
    rows += dropped(work.connection, most - rows, &mut taken)?;
    rows += dead_batches(work.connection, now, most - rows, &mut taken)?;
    let bytes = taken.cast_unsigned() + rows * ROW_BYTES;
    let has_more = is_left(work.connection, now, until)?;
    Ok(Bite {
        rows,
        bytes,
        has_more,
    })
}

fn is_left(connection: &Connection, now: SyncTime, until: SyncTime) -> rusqlite::Result<bool> {
    let Span { dead, ahead } = Span::at(now);
    let mut left = connection.prepare_cached(
        "select exists (select 1 from object indexed by object_expiry where expiry <= ?1)
           or exists (select 1 from dropped)
           or exists (select 1 from batch where uid is null or opened <= ?2 or opened > ?3)",
    )?;
    left.query_row((until.hundredths(), dead, ahead), |row| row.get(0))
}

fn expired(work: &mut Work<'_>, until: SyncTime, most: u64, all: &mut i64) -> Result<u64, EngineError> {
    let connection = work.connection;
    let mut find = connection.prepare_cached(
        "select row, owner, octet_length(payload) from object indexed by object_expiry
         where expiry <= ?1 order by expiry limit ?2",
    )?;
    let mut rows = find.query((until.hundredths(), most.cast_signed()))?;
    let (mut found, mut taken) = (Vec::new(), 0);
    while taken < BITE_BYTES
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
        // The owner of a dropped collection has no figures.
        if let Some(user) = user_of(connection, owner)? {
            let draft = work.draft(user)?;
            if let Some(entry) = draft.entries.iter_mut().find(|entry| entry.owner == owner) {
                adjust(connection, entry, count, bytes, None)?;
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

fn dropped(connection: &Connection, most: u64, all: &mut i64) -> rusqlite::Result<u64> {
    let mut find = connection.prepare_cached("select owner from dropped limit 1")?;
    let (mut removed, mut taken) = (0, 0);
    while removed < most && taken < BITE_BYTES {
        let Some(owner) = find.query_row((), |row| row.get::<_, i64>(0)).optional()? else {
            break;
        };
        let objects = Belongings {
            find: "select row, octet_length(payload) from object where owner = ?1 limit ?2",
            delete: "delete from object where row = ?1",
        };
        let gone = objects.remove(connection, owner, most - removed, &mut taken)?;
        removed += gone.rows;
        if !gone.has_more {
            connection
                .prepare_cached("delete from dropped where owner = ?1")?
                .execute([owner])?;
            // The mark is a row as well: many empty collections are bounded work, too.
            removed += 1;
        }
    }
    *all += taken;
    Ok(removed)
}

fn dead_batches(connection: &Connection, now: SyncTime, most: u64, all: &mut i64) -> rusqlite::Result<u64> {
    let Span { dead, ahead } = Span::at(now);
    let mut find = connection
        .prepare_cached("select key from batch where uid is null or opened <= ?1 or opened > ?2 limit 1")?;
    let (mut removed, mut taken) = (0, 0);
    while removed < most && taken < BITE_BYTES {
        let found = find.query_row((dead, ahead), |row| row.get::<_, i64>(0));
        let Some(key) = found.optional()? else { break };
        let parts = Belongings {
            find: "select number, octet_length(patches) from part where batch = ?1 limit ?2",
            delete: "delete from part where number = ?1",
        };
        let gone = parts.remove(connection, key, most - removed, &mut taken)?;
        removed += gone.rows;
        if !gone.has_more {
            connection
                .prepare_cached("delete from batch where key = ?1")?
                .execute([key])?;
            // The batch itself is a row as well.
            removed += 1;
        }
    }
    *all += taken;
    Ok(removed)
}

/// The rows that were removed of what belongs together, and whether it has more.
struct Gone {
    rows: u64,
    has_more: bool,
}

/// Statements by which what belongs to one owner or batch is found, with its bytes, and removed.
struct Belongings {
    find: &'static str,
    delete: &'static str,
}

impl Belongings {
    /// Removes some of what belongs together: so many rows, until so much is taken that a bite is full.
    fn remove(&self, connection: &Connection, of: i64, most: u64, taken: &mut i64) -> rusqlite::Result<Gone> {
        let mut find = connection.prepare_cached(self.find)?;
        let mut rows = find.query((of, most.cast_signed()))?;
        let mut found: Vec<i64> = Vec::new();
        while *taken < BITE_BYTES
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
        let has_more = rows == most || *taken >= BITE_BYTES;
        Ok(Gone { rows, has_more })
    }
}

/// What vacuuming a little has left to do.
pub(super) struct Vacuumed {
    /// The pages given back.
    pub(super) pages: u64,
    /// Whether more should be.
    pub(super) has_more: bool,
}

/// Gives a few free pages back to the file system, unless the file is better off with them.
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
    // Each row it answers is one page freed.
    while freed.next()?.is_some() {}
    Ok(Vacuumed {
        pages: pages.unsigned_abs(),
        has_more: excess > pages,
    })
}

/// How many free pages there are beyond what may stay.
fn excess(connection: &Connection) -> rusqlite::Result<i64> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (free, all) = (number("freelist_count")?, number("page_count")?);
    Ok(free - SLACK_PAGES - all / SLACK_SHARE)
}
