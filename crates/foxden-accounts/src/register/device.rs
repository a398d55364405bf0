//! Devices and the commands that wait for them.

use foxden_sql::{Fetch, Row, SqlError, Tx, values};

use super::one;
use crate::{AccountId, DeviceId, QueuedCommand};

/// A device.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DeviceRow {
    pub(crate) id: DeviceId,
    pub(crate) uid: AccountId,
    pub(crate) session_id: Option<String>,
    pub(crate) refresh_id: Option<String>,
    pub(crate) name: String,
    pub(crate) kind: String,
    /// A JSON object of texts.
    pub(crate) commands: String,
    pub(crate) push_callback: Option<String>,
    pub(crate) push_public_key: Option<String>,
    pub(crate) push_auth_key: Option<String>,
    pub(crate) created_at: i64,
    /// When its session or refresh token was last used.
    pub(crate) last_used: i64,
}

/// A statement that finds devices with what is read of them; `$rest` says which.
macro_rules! devices {
    ($rest:literal) => {
        concat!(
            "SELECT d.id, d.uid, d.session_id, d.refresh_id, d.name, d.kind, d.commands, d.push_callback,
             d.push_public_key, d.push_auth_key, d.created_at, COALESCE(s.last_used, r.last_used, d.created_at)
             FROM device d LEFT JOIN session s ON s.id_hash = d.session_id
             LEFT JOIN refresh_token r ON r.id_hash = d.refresh_id WHERE ",
            $rest
        )
    };
}

fn read(mut row: Row) -> Result<DeviceRow, SqlError> {
    Ok(DeviceRow {
        id: row.take(0)?,
        uid: row.take(1)?,
        session_id: row.take(2)?,
        refresh_id: row.take(3)?,
        name: row.take(4)?,
        kind: row.take(5)?,
        commands: row.take(6)?,
        push_callback: row.take(7)?,
        push_public_key: row.take(8)?,
        push_auth_key: row.take(9)?,
        created_at: row.take(10)?,
        last_used: row.take(11)?,
    })
}

/// The account's devices that were used last, at most so many, in the order in which they were registered.
pub(crate) async fn of(from: &impl Fetch, uid: AccountId, most: u32) -> Result<Vec<DeviceRow>, SqlError> {
    let statement =
        devices!("d.uid = ? ORDER BY COALESCE(s.last_used, r.last_used, d.created_at) DESC, d.id LIMIT ?");
    let rows = from.fetch_all(statement, values![uid, most]).await?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(read).collect();
    let mut rows = rows?;
    rows.sort_by_key(|row| (row.created_at, row.id));
    Ok(rows)
}

/// The device of that session.
pub(crate) async fn of_session(from: &impl Fetch, id: &str) -> Result<Option<DeviceRow>, SqlError> {
    let row = from
        .fetch_optional(devices!("d.session_id = ?"), values![id])
        .await?;
    row.map(read).transpose()
}

/// The device of that refresh token.
pub(crate) async fn of_refresh(from: &impl Fetch, id: &str) -> Result<Option<DeviceRow>, SqlError> {
    let row = from
        .fetch_optional(devices!("d.refresh_id = ?"), values![id])
        .await?;
    row.map(read).transpose()
}

/// The account's device with that id.
pub(crate) async fn get(
    from: &impl Fetch,
    uid: AccountId,
    id: DeviceId,
) -> Result<Option<DeviceRow>, SqlError> {
    let statement = devices!("d.uid = ? AND d.id = ?");
    let row = from.fetch_optional(statement, values![uid, id]).await?;
    row.map(read).transpose()
}

/// The ids of the account's devices and how many bytes each takes, the ones used last first; at most a thousand.
/// The lengths stand at the head of a row, so that none is read whole.
pub(crate) async fn sizes(from: &impl Fetch, uid: AccountId) -> Result<Vec<(DeviceId, u64)>, SqlError> {
    let statement = "SELECT d.id, OCTET_LENGTH(d.name) + OCTET_LENGTH(d.kind) + OCTET_LENGTH(d.commands)
        + COALESCE(OCTET_LENGTH(d.push_callback), 0) + COALESCE(OCTET_LENGTH(d.push_public_key), 0)
        + COALESCE(OCTET_LENGTH(d.push_auth_key), 0)
        FROM device d LEFT JOIN session s ON s.id_hash = d.session_id
        LEFT JOIN refresh_token r ON r.id_hash = d.refresh_id WHERE d.uid = ?
        ORDER BY COALESCE(s.last_used, r.last_used, d.created_at) DESC, d.id LIMIT 1000";
    let rows = from.fetch_all(statement, values![uid]).await?;
    let read = |mut row: Row| Ok((row.take(0)?, row.take(1)?));
    rows.into_iter().map(read).collect()
}

pub(crate) async fn insert(tx: &Tx, row: &DeviceRow) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO device (id, uid, session_id, refresh_id, name, kind, commands, push_callback, push_public_key,
         push_auth_key, created_at, last_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        values![
            row.id,
            row.uid,
            row.session_id.clone(),
            row.refresh_id.clone(),
            &row.name,
            &row.kind,
            &row.commands,
            row.push_callback.clone(),
            row.push_public_key.clone(),
            row.push_auth_key.clone(),
            row.created_at
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn update(tx: &Tx, row: &DeviceRow) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE device SET name = ?, kind = ?, commands = ?, push_callback = ?, push_public_key = ?,
         push_auth_key = ? WHERE id = ?",
        values![
            &row.name,
            &row.kind,
            &row.commands,
            row.push_callback.clone(),
            row.push_public_key.clone(),
            row.push_auth_key.clone(),
            row.id
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &Tx, id: DeviceId) -> Result<(), SqlError> {
    tx.execute("DELETE FROM device WHERE id = ?", values![id]).await?;
    Ok(())
}

/// Hands a device from one refresh token to the one that replaces it.
pub(crate) async fn move_refresh(tx: &Tx, from: &str, to: &str) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE device SET refresh_id = ? WHERE refresh_id = ?",
        values![to, from],
    )
    .await?;
    Ok(())
}

/// Queues a command under the next index; of more than `keep` the oldest go.
pub(crate) async fn enqueue(
    tx: &Tx,
    device: DeviceId,
    command: &QueuedCommand,
    expires: i64,
    keep: i64,
) -> Result<i64, SqlError> {
    tx.execute(
        "UPDATE device SET last_index = last_index + 1 WHERE id = ?",
        values![device],
    )
    .await?;
    let index = last_index(tx, device).await?;
    tx.execute(
        "INSERT INTO command (device_id, idx, command, payload, sender, expires) VALUES (?, ?, ?, ?, ?, ?)",
        values![
            device,
            index,
            &command.command,
            &command.payload,
            command.sender,
            expires
        ],
    )
    .await?;
    let statement = "DELETE FROM command WHERE device_id = ? AND idx <= ?";
    tx.execute(statement, values![device, index - keep]).await?;
    Ok(index)
}

/// Deletes the account's commands that expire first until the others take no more than so many bytes together; says how
/// many. Each counts `each` bytes besides its own texts.
pub(crate) async fn trim_commands(tx: &Tx, uid: AccountId, keep: u64, each: u32) -> Result<u64, SqlError> {
    let sum = "SELECT COUNT(*), COALESCE(SUM(OCTET_LENGTH(c.command) + OCTET_LENGTH(c.payload)), 0)
        FROM command c JOIN device d ON d.id = c.device_id WHERE d.uid = ?";
    let oldest = "SELECT c.device_id, c.idx, OCTET_LENGTH(c.command) + OCTET_LENGTH(c.payload) + ?
        FROM command c JOIN device d ON d.id = c.device_id WHERE d.uid = ?
        ORDER BY c.expires, c.device_id, c.idx LIMIT 1000";
    let mut sums = tx
        .fetch_optional(sum, values![uid])
        .await?
        .ok_or(SqlError::Mismatch)?;
    let (count, texts): (u64, u64) = (sums.take(0)?, sums.take(1)?);
    let mut surplus = (texts + count * u64::from(each)).saturating_sub(keep);
    if surplus == 0 {
        return Ok(0);
    }
    let mut deleted = 0;
    for mut row in tx.fetch_all(oldest, values![each, uid]).await? {
        if surplus == 0 {
            break;
        }
        let (device, index): (DeviceId, i64) = (row.take(0)?, row.take(1)?);
        let statement = "DELETE FROM command WHERE device_id = ? AND idx = ?";
        deleted += tx.execute(statement, values![device, index]).await?;
        surplus = surplus.saturating_sub(row.take(2)?);
    }
    Ok(deleted)
}

/// The highest index that a command for the device was ever given.
pub(crate) async fn last_index(from: &impl Fetch, device: DeviceId) -> Result<i64, SqlError> {
    one(
        from,
        "SELECT last_index FROM device WHERE id = ?",
        values![device],
    )
    .await
}

/// The indexes and lengths of the device's commands from that index on that have not expired. No command is read whole.
pub(crate) async fn command_sizes(
    from: &impl Fetch,
    device: DeviceId,
    index: i64,
    now: i64,
    limit: u32,
) -> Result<Vec<(i64, u64)>, SqlError> {
    let statement = "SELECT idx, OCTET_LENGTH(command) + OCTET_LENGTH(payload) FROM command
        WHERE device_id = ? AND idx >= ? AND expires > ? ORDER BY idx LIMIT ?";
    let rows = from
        .fetch_all(statement, values![device, index, now, limit])
        .await?;
    let read = |mut row: Row| Ok((row.take(0)?, row.take(1)?));
    rows.into_iter().map(read).collect()
}

/// The device's commands between two indexes that have not expired.
pub(crate) async fn commands(
    from: &impl Fetch,
    device: DeviceId,
    (first, last): (i64, i64),
    now: i64,
) -> Result<Vec<QueuedCommand>, SqlError> {
    let statement = "SELECT idx, command, payload, sender FROM command
        WHERE device_id = ? AND idx BETWEEN ? AND ? AND expires > ? ORDER BY idx";
    let rows = from
        .fetch_all(statement, values![device, first, last, now])
        .await?;
    let read = |mut row: Row| {
        Ok(QueuedCommand {
            index: row.take(0)?,
            command: row.take(1)?,
            payload: row.take(2)?,
            sender: row.take(3)?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Whether commands below that index wait for the device.
pub(crate) async fn has_commands_below(
    from: &impl Fetch,
    device: DeviceId,
    index: i64,
) -> Result<bool, SqlError> {
    let statement = "SELECT 1 FROM command WHERE device_id = ? AND idx < ? LIMIT 1";
    let found = from.fetch_optional(statement, values![device, index]).await?;
    Ok(found.is_some())
}

/// Deletes the device's commands below that index.
pub(crate) async fn delete_commands_below(tx: &Tx, device: DeviceId, index: i64) -> Result<(), SqlError> {
    let statement = "DELETE FROM command WHERE device_id = ? AND idx < ?";
    tx.execute(statement, values![device, index]).await?;
    Ok(())
}

pub(crate) async fn purge_commands(tx: &Tx, now: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT DISTINCT device_id FROM command WHERE expires <= ? LIMIT ?";
    let mut deleted = 0;
    for mut row in tx.fetch_all(find, values![now, budget]).await? {
        let statement = "DELETE FROM command WHERE device_id = ? AND expires <= ?";
        deleted += tx
            .execute(statement, values![row.take::<DeviceId>(0)?, now])
            .await?;
    }
    Ok(deleted)
}

/// How many sessions and devices an account has, and when a session was last used.
pub(crate) async fn usage(from: &impl Fetch, uid: AccountId) -> Result<(u64, u64, Option<i64>), SqlError> {
    let sessions = "SELECT COUNT(*), MAX(last_used) FROM session WHERE uid = ?";
    let mut row = from
        .fetch_optional(sessions, values![uid])
        .await?
        .ok_or(SqlError::Mismatch)?;
    let devices = one(from, "SELECT COUNT(*) FROM device WHERE uid = ?", values![uid]).await?;
    Ok((row.take(0)?, devices, row.take(1)?))
}
