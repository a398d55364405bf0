//! Reads the rows of users.

use std::collections::BTreeSet;

use foxden_model::{Bso, CollectionName, ObjectId, SyncTime};
use rusqlite::{Connection, Row};

use super::HALF;
use crate::engine::movable::{
    BatchHead, CollectionHead, MAX_MOVED_BYTES, MAX_MOVED_OBJECTS, MAX_MOVED_PARTS, MoveTotals, MovedPart,
    ObjectsPage, UserHead,
};
use crate::engine::{Corrupt, EngineError};

/// The tables with users, and which rows count: those of a write or an open batch.
const USERS: [(&str, &str); 3] = [
    ("collection", "true"),
    ("store", "(t.modified > 0 or t.closed <> 0)"),
    ("batch", "t.uid is not null"),
];

/// Selects the users of a table who are wholly there.
fn whole((table, counts): (&str, &str)) -> String {
    format!(
        "select distinct t.uid from {table} as t where {counts}
         and not exists (select 1 from store where store.uid = t.uid and store.closed = {HALF})"
    )
}

/// Whether a user is half there.
pub(super) fn has_half(connection: &Connection) -> Result<bool, EngineError> {
    let half = format!("select exists (select 1 from store where closed = {HALF})");
    Ok(connection.query_row(&half, (), |row| row.get(0))?)
}

/// Whether the file never had a user.
pub(super) fn is_empty(connection: &Connection) -> Result<bool, EngineError> {
    for (table, counts) in USERS {
        let has_any = format!("select exists (select 1 from {table} as t where {counts})");
        if connection.query_row(&has_any, (), |row| row.get(0))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first users from `first` on.
pub(super) fn users(connection: &Connection, first: i64, limit: usize) -> Result<Vec<i64>, EngineError> {
    let mut users = BTreeSet::new();
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    for table in USERS {
        let statement = format!("{} and t.uid >= ?1 order by t.uid limit ?2", whole(table));
        let mut statement = connection.prepare_cached(&statement)?;
        let mut rows = statement.query((first, most))?;
        while let Some(row) = rows.next()? {
            users.insert(row.get(0)?);
        }
    }
    Ok(users.into_iter().take(limit).collect())
}

/// What those users hold who are wholly there.
pub(super) fn totals(connection: &Connection) -> Result<MoveTotals, EngineError> {
    let totals = format!(
        "with whole (uid) as ({})
         select (select count(*) from whole), coalesce(sum(count), 0), coalesce(sum(bytes), 0)
         from collection where uid in whole",
        USERS.map(whole).join(" union ")
    );
    let totals = connection.query_row(&totals, (), |row| {
        Ok(MoveTotals {
            users: row.get::<_, i64>(0)?.max(0).cast_unsigned(),
            objects: row.get::<_, i64>(1)?.max(0).cast_unsigned(),
            bytes: row.get::<_, i64>(2)?.max(0).cast_unsigned(),
        })
    });
    Ok(totals?)
}

/// What is stored of a user besides objects and parts.
pub(super) fn head(connection: &Connection, uid: i64) -> Result<UserHead, EngineError> {
    let mut head = UserHead {
        modified: SyncTime::ZERO,
        is_closed: false,
        collections: Vec::new(),
        batches: Vec::new(),
    };
    let mut store = connection.prepare_cached("select modified, closed from store where uid = ?1")?;
    let mut rows = store.query([uid])?;
    if let Some(row) = rows.next()? {
        head.modified = SyncTime::from_hundredths(row.get(0)?);
        head.is_closed = row.get::<_, i64>(1)? != 0;
    }
    let mut collections = connection.prepare_cached(
        "select owner, name, modified, count, bytes from collection where uid = ?1 order by name",
    )?;
    let mut rows = collections.query([uid])?;
    while let Some(row) = rows.next()? {
        let collection = CollectionHead {
            key: row.get(0)?,
            name: name(row, 1)?,
            modified: SyncTime::from_hundredths(row.get(2)?),
            objects: count(row, 3)?,
            bytes: count(row, 4)?,
        };
        head.modified = head.modified.max(collection.modified);
        head.collections.push(collection);
    }
    let mut batches = connection.prepare_cached(
        "select key, name, collection, opened, objects, bytes,
           (select count(*) from part where batch = key)
         from batch where uid = ?1 order by key",
    )?;
    let mut rows = batches.query([uid])?;
    while let Some(row) = rows.next()? {
        head.batches.push(BatchHead {
            key: row.get(0)?,
            name: row.get(1)?,
            collection: name(row, 2)?,
            opened: SyncTime::from_hundredths(row.get(3)?),
            objects: count(row, 4)?,
            bytes: count(row, 5)?,
            parts: count(row, 6)?,
        });
    }
    Ok(head)
}

/// The objects of an owner that follow `after`.
pub(super) fn objects(
    connection: &Connection,
    owner: i64,
    after: Option<&ObjectId>,
) -> Result<ObjectsPage, EngineError> {
    let mut statement = connection.prepare_cached(
        "select id, modified, sortindex, expiry, parent_id, predecessor_id, payload from object
         where owner = ?1 and id > ?2 order by id limit ?3",
    )?;
    let limit = i64::try_from(MAX_MOVED_OBJECTS).unwrap_or(i64::MAX);
    let mut rows = statement.query((owner, after.map_or("", ObjectId::as_str), limit))?;
    let mut page = ObjectsPage::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let object = object(row)?;
        bytes += object.payload.len();
        page.objects.push(object);
        if bytes >= MAX_MOVED_BYTES {
            page.has_more = true;
            break;
        }
    }
    page.has_more |= page.objects.len() >= MAX_MOVED_OBJECTS;
    Ok(page)
}

fn object(row: &Row<'_>) -> Result<Bso, EngineError> {
    let id: String = row.get(0)?;
    Ok(Bso {
        id: ObjectId::new(id).map_err(|_| Corrupt("the id of an object"))?,
        modified: SyncTime::from_hundredths(row.get(1)?),
        sortindex: row.get(2)?,
        expiry: row.get::<_, Option<i64>>(3)?.map(SyncTime::from_hundredths),
        parent_id: row.get(4)?,
        predecessor_id: row.get(5)?,
        payload: row.get(6)?,
    })
}

/// A few parts of a batch.
pub(super) fn parts(connection: &Connection, batch: i64, after: i64) -> Result<Vec<MovedPart>, EngineError> {
    let mut statement = connection.prepare_cached(
        "select number, patches from part where batch = ?1 and number > ?2 order by number limit ?3",
    )?;
    let limit = i64::try_from(MAX_MOVED_PARTS).unwrap_or(i64::MAX);
    let parts = statement.query_map((batch, after, limit), |row| {
        Ok(MovedPart {
            number: row.get(0)?,
            patches: row.get(1)?,
        })
    })?;
    Ok(parts.collect::<Result<_, _>>()?)
}

fn name(row: &Row<'_>, column: usize) -> Result<CollectionName, EngineError> {
    let name: String = row.get(column)?;
    Ok(CollectionName::new(&name).map_err(|_| Corrupt("a collection's name"))?)
}

fn count(row: &Row<'_>, column: usize) -> Result<u64, EngineError> {
    Ok(row.get::<_, i64>(column)?.max(0).cast_unsigned())
}
