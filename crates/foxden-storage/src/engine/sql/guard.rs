//! What a write begins with: its guard, and the number by which it is known.

use foxden_model::{ObjectId, Rng, SyncTime};

use super::connection::Arg;
use super::fault::Fault;
use super::state::UserState;
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
    let modified = match modified(&tx.state, &guard.target) {
        Modified::At(time) => time,
        Modified::OfObject(collection, id) => {
            let sql = "SELECT modified FROM sync_object WHERE uid = ? AND collection = ? AND id = ?
                       AND (expiry IS NULL OR expiry > ?)";
            let args = vec![
                Arg::Int(Some(collection)),
                Arg::Text(id.as_str()),
                Arg::Int(Some(now.hundredths())),
            ];
            let rows = tx.fetch(sql, args).await?;
            let modified = rows.first().map(|row| row.int(0)).transpose()?;
            SyncTime::from_hundredths(modified.unwrap_or(0))
        }
    };
    if modified > guard.unmodified_since {
        return Err(EngineError::Stale { modified }.into());
    }
    Ok(())
}

/// Returns whether the user's state alone shows that the guard's target has not changed.
pub(super) fn certainly_holds(state: &UserState, guard: Option<&Guard>) -> bool {
    guard.is_none_or(|guard| match modified(state, &guard.target) {
        Modified::At(time) => time <= guard.unmodified_since,
        Modified::OfObject(..) => false,
    })
}

/// When a target was changed.
enum Modified<'a> {
    At(SyncTime),
    /// The row of an object says it; its collection is given by its number.
    OfObject(i64, &'a ObjectId),
}

fn modified<'a>(state: &UserState, target: &'a Target) -> Modified<'a> {
    match target {
        Target::Store => Modified::At(state.modified),
        Target::Collection(name) => {
            let collection = state.get(*name);
            Modified::At(collection.map_or(SyncTime::ZERO, |collection| collection.listed.modified))
        }
        Target::Object(name, id) => match state.get(*name) {
            Some(collection) => Modified::OfObject(collection.number, id),
            None => Modified::At(SyncTime::ZERO),
        },
    }
}
