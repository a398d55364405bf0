//! Uploads in several requests: each request is one row until the batch is committed.

use std::fmt::Write as _;

use foxden_model::{CollectionName, Rng, SyncTime, UserId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::codec;
use super::expiry;
use super::objects::Objects;
use super::work::Work;
use crate::command::{BatchId, BatchPart};
use crate::engine::held::{BatchLimits, Growth, Held, Room};
use crate::engine::{BATCH_SECONDS, EngineError};
use crate::page::Staged;

/// A batch that takes further parts.
pub(super) struct Open {
    key: i64,
    pub(super) held: Held,
}

impl Open {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let held = Held {
            objects: row.get::<_, i64>(1)?.max(0).cast_unsigned(),
            bytes: row.get::<_, i64>(2)?.max(0).cast_unsigned(),
        };
        Ok(Self {
            key: row.get(0)?,
            held,
        })
    }
}

/// Lays a part aside, or refuses it and leaves the batch as it was.
pub(super) fn stage(work: &mut Work<'_>, user: UserId, part: &BatchPart) -> Result<Staged, EngineError> {
    let now = work.now();
    if work.draft(user)?.is_closed {
        return Err(EngineError::Closed);
    }
    work.compare(user, part.guard.as_ref(), now)?;
    let connection = work.connection;
    let open = match &part.batch {
        Some(batch) => Some(find(connection, user, part.collection, batch, now)?),
        None => None,
    };
    let limits = BatchLimits {
        objects: part.max_objects,
        bytes: part.max_bytes,
    };
    let own = open.as_ref().map_or_else(Held::default, |open| open.held);
    let grown = limits.grown(own, &part.patches)?;
    let others = others(connection, user, open.as_ref(), now)?;
    let room = room(work, user, own, &others, part.quota, now)?;
    let growth = Growth {
        bytes: grown.bytes,
        max_open_bytes: part.max_open_bytes,
        opens: open.is_none(),
    };
    let surplus = room.surplus_for(growth, &held_by(&others))?;
    end_all(connection, &others[..surplus])?;
    let (key, batch) = match (open, &part.batch) {
        (Some(open), Some(batch)) => (open.key, batch.clone()),
        _ => make(work, user, part.collection, now)?,
    };
    connection
        .prepare_cached("update batch set objects = ?2, bytes = ?3 where key = ?1")?
        .execute((key, grown.objects.cast_signed(), grown.bytes.cast_signed()))?;
    if !part.patches.is_empty() {
        let number = connection
            .prepare_cached("insert into part (batch, patches) values (?1, ?2)")?
            .insert((key, codec::encode(&part.patches)))?;
        work.note_part(number);
    }
    let draft = work.draft(user)?;
    let modified = draft.get(part.collection).map(|entry| entry.listed.modified);
    Ok(Staged {
        batch,
        modified: modified.unwrap_or_default(),
    })
}

/// What a write or a part finds, without what has expired where that decides.
pub(super) fn room(
    work: &mut Work<'_>,
    user: UserId,
    own: Held,
    others: &[Open],
    quota: Option<u64>,
    now: SyncTime,
) -> Result<Room, EngineError> {
    let connection = work.connection;
    let draft = work.draft(user)?;
    let open = others.iter().map(|batch| batch.held).sum::<Held>() + own;
    if (draft.held() + open).fills(quota) && work.may_hold_expired(user) {
        // What has expired takes no space, though it may still lie there.
        expiry::clear_user(connection, user, work.draft(user)?, now)?;
    }
    Ok(Room {
        live: work.draft(user)?.held(),
        own,
        quota,
    })
}

/// The user's open batches but that one, the one opened first first.
pub(super) fn others(
    connection: &Connection,
    user: UserId,
    but: Option<&Open>,
    now: SyncTime,
) -> rusqlite::Result<Vec<Open>> {
    let mut find = connection.prepare_cached(
        "select key, objects, bytes from batch
         where uid = ?1 and opened > ?2 and opened <= ?3 and key is not ?4 order by key",
    )?;
    let Span { dead, ahead } = Span::at(now);
    let but = but.map(|open| open.key);
    find.query_map((user.0.cast_signed(), dead, ahead, but), Open::read)?
        .collect()
}

pub(super) fn held_by(batches: &[Open]) -> Vec<Held> {
    batches.iter().map(|batch| batch.held).collect()
}

/// Opens a batch.
fn make(
    work: &Work<'_>,
    user: UserId,
    collection: CollectionName,
    now: SyncTime,
) -> Result<(i64, BatchId), EngineError> {
    let uid = user.0.cast_signed();
    let batch = fresh_id(work.rng());
    let mut insert = work.connection.prepare_cached(
        "insert into batch (uid, name, collection, opened, objects, bytes) values (?1, ?2, ?3, ?4, 0, 0)",
    )?;
    let key = insert.insert((uid, &*batch.0, collection.as_str(), now.hundredths()))?;
    Ok((key, batch))
}

fn fresh_id(rng: &dyn Rng) -> BatchId {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    BatchId(text.into())
}

/// The user's open batch of that name, if it was opened for that collection.
pub(super) fn find(
    connection: &Connection,
    user: UserId,
    collection: CollectionName,
    batch: &BatchId,
    now: SyncTime,
) -> Result<Open, EngineError> {
    let mut find = connection.prepare_cached(
        "select key, objects, bytes from batch
         where uid = ?1 and name = ?2 and collection = ?3 and opened > ?4 and opened <= ?5",
    )?;
    let Span { dead, ahead } = Span::at(now);
    let found = find.query_row(
        (user.0.cast_signed(), &*batch.0, collection.as_str(), dead, ahead),
        Open::read,
    );
    found.optional()?.ok_or(EngineError::NoSuchBatch)
}

/// When a batch that is open now was opened, in hundredths.
pub(super) struct Span {
    /// Whatever was opened then or earlier has come to its end.
    pub(super) dead: i64,
    /// Whatever was opened later was so by a clock that was ahead.
    pub(super) ahead: i64,
}

impl Span {
    pub(super) fn at(now: SyncTime) -> Self {
        Self {
            dead: now.plus_seconds(-BATCH_SECONDS).hundredths(),
            ahead: now.plus_seconds(BATCH_SECONDS).hundredths(),
        }
    }
}

/// Lays all parts of a batch over their objects, one part in memory at a time.
pub(super) fn lay(
    connection: &Connection,
    batch: &Open,
    objects: &mut Objects<'_>,
) -> Result<(), EngineError> {
    let mut parts = connection.prepare_cached("select patches from part where batch = ?1 order by number")?;
    let mut parts = parts.query([batch.key])?;
    while let Some(part) = parts.next()? {
        let patches = part.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        objects.lay_all(codec::decode(patches)?)?;
    }
    Ok(())
}

/// Ends batches. What they held belongs to nobody from then on and waits for a purge: removing it here would
/// send as much through the log once more, while all writers of the file wait.
pub(super) fn end_all(connection: &Connection, batches: &[Open]) -> rusqlite::Result<()> {
    batches.iter().try_for_each(|batch| end(connection, batch))
}

/// Ends one.
pub(super) fn end(connection: &Connection, batch: &Open) -> rusqlite::Result<()> {
    connection
        .prepare_cached("update batch set uid = null where key = ?1")?
        .execute([batch.key])?;
    Ok(())
}
