//! The rows of collections and of stores, as a write changes them.

use foxden_model::{CollectionName, SyncTime, UserId};
use rusqlite::Connection;

use super::user_state::CollectionState;
use crate::page::CollectionSummary;

/// Adds an empty collection.
pub(super) fn make_collection(
    connection: &Connection,
    user: UserId,
    name: CollectionName,
    modified: SyncTime,
) -> rusqlite::Result<CollectionState> {
    let mut insert = connection.prepare_cached(
        "insert into collection (uid, name, modified, count, bytes) values (?1, ?2, ?3, 0, 0)",
    )?;
    let owner = insert.insert((user.0.cast_signed(), name.as_str(), modified.hundredths()))?;
    let listed = CollectionSummary {
        name,
        modified,
        count: 0,
        bytes: 0,
    };
    Ok(CollectionState { owner, listed })
}

/// Adds changes of its objects to a collection's count and bytes, and sets its time if one is given.
pub(super) fn adjust(
    connection: &Connection,
    collection: &mut CollectionState,
    count: i64,
    bytes: i64,
    modified: Option<SyncTime>,
) -> rusqlite::Result<()> {
    let listed = &mut collection.listed;
    listed.count = listed.count.saturating_add_signed(count);
    listed.bytes = listed.bytes.saturating_add_signed(bytes);
    listed.modified = modified.unwrap_or(listed.modified);
    let mut update = connection
        .prepare_cached("update collection set modified = ?2, count = ?3, bytes = ?4 where owner = ?1")?;
    update.execute((
        collection.owner,
        listed.modified.hundredths(),
        listed.count.cast_signed(),
        listed.bytes.cast_signed(),
    ))?;
    Ok(())
}

/// Stores a time of the user that no collection has.
pub(super) fn keep_time(connection: &Connection, user: UserId, time: SyncTime) -> rusqlite::Result<()> {
    let mut keep = connection.prepare_cached(
        "insert into store (uid, modified) values (?1, ?2)
         on conflict (uid) do update set modified = excluded.modified",
    )?;
    keep.execute((user.0.cast_signed(), time.hundredths()))?;
    Ok(())
}
