//! Rows of stores: those that the tokenserver assigns, and those that are to be emptied.

use std::collections::BTreeMap;

use foxden_model::UserId;
use foxden_sql::{Fetch, FromValue, Row, SqlError, Tx, Value, values};

use super::node;

/// A store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreRow {
    pub(crate) uid: UserId,
    pub(crate) service: i64,
    pub(crate) email: String,
    pub(crate) generation: i64,
    pub(crate) client_state: String,
    pub(crate) created_at: i64,
    pub(crate) replaced_at: Option<i64>,
    pub(crate) nodeid: i64,
    pub(crate) keys_changed_at: Option<i64>,
}

impl From<Uid> for Value {
    fn from(Uid(user): Uid) -> Self {
        // Uids come out of this database's own counter, far below the end of the numbers.
        Self::Integer(Some(i64::try_from(user.0).unwrap_or(i64::MAX)))
    }
}

/// A uid as the database knows it.
struct Uid(UserId);

impl FromValue for Uid {
    fn from_value(value: Value) -> Option<Self> {
        u64::from_value(value).map(|uid| Self(UserId(uid)))
    }
}

/// Returns the newest twenty stores that `email` owns in a service.
pub(crate) async fn of(from: &impl Fetch, service: i64, email: &str) -> Result<Vec<StoreRow>, SqlError> {
    let statement = "SELECT uid, service, email, generation, client_state, created_at, replaced_at, nodeid,
        keys_changed_at FROM users WHERE email = ? AND service = ? ORDER BY created_at DESC, uid DESC LIMIT 20";
    let rows = from.fetch_all(statement, values![email, service]).await?;
    let read = |mut row: Row| {
        Ok(StoreRow {
            uid: row.take::<Uid>(0)?.0,
            service: row.take(1)?,
            email: row.take(2)?,
            generation: row.take(3)?,
            client_state: row.take(4)?,
            created_at: row.take(5)?,
            replaced_at: row.take(6)?,
            nodeid: row.take(7)?,
            keys_changed_at: row.take(8)?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Makes a store under a new uid; the row's own is ignored.
pub(crate) async fn insert(tx: &Tx, row: &StoreRow) -> Result<UserId, SqlError> {
    let uid = tx
        .insert(
            "INSERT INTO users (service, email, generation, client_state, created_at, replaced_at, nodeid,
             keys_changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            values![
                row.service,
                &row.email,
                row.generation,
                &row.client_state,
                row.created_at,
                row.replaced_at,
                row.nodeid,
                row.keys_changed_at
            ],
        )
        .await?;
    u64::try_from(uid).map(UserId).map_err(|_| SqlError::Mismatch)
}

/// Stores the key of a store, and its times.
pub(crate) async fn set_key(tx: &Tx, row: &StoreRow) -> Result<(), SqlError> {
    let statement = "UPDATE users SET generation = ?, keys_changed_at = ?, client_state = ? WHERE uid = ?";
    let values = values![
        row.generation,
        row.keys_changed_at,
        &row.client_state,
        Uid(row.uid)
    ];
    tx.execute(statement, values).await?;
    Ok(())
}

/// Marks the other stores of the same owner and service as replaced, unless they already are.
pub(crate) async fn replace_others(tx: &Tx, current: &StoreRow, at: i64) -> Result<(), SqlError> {
    let statement = "UPDATE users SET replaced_at = ? WHERE email = ? AND service = ? AND uid <> ?
        AND replaced_at IS NULL";
    tx.execute(
        statement,
        values![at, &current.email, current.service, Uid(current.uid)],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &Tx, store: &StoreRow) -> Result<(), SqlError> {
    tx.execute("DELETE FROM users WHERE uid = ?", values![Uid(store.uid)])
        .await?;
    node::release_slots(tx, store.nodeid, 1).await
}

/// Returns the stores that were replaced before `before`, without those on nodes that are down: the uid, the time of
/// the replacement, and the node unless it was removed.
pub(crate) async fn replaced_before(
    from: &impl Fetch,
    before: i64,
    limit: u32,
) -> Result<Vec<(UserId, i64, Option<i64>)>, SqlError> {
    let statement = "SELECT u.uid, u.replaced_at, n.id FROM users u LEFT JOIN nodes n ON n.id = u.nodeid
        WHERE u.replaced_at < ? AND (n.downed = 0 OR n.id IS NULL) ORDER BY u.replaced_at LIMIT ?";
    let rows = from.fetch_all(statement, values![before, limit]).await?;
    let read = |mut row: Row| Ok((row.take::<Uid>(0)?.0, row.take(1)?, row.take(2)?));
    rows.into_iter().map(read).collect()
}

pub(crate) async fn delete_uid(tx: &Tx, uid: UserId) -> Result<(), SqlError> {
    tx.execute("DELETE FROM users WHERE uid = ?", values![Uid(uid)])
        .await?;
    Ok(())
}

/// A store that is to be emptied.
pub(crate) struct ClosingStore {
    pub(crate) uid: UserId,
    pub(crate) nodeid: i64,
    /// Whether its account is gone.
    pub(crate) is_removed: bool,
    /// When the last token for it expires.
    pub(crate) last_expiry: i64,
}

/// Schedules a store to be emptied at once, and again when its last token has expired. A store never lies elsewhere than
/// where it was closed first.
pub(crate) async fn close(tx: &Tx, closing: &ClosingStore) -> Result<(), SqlError> {
    let ClosingStore {
        uid,
        nodeid,
        is_removed,
        last_expiry,
    } = *closing;
    let statement = "UPDATE closed_store SET is_removed = ?, due = 0, last_expiry = ? WHERE uid = ?";
    let known = tx
        .execute(statement, values![is_removed, last_expiry, Uid(uid)])
        .await?;
    if known == 0 {
        let statement =
            "INSERT INTO closed_store (uid, is_removed, due, last_expiry, nodeid) VALUES (?, ?, 0, ?, ?)";
        tx.execute(statement, values![Uid(uid), is_removed, last_expiry, nodeid])
            .await?;
    }
    Ok(())
}

/// The highest uid that was given out.
pub(crate) async fn last_uid(from: &impl Fetch) -> Result<UserId, SqlError> {
    let uid: Uid = super::one(from, "SELECT COALESCE(MAX(uid), 0) FROM users", vec![]).await?;
    Ok(uid.0)
}

/// Returns stores in use on a node, up to that uid.
pub(crate) async fn in_use(
    from: &impl Fetch,
    nodeid: i64,
    last: UserId,
    limit: u32,
) -> Result<Vec<UserId>, SqlError> {
    let statement =
        "SELECT uid FROM users WHERE nodeid = ? AND replaced_at IS NULL AND uid <= ? ORDER BY uid LIMIT ?";
    uids(
        from.fetch_all(statement, values![nodeid, Uid(last), limit])
            .await?,
    )
}

/// Takes a store off its node, so that its owner gets another one.
pub(crate) async fn unassign(tx: &Tx, uid: UserId) -> Result<(), SqlError> {
    let statement = "UPDATE users SET nodeid = ? WHERE uid = ?";
    tx.execute(statement, values![node::NOWHERE, Uid(uid)]).await?;
    Ok(())
}

/// The stores of each node by its id: those in use, and those that are still to be emptied.
pub(crate) async fn counts(from: &impl Fetch) -> Result<BTreeMap<i64, StoreCounts>, SqlError> {
    let mut counts = BTreeMap::<i64, StoreCounts>::new();
    let statement = "SELECT nodeid, COUNT(*) FROM users WHERE replaced_at IS NULL GROUP BY nodeid";
    for mut row in from.fetch_all(statement, vec![]).await? {
        counts.entry(row.take(0)?).or_default().in_use += row.take::<u64>(1)?;
    }
    // A store may be scheduled to be emptied, and its row wait for the end of the day that it is kept.
    let statement = "SELECT u.nodeid, COUNT(*) FROM users u LEFT JOIN closed_store c ON c.uid = u.uid
        WHERE u.replaced_at IS NOT NULL AND c.uid IS NULL GROUP BY u.nodeid";
    for mut row in from.fetch_all(statement, vec![]).await? {
        counts.entry(row.take(0)?).or_default().to_empty += row.take::<u64>(1)?;
    }
    let statement = "SELECT nodeid, COUNT(*) FROM closed_store WHERE nodeid IS NOT NULL GROUP BY nodeid";
    for mut row in from.fetch_all(statement, vec![]).await? {
        counts.entry(row.take(0)?).or_default().to_empty += row.take::<u64>(1)?;
    }
    Ok(counts)
}

/// The stores of a node.
#[derive(Clone, Copy, Default)]
pub(crate) struct StoreCounts {
    pub(crate) in_use: u64,
    pub(crate) to_empty: u64,
}

/// Returns when the last tokens for the owner's closed stores expire, in ascending order and after `now` only. A time
/// after `latest` was recorded by a clock that was ahead, and is left out.
pub(crate) async fn future_last_expiries(
    tx: &Tx,
    of: &StoreRow,
    now: i64,
    latest: i64,
) -> Result<Vec<i64>, SqlError> {
    let statement = "SELECT c.last_expiry FROM users u JOIN closed_store c ON c.uid = u.uid
        WHERE u.email = ? AND u.service = ? AND c.last_expiry > ? AND c.last_expiry <= ? ORDER BY c.last_expiry";
    let rows = tx
        .fetch_all(statement, values![&of.email, of.service, now, latest])
        .await?;
    rows.into_iter().map(|mut row| row.take(0)).collect()
}

/// Returns the owner's other stores in use on the same node, of any service.
pub(crate) async fn other_uids(from: &impl Fetch, store: &StoreOnNode<'_>) -> Result<Vec<UserId>, SqlError> {
    let statement = "SELECT u.uid FROM users u JOIN nodes n ON n.id = u.nodeid
        WHERE u.email = ? AND u.uid <> ? AND n.node = ? AND u.replaced_at IS NULL ORDER BY u.uid DESC LIMIT 20";
    let values = values![store.email, Uid(store.uid), store.node];
    uids(from.fetch_all(statement, values).await?)
}

/// A store, with its owner and its node: the argument of [`other_uids`].
pub(crate) struct StoreOnNode<'a> {
    pub(crate) uid: UserId,
    pub(crate) email: &'a str,
    pub(crate) node: &'a str,
}

/// Returns the closed stores that are due, each with the address of its node and whether that is the own node. Stores on
/// nodes that are down are left out. An entry due after `latest` is due now: a clock that was ahead deferred it.
pub(crate) async fn due(
    from: &impl Fetch,
    now: i64,
    latest: i64,
    limit: u32,
) -> Result<Vec<(UserId, String, bool)>, SqlError> {
    let statement = "SELECT c.uid, n.node, n.is_own FROM closed_store c JOIN nodes n ON n.id = c.nodeid
        WHERE (c.due <= ? OR c.due > ?) AND n.downed = 0 ORDER BY c.due, c.uid LIMIT ?";
    let rows = from.fetch_all(statement, values![now, latest, limit]).await?;
    rows.into_iter()
        .map(|mut row| Ok((row.take::<Uid>(0)?.0, row.take(1)?, row.take(2)?)))
        .collect()
}

/// Returns the address of a closed store's node, and whether that is the own node; `None` if the node is down.
pub(crate) async fn node_of_closed(
    from: &impl Fetch,
    uid: UserId,
) -> Result<Option<(String, bool)>, SqlError> {
    let statement = "SELECT n.node, n.is_own FROM closed_store c JOIN nodes n ON n.id = c.nodeid
        WHERE c.uid = ? AND n.downed = 0";
    let row = from.fetch_optional(statement, values![Uid(uid)]).await?;
    row.map(|mut row| Ok((row.take(0)?, row.take(1)?))).transpose()
}

/// Defers a store that could not be emptied.
pub(crate) async fn defer(tx: &Tx, uid: UserId, until: i64) -> Result<(), SqlError> {
    let statement = "UPDATE closed_store SET due = ? WHERE uid = ?";
    tx.execute(statement, values![until, Uid(uid)]).await?;
    Ok(())
}

/// Defers the stores on a node that are due now.
pub(crate) async fn defer_all(tx: &Tx, node: &str, now: i64, until: i64) -> Result<(), SqlError> {
    let statement = "UPDATE closed_store SET due = ? WHERE due <= ?
        AND nodeid IN (SELECT id FROM nodes WHERE node = ?)";
    tx.execute(statement, values![until, now, node]).await?;
    Ok(())
}

/// Deletes entries whose node no longer exists. Rows without a node come from a single-node release and belong to the
/// own node.
pub(crate) async fn delete_orphaned(tx: &Tx) -> Result<u64, SqlError> {
    let adopt =
        "UPDATE closed_store SET nodeid = (SELECT MIN(id) FROM nodes WHERE is_own = 1) WHERE nodeid IS NULL";
    tx.execute(adopt, vec![]).await?;
    let statement = "DELETE FROM closed_store WHERE nodeid IS NULL OR nodeid NOT IN (SELECT id FROM nodes)";
    tx.execute(statement, vec![]).await
}

/// Returns the number of stores in use on a node.
pub(crate) async fn count_on(from: &impl Fetch, nodeid: i64) -> Result<u64, SqlError> {
    let statement = "SELECT COUNT(*) FROM users WHERE nodeid = ? AND replaced_at IS NULL";
    super::one(from, statement, values![nodeid]).await
}

/// Returns whether `email` owns a store of `service` whose `keys_changed_at` is unknown or not before `since`.
pub(crate) async fn has_store_keyed_since(
    from: &impl Fetch,
    service: i64,
    email: &str,
    since: i64,
) -> Result<bool, SqlError> {
    let statement = "SELECT 1 FROM users WHERE service = ? AND email = ?
        AND (keys_changed_at IS NULL OR keys_changed_at >= ?) LIMIT 1";
    let row = from
        .fetch_optional(statement, values![service, email, since])
        .await?;
    Ok(row.is_some())
}

/// Stores of removed accounts that are still recorded, and replaced ones that a live token may still open.
pub(crate) async fn closed(from: &impl Fetch, now: i64) -> Result<Vec<UserId>, SqlError> {
    let statement = "SELECT uid FROM closed_store WHERE is_removed = 1 OR last_expiry > ? ORDER BY uid";
    uids(from.fetch_all(statement, values![now]).await?)
}

/// Records that a store was emptied. Deletes its entry if its last token has expired; otherwise defers it until then, but
/// no later than `latest`.
pub(crate) async fn mark_emptied(tx: &Tx, uid: UserId, now: i64, latest: i64) -> Result<(), SqlError> {
    let statement = "DELETE FROM closed_store WHERE uid = ? AND last_expiry < ?";
    tx.execute(statement, values![Uid(uid), now]).await?;
    let statement = "UPDATE closed_store SET due = CASE WHEN last_expiry < ? THEN last_expiry + 1 ELSE ? END WHERE uid = ?";
    tx.execute(statement, values![latest, latest, Uid(uid)]).await?;
    Ok(())
}

fn uids(rows: Vec<Row>) -> Result<Vec<UserId>, SqlError> {
    rows.into_iter()
        .map(|mut row| Ok(row.take::<Uid>(0)?.0))
        .collect()
}
