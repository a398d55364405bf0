//! What processes on one register share: their presence, their counts, what may be used once, and values of other services.

use foxden_sql::{Database, Fetch, SqlError, Tx, values};

use super::delete_found;
use crate::shared::OnceKey;

/// A process on the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessRow {
    pub(crate) id: String,
    pub(crate) beat: i64,
    /// The number of the last row of counts that it wrote.
    pub(crate) seq: i64,
}

/// A value, and its version.
pub(crate) struct ValueRow {
    pub(crate) version: i64,
    pub(crate) content: Vec<u8>,
    pub(crate) expires: i64,
}

/// Rows of counts that are read at once.
const PAGE: u32 = 64;

pub(crate) async fn processes(from: &impl Fetch) -> Result<Vec<ProcessRow>, SqlError> {
    let statement = "SELECT id, beat, seq FROM process";
    let rows = from.fetch_all(statement, vec![]).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(ProcessRow {
                id: row.take(0)?,
                beat: row.take(1)?,
                seq: row.take(2)?,
            })
        })
        .collect()
}

/// Says that a process is there; `seq` is the number of its last row of counts.
pub(crate) async fn beat(tx: &Tx, process: &str, seq: i64) -> Result<(), SqlError> {
    let statement = "UPDATE process SET beat = beat + 1, seq = ? WHERE id = ?";
    if tx.execute(statement, values![seq, process]).await? == 0 {
        let statement = "INSERT INTO process (id, beat, seq) VALUES (?, 1, ?)";
        tx.execute(statement, values![process, seq]).await?;
    }
    Ok(())
}

/// Removes a process, and all that it counted.
pub(crate) async fn remove_process(tx: &Tx, process: &str) -> Result<(), SqlError> {
    tx.execute("DELETE FROM shared_count WHERE process = ?", values![process])
        .await?;
    tx.execute("DELETE FROM process WHERE id = ?", values![process])
        .await?;
    Ok(())
}

pub(crate) async fn insert_counts(tx: &Tx, process: &str, seq: i64, counts: &[u8]) -> Result<(), SqlError> {
    let statement = "INSERT INTO shared_count (process, seq, counts) VALUES (?, ?, ?)";
    tx.execute(statement, values![process, seq, counts]).await?;
    Ok(())
}

/// What a process counted since that row: the number of each row, and its counts.
pub(crate) async fn counts_after(
    from: &impl Fetch,
    process: &str,
    seq: i64,
) -> Result<Vec<(i64, Vec<u8>)>, SqlError> {
    let statement = "SELECT seq, counts FROM shared_count WHERE process = ? AND seq > ? ORDER BY seq LIMIT ?";
    let rows = from.fetch_all(statement, values![process, seq, PAGE]).await?;
    rows.into_iter()
        .map(|mut row| Ok((row.take(0)?, row.take(1)?)))
        .collect()
}

/// Removes what a process counted up to that row.
pub(crate) async fn purge_counts(tx: &Tx, process: &str, seq: i64) -> Result<u64, SqlError> {
    let statement = "DELETE FROM shared_count WHERE process = ? AND seq <= ?";
    tx.execute(statement, values![process, seq]).await
}

/// Notes that something is used, unless it is known already. For several at once: after a conflict a transaction is of no use.
pub(crate) async fn note_used(tx: &Tx, key: OnceKey, expires: i64) -> Result<(), SqlError> {
    let statement = "SELECT expires FROM used_once WHERE id = ?";
    if tx.fetch_optional(statement, values![key.0]).await?.is_none() {
        use_once(tx, key, expires).await?;
    }
    Ok(())
}

/// Uses something up. Fails with [`SqlError::Conflict`] if it was used before. It is not looked up: what a serializable
/// transaction reads conflicts with what others insert beside it.
pub(crate) async fn use_once(tx: &Tx, key: OnceKey, expires: i64) -> Result<(), SqlError> {
    let statement = "INSERT INTO used_once (id, expires) VALUES (?, ?)";
    tx.execute(statement, values![key.0, expires]).await?;
    Ok(())
}

pub(crate) async fn release(tx: &Tx, key: OnceKey) -> Result<(), SqlError> {
    tx.execute("DELETE FROM used_once WHERE id = ?", values![key.0])
        .await?;
    Ok(())
}

/// Removes what can be refused for its age by now: about so many, the oldest first.
pub(crate) async fn purge_used(tx: &Tx, before: i64, budget: u32) -> Result<u64, SqlError> {
    let statement = "SELECT expires FROM used_once WHERE expires < ? ORDER BY expires LIMIT 1 OFFSET ?";
    let last = tx
        .fetch_optional(statement, values![before, budget.saturating_sub(1)])
        .await?;
    // All that expired in the same millisecond, too.
    let before = last.map_or(Ok(before), |mut row| Ok::<_, SqlError>(row.take::<i64>(0)? + 1))?;
    tx.execute("DELETE FROM used_once WHERE expires < ?", values![before])
        .await
}

pub(crate) async fn value(from: &Database, name: &str) -> Result<Option<ValueRow>, SqlError> {
    let statement = "SELECT version, content, expires FROM shared_value WHERE name = ?";
    let row = from.fetch_optional(statement, values![name]).await?;
    row.map(|mut row| {
        Ok(ValueRow {
            version: row.take(0)?,
            content: row.take(1)?,
            expires: row.take(2)?,
        })
    })
    .transpose()
}

/// Fails with [`SqlError::Conflict`] if there is a value of that name.
pub(crate) async fn insert_value(tx: &Tx, name: &str, row: &ValueRow) -> Result<(), SqlError> {
    let statement = "INSERT INTO shared_value (name, version, content, expires) VALUES (?, ?, ?, ?)";
    let values = values![name, row.version, row.content.as_slice(), row.expires];
    tx.execute(statement, values).await?;
    Ok(())
}

/// Returns whether the value was at the version that is replaced.
pub(crate) async fn replace_value(
    tx: &Tx,
    name: &str,
    version: i64,
    content: &[u8],
    new: i64,
) -> Result<bool, SqlError> {
    let statement = "UPDATE shared_value SET version = ?, content = ? WHERE name = ? AND version = ?";
    Ok(tx
        .execute(statement, values![new, content, name, version])
        .await?
        == 1)
}

/// Returns whether the value was at that version.
pub(crate) async fn delete_value(tx: &Tx, name: &str, version: i64) -> Result<bool, SqlError> {
    let statement = "DELETE FROM shared_value WHERE name = ? AND version = ?";
    Ok(tx.execute(statement, values![name, version]).await? == 1)
}

pub(crate) async fn purge_values(tx: &Tx, before: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT name FROM shared_value WHERE expires < ? ORDER BY expires LIMIT ?";
    delete_found(
        tx,
        find,
        "DELETE FROM shared_value WHERE name = ?",
        before,
        budget,
    )
    .await
}
