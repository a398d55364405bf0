//! Pending codes of accounts, and links with which a password is set.

use foxden_sql::{Fetch, Row, SqlError, Tx, values};

use super::delete_found;
use super::outbox::delete_of_kind;
use crate::validity::{is_valid, latest_end};
use crate::{AccountId, mail};

/// A pending code.
pub(crate) struct CodeRow {
    pub(crate) kind: CodeKind,
    pub(crate) code: String,
    pub(crate) tries: i64,
    pub(crate) expires: i64,
}

/// The number of wrong tries that end the eight digits. Other codes cannot be guessed, or have their tries counted
/// elsewhere.
pub(crate) const TRIES: u32 = 10;
const MINUTE: i64 = 60_000;
/// How long a link with which a password is set can be used, in milliseconds.
pub(crate) const LINK_LIFE: i64 = 24 * 60 * MINUTE;

/// The purposes of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeKind {
    /// Six digits that confirm the address.
    Address,
    /// The same in a link: 32 hex digits.
    Link,
    /// 32 hex digits that reset the password.
    Reset,
    /// Eight digits that open such a reset.
    ResetOtp,
    /// Four groups of four that reset it where the plain password is sent.
    LegacyReset,
}

impl CodeRow {
    /// A new code, with all its tries.
    pub(crate) fn new(kind: CodeKind, code: String, now: i64) -> Self {
        Self {
            kind,
            code,
            tries: TRIES.into(),
            expires: now + kind.life(),
        }
    }
}

impl CodeKind {
    const ALL: [Self; 5] = [
        Self::Address,
        Self::Link,
        Self::Reset,
        Self::ResetOtp,
        Self::LegacyReset,
    ];

    /// The lifetime of such a code, in milliseconds.
    pub(crate) const fn life(self) -> i64 {
        match self {
            Self::Address | Self::Link => 30 * MINUTE,
            Self::Reset | Self::ResetOtp => 60 * MINUTE,
            Self::LegacyReset => 6 * 60 * MINUTE,
        }
    }

    /// The kind of mails that contain such a code.
    const fn mail(self) -> &'static str {
        match self {
            Self::Address | Self::Link => mail::CONFIRM_ADDRESS,
            Self::Reset => mail::RESET_CODE,
            Self::ResetOtp => mail::RESET_OTP,
            Self::LegacyReset => mail::LEGACY_RESET,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Link => "link",
            Self::Reset => "reset",
            Self::ResetOtp => "reset-otp",
            Self::LegacyReset => "plain-reset",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

fn read(mut row: Row) -> Result<CodeRow, SqlError> {
    Ok(CodeRow {
        kind: CodeKind::from_word(&row.take::<String>(0)?).ok_or(SqlError::Mismatch)?,
        code: row.take(1)?,
        tries: row.take(2)?,
        expires: row.take(3)?,
    })
}

/// Returns the account's codes that have not expired. Codes that were made by a clock which was ahead are left out.
pub(crate) async fn of(from: &impl Fetch, uid: AccountId, now: i64) -> Result<Vec<CodeRow>, SqlError> {
    let statement = "SELECT kind, code, tries, expires FROM verification_code WHERE uid = ? AND expires > ?
        ORDER BY kind";
    let rows = from.fetch_all(statement, values![uid, now]).await?;
    let mut rows = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    rows.retain(|row| is_valid(now, row.expires, row.kind.life()));
    Ok(rows)
}

pub(crate) async fn get(
    from: &impl Fetch,
    uid: AccountId,
    kind: CodeKind,
    now: i64,
) -> Result<Option<CodeRow>, SqlError> {
    Ok(of(from, uid, now).await?.into_iter().find(|row| row.kind == kind))
}

/// Replaces the account's code of this kind.
pub(crate) async fn put(tx: &Tx, uid: AccountId, row: &CodeRow) -> Result<(), SqlError> {
    delete(tx, uid, row.kind).await?;
    tx.execute(
        "INSERT INTO verification_code (uid, kind, code, tries, expires) VALUES (?, ?, ?, ?, ?)",
        values![uid, row.kind.word(), &row.code, row.tries, row.expires],
    )
    .await?;
    Ok(())
}

/// Counts a try of the eight digits, and returns them with the remaining tries. The caller deletes them
/// after the last one.
pub(crate) async fn take_try(tx: &Tx, uid: AccountId, now: i64) -> Result<Option<CodeRow>, SqlError> {
    let kind = CodeKind::ResetOtp;
    let statement = "UPDATE verification_code SET tries = tries - 1 WHERE uid = ? AND kind = ?";
    tx.execute(statement, values![uid, kind.word()]).await?;
    get(tx, uid, kind, now).await
}

/// Deletes the code, and its mail in the outbox. Returns whether this statement deleted it.
pub(crate) async fn delete(tx: &Tx, uid: AccountId, kind: CodeKind) -> Result<bool, SqlError> {
    let statement = "DELETE FROM verification_code WHERE uid = ? AND kind = ?";
    let deleted = tx.execute(statement, values![uid, kind.word()]).await?;
    delete_of_kind(tx, uid, kind.mail(), None).await?;
    Ok(deleted > 0)
}

/// Deletes every code and link of the account, and their mails in the outbox.
pub(crate) async fn delete_all(tx: &Tx, uid: AccountId) -> Result<(), SqlError> {
    for kind in CodeKind::ALL {
        delete(tx, uid, kind).await?;
    }
    tx.execute("DELETE FROM password_link WHERE uid = ?", values![uid])
        .await?;
    Ok(())
}

pub(crate) async fn purge(tx: &Tx, now: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT DISTINCT uid FROM verification_code WHERE expires <= ? LIMIT ?";
    let mut deleted = 0;
    for mut row in tx.fetch_all(find, values![now, budget]).await? {
        let statement = "DELETE FROM verification_code WHERE uid = ? AND expires <= ?";
        deleted += tx
            .execute(statement, values![row.take::<AccountId>(0)?, now])
            .await?;
    }
    Ok(deleted)
}

/// Replaces the account's link.
pub(crate) async fn put_link(tx: &Tx, uid: AccountId, code_hash: &str, expires: i64) -> Result<(), SqlError> {
    tx.execute("DELETE FROM password_link WHERE uid = ?", values![uid])
        .await?;
    let statement = "INSERT INTO password_link (code_hash, uid, expires) VALUES (?, ?, ?)";
    tx.execute(statement, values![code_hash, uid, expires]).await?;
    Ok(())
}

/// Returns whether the link can be used now.
pub(crate) async fn has_link(from: &impl Fetch, code_hash: &str, now: i64) -> Result<bool, SqlError> {
    Ok(find_link(from, code_hash, now).await?.is_some())
}

async fn find_link(from: &impl Fetch, code_hash: &str, now: i64) -> Result<Option<Row>, SqlError> {
    let statement = "SELECT uid FROM password_link WHERE code_hash = ? AND expires > ? AND expires <= ?";
    let latest = latest_end(now, LINK_LIFE);
    from.fetch_optional(statement, values![code_hash, now, latest])
        .await
}

/// Deletes a link and returns its account; `None` if it cannot be used, or if another transaction has deleted it. A link that
/// cannot be used now is kept: the clock may be wrong.
pub(crate) async fn take_link(tx: &Tx, code_hash: &str, now: i64) -> Result<Option<AccountId>, SqlError> {
    let Some(mut row) = find_link(tx, code_hash, now).await? else {
        return Ok(None);
    };
    let statement = "DELETE FROM password_link WHERE code_hash = ?";
    if tx.execute(statement, values![code_hash]).await? == 0 {
        return Ok(None);
    }
    row.take(0).map(Some)
}

pub(crate) async fn purge_links(tx: &Tx, now: i64, budget: u32) -> Result<u64, SqlError> {
    let find = "SELECT code_hash FROM password_link WHERE expires <= ? LIMIT ?";
    delete_found(
        tx,
        find,
        "DELETE FROM password_link WHERE code_hash = ?",
        now,
        budget,
    )
    .await
}
