//! Settings: most are fixed at the first start.

use foxden_sql::{Fetch, SqlError, Tx, values};

pub(crate) async fn get(from: &impl Fetch, name: &str) -> Result<Option<String>, SqlError> {
    let row = from
        .fetch_optional("SELECT value FROM setting WHERE name = ?", values![name])
        .await?;
    row.map(|mut row| row.take(0)).transpose()
}

/// Sets a setting that may change.
pub(crate) async fn set(tx: &Tx, name: &str, value: &str) -> Result<(), SqlError> {
    tx.execute("DELETE FROM setting WHERE name = ?", values![name])
        .await?;
    put(tx, name, value).await
}

pub(crate) async fn put(tx: &Tx, name: &str, value: &str) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO setting (name, value) VALUES (?, ?)",
        values![name, value],
    )
    .await?;
    Ok(())
}
