//! What a write begins with: its guard, and the number by which it is known.

use foxden_model::{Rng, SyncTime};

use super::connection::Arg;
use super::fault::Fault;
use super::transaction::UserTransaction;
use crate::command::{Guard, Target};
use crate::engine::EngineError;

/// A random number that tells one change from another.
pub(super) fn new_mark(rng: &dyn Rng) -> i64 {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes);
    i64::from_le_bytes(bytes)
}

/// Refuses if the guard's target has changed.
pub(super) async fn compare(
    tx: &mut UserTransaction,
    guard: Option<&Guard>,
    now: SyncTime,
) -> Result<(), Fault> {
    let Some(guard) = guard else { return Ok(()) };
    let modified = match &guard.target {
        Target::Store => tx.state.modified,
        Target::Collection(name) => tx
            .state
            .get(*name)
            .map_or(SyncTime::ZERO, |collection| collection.listed.modified),
        Target::Object(name, id) => match tx.state.get(*name).map(|collection| collection.number) {
            Some(number) => {
                let sql = "SELECT modified FROM sync_object WHERE uid = ? AND collection = ? AND id = ?
                           AND (expiry IS NULL OR expiry > ?)";
                let args = vec![
                    Arg::Int(Some(number)),
                    Arg::Text(id.as_str()),
                    Arg::Int(Some(now.hundredths())),
                ];
                let rows = tx.fetch(sql, args).await?;
                let modified = rows.first().map(|row| row.int(0)).transpose()?;
                SyncTime::from_hundredths(modified.unwrap_or(0))
            }
            None => SyncTime::ZERO,
        },
    };
    if modified > guard.unmodified_since {
        return Err(EngineError::Stale { modified }.into());
    }
    Ok(())
}
