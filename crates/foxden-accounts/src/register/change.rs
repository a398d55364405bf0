//! Changes that make a remembered password worthless, in the order in which they were made.

use foxden_sql::{Fetch, SqlError, Tx, values};

use super::delete_found;
use crate::AccountId;

/// Changes read at once.
pub(crate) const PAGE: usize = 256;

/// Writes down that the account's credentials or stores changed, in the transaction that changes them.
pub(crate) async fn insert(tx: &Tx, uid: AccountId, now: i64) -> Result<(), SqlError> {
    tx.insert(
        "INSERT INTO credential_change (uid, at) VALUES (?, ?)",
        values![uid, now],
    )
    .await?;
    Ok(())
}

/// Writes down that everybody's changed: a number is left out, and whoever misses one forgets everything.
pub(crate) async fn insert_for_all(tx: &Tx, now: i64) -> Result<(), SqlError> {
    let statement = "INSERT INTO credential_change (uid, at) VALUES (?, ?)";
    let nobody = AccountId([0; 16]);
    let left_out = tx.insert(statement, values![nobody, now]).await?;
    tx.insert(statement, values![nobody, now]).await?;
    tx.execute("DELETE FROM credential_change WHERE seq = ?", values![left_out])
        .await?;
    Ok(())
}

/// The number of the last change, 0 when none is written down.
pub(crate) async fn last(from: &impl Fetch) -> Result<i64, SqlError> {
    super::one(
        from,
        "SELECT COALESCE(MAX(seq), 0) FROM credential_change",
        vec![],
    )
    .await
}

/// The changes after that number, in their order: number and account.
pub(crate) async fn after(from: &impl Fetch, seq: i64) -> Result<Vec<(i64, AccountId)>, SqlError> {
    let statement = "SELECT seq, uid FROM credential_change WHERE seq > ? ORDER BY seq LIMIT ?";
    let limit = u32::try_from(PAGE).unwrap_or(u32::MAX);
    let rows = from.fetch_all(statement, values![seq, limit]).await?;
    rows.into_iter()
        .map(|mut row| Ok((row.take(0)?, row.take(1)?)))
        .collect()
}

/// Clears up changes made before then.
pub(crate) async fn purge(tx: &Tx, before: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT seq FROM credential_change WHERE at < ? ORDER BY seq LIMIT ?";
    delete_found(
        tx,
        find,
        "DELETE FROM credential_change WHERE seq = ?",
        before,
        budget,
    )
    .await
}
