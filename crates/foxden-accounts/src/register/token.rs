//! Credentials of one use, and those of a reset.

use foxden_sql::{Fetch, Row, SqlError, Tx, values};

use super::{delete_found, trim};
use crate::validity::is_valid;
use crate::{AccountId, CredentialKind};

/// The longest that any of them lasts.
const LONGEST_MILLIS: i64 = 3_600_000;

/// A credential.
pub(crate) struct TokenRow {
    pub(crate) id_hash: String,
    pub(crate) kind: CredentialKind,
    pub(crate) auth_key: [u8; 32],
    pub(crate) uid: AccountId,
    /// Whether this is a decoy: a reset that was begun for an address without an account.
    pub(crate) is_decoy: bool,
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) tries: u64,
    pub(crate) expires: i64,
}

const GET: &str =
    "SELECT id_hash, auth_key, uid, data, tries, expires, 0 FROM token WHERE id_hash = ? AND kind = ?
        UNION ALL
        SELECT id_hash, auth_key, uid, NULL, tries, expires, 1 FROM reset_of_nobody WHERE id_hash = ? AND kind = ?";

/// Takes one try of a decoy.
pub(super) const TAKE_DECOY_TRY: &str =
    "UPDATE reset_of_nobody SET tries = tries - 1 WHERE id_hash = ? AND tries > 0";
/// Deletes a decoy whose last try was taken.
pub(super) const END_SPENT_DECOY: &str = "DELETE FROM reset_of_nobody WHERE id_hash = ? AND tries <= 0";

fn read(mut row: Row, kind: CredentialKind) -> Result<TokenRow, SqlError> {
    Ok(TokenRow {
        kind,
        id_hash: row.take(0)?,
        auth_key: row.take(1)?,
        uid: row.take(2)?,
        data: row.take(3)?,
        tries: row.take(4)?,
        expires: row.take(5)?,
        is_decoy: row.take(6)?,
    })
}

/// The credential, unless it has expired or a clock that was ahead made it.
pub(crate) async fn get(
    from: &impl Fetch,
    kind: CredentialKind,
    id_hash: &str,
    now: i64,
) -> Result<Option<TokenRow>, SqlError> {
    let values = values![id_hash, kind.name(), id_hash, kind.name()];
    let row = from.fetch_optional(GET, values).await?;
    let row = row.map(|row| read(row, kind)).transpose()?;
    Ok(row.filter(|row| is_valid(now, row.expires, LONGEST_MILLIS)))
}

pub(crate) async fn insert(tx: &Tx, row: TokenRow) -> Result<(), SqlError> {
    let tries = i64::try_from(row.tries).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO token (id_hash, kind, auth_key, uid, data, tries, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
        values![
            row.id_hash,
            row.kind.name(),
            row.auth_key,
            row.uid,
            row.data,
            tries,
            row.expires
        ],
    )
    .await?;
    Ok(())
}

/// Uses the credential up and returns it; `None` where it is not good, or another transaction has used it up.
pub(crate) async fn take(
    tx: &Tx,
    kind: CredentialKind,
    id_hash: &str,
    now: i64,
) -> Result<Option<TokenRow>, SqlError> {
    let Some(row) = get(tx, kind, id_hash, now).await? else {
        return Ok(None);
    };
    Ok(delete(tx, id_hash).await?.then_some(row))
}

/// Deletes the credential. Returns whether this statement deleted it.
pub(crate) async fn delete(tx: &Tx, id_hash: &str) -> Result<bool, SqlError> {
    let statement = "DELETE FROM token WHERE id_hash = ?";
    Ok(tx.execute(statement, values![id_hash]).await? > 0)
}

/// Ends all resets of the account.
pub(crate) async fn delete_resets(tx: &Tx, uid: AccountId) -> Result<(), SqlError> {
    for kind in [CredentialKind::PasswordForgot, CredentialKind::AccountReset] {
        tx.execute(
            "DELETE FROM token WHERE uid = ? AND kind = ?",
            values![uid, kind.name()],
        )
        .await?;
    }
    Ok(())
}

/// Takes one try. Returns whether there was one; [`end_spent`] ends a credential that has none left.
pub(crate) async fn take_try_of(tx: &Tx, row: &TokenRow) -> Result<bool, SqlError> {
    let statement = if row.is_decoy {
        TAKE_DECOY_TRY
    } else {
        "UPDATE token SET tries = tries - 1 WHERE id_hash = ? AND tries > 0"
    };
    Ok(tx.execute(statement, values![&row.id_hash]).await? > 0)
}

/// Ends the credential if its last try was taken.
pub(crate) async fn end_spent(tx: &Tx, row: &TokenRow) -> Result<(), SqlError> {
    let statement = if row.is_decoy {
        END_SPENT_DECOY
    } else {
        "DELETE FROM token WHERE id_hash = ? AND tries <= 0"
    };
    tx.execute(statement, values![&row.id_hash]).await?;
    Ok(())
}

pub(crate) async fn purge(tx: &Tx, now: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT id_hash FROM token WHERE expires <= ? ORDER BY expires LIMIT ?";
    delete_found(tx, find, "DELETE FROM token WHERE id_hash = ?", now, budget).await
}

/// Ends the oldest resets beyond the number that an account may have open. Resets that a mail opens, or that have a
/// code of their own, stay.
pub(crate) async fn trim_begun(tx: &Tx, uid: AccountId, keep: u32) -> Result<(), SqlError> {
    let find = "SELECT id_hash FROM token WHERE uid = ? AND kind = 'passwordForgotToken' AND data IS NULL
        ORDER BY expires DESC, id_hash LIMIT 100 OFFSET ?";
    trim(tx, find, "DELETE FROM token WHERE id_hash = ?", uid, keep).await
}

/// Ends those that would end first anyway, beyond what an account may have open; resets, which strangers begin, are none of
/// them. To be done before another is made: by their times alone the newest may seem the oldest.
pub(crate) async fn trim_oldest(tx: &Tx, uid: AccountId, keep: u32) -> Result<(), SqlError> {
    let find = "SELECT id_hash FROM token WHERE uid = ? AND kind <> 'passwordForgotToken'
        ORDER BY expires DESC, id_hash LIMIT 100 OFFSET ?";
    trim(tx, find, "DELETE FROM token WHERE id_hash = ?", uid, keep).await
}
