//! Removing what nobody can see any more, in bites that do not hold up the writers beside it.

use std::collections::BTreeMap;

use foxden_model::{SyncTime, UserId};
use rusqlite::{Connection, OptionalExtension, Statement};

use super::batch;
use super::known::Draft;
use super::work::Work;
use super::write::adjust;
use crate::engine::EngineError;

/// The rows one bite removes at most.
pub(super) const BITE: u64 = 1000;
/// A part may hold megabytes, so fewer of them make a bite.
const PARTS: u64 = 8;
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
    /// Whether there are more of them.
    pub(super) has_more: bool,
}

/// Removes up to so many rows.
pub(super) fn bite(work: &mut Work<'_>, most: u64) -> Result<Bite, EngineError> {
    let most = most.min(BITE);
    let mut rows = expired(work, most)?;
    rows += dropped(work.connection, most - rows)?;
    rows += dead_batch(work.connection, work.now(), most - rows)?;
    let has_more = is_left(work.connection, work.now())?;
    Ok(Bite { rows, has_more })
}

fn is_left(connection: &Connection, now: SyncTime) -> rusqlite::Result<bool> {
    let mut left = connection.prepare_cached(
        "select exists (select 1 from object indexed by object_expiry where expiry <= ?1)
           or exists (select 1 from dropped)
           or exists (select 1 from batch where uid is null or opened <= ?2)",
    )?;
    left.query_row((now.hundredths(), batch::newest_dead(now)), |row| row.get(0))
}

fn expired(work: &mut Work<'_>, most: u64) -> Result<u64, EngineError> {
    let connection = work.connection;
    let now = work.now().hundredths();
    let mut find = connection.prepare_cached(
        "select row, owner, octet_length(payload) from object indexed by object_expiry
         where expiry <= ?1 order by expiry limit ?2",
    )?;
    let found = find.query_map((now, most.cast_signed()), |row| {
        Ok(Expired {
            row: row.get(0)?,
            owner: row.get(1)?,
            bytes: row.get(2)?,
        })
    })?;
    let found: Vec<Expired> = found.collect::<Result<_, _>>()?;
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

fn dropped(connection: &Connection, most: u64) -> rusqlite::Result<u64> {
    let mut find = connection.prepare_cached("select owner from dropped limit 1")?;
    let mut removed = 0;
    while removed < most {
        let Some(owner) = find.query_row((), |row| row.get::<_, i64>(0)).optional()? else {
            break;
        };
        let left = most - removed;
        let rows = connection
            .prepare_cached(
                "delete from object where row in (select row from object where owner = ?1 limit ?2)",
            )?
            .execute((owner, left.cast_signed()))? as u64;
        removed += rows;
        if rows < left {
            connection
                .prepare_cached("delete from dropped where owner = ?1")?
                .execute([owner])?;
            // The mark is a row as well: many empty collections are bounded work, too.
            removed += 1;
        }
    }
    Ok(removed)
}

fn dead_batch(connection: &Connection, now: SyncTime, most: u64) -> rusqlite::Result<u64> {
    if most == 0 {
        return Ok(0);
    }
    let dead = connection
        .prepare_cached("select key from batch where uid is null or opened <= ?1 limit 1")?
        .query_row([batch::newest_dead(now)], |row| row.get::<_, i64>(0))
        .optional()?;
    let Some(key) = dead else { return Ok(0) };
    // The batch itself is a row as well, so that one of the rows is kept for it.
    let most = most.min(PARTS);
    let parts = connection
        .prepare_cached(
            "delete from part where number in (select number from part where batch = ?1 limit ?2)",
        )?
        .execute((key, most.cast_signed()))? as u64;
    if parts < most {
        connection
            .prepare_cached("delete from batch where key = ?1")?
            .execute([key])?;
        return Ok(parts + 1);
    }
    Ok(parts)
}

/// Removes what has expired of one user, so that a write is not refused because of it.
pub(super) fn clear_user(
    connection: &Connection,
    user: UserId,
    draft: &mut Draft,
    now: SyncTime,
) -> Result<(), EngineError> {
    let mut delete = connection.prepare_cached(&format!(
        "delete from object where row in (select row {EXPIRED_OF_USER})
         returning owner, octet_length(payload)"
    ))?;
    let lost = lost(&mut delete, user, now)?;
    for (owner, (count, bytes)) in lost {
        if let Some(entry) = draft.entries.iter_mut().find(|entry| entry.owner == owner) {
            adjust(connection, entry, count, bytes, None)?;
        }
    }
    Ok(())
}

/// Takes what has expired of one user off the figures, and leaves the objects where they are.
pub(super) fn discount(
    connection: &Connection,
    user: UserId,
    draft: &mut Draft,
    now: SyncTime,
) -> Result<(), EngineError> {
    let mut find =
        connection.prepare_cached(&format!("select owner, octet_length(payload) {EXPIRED_OF_USER}"))?;
    let lost = lost(&mut find, user, now)?;
    for entry in &mut draft.entries {
        let (count, bytes) = lost.get(&entry.owner).copied().unwrap_or_default();
        entry.listed.count = entry.listed.count.saturating_add_signed(count);
        entry.listed.bytes = entry.listed.bytes.saturating_add_signed(bytes);
    }
    Ok(())
}

/// The expired objects of one user. The index holds everybody's, so it is walked once for all of the
/// user's collections and not once for each.
pub(super) const EXPIRED_OF_USER: &str = "from object indexed by object_expiry
     where expiry <= ?2 and owner in (select owner from collection where uid = ?1)";

/// For each owner what its figures lose by the objects that a statement finds.
fn lost(
    find: &mut Statement<'_>,
    user: UserId,
    now: SyncTime,
) -> rusqlite::Result<BTreeMap<i64, (i64, i64)>> {
    let mut lost: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    let mut rows = find.query((user.0.cast_signed(), now.hundredths()))?;
    while let Some(row) = rows.next()? {
        let (count, bytes) = lost.entry(row.get(0)?).or_default();
        *count -= 1;
        *bytes -= row.get::<_, i64>(1)?;
    }
    Ok(lost)
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
