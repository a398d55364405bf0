//! Nodes, and the choice among them.

use foxden_sql::{Fetch, Row, SqlError, Tx, values};

/// The service whose stores current browsers use.
pub(crate) const SYNC: &str = "sync-1.5";
/// The service whose stores old clients use.
pub(crate) const LEGACY: &str = "sync-1.1";
/// Slots of a node that the configuration names: it counts, but never fills.
const CAPACITY: i64 = 2_000_000_000;

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
    pub(crate) is_listed: bool,
}

/// A node as the operator sees it, for one service.
pub(crate) struct NodeUse {
    pub(crate) service: i64,
    pub(crate) node: String,
    pub(crate) is_listed: bool,
    pub(crate) backoff: bool,
    pub(crate) downed: bool,
    pub(crate) users: u64,
}

impl NodeRow {
    fn read(mut row: Row) -> Result<Self, SqlError> {
        Ok(Self {
            id: row.take(0)?,
            node: row.take(1)?,
            is_listed: row.take(2)?,
        })
    }
}

pub(crate) async fn service(from: &impl Fetch, name: &str) -> Result<ServiceRow, SqlError> {
    let row = from
        .fetch_optional(
            "SELECT id, pattern FROM services WHERE service = ?",
            values![name],
        )
        .await?;
    let mut row = row.ok_or(SqlError::Mismatch)?;
    Ok(ServiceRow {
        id: row.take(0)?,
        pattern: row.take(1)?,
    })
}

/// The node that is known by its mark.
pub(crate) async fn own(from: &impl Fetch, service: i64) -> Result<Option<NodeRow>, SqlError> {
    let statement = "SELECT id, node, is_listed FROM nodes WHERE service = ? AND is_own = 1";
    let row = from.fetch_optional(statement, values![service]).await?;
    row.map(NodeRow::read).transpose()
}

/// The one node of the service, where there is but one.
pub(crate) async fn only(from: &impl Fetch, service: i64) -> Result<Option<NodeRow>, SqlError> {
    let statement = "SELECT id, node, is_listed FROM nodes WHERE service = ? LIMIT 2";
    let rows = from.fetch_all(statement, values![service]).await?;
    match <[Row; 1]>::try_from(rows) {
        Ok([row]) => NodeRow::read(row).map(Some),
        Err(_) => Ok(None),
    }
}

pub(crate) async fn by_url(from: &impl Fetch, service: i64, node: &str) -> Result<Option<NodeRow>, SqlError> {
    let statement = "SELECT id, node, is_listed FROM nodes WHERE service = ? AND node = ?";
    let row = from.fetch_optional(statement, values![service, node]).await?;
    row.map(NodeRow::read).transpose()
}

pub(crate) async fn by_id(from: &impl Fetch, id: i64) -> Result<Option<NodeRow>, SqlError> {
    let row = from
        .fetch_optional("SELECT id, node, is_listed FROM nodes WHERE id = ?", values![id])
        .await?;
    row.map(NodeRow::read).transpose()
}

/// Every node, each once for every service.
pub(crate) async fn all(from: &impl Fetch) -> Result<Vec<NodeUse>, SqlError> {
    let statement = "SELECT n.service, n.node, n.is_listed, n.backoff, n.downed,
        (SELECT COUNT(*) FROM users u WHERE u.nodeid = n.id AND u.replaced_at IS NULL) FROM nodes n ORDER BY n.id";
    let read = |mut row: Row| {
        Ok(NodeUse {
            service: row.take(0)?,
            node: row.take(1)?,
            is_listed: row.take(2)?,
            backoff: row.take(3)?,
            downed: row.take(4)?,
            users: row.take(5)?,
        })
    };
    let rows = from.fetch_all(statement, vec![]).await?;
    rows.into_iter().map(read).collect()
}

pub(crate) async fn insert(tx: &Tx, service: i64, node: &str, is_own: bool) -> Result<(), SqlError> {
    tx.insert(
        "INSERT INTO nodes (service, node, available, current_load, capacity, downed, backoff, is_own)
         VALUES (?, ?, ?, 0, ?, 0, 0, ?)",
        values![service, node, CAPACITY, CAPACITY, is_own],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_address(tx: &Tx, id: i64, node: &str) -> Result<(), SqlError> {
    tx.execute("UPDATE nodes SET node = ? WHERE id = ?", values![node, id])
        .await?;
    Ok(())
}

/// Puts the mark on that node alone.
pub(crate) async fn mark_own(tx: &Tx, service: i64, id: i64) -> Result<(), SqlError> {
    let statement = "UPDATE nodes SET is_own = CASE WHEN id = ? THEN 1 ELSE 0 END WHERE service = ?";
    tx.execute(statement, values![id, service]).await?;
    Ok(())
}

/// Takes the mark away.
pub(crate) async fn unmark(tx: &Tx, service: i64) -> Result<(), SqlError> {
    let statement = "UPDATE nodes SET is_own = 0 WHERE service = ?";
    tx.execute(statement, values![service]).await?;
    Ok(())
}

/// Takes every node of the service off the list.
pub(crate) async fn unlist_all(tx: &Tx, service: i64) -> Result<(), SqlError> {
    let statement = "UPDATE nodes SET is_listed = 0 WHERE service = ?";
    tx.execute(statement, values![service]).await?;
    Ok(())
}

/// Puts a node on the list.
pub(crate) async fn list(tx: &Tx, service: i64, node: &str) -> Result<(), SqlError> {
    let statement = "UPDATE nodes SET is_listed = 1 WHERE service = ? AND node = ?";
    tx.execute(statement, values![service, node]).await?;
    Ok(())
}

/// Whether the node, in every service, is out of service, and whether it takes new users; says how many rows it has.
pub(crate) async fn set_state(tx: &Tx, node: &str, downed: bool, backoff: bool) -> Result<u64, SqlError> {
    let statement = "UPDATE nodes SET downed = ?, backoff = ? WHERE node = ?";
    tx.execute(statement, values![downed, backoff, node]).await
}

pub(crate) async fn delete(tx: &Tx, id: i64) -> Result<(), SqlError> {
    tx.execute("DELETE FROM nodes WHERE id = ?", values![id]).await?;
    Ok(())
}

/// The node that takes the next user: the one with the smallest load that has a slot, and not the one that is left out.
pub(crate) async fn best(
    from: &impl Fetch,
    service: i64,
    but: Option<i64>,
) -> Result<Option<NodeRow>, SqlError> {
    // A load is a floating-point number: decimal ones of MariaDB have few digits, and all loads would be equal.
    let statement =
        "SELECT id, node, is_listed FROM nodes WHERE service = ? AND id <> ? AND available > 0 AND capacity > current_load
        AND downed = 0 AND backoff = 0 AND is_listed = 1 ORDER BY current_load * 1e0 / capacity, id LIMIT 1";
    // Ids begin with 1.
    let row = from
        .fetch_optional(statement, values![service, but.unwrap_or(0)])
        .await?;
    row.map(NodeRow::read).transpose()
}

/// Takes one slot of a node.
pub(crate) async fn reserve_slot(tx: &Tx, id: i64) -> Result<(), SqlError> {
    let statement =
        "UPDATE nodes SET current_load = current_load + 1, available = available - 1 WHERE id = ?";
    tx.execute(statement, values![id]).await?;
    Ok(())
}

/// Gives one slot of a node back.
pub(crate) async fn release_slot(tx: &Tx, id: i64) -> Result<(), SqlError> {
    let statement = "UPDATE nodes SET current_load = current_load - 1, available = available + 1
        WHERE id = ? AND current_load > 0";
    tx.execute(statement, values![id]).await?;
    Ok(())
}

/// Frees a tenth of the slots, rounded up, of each node that has given out all it had but is not full.
pub(crate) async fn release(tx: &Tx, service: i64) -> Result<u64, SqlError> {
    // Without a remainder each dialect divides alike.
    let statement = "UPDATE nodes SET available = CASE
        WHEN (capacity + 9 - (capacity + 9) % 10) / 10 < capacity - current_load
        THEN (capacity + 9 - (capacity + 9) % 10) / 10 ELSE capacity - current_load END
        WHERE service = ? AND available <= 0 AND capacity > current_load AND downed = 0 AND is_listed = 1";
    tx.execute(statement, values![service]).await
}
