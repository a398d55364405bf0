//! The expired objects of one user.

use std::collections::BTreeMap;

use foxden_model::{SyncTime, UserId};
use rusqlite::{Connection, Statement};

use super::collection::adjust;
use super::known::Draft;
use crate::engine::EngineError;

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
