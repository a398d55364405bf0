//! Events of accounts. For each account the newest hundred events that need a credential are kept, and separately as many
//! of those that unknown clients can cause, which therefore evict none of the former.

use foxden_sql::{Fetch, SqlError, Tx, values};

use crate::{AccountId, SecurityEvent};

const KEPT: i64 = 100;
/// The event that any client can cause that knows the address.
pub(crate) const RESET_ASKED: &str = "reset asked for";

pub(crate) async fn insert(tx: &Tx, uid: AccountId, event: &SecurityEvent) -> Result<(), SqlError> {
    let statement = "INSERT INTO security_event (uid, time, kind, address) VALUES (?, ?, ?, ?)";
    tx.insert(statement, values![uid, event.time, &event.kind, &event.address])
        .await?;
    let (oldest, delete) = if event.kind == RESET_ASKED {
        (
            "SELECT id FROM security_event WHERE uid = ? AND kind = ? ORDER BY id DESC LIMIT 1 OFFSET ?",
            "DELETE FROM security_event WHERE uid = ? AND kind = ? AND id <= ?",
        )
    } else {
        (
            "SELECT id FROM security_event WHERE uid = ? AND kind <> ? ORDER BY id DESC LIMIT 1 OFFSET ?",
            "DELETE FROM security_event WHERE uid = ? AND kind <> ? AND id <= ?",
        )
    };
    let kept = values![uid, RESET_ASKED, KEPT];
    if let Some(mut row) = tx.fetch_optional(oldest, kept).await? {
        let oldest = row.take::<i64>(0)?;
        tx.execute(delete, values![uid, RESET_ASKED, oldest]).await?;
    }
    Ok(())
}

pub(crate) async fn of(from: &impl Fetch, uid: AccountId) -> Result<Vec<SecurityEvent>, SqlError> {
    let statement = "SELECT time, kind, address FROM security_event WHERE uid = ? ORDER BY id DESC";
    let rows = from.fetch_all(statement, values![uid]).await?;
    let read = |mut row: foxden_sql::Row| {
        Ok(SecurityEvent {
            time: row.take(0)?,
            kind: row.take(1)?,
            address: row.take(2)?,
        })
    };
    rows.into_iter().map(read).collect()
}
