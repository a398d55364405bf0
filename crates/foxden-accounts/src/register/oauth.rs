//! Authorization codes, access tokens, refresh tokens.

use foxden_sql::{Fetch, Row, SqlError, Tx, values};

use super::{delete_found, one, trim};
use crate::AccountId;
use crate::validity::latest_end;

/// An authorization code.
pub(crate) struct CodeRow {
    pub(crate) id_hash: String,
    pub(crate) uid: AccountId,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) challenge: String,
    pub(crate) keys_jwe: Option<String>,
    pub(crate) session_id: String,
    pub(crate) offline: bool,
    pub(crate) auth_at: i64,
    pub(crate) expires: i64,
    pub(crate) used: bool,
}

/// An access token.
pub(crate) struct AccessRow {
    pub(crate) id_hash: String,
    pub(crate) uid: AccountId,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) session_id: Option<String>,
    pub(crate) refresh_id: Option<String>,
    pub(crate) code_hash: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) expires: i64,
}

/// A refresh token.
#[derive(Clone)]
pub(crate) struct RefreshRow {
    pub(crate) id_hash: String,
    pub(crate) uid: AccountId,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) session_id: Option<String>,
    pub(crate) code_hash: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) last_used: i64,
}

pub(crate) async fn insert_code(tx: &Tx, row: &CodeRow) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO oauth_code (id_hash, uid, client_id, scope, challenge, keys_jwe, session_id, offline, auth_at,
         expires, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values![
            &row.id_hash,
            row.uid,
            &row.client_id,
            &row.scope,
            &row.challenge,
            row.keys_jwe.as_ref(),
            &row.session_id,
            row.offline,
            row.auth_at,
            row.expires,
            row.used
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn code(from: &impl Fetch, id_hash: &str) -> Result<Option<CodeRow>, SqlError> {
    let statement =
        "SELECT id_hash, uid, client_id, scope, challenge, keys_jwe, session_id, offline, auth_at, expires,
        used FROM oauth_code WHERE id_hash = ?";
    let row = from.fetch_optional(statement, values![id_hash]).await?;
    let read = |mut row: Row| {
        Ok(CodeRow {
            id_hash: row.take(0)?,
            uid: row.take(1)?,
            client_id: row.take(2)?,
            scope: row.take(3)?,
            challenge: row.take(4)?,
            keys_jwe: row.take(5)?,
            session_id: row.take(6)?,
            offline: row.take(7)?,
            auth_at: row.take(8)?,
            expires: row.take(9)?,
            used: row.take(10)?,
        })
    };
    row.map(read).transpose()
}

/// Marks a code as used and forgets what it carried. Returns whether this statement did so: it is used once.
pub(crate) async fn use_code(tx: &Tx, id_hash: &str) -> Result<bool, SqlError> {
    let statement = "UPDATE oauth_code SET used = 1, keys_jwe = NULL WHERE id_hash = ? AND used = 0";
    Ok(tx.execute(statement, values![id_hash]).await? > 0)
}

/// Revokes what a code gave.
pub(crate) async fn revoke_of_code(tx: &Tx, code_hash: &str) -> Result<(), SqlError> {
    tx.execute("DELETE FROM access_token WHERE code_hash = ?", values![code_hash])
        .await?;
    tx.execute(
        "DELETE FROM refresh_token WHERE code_hash = ?",
        values![code_hash],
    )
    .await?;
    Ok(())
}

pub(crate) async fn insert_access(tx: &Tx, row: AccessRow) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO access_token (id_hash, uid, client_id, scope, session_id, refresh_id, code_hash, created_at,
         expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values![
            row.id_hash,
            row.uid,
            row.client_id,
            row.scope,
            row.session_id,
            row.refresh_id,
            row.code_hash,
            row.created_at,
            row.expires
        ],
    )
    .await?;
    Ok(())
}

/// An access token that has not expired and that no clock which was ahead has made, with its account's generation and the
/// time its profile changed.
pub(crate) async fn access(
    from: &impl Fetch,
    id_hash: &str,
    now: i64,
) -> Result<Option<(AccessRow, i64, i64)>, SqlError> {
    let statement = "SELECT t.id_hash, t.uid, t.client_id, t.scope, t.session_id, t.refresh_id, t.code_hash,
        t.created_at, t.expires, a.verifier_set_at, a.profile_changed_at
        FROM access_token t JOIN account a ON a.uid = t.uid WHERE t.id_hash = ? AND t.expires > ? AND t.created_at <= ?";
    let values = values![id_hash, now, latest_end(now, 0)];
    let Some(mut row) = from.fetch_optional(statement, values).await? else {
        return Ok(None);
    };
    let access = AccessRow {
        id_hash: row.take(0)?,
        uid: row.take(1)?,
        client_id: row.take(2)?,
        scope: row.take(3)?,
        session_id: row.take(4)?,
        refresh_id: row.take(5)?,
        code_hash: row.take(6)?,
        created_at: row.take(7)?,
        expires: row.take(8)?,
    };
    Ok(Some((access, row.take(9)?, row.take(10)?)))
}

pub(crate) async fn delete_access(tx: &Tx, id_hash: &str) -> Result<u64, SqlError> {
    tx.execute("DELETE FROM access_token WHERE id_hash = ?", values![id_hash])
        .await
}

pub(crate) async fn insert_refresh(tx: &Tx, row: &RefreshRow) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO refresh_token (id_hash, uid, client_id, scope, session_id, code_hash, created_at, last_used)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        values![
            &row.id_hash,
            row.uid,
            &row.client_id,
            &row.scope,
            row.session_id.clone(),
            row.code_hash.clone(),
            row.created_at,
            row.last_used
        ],
    )
    .await?;
    Ok(())
}

const REFRESH: &str = "SELECT id_hash, uid, client_id, scope, session_id, code_hash, created_at, last_used
    FROM refresh_token WHERE id_hash = ?";
const REFRESH_OF: &str = "SELECT id_hash, uid, client_id, scope, session_id, code_hash, created_at, last_used
    FROM refresh_token WHERE uid = ? ORDER BY last_used DESC, id_hash LIMIT 500";

fn read_refresh(mut row: Row) -> Result<RefreshRow, SqlError> {
    Ok(RefreshRow {
        id_hash: row.take(0)?,
        uid: row.take(1)?,
        client_id: row.take(2)?,
        scope: row.take(3)?,
        session_id: row.take(4)?,
        code_hash: row.take(5)?,
        created_at: row.take(6)?,
        last_used: row.take(7)?,
    })
}

pub(crate) async fn refresh(from: &impl Fetch, id_hash: &str) -> Result<Option<RefreshRow>, SqlError> {
    let row = from.fetch_optional(REFRESH, values![id_hash]).await?;
    row.map(read_refresh).transpose()
}

pub(crate) async fn refresh_of(from: &impl Fetch, uid: AccountId) -> Result<Vec<RefreshRow>, SqlError> {
    let rows = from.fetch_all(REFRESH_OF, values![uid]).await?;
    rows.into_iter().map(read_refresh).collect()
}

/// How many refresh tokens an account has.
pub(crate) async fn count_refresh(from: &impl Fetch, uid: AccountId) -> Result<u64, SqlError> {
    let statement = "SELECT COUNT(*) FROM refresh_token WHERE uid = ?";
    one(from, statement, values![uid]).await
}

/// Notes that it was used. A clock that is behind must not make it look abandoned, so the time only rises.
pub(crate) async fn touch_refresh(tx: &Tx, id_hash: &str, now: i64) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE refresh_token SET last_used = ? WHERE id_hash = ? AND last_used < ?",
        values![now, id_hash, now],
    )
    .await?;
    Ok(())
}

/// Deletes a refresh token; its device and access tokens go by the tables' references.
pub(crate) async fn delete_refresh(tx: &Tx, id_hash: &str) -> Result<u64, SqlError> {
    tx.execute("DELETE FROM refresh_token WHERE id_hash = ?", values![id_hash])
        .await
}

pub(crate) async fn purge_access(tx: &Tx, now: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT id_hash FROM access_token WHERE expires <= ? ORDER BY expires LIMIT ?";
    delete_found(
        tx,
        find,
        "DELETE FROM access_token WHERE id_hash = ?",
        now,
        budget,
    )
    .await
}

pub(crate) async fn purge_codes(tx: &Tx, now: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT id_hash FROM oauth_code WHERE expires <= ? ORDER BY expires LIMIT ?";
    delete_found(tx, find, "DELETE FROM oauth_code WHERE id_hash = ?", now, budget).await
}

/// Deletes refresh tokens without a device that were not used since then.
pub(crate) async fn purge_refresh(tx: &Tx, before: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT r.id_hash FROM refresh_token r LEFT JOIN device d ON d.refresh_id = r.id_hash
        WHERE r.last_used < ? AND d.id IS NULL ORDER BY r.last_used LIMIT ?";
    delete_found(
        tx,
        find,
        "DELETE FROM refresh_token WHERE id_hash = ?",
        before,
        budget,
    )
    .await
}

/// Ends the oldest codes, beyond those an account may keep. As with all of these, to be done before another is made: by
/// their times alone the newest may seem the oldest.
pub(crate) async fn trim_codes(tx: &Tx, uid: AccountId, keep: u32) -> Result<(), SqlError> {
    let find =
        "SELECT id_hash FROM oauth_code WHERE uid = ? ORDER BY expires DESC, id_hash LIMIT 100 OFFSET ?";
    trim(tx, find, "DELETE FROM oauth_code WHERE id_hash = ?", uid, keep).await
}

/// Ends the oldest access tokens.
pub(crate) async fn trim_access(tx: &Tx, uid: AccountId, keep: u32) -> Result<(), SqlError> {
    let find =
        "SELECT id_hash FROM access_token WHERE uid = ? ORDER BY created_at DESC, id_hash LIMIT 100 OFFSET ?";
    trim(tx, find, "DELETE FROM access_token WHERE id_hash = ?", uid, keep).await
}

/// Ends the refresh tokens that were used the longest ago, those with a device last.
pub(crate) async fn trim_refresh(tx: &Tx, uid: AccountId, keep: u32) -> Result<(), SqlError> {
    let find =
        "SELECT r.id_hash FROM refresh_token r LEFT JOIN device d ON d.refresh_id = r.id_hash WHERE r.uid = ?
        ORDER BY CASE WHEN d.id IS NULL THEN 1 ELSE 0 END, r.last_used DESC, r.id_hash LIMIT 100 OFFSET ?";
    trim(tx, find, "DELETE FROM refresh_token WHERE id_hash = ?", uid, keep).await
}
