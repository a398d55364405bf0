//! Accounts and their names.

use foxden_sql::{Fetch, Row, SqlError, Tx, values};

use crate::password_hasher::HashParams;
use crate::{AccountId, Cost, PictureKind, Role};

/// How an account holds a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Until another account confirms the address.
    Claimed,
    /// For good.
    Owned,
}

impl Ownership {
    pub(crate) const fn of(is_confirmed: bool) -> Self {
        if is_confirmed { Self::Owned } else { Self::Claimed }
    }
}

/// An account.
#[derive(Clone)]
pub(crate) struct AccountRow {
    pub(crate) uid: AccountId,
    pub(crate) address: String,
    pub(crate) stretched_address: String,
    pub(crate) address_verified: bool,
    pub(crate) verifier: Option<Verifier>,
    pub(crate) ka: [u8; 32],
    pub(crate) created_at: i64,
    pub(crate) verifier_set_at: i64,
    pub(crate) keys_changed_at: i64,
    pub(crate) profile_changed_at: i64,
    pub(crate) locale: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) role: Role,
    pub(crate) disabled: bool,
}

/// The stored hash of a password, and the keys wrapped with it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Verifier {
    pub(crate) params: HashParams,
    pub(crate) verify_hash: [u8; 32],
    pub(crate) wrap_wrap_kb: [u8; 32],
}

const BY_ID: &str = "SELECT uid, address, stretched_address, address_verified, salt, hash_memory, hash_passes,
    hash_lanes, verify_hash, wrap_wrap_kb, ka, created_at, verifier_set_at, keys_changed_at, profile_changed_at,
    locale, display_name, role, disabled FROM account WHERE uid = ?";
const BY_NAME: &str = "SELECT uid, address, stretched_address, address_verified, salt, hash_memory, hash_passes,
    hash_lanes, verify_hash, wrap_wrap_kb, ka, created_at, verifier_set_at, keys_changed_at, profile_changed_at,
    locale, display_name, role, disabled FROM account
    WHERE uid = (SELECT uid FROM login_name WHERE name = ?)";
const AFTER: &str = "SELECT uid, address, stretched_address, address_verified, salt, hash_memory, hash_passes,
    hash_lanes, verify_hash, wrap_wrap_kb, ka, created_at, verifier_set_at, keys_changed_at, profile_changed_at,
    locale, display_name, role, disabled FROM account WHERE uid > ? ORDER BY uid LIMIT ?";

impl AccountRow {
    fn read(mut row: Row) -> Result<Self, SqlError> {
        Ok(Self {
            uid: row.take(0)?,
            address: row.take(1)?,
            stretched_address: row.take(2)?,
            address_verified: row.take(3)?,
            verifier: Verifier::read(&mut row)?,
            ka: row.take(10)?,
            created_at: row.take(11)?,
            verifier_set_at: row.take(12)?,
            keys_changed_at: row.take(13)?,
            profile_changed_at: row.take(14)?,
            locale: row.take(15)?,
            display_name: row.take(16)?,
            role: Role::from_word(&row.take::<String>(17)?).ok_or(SqlError::Mismatch)?,
            disabled: row.take(18)?,
        })
    }
}

impl Verifier {
    fn read(row: &mut Row) -> Result<Option<Self>, SqlError> {
        let Some(salt) = row.take::<Option<[u8; 16]>>(4)? else {
            return Ok(None);
        };
        let cost = Cost {
            memory: row.take(5)?,
            passes: row.take(6)?,
            lanes: row.take(7)?,
        };
        Ok(Some(Self {
            params: HashParams { salt, cost },
            verify_hash: row.take(8)?,
            wrap_wrap_kb: row.take(9)?,
        }))
    }
}

pub(crate) async fn by_id(from: &impl Fetch, uid: AccountId) -> Result<Option<AccountRow>, SqlError> {
    let row = from.fetch_optional(BY_ID, values![uid]).await?;
    row.map(AccountRow::read).transpose()
}

/// `name` must be normalized.
pub(crate) async fn by_name(from: &impl Fetch, name: &str) -> Result<Option<AccountRow>, SqlError> {
    let row = from.fetch_optional(BY_NAME, values![name]).await?;
    row.map(AccountRow::read).transpose()
}

pub(crate) async fn after(from: &impl Fetch, uid: &str, limit: u32) -> Result<Vec<AccountRow>, SqlError> {
    let rows = from.fetch_all(AFTER, values![uid, limit]).await?;
    rows.into_iter().map(AccountRow::read).collect()
}

/// Returns the accounts created before `before` that own no address and are not disabled, in the order of their ids after
/// `after`.
pub(crate) async fn unconfirmed(
    from: &impl Fetch,
    after: &str,
    before: i64,
    limit: u32,
) -> Result<Vec<AccountId>, SqlError> {
    let statement = "SELECT a.uid FROM account a WHERE a.address_verified = 0 AND a.disabled = 0
        AND a.created_at < ? AND a.uid > ? AND NOT EXISTS
        (SELECT 1 FROM login_name n WHERE n.uid = a.uid AND n.owned = 1 AND n.name LIKE '%@%')
        ORDER BY a.uid LIMIT ?";
    let rows = from.fetch_all(statement, values![before, after, limit]).await?;
    rows.into_iter().map(|mut row| row.take(0)).collect()
}

/// Returns the current address of each account, in the order of their ids after `after`, at most `limit`.
pub(crate) async fn addresses(
    from: &impl Fetch,
    after: &str,
    limit: u32,
) -> Result<Vec<(AccountId, String)>, SqlError> {
    let statement = "SELECT uid, address FROM account WHERE uid > ? ORDER BY uid LIMIT ?";
    let rows = from.fetch_all(statement, values![after, limit]).await?;
    let read = |mut row: Row| Ok((row.take(0)?, row.take(1)?));
    rows.into_iter().map(read).collect()
}

pub(crate) async fn count(from: &impl Fetch) -> Result<u64, SqlError> {
    super::one(from, "SELECT COUNT(*) FROM account", vec![]).await
}

pub(crate) async fn insert(tx: &Tx, row: &AccountRow) -> Result<(), SqlError> {
    let params = row.verifier.as_ref().map(|verifier| verifier.params);
    let values = values![
        row.uid,
        &row.address,
        &row.stretched_address,
        row.address_verified,
        params.map(|params| params.salt),
        params.map(|params| params.cost.memory),
        params.map(|params| params.cost.passes),
        params.map(|params| params.cost.lanes),
        row.verifier.as_ref().map(|verifier| verifier.verify_hash),
        row.verifier.as_ref().map(|verifier| verifier.wrap_wrap_kb),
        row.ka,
        row.created_at,
        row.verifier_set_at,
        row.keys_changed_at,
        row.profile_changed_at,
        row.locale.clone(),
        row.display_name.clone(),
        row.role.word(),
        row.disabled,
    ];
    tx.execute(
        "INSERT INTO account (uid, address, stretched_address, address_verified, salt, hash_memory, hash_passes,
         hash_lanes, verify_hash, wrap_wrap_kb, ka, created_at, verifier_set_at, keys_changed_at, profile_changed_at,
         locale, display_name, role, disabled) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    .await?;
    Ok(())
}

/// Returns the account that holds a name, and how. `name` must be normalized.
pub(crate) async fn holder(
    from: &impl Fetch,
    name: &str,
) -> Result<Option<(AccountId, Ownership)>, SqlError> {
    let statement = "SELECT uid, owned FROM login_name WHERE name = ?";
    let Some(mut row) = from.fetch_optional(statement, values![name]).await? else {
        return Ok(None);
    };
    let is_owned: bool = row.take(1)?;
    let ownership = if is_owned {
        Ownership::Owned
    } else {
        Ownership::Claimed
    };
    Ok(Some((row.take(0)?, ownership)))
}

pub(crate) async fn add_name(
    tx: &Tx,
    name: &str,
    uid: AccountId,
    ownership: Ownership,
) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO login_name (name, uid, owned) VALUES (?, ?, ?)",
        values![name, uid, ownership == Ownership::Owned],
    )
    .await?;
    Ok(())
}

/// Makes the account the owner of an existing name.
pub(crate) async fn transfer_name(tx: &Tx, name: &str, uid: AccountId) -> Result<(), SqlError> {
    let statement = "UPDATE login_name SET uid = ?, owned = 1 WHERE name = ?";
    tx.execute(statement, values![uid, name]).await?;
    Ok(())
}

/// Returns all names of an account, sorted.
pub(crate) async fn names(from: &impl Fetch, uid: AccountId) -> Result<Vec<String>, SqlError> {
    let statement = "SELECT name FROM login_name WHERE uid = ? ORDER BY name";
    let rows = from.fetch_all(statement, values![uid]).await?;
    rows.into_iter().map(|mut row| row.take(0)).collect()
}

/// Deletes a name that the account only claims.
pub(crate) async fn delete_claim(tx: &Tx, name: &str, uid: AccountId) -> Result<(), SqlError> {
    let statement = "DELETE FROM login_name WHERE name = ? AND uid = ? AND owned = 0";
    tx.execute(statement, values![name, uid]).await?;
    Ok(())
}

/// Whether the account has ever confirmed an address.
pub(crate) async fn owns_an_address(from: &impl Fetch, uid: AccountId) -> Result<bool, SqlError> {
    let statement = "SELECT COUNT(*) FROM login_name WHERE uid = ? AND owned = 1 AND name LIKE '%@%'";
    let owned: u64 = super::one(from, statement, values![uid]).await?;
    Ok(owned > 0)
}

pub(crate) async fn count_names(from: &impl Fetch, uid: AccountId) -> Result<u64, SqlError> {
    super::one(
        from,
        "SELECT COUNT(*) FROM login_name WHERE uid = ?",
        values![uid],
    )
    .await
}

/// Sets the current address; the stretched address stays.
pub(crate) async fn set_address(tx: &Tx, uid: AccountId, address: &str, now: i64) -> Result<(), SqlError> {
    let statement = "UPDATE account SET address = ? WHERE uid = ?";
    tx.execute(statement, values![address, uid]).await?;
    touch_profile(tx, uid, now).await
}

/// Stores a hash of the same password under other parameters.
pub(crate) async fn set_hash(tx: &Tx, uid: AccountId, verifier: &Verifier) -> Result<(), SqlError> {
    let params = verifier.params;
    tx.execute(
        "UPDATE account SET salt = ?, hash_memory = ?, hash_passes = ?, hash_lanes = ?, verify_hash = ?,
         wrap_wrap_kb = ? WHERE uid = ?",
        values![
            params.salt,
            params.cost.memory,
            params.cost.passes,
            params.cost.lanes,
            verifier.verify_hash,
            verifier.wrap_wrap_kb,
            uid
        ],
    )
    .await?;
    Ok(())
}

/// Stores the stretched address and the times of the last changes of password and keys.
pub(crate) async fn set_password_times(tx: &Tx, row: &AccountRow) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE account SET stretched_address = ?, verifier_set_at = ?, keys_changed_at = ? WHERE uid = ?",
        values![
            &row.stretched_address,
            row.verifier_set_at,
            row.keys_changed_at,
            row.uid
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_verified(tx: &Tx, uid: AccountId) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE account SET address_verified = 1 WHERE uid = ?",
        values![uid],
    )
    .await?;
    tx.execute("UPDATE session SET verified = 1 WHERE uid = ?", values![uid])
        .await?;
    Ok(())
}

/// Sets whether the current address is confirmed. Sessions keep their state.
pub(crate) async fn set_address_verified(tx: &Tx, uid: AccountId, is_verified: bool) -> Result<(), SqlError> {
    let statement = "UPDATE account SET address_verified = ? WHERE uid = ?";
    tx.execute(statement, values![is_verified, uid]).await?;
    Ok(())
}

pub(crate) async fn set_display_name(
    tx: &Tx,
    uid: AccountId,
    name: Option<&str>,
    now: i64,
) -> Result<(), SqlError> {
    let statement = "UPDATE account SET display_name = ? WHERE uid = ?";
    tx.execute(statement, values![name, uid]).await?;
    touch_profile(tx, uid, now).await
}

/// Sets the time of the last profile change. It always increases, even if the clock goes back.
pub(crate) async fn touch_profile(tx: &Tx, uid: AccountId, now: i64) -> Result<(), SqlError> {
    let statement = "UPDATE account SET profile_changed_at =
        CASE WHEN profile_changed_at <= ? THEN ? ELSE profile_changed_at + 1 END WHERE uid = ?";
    tx.execute(statement, values![now, now, uid]).await?;
    Ok(())
}

pub(crate) async fn set_role(tx: &Tx, uid: AccountId, role: Role) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE account SET role = ? WHERE uid = ?",
        values![role.word(), uid],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_disabled(tx: &Tx, uid: AccountId, disabled: bool) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE account SET disabled = ? WHERE uid = ?",
        values![disabled, uid],
    )
    .await?;
    Ok(())
}

/// Deletes the account and, by the tables' references, all rows that reference it.
pub(crate) async fn delete(tx: &Tx, uid: AccountId) -> Result<(), SqlError> {
    tx.execute("DELETE FROM account WHERE uid = ?", values![uid])
        .await?;
    Ok(())
}

pub(crate) async fn avatar_of(from: &impl Fetch, uid: AccountId) -> Result<Option<String>, SqlError> {
    let row = from
        .fetch_optional("SELECT id FROM avatar WHERE uid = ?", values![uid])
        .await?;
    row.map(|mut row| row.take(0)).transpose()
}

pub(crate) async fn avatar(from: &impl Fetch, id: &str) -> Result<Option<(PictureKind, Vec<u8>)>, SqlError> {
    let row = from
        .fetch_optional("SELECT kind, picture FROM avatar WHERE id = ?", values![id])
        .await?;
    let Some(mut row) = row else { return Ok(None) };
    let kind = PictureKind::from_word(&row.take::<String>(0)?).ok_or(SqlError::Mismatch)?;
    Ok(Some((kind, row.take(1)?)))
}

/// The size of a picture in bytes, which is stored at the start of its row.
pub(crate) async fn avatar_size(from: &impl Fetch, id: &str) -> Result<Option<i64>, SqlError> {
    let statement = "SELECT length(picture) FROM avatar WHERE id = ?";
    let row = from.fetch_optional(statement, values![id]).await?;
    row.map(|mut row| row.take(0)).transpose()
}

pub(crate) async fn put_avatar(
    tx: &Tx,
    uid: AccountId,
    id: &str,
    kind: PictureKind,
    picture: &[u8],
) -> Result<(), SqlError> {
    tx.execute("DELETE FROM avatar WHERE uid = ?", values![uid])
        .await?;
    let statement = "INSERT INTO avatar (id, uid, kind, picture) VALUES (?, ?, ?, ?)";
    tx.execute(statement, values![id, uid, kind.word(), picture])
        .await?;
    Ok(())
}

pub(crate) async fn delete_avatar(tx: &Tx, uid: AccountId, id: &str) -> Result<u64, SqlError> {
    tx.execute("DELETE FROM avatar WHERE uid = ? AND id = ?", values![uid, id])
        .await
}
