//! Changes of credentials or stores, which invalidate cached log-ins. They are numbered without gaps in commit order.

use data_encoding::HEXLOWER;
use foxden_sql::{Fetch, FromValue, Nullable, SqlError, Tx, Value, values};
use ring::digest;

use super::delete_found;
use crate::AccountId;

/// An account in the list of changes. It is a hash of the id, so that nothing of a removed account stays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AccountDigest([u8; 16]);

impl AccountDigest {
    pub(crate) fn of(uid: AccountId) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"credential change of ");
        context.update(&uid.0);
        let mut out = [0; 16];
        out.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(out)
    }
}

impl From<AccountDigest> for Value {
    fn from(AccountDigest(bytes): AccountDigest) -> Self {
        Self::Text(Some(HEXLOWER.encode(&bytes)))
    }
}

impl Nullable for AccountDigest {
    const NULL: Value = Value::Text(None);
}

impl FromValue for AccountDigest {
    fn from_value(value: Value) -> Option<Self> {
        let text = String::from_value(value)?;
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

/// Changes read at once.
pub(crate) const PAGE: usize = 256;

/// A change: its number, and whose it is; `None` where it concerns all accounts.
pub(crate) type Change = (i64, Option<AccountDigest>);

/// Invalidates the cached log-ins of an account, in the transaction that changes its credentials or stores.
pub(crate) async fn insert(tx: &Tx, uid: AccountId, now: i64) -> Result<(), SqlError> {
    write(tx, Some(AccountDigest::of(uid)), now).await
}

/// Invalidates the cached log-ins of all accounts.
pub(crate) async fn insert_for_all(tx: &Tx, now: i64) -> Result<(), SqlError> {
    write(tx, None, now).await
}

/// Raising the counter locks its row, so the next transaction that changes something waits for the end of this one.
async fn write(tx: &Tx, alias: Option<AccountDigest>, now: i64) -> Result<(), SqlError> {
    tx.execute("UPDATE change_counter SET seq = seq + 1", vec![])
        .await?;
    let statement =
        "INSERT INTO credential_change (seq, alias, at) VALUES ((SELECT seq FROM change_counter), ?, ?)";
    tx.execute(statement, values![alias, now]).await?;
    Ok(())
}

/// The number of the last change, 0 before the first.
pub(crate) async fn last(from: &impl Fetch) -> Result<i64, SqlError> {
    super::one(from, "SELECT seq FROM change_counter", vec![]).await
}

/// The changes after that number, in their order.
pub(crate) async fn after(from: &impl Fetch, seq: i64) -> Result<Vec<Change>, SqlError> {
    let statement = "SELECT seq, alias FROM credential_change WHERE seq > ? ORDER BY seq LIMIT ?";
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
