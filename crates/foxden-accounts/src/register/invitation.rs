//! Invitations.

use foxden_sql::{Fetch, Row, SqlError, Tx, values};

use super::{delete_found, outbox};
use crate::validity::latest_end;
use crate::{AccountId, Invitation, Role};

fn read(mut row: Row) -> Result<Invitation, SqlError> {
    Ok(Invitation {
        id: row.take(0)?,
        role: Role::from_word(&row.take::<String>(1)?).ok_or(SqlError::Mismatch)?,
        note: row.take(2)?,
        created_at: row.take(3)?,
        expires: row.take(4)?,
        is_first: row.take(5)?,
        used_by: row.take(6)?,
        address: row.take(7)?,
    })
}

/// Inserts it and gives its number.
pub(crate) async fn insert(tx: &Tx, code_hash: &str, invitation: &Invitation) -> Result<i64, SqlError> {
    tx.insert(
        "INSERT INTO invitation (code_hash, role, note, created_at, expires, is_first) VALUES (?, ?, ?, ?, ?, ?)",
        values![
            code_hash,
            invitation.role.word(),
            &invitation.note,
            invitation.created_at,
            invitation.expires,
            invitation.is_first
        ],
    )
    .await
}

/// Notes to whom it is mailed, in the form in which names are compared.
pub(crate) async fn set_address(tx: &Tx, id: i64, address: &str) -> Result<(), SqlError> {
    let statement = "UPDATE invitation SET address = ? WHERE id = ?";
    tx.execute(statement, values![address, id]).await?;
    Ok(())
}

/// An invitation that would still be taken. One that a clock which was ahead has made would last too long.
pub(crate) async fn open(
    from: &impl Fetch,
    code_hash: &str,
    now: i64,
) -> Result<Option<Invitation>, SqlError> {
    let statement = "SELECT id, role, note, created_at, expires, is_first, used_by, address FROM invitation
        WHERE code_hash = ? AND used_at IS NULL AND expires > ? AND created_at <= ?";
    let latest = latest_end(now, 0);
    let row = from
        .fetch_optional(statement, values![code_hash, now, latest])
        .await?;
    row.map(read).transpose()
}

pub(crate) async fn all(from: &impl Fetch) -> Result<Vec<Invitation>, SqlError> {
    let statement = "SELECT id, role, note, created_at, expires, is_first, used_by, address FROM invitation
        ORDER BY id DESC LIMIT 1000";
    let rows = from.fetch_all(statement, vec![]).await?;
    rows.into_iter().map(read).collect()
}

pub(crate) async fn mark_used(tx: &Tx, id: i64, uid: AccountId, now: i64) -> Result<u64, SqlError> {
    let statement = "UPDATE invitation SET used_at = ?, used_by = ? WHERE id = ? AND used_at IS NULL";
    let marked = tx.execute(statement, values![now, uid, id]).await?;
    outbox::delete_of_invitation(tx, id).await?;
    Ok(marked)
}

pub(crate) async fn delete(tx: &Tx, id: i64) -> Result<u64, SqlError> {
    tx.execute("DELETE FROM invitation WHERE id = ?", values![id])
        .await
}

/// Deletes the unused invitation for the first account.
pub(crate) async fn delete_first(tx: &Tx) -> Result<(), SqlError> {
    tx.execute(
        "DELETE FROM invitation WHERE is_first = 1 AND used_at IS NULL",
        vec![],
    )
    .await?;
    Ok(())
}

pub(crate) async fn purge(tx: &Tx, before: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT id FROM invitation WHERE expires <= ? LIMIT ?";
    delete_found(tx, find, "DELETE FROM invitation WHERE id = ?", before, budget).await
}
