//! Nodes, and the choice among them.

use foxden_sql::{Fetch, SqlError, Tx, values};

/// The service whose stores these are.
pub(crate) const SYNC: &str = "sync-1.5";
/// Slots of the own node: it counts, but never fills.
const OWN_CAPACITY: i64 = 2_000_000_000;

/// A service.
pub(crate) struct ServiceRow {
    pub(crate) id: i64,
    pub(crate) pattern: String,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeRow {
    pub(crate) id: i64,
    pub(crate) node: String,
}

pub(crate) async fn service(from: &impl Fetch) -> Result<ServiceRow, SqlError> {
    let row = from
        .fetch_optional(
            "SELECT id, pattern FROM services WHERE service = ?",
            values![SYNC],
        )
        .await?;
    let mut row = row.ok_or(SqlError::Mismatch)?;
    Ok(ServiceRow {
        id: row.take(0)?,
        pattern: row.take(1)?,
    })
}

/// The own node's address as it was last written down.
pub(crate) async fn own(from: &impl Fetch, service: i64) -> Result<Option<NodeRow>, SqlError> {
    let statement = "SELECT id, node FROM nodes WHERE service = ? AND is_own = 1";
    let row = from.fetch_optional(statement, values![service]).await?;
    row.map(|mut row| {
        Ok(NodeRow {
            id: row.take(0)?,
            node: row.take(1)?,
        })
    })
    .transpose()
}

pub(crate) async fn insert_own(tx: &Tx, service: i64, node: &str) -> Result<(), SqlError> {
    tx.insert(
        "INSERT INTO nodes (service, node, available, current_load, capacity, downed, backoff, is_own)
         VALUES (?, ?, ?, 0, ?, 0, 0, 1)",
        values![service, node, OWN_CAPACITY, OWN_CAPACITY],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_address(tx: &Tx, id: i64, node: &str) -> Result<(), SqlError> {
    tx.execute("UPDATE nodes SET node = ? WHERE id = ?", values![node, id])
        .await?;
    Ok(())
}

pub(crate) async fn by_id(from: &impl Fetch, id: i64) -> Result<Option<NodeRow>, SqlError> {
    let row = from
        .fetch_optional("SELECT id, node FROM nodes WHERE id = ?", values![id])
        .await?;
    row.map(|mut row| {
        Ok(NodeRow {
            id: row.take(0)?,
            node: row.take(1)?,
        })
    })
    .transpose()
}

/// The node that takes the next user: the one with the smallest load that has a slot.
pub(crate) async fn best(from: &impl Fetch, service: i64) -> Result<Option<NodeRow>, SqlError> {
    let statement =
        "SELECT id, node FROM nodes WHERE service = ? AND available > 0 AND capacity > current_load
        AND downed = 0 AND backoff = 0 ORDER BY current_load * 1.0 / capacity, id LIMIT 1";
    let row = from.fetch_optional(statement, values![service]).await?;
    row.map(|mut row| {
        Ok(NodeRow {
            id: row.take(0)?,
            node: row.take(1)?,
        })
    })
    .transpose()
}

/// Takes one slot of a node.
pub(crate) async fn take_slot(tx: &Tx, id: i64) -> Result<(), SqlError> {
    let statement =
        "UPDATE nodes SET current_load = current_load + 1, available = available - 1 WHERE id = ?";
    tx.execute(statement, values![id]).await?;
    Ok(())
}

/// Gives one slot of a node back.
pub(crate) async fn give_slot(tx: &Tx, id: i64) -> Result<(), SqlError> {
    let statement = "UPDATE nodes SET current_load = current_load - 1, available = available + 1
        WHERE id = ? AND current_load > 0";
    tx.execute(statement, values![id]).await?;
    Ok(())
}

/// Frees a tenth of the slots, rounded up, of each node that has given out all it had but is not full.
pub(crate) async fn release(tx: &Tx, service: i64) -> Result<u64, SqlError> {
    let statement = "UPDATE nodes SET available = CASE WHEN (capacity + 9) / 10 < capacity - current_load
        THEN (capacity + 9) / 10 ELSE capacity - current_load END
        WHERE service = ? AND available <= 0 AND capacity > current_load AND downed = 0";
    tx.execute(statement, values![service]).await
}
