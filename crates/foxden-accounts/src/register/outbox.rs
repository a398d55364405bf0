//! Mails that wait to be sent.

use foxden_sql::{Fetch, Row, SqlError, Tx, values};

use super::{delete_found, one};
use crate::AccountId;

/// A mail to be stored.
pub(crate) struct OutboxRow<'a> {
    pub(crate) uid: Option<AccountId>,
    pub(crate) invitation: Option<i64>,
    pub(crate) address: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) mail: String,
    pub(crate) now: i64,
    pub(crate) expires: i64,
}

/// A mail that was taken to be sent.
pub(crate) struct LockedMail {
    pub(crate) id: i64,
    pub(crate) uid: Option<AccountId>,
    pub(crate) address: String,
    pub(crate) mail: String,
    pub(crate) posted_at: i64,
    pub(crate) expires: i64,
    pub(crate) tries: u32,
}

fn read(mut row: Row) -> Result<LockedMail, SqlError> {
    Ok(LockedMail {
        id: row.take(0)?,
        uid: row.take(1)?,
        address: row.take(2)?,
        mail: row.take(3)?,
        posted_at: row.take(4)?,
        expires: row.take(5)?,
        tries: row.take(6)?,
    })
}

pub(crate) async fn insert(tx: &Tx, row: OutboxRow<'_>) -> Result<(), SqlError> {
    tx.insert(
        "INSERT INTO outbox (uid, invitation, address, kind, letter, posted_at, due, expires, tries)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
        values![
            row.uid,
            row.invitation,
            row.address,
            row.kind,
            row.mail,
            row.now,
            row.now,
            row.expires
        ],
    )
    .await?;
    Ok(())
}

/// Returns the number of waiting mails.
pub(crate) async fn count(from: &impl Fetch) -> Result<u32, SqlError> {
    one(from, "SELECT COUNT(*) FROM outbox", vec![]).await
}

/// Returns the number of an account's waiting mails, without those of one kind to one address.
pub(crate) async fn count_others(
    from: &impl Fetch,
    uid: AccountId,
    kind: &'static str,
    address: &str,
) -> Result<u32, SqlError> {
    let statement = "SELECT COUNT(*) FROM outbox WHERE uid = ? AND NOT (kind = ? AND address = ?)";
    one(from, statement, values![uid, kind, address]).await
}

/// Returns when the next mail is due, if one waits.
pub(crate) async fn next_due(from: &impl Fetch, now: i64) -> Result<Option<i64>, SqlError> {
    one(
        from,
        "SELECT MIN(due) FROM outbox WHERE expires > ?",
        values![now],
    )
    .await
}

/// Takes the mail that has been due for longest, and locks it until `until`. A mail that is due later than `latest`
/// is due now: it was deferred by a clock that was ahead. [`SqlError::Busy`] if another transaction has taken it
/// meanwhile.
pub(crate) async fn take(tx: &Tx, now: i64, latest: i64, until: i64) -> Result<Option<LockedMail>, SqlError> {
    let statement = "SELECT id, uid, address, letter, posted_at, expires, tries + 1, due FROM outbox
        WHERE (due <= ? OR due > ?) AND expires > ? ORDER BY due, id LIMIT 1";
    let row = tx.fetch_optional(statement, values![now, latest, now]).await?;
    let Some(mut row) = row else {
        return Ok(None);
    };
    let due: i64 = row.take(7)?;
    let taken = read(row)?;
    let statement = "UPDATE outbox SET due = ?, tries = tries + 1 WHERE id = ? AND due = ?";
    match tx.execute(statement, values![until, taken.id, due]).await? {
        0 => Err(SqlError::Busy),
        _ => Ok(Some(taken)),
    }
}

pub(crate) async fn defer(tx: &Tx, id: i64, due: i64) -> Result<(), SqlError> {
    tx.execute("UPDATE outbox SET due = ? WHERE id = ?", values![due, id])
        .await?;
    Ok(())
}

/// Makes a mail due now that was deferred until `due`, unless it was changed since.
pub(crate) async fn bring_forward(tx: &Tx, id: i64, due: i64, now: i64) -> Result<(), SqlError> {
    let statement = "UPDATE outbox SET due = ? WHERE id = ? AND due = ? AND due > ?";
    tx.execute(statement, values![now, id, due, now]).await?;
    Ok(())
}

/// Releases a mail that was taken.
pub(crate) async fn give_back(tx: &Tx, id: i64, due: i64) -> Result<(), SqlError> {
    let statement = "UPDATE outbox SET due = ?, tries = tries - 1 WHERE id = ?";
    tx.execute(statement, values![due, id]).await?;
    Ok(())
}

pub(crate) async fn delete(tx: &Tx, id: i64) -> Result<(), SqlError> {
    tx.execute("DELETE FROM outbox WHERE id = ?", values![id]).await?;
    Ok(())
}

/// Deletes an account's mails of one kind, to one address or to all.
pub(crate) async fn delete_of_kind(
    tx: &Tx,
    uid: AccountId,
    kind: &'static str,
    address: Option<&str>,
) -> Result<(), SqlError> {
    let statement = "DELETE FROM outbox WHERE uid = ? AND kind = ? AND (address = ? OR ? IS NULL)";
    tx.execute(statement, values![uid, kind, address, address])
        .await?;
    Ok(())
}

/// Deletes the mail with an invitation.
pub(crate) async fn delete_of_invitation(tx: &Tx, invitation: i64) -> Result<(), SqlError> {
    let statement = "DELETE FROM outbox WHERE invitation = ?";
    tx.execute(statement, values![invitation]).await?;
    Ok(())
}

pub(crate) async fn purge(tx: &Tx, now: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT id FROM outbox WHERE expires <= ? LIMIT ?";
    delete_found(tx, find, "DELETE FROM outbox WHERE id = ?", now, budget).await
}
