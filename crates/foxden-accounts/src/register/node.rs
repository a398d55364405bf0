//! Nodes, and the choice among them.
//!
//! A node has a row in `nodes` for each service, and one in `node_setting` once an operator has set something. The slots
//! (`available`) are those of the node: its rows count down together, so that stores of all services share its capacity.

use foxden_sql::{Fetch, Row, SqlError, Tx, values};

/// The service whose stores current browsers use.
pub(crate) const SYNC: &str = "sync-1.5";
/// The service whose stores old clients use.
pub(crate) const LEGACY: &str = "sync-1.1";
/// Slots of a node without a limit: it counts, but never fills.
pub(crate) const UNLIMITED: i64 = 2_000_000_000;
/// The node of a store that lies on none: its owner gets another store. Ids begin with 1.
pub(crate) const NOWHERE: i64 = 0;

/// Selects nodes as [`NodeRow`] reads them.
macro_rules! select_nodes {
    ($rest:literal) => {
        concat!(
            "SELECT n.id, n.service, n.node, n.is_listed, n.downed, n.backoff, COALESCE(s.drains, 0),
             COALESCE(s.weight, 100), COALESCE(s.backoff_seconds, 0), n.capacity, n.current_load, n.available
             FROM nodes n LEFT JOIN node_setting s ON s.node = n.node ",
            $rest
        )
    };
}

/// A service.
pub(crate) struct ServiceRow {
    pub(crate) id: i64,
    pub(crate) pattern: String,
}

/// A node, for one service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column")]
pub(crate) struct NodeRow {
    pub(crate) id: i64,
    pub(crate) service: i64,
    pub(crate) node: String,
    pub(crate) is_listed: bool,
    /// Whether it is out of service.
    pub(crate) downed: bool,
    /// Whether it takes no new users.
    pub(crate) backoff: bool,
    /// Whether its users move away as they come.
    pub(crate) drains: bool,
    pub(crate) weight: u32,
    /// Seconds for which its clients are asked not to sync again; 0: they are not asked.
    pub(crate) backoff_seconds: u32,
    pub(crate) capacity: i64,
    /// Stores of the service that hold a slot.
    pub(crate) current_load: i64,
    /// Free slots of the node that are given out.
    pub(crate) available: i64,
}

/// What an operator sets for a node, beside what its rows in `nodes` hold.
pub(crate) struct SettingRow {
    pub(crate) drains: bool,
    pub(crate) weight: u32,
    pub(crate) backoff_seconds: u32,
}

impl NodeRow {
    fn read(mut row: Row) -> Result<Self, SqlError> {
        Ok(Self {
            id: row.take(0)?,
            service: row.take(1)?,
            node: row.take(2)?,
            is_listed: row.take(3)?,
            downed: row.take(4)?,
            backoff: row.take(5)?,
            drains: row.take(6)?,
            weight: row.take(7)?,
            backoff_seconds: row.take(8)?,
            capacity: row.take(9)?,
            current_load: row.take(10)?,
            available: row.take(11)?,
        })
    }

    /// Whether its users are to move away.
    pub(crate) const fn is_draining(&self) -> bool {
        self.drains && !self.downed
    }

    pub(crate) const fn setting(&self) -> SettingRow {
        SettingRow {
            drains: self.drains,
            weight: self.weight,
            backoff_seconds: self.backoff_seconds,
        }
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
    let statement = select_nodes!("WHERE n.service = ? AND n.is_own = 1");
    let row = from.fetch_optional(statement, values![service]).await?;
    row.map(NodeRow::read).transpose()
}

/// The one node of the service, where there is but one.
pub(crate) async fn only(from: &impl Fetch, service: i64) -> Result<Option<NodeRow>, SqlError> {
    let statement = select_nodes!("WHERE n.service = ? LIMIT 2");
    let rows = from.fetch_all(statement, values![service]).await?;
    match <[Row; 1]>::try_from(rows) {
        Ok([row]) => NodeRow::read(row).map(Some),
        Err(_) => Ok(None),
    }
}

pub(crate) async fn by_url(from: &impl Fetch, service: i64, node: &str) -> Result<Option<NodeRow>, SqlError> {
    let statement = select_nodes!("WHERE n.service = ? AND n.node = ?");
    let row = from.fetch_optional(statement, values![service, node]).await?;
    row.map(NodeRow::read).transpose()
}

pub(crate) async fn by_id(from: &impl Fetch, id: i64) -> Result<Option<NodeRow>, SqlError> {
    let row = from
        .fetch_optional(select_nodes!("WHERE n.id = ?"), values![id])
        .await?;
    row.map(NodeRow::read).transpose()
}

/// Every node, each once for every service.
pub(crate) async fn all(from: &impl Fetch) -> Result<Vec<NodeRow>, SqlError> {
    let rows = from.fetch_all(select_nodes!("ORDER BY n.id"), vec![]).await?;
    rows.into_iter().map(NodeRow::read).collect()
}

/// A node without a limit, and without any setting.
pub(crate) async fn insert(tx: &Tx, service: i64, node: &str, is_own: bool) -> Result<(), SqlError> {
    tx.insert(
        "INSERT INTO nodes (service, node, available, current_load, capacity, downed, backoff, is_own)
         VALUES (?, ?, ?, 0, ?, 0, 0, ?)",
        values![service, node, UNLIMITED, UNLIMITED, is_own],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_address(tx: &Tx, row: &NodeRow, node: &str) -> Result<(), SqlError> {
    tx.execute("UPDATE nodes SET node = ? WHERE id = ?", values![node, row.id])
        .await?;
    // The node's other row may have taken it along already.
    let statement = "DELETE FROM node_setting WHERE node = ?";
    if tx.execute(statement, values![&row.node]).await? > 0 {
        set(tx, node, &row.setting()).await?;
    }
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

/// Sets the slots of the node in all, and those that are free.
pub(crate) async fn set_capacity(tx: &Tx, node: &str, capacity: i64, available: i64) -> Result<(), SqlError> {
    let statement = "UPDATE nodes SET capacity = ?, available = ? WHERE node = ?";
    tx.execute(statement, values![capacity, available, node]).await?;
    Ok(())
}

/// Sets what else operators set.
pub(crate) async fn set(tx: &Tx, node: &str, setting: &SettingRow) -> Result<(), SqlError> {
    let SettingRow {
        drains,
        weight,
        backoff_seconds,
    } = *setting;
    let statement = "UPDATE node_setting SET drains = ?, weight = ?, backoff_seconds = ? WHERE node = ?";
    let known = tx
        .execute(statement, values![drains, weight, backoff_seconds, node])
        .await?;
    if known == 0 {
        let statement =
            "INSERT INTO node_setting (node, drains, weight, backoff_seconds) VALUES (?, ?, ?, ?)";
        tx.execute(statement, values![node, drains, weight, backoff_seconds])
            .await?;
    }
    Ok(())
}

/// Deletes one row of a node, and what was set for it.
pub(crate) async fn delete(tx: &Tx, row: &NodeRow) -> Result<(), SqlError> {
    tx.execute("DELETE FROM nodes WHERE id = ?", values![row.id])
        .await?;
    tx.execute("DELETE FROM node_setting WHERE node = ?", values![&row.node])
        .await?;
    Ok(())
}

/// Which node is wanted.
#[derive(Clone, Copy)]
pub(crate) struct NodeQuery<'a> {
    pub(crate) service: i64,
    /// The slots it must have.
    pub(crate) slots: i64,
    /// Not this one.
    pub(crate) but: Option<i64>,
    /// Rather this one than another, if its clients are not asked to stay away.
    pub(crate) rather: &'a str,
}

impl<'a> NodeQuery<'a> {
    /// For a first store of the service, rather on this node than on another one.
    pub(crate) const fn first(service: i64, rather: &'a str) -> Self {
        Self {
            service,
            slots: 1,
            but: None,
            rather,
        }
    }
}

/// The node that takes the next user: one whose clients are not asked to stay away before one whose are, then the one with
/// the smallest load for its weight.
pub(crate) async fn best(from: &impl Fetch, query: NodeQuery<'_>) -> Result<Option<NodeRow>, SqlError> {
    // The load of a node is that of all its rows. It is a floating-point number: decimal ones of MariaDB have few digits,
    // and all loads would be equal.
    let statement = select_nodes!(
        "WHERE n.service = ? AND n.id <> ? AND n.available >= ? AND n.capacity > n.current_load
         AND n.downed = 0 AND n.backoff = 0 AND n.is_listed = 1
         ORDER BY CASE WHEN s.backoff_seconds > 0 THEN 1 ELSE 0 END, CASE WHEN n.node = ? THEN 0 ELSE 1 END,
         (SELECT SUM(m.current_load) FROM nodes m WHERE m.node = n.node) * 1e0 / n.capacity / COALESCE(s.weight, 100),
         n.id LIMIT 1"
    );
    let values = values![
        query.service,
        query.but.unwrap_or(NOWHERE),
        query.slots.max(1),
        query.rather
    ];
    let row = from.fetch_optional(statement, values).await?;
    row.map(NodeRow::read).transpose()
}

/// Takes one slot of a node.
pub(crate) async fn reserve_slot(tx: &Tx, node: &NodeRow) -> Result<(), SqlError> {
    let statement =
        "UPDATE nodes SET current_load = CASE WHEN id = ? THEN current_load + 1 ELSE current_load END,
        available = available - 1 WHERE node = ?";
    tx.execute(statement, values![node.id, &node.node]).await?;
    Ok(())
}

/// Gives slots of a node back.
pub(crate) async fn release_slots(tx: &Tx, id: i64, slots: i64) -> Result<(), SqlError> {
    let Some(node) = by_id(tx, id).await? else {
        return Ok(());
    };
    let slots = slots.min(node.current_load);
    let statement =
        "UPDATE nodes SET current_load = CASE WHEN id = ? THEN current_load - ? ELSE current_load END,
        available = available + ? WHERE node = ?";
    tx.execute(statement, values![id, slots, slots, node.node])
        .await?;
    Ok(())
}

/// Gives out a tenth of the slots, rounded up, of each node that has given out all it had but is not full. Says how many
/// nodes there are.
pub(crate) async fn give_out(tx: &Tx, service: i64) -> Result<u64, SqlError> {
    let nodes = all(tx).await?;
    let mut given = 0;
    for node in nodes.iter().filter(|node| node.service == service) {
        let free = free_slots(&nodes, node);
        if node.available > 0 || free <= 0 || node.downed || !node.is_listed {
            continue;
        }
        let available = free.min((node.capacity + 9) / 10);
        set_capacity(tx, &node.node, node.capacity, available).await?;
        given += 1;
    }
    Ok(given)
}

/// Slots of a node that no store holds, given out or not. The load is that of all its rows.
fn free_slots(nodes: &[NodeRow], node: &NodeRow) -> i64 {
    let rows = nodes.iter().filter(|row| row.node == node.node);
    node.capacity - rows.map(|row| row.current_load).sum::<i64>()
}

/// Whether a node other than this one takes users of its service.
pub(crate) async fn others_have_room(from: &impl Fetch, node: &NodeRow) -> Result<bool, SqlError> {
    let nodes = all(from).await?;
    let takes_users = |other: &NodeRow| {
        let is_open = other.is_listed && !other.downed && !other.backoff;
        other.service == node.service && other.id != node.id && is_open && free_slots(&nodes, other) > 0
    };
    Ok(nodes.iter().any(takes_users))
}
