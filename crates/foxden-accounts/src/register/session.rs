//! Sessions.

use foxden_sql::{Fetch, Row, SqlError, Tx, values};

use super::code::{self, CodeKind};
use super::{delete_found, trim};
use crate::AccountId;

/// A session, with what its account says of it.
pub(crate) struct SessionRow {
    pub(crate) id_hash: String,
    pub(crate) auth_key: [u8; 32],
    pub(crate) uid: AccountId,
    pub(crate) created_at: i64,
    pub(crate) last_used: i64,
    pub(crate) auth_at: i64,
    pub(crate) verified: bool,
    pub(crate) user_agent: String,
}

impl SessionRow {
    fn read(mut row: Row) -> Result<Self, SqlError> {
        Ok(Self {
            id_hash: row.take(0)?,
            auth_key: row.take(1)?,
            uid: row.take(2)?,
            created_at: row.take(3)?,
            last_used: row.take(4)?,
            auth_at: row.take(5)?,
            verified: row.take(6)?,
            user_agent: row.take(7)?,
        })
    }
}

pub(crate) async fn get(from: &impl Fetch, id_hash: &str) -> Result<Option<(SessionRow, bool)>, SqlError> {
    let row = from
        .fetch_optional(
            "SELECT s.id_hash, s.auth_key, s.uid, s.created_at, s.last_used, s.auth_at, s.verified, s.user_agent,
             a.address_verified FROM session s JOIN account a ON a.uid = s.uid WHERE s.id_hash = ?",
            values![id_hash],
        )
        .await?;
    let Some(mut row) = row else { return Ok(None) };
    let address_verified = row.take(8)?;
    Ok(Some((SessionRow::read(row)?, address_verified)))
}

pub(crate) async fn of(from: &impl Fetch, uid: AccountId) -> Result<Vec<SessionRow>, SqlError> {
    let rows = from
        .fetch_all(
            "SELECT id_hash, auth_key, uid, created_at, last_used, auth_at, verified, user_agent FROM session
             WHERE uid = ? ORDER BY last_used DESC, id_hash LIMIT 500",
            values![uid],
        )
        .await?;
    rows.into_iter().map(SessionRow::read).collect()
}

pub(crate) async fn insert(tx: &Tx, row: &SessionRow) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO session (id_hash, auth_key, uid, created_at, last_used, auth_at, verified, user_agent)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        values![
            &row.id_hash,
            row.auth_key,
            row.uid,
            row.created_at,
            row.last_used,
            row.auth_at,
            row.verified,
            &row.user_agent
        ],
    )
    .await?;
    Ok(())
}

/// Notes that it was used. A clock that is behind must not make it look abandoned, so the time only rises.
pub(crate) async fn touch(tx: &Tx, id_hash: &str, now: i64) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE session SET last_used = ? WHERE id_hash = ? AND last_used < ?",
        values![now, id_hash, now],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_auth_at(tx: &Tx, id_hash: &str, auth_at: i64) -> Result<u64, SqlError> {
    tx.execute(
        "UPDATE session SET auth_at = ? WHERE id_hash = ?",
        values![auth_at, id_hash],
    )
    .await
}

/// Deletes a session of that account; its device and grants go by the tables' references.
pub(crate) async fn delete(tx: &Tx, uid: AccountId, id_hash: &str) -> Result<u64, SqlError> {
    tx.execute(
        "DELETE FROM session WHERE uid = ? AND id_hash = ?",
        values![uid, id_hash],
    )
    .await
}

/// Deletes everything that is signed in, and all one-time credentials.
pub(crate) async fn delete_all(tx: &Tx, uid: AccountId) -> Result<(), SqlError> {
    tx.execute("DELETE FROM device WHERE uid = ?", values![uid])
        .await?;
    tx.execute("DELETE FROM oauth_code WHERE uid = ?", values![uid])
        .await?;
    tx.execute("DELETE FROM access_token WHERE uid = ?", values![uid])
        .await?;
    tx.execute("DELETE FROM refresh_token WHERE uid = ?", values![uid])
        .await?;
    tx.execute("DELETE FROM session WHERE uid = ?", values![uid])
        .await?;
    tx.execute("DELETE FROM token WHERE uid = ?", values![uid])
        .await?;
    tx.execute("DELETE FROM password_link WHERE uid = ?", values![uid])
        .await?;
    code::delete(tx, uid, CodeKind::Reset).await?;
    code::delete(tx, uid, CodeKind::ResetOtp).await?;
    code::delete(tx, uid, CodeKind::LegacyReset).await?;
    Ok(())
}

/// Deletes sessions without a device that were last used before then.
pub(crate) async fn purge(tx: &Tx, before: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT s.id_hash FROM session s LEFT JOIN device d ON d.session_id = s.id_hash
        WHERE s.last_used < ? AND d.id IS NULL ORDER BY s.last_used LIMIT ?";
    delete_found(tx, find, "DELETE FROM session WHERE id_hash = ?", before, budget).await
}

/// Ends the sessions that were used the longest ago, beyond those an account may keep; one with a device only once all
/// others are gone, as tools sign in again and again and browsers do not. To be done before another is made: by their times
/// alone the newest may seem the oldest.
pub(crate) async fn trim_oldest(tx: &Tx, uid: AccountId, keep: u32) -> Result<(), SqlError> {
    let find =
        "SELECT s.id_hash FROM session s LEFT JOIN device d ON d.session_id = s.id_hash WHERE s.uid = ?
        ORDER BY CASE WHEN d.id IS NULL THEN 1 ELSE 0 END, s.last_used DESC, s.id_hash LIMIT 100 OFFSET ?";
    trim(tx, find, "DELETE FROM session WHERE id_hash = ?", uid, keep).await
}
