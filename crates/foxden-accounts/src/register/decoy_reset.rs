//! Decoy resets, begun for addresses without an account, and their codes.

use foxden_sql::{Fetch, SqlError, Tx, Value, values};

use super::code::{CodeKind, CodeRow};
use super::token::{END_SPENT_DECOY, TAKE_DECOY_TRY, TokenRow};
use super::{delete_found, trim};
use crate::validity::is_valid;
use crate::{AccountId, secret};

/// Decoys kept in total: anonymous clients create them.
const ALL: u32 = 10_000;
const DELETE: &str = "DELETE FROM reset_of_nobody WHERE id_hash = ?";

/// Keeps a reset. Of those for the same address so many stay: those that would end first make room for it.
pub(crate) async fn insert(tx: &Tx, row: &TokenRow, each: u32) -> Result<(), SqlError> {
    let find = "SELECT id_hash FROM reset_of_nobody WHERE uid = ? AND kind = 'passwordForgotToken'
        ORDER BY expires DESC, id_hash LIMIT 100 OFFSET ?";
    trim(tx, find, DELETE, row.uid, each.saturating_sub(1)).await?;
    let tries = i64::try_from(row.tries).unwrap_or(i64::MAX);
    let (kind, auth_key) = (row.kind.name(), row.auth_key);
    put(
        tx,
        values![&row.id_hash, kind, auth_key, row.uid, tries, row.expires],
    )
    .await
}

/// The code that waits for that address. There is none to be right: it has no text.
pub(crate) async fn code(
    from: &impl Fetch,
    uid: AccountId,
    kind: CodeKind,
    now: i64,
) -> Result<Option<CodeRow>, SqlError> {
    let statement = "SELECT tries, expires FROM reset_of_nobody WHERE id_hash = ?";
    let row = from
        .fetch_optional(statement, values![code_id(uid, kind)])
        .await?;
    let Some(mut row) = row else {
        return Ok(None);
    };
    let (tries, expires) = (row.take(0)?, row.take(1)?);
    let code = String::new();
    Ok(is_valid(now, expires, kind.life()).then_some(CodeRow {
        kind,
        code,
        tries,
        expires,
    }))
}

/// Makes a code wait, unless one does already, and gives the id of its row.
pub(crate) async fn keep_code(tx: &Tx, uid: AccountId, new: &CodeRow, now: i64) -> Result<String, SqlError> {
    let id = code_id(uid, new.kind);
    if code(tx, uid, new.kind, now).await?.is_none() {
        tx.execute(DELETE, values![&id]).await?;
        let (kind, no_key) = (new.kind.word(), [0; 32]);
        put(tx, values![&id, kind, no_key, uid, new.tries, new.expires]).await?;
    }
    Ok(id)
}

/// Takes a try of a code, which ends with the last one. Returns whether it waited.
pub(crate) async fn take_try(tx: &Tx, uid: AccountId, kind: CodeKind, now: i64) -> Result<bool, SqlError> {
    let id = code_id(uid, kind);
    let waited = code(tx, uid, kind, now).await?.is_some();
    tx.execute(TAKE_DECOY_TRY, values![&id]).await?;
    tx.execute(END_SPENT_DECOY, values![&id]).await?;
    Ok(waited)
}

/// Writes so many times, as would be written for an account.
pub(crate) async fn write(tx: &Tx, id_hash: &str, times: u32) -> Result<(), SqlError> {
    let statement = "UPDATE reset_of_nobody SET writes = writes + 1 WHERE id_hash = ?";
    for _ in 0..times {
        tx.execute(statement, values![id_hash]).await?;
    }
    Ok(())
}

pub(crate) async fn purge(tx: &Tx, now: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT id_hash FROM reset_of_nobody WHERE expires <= ? ORDER BY expires LIMIT ?";
    delete_found(tx, find, DELETE, now, budget).await
}

/// Adds a row. Where there are too many, those that would end first make room for it.
async fn put(tx: &Tx, values: Vec<Value>) -> Result<(), SqlError> {
    let find = "SELECT id_hash FROM reset_of_nobody ORDER BY expires DESC, id_hash DESC LIMIT 100 OFFSET ?";
    for mut row in tx.fetch_all(find, values![ALL - 1]).await? {
        tx.execute(DELETE, values![row.take::<String>(0)?]).await?;
    }
    let statement = "INSERT INTO reset_of_nobody (id_hash, kind, auth_key, uid, tries, expires)
        VALUES (?, ?, ?, ?, ?, ?)";
    tx.execute(statement, values).await?;
    Ok(())
}

/// Under which name a code is kept: an address has one of each kind.
fn code_id(uid: AccountId, kind: CodeKind) -> String {
    secret::hash(format!("{} {uid}", kind.word()).as_bytes())
}
