//! What happened to accounts, the newest hundred of each.

use foxden_sql::{Fetch, SqlError, Tx, values};

use crate::{AccountId, SecurityEvent};

const KEPT: i64 = 100;

pub(crate) async fn insert(tx: &Tx, uid: AccountId, event: &SecurityEvent) -> Result<(), SqlError> {
    let statement = "INSERT INTO security_event (uid, time, kind, address) VALUES (?, ?, ?, ?)";
    tx.insert(statement, values![uid, event.time, &event.kind, &event.address])
        .await?;
    let oldest = "SELECT id FROM security_event WHERE uid = ? ORDER BY id DESC LIMIT 1 OFFSET ?";
    if let Some(mut row) = tx.fetch_optional(oldest, values![uid, KEPT]).await? {
        let statement = "DELETE FROM security_event WHERE uid = ? AND id <= ?";
        tx.execute(statement, values![uid, row.take::<i64>(0)?]).await?;
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
