//! The expired objects of one user.

use std::collections::BTreeMap;

use foxden_model::{SyncTime, UserId};
use rusqlite::{Connection, Statement};

use super::collection::adjust;
use super::user_state::UserStateMut;
use crate::engine::EngineError;

/// Deletes one user's expired objects, so that they do not count against the quota.
pub(super) fn clear_user(
    connection: &Connection,
    user: UserId,
    state: &mut UserStateMut,
    now: SyncTime,
) -> Result<(), EngineError> {
    let mut delete = connection.prepare_cached(&format!(
        "delete from object where row in (select row {EXPIRED_OF_USER})
         returning owner, octet_length(payload)"
    ))?;
    let lost = lost(&mut delete, user, now)?;
    for (owner, (count, bytes)) in lost {
        if let Some(collection) = state
            .collections
            .iter_mut()
            .find(|collection| collection.owner == owner)
        {
            adjust(connection, collection, count, bytes, None)?;
        }
    }
    Ok(())
}

/// Subtracts one user's expired objects from the counts without deleting them.
pub(super) fn discount(
    connection: &Connection,
    user: UserId,
    state: &mut UserStateMut,
    now: SyncTime,
) -> Result<(), EngineError> {
    let mut find =
        connection.prepare_cached(&format!("select owner, octet_length(payload) {EXPIRED_OF_USER}"))?;
    let lost = lost(&mut find, user, now)?;
    for collection in &mut state.collections {
        let (count, bytes) = lost.get(&collection.owner).copied().unwrap_or_default();
        collection.listed.count = collection.listed.count.saturating_add_signed(count);
        collection.listed.bytes = collection.listed.bytes.saturating_add_signed(bytes);
    }
    Ok(())
}

/// Selects the expired objects of one user. The index holds those of all users, so the statement walks it once for all of the
/// user's collections instead of once for each.
pub(super) const EXPIRED_OF_USER: &str = "from object indexed by object_expiry
     where expiry <= ?2 and owner in (select owner from collection where uid = ?1)";

/// Sums up, for each owner, the count and bytes of the objects that a statement finds, as negative numbers.
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
