//! The register's rows and every statement about them. Statements are fixed texts that SQLite, Postgres and MySQL all
//! understand once their placeholders are numbered.

pub(crate) mod account;
pub(crate) mod change;
pub(crate) mod code;
pub(crate) mod decoy_reset;
pub(crate) mod device;
pub(crate) mod event;
pub(crate) mod invitation;
pub(crate) mod node;
pub(crate) mod oauth;
pub(crate) mod outbox;
pub(crate) mod session;
pub(crate) mod setting;
pub(crate) mod shared;
pub(crate) mod store;
pub(crate) mod token;

use foxden_sql::{Fetch, FromValue, Nullable, SqlError, Tx, Value, values};

use crate::{AccountId, DeviceId};

impl From<AccountId> for Value {
    fn from(id: AccountId) -> Self {
        Self::Text(Some(id.to_string()))
    }
}

impl Nullable for AccountId {
    const NULL: Value = Value::Text(None);
}

impl From<DeviceId> for Value {
    fn from(id: DeviceId) -> Self {
        Self::Text(Some(id.to_string()))
    }
}

impl Nullable for DeviceId {
    const NULL: Value = Value::Text(None);
}

impl FromValue for AccountId {
    fn from_value(value: Value) -> Option<Self> {
        Self::from_hex(&String::from_value(value)?)
    }
}

impl FromValue for DeviceId {
    fn from_value(value: Value) -> Option<Self> {
        Self::from_hex(&String::from_value(value)?)
    }
}

/// The first column of the first row, for questions that always have an answer.
async fn one<T: FromValue>(
    from: &impl Fetch,
    statement: &'static str,
    values: Vec<Value>,
) -> Result<T, SqlError> {
    let row = from.fetch_optional(statement, values).await?;
    row.ok_or(SqlError::Mismatch)?.take(0)
}

/// Deletes what the first statement finds, row by row with the second; says how many. The keys are read first because
/// not every dialect deletes with a limit.
async fn delete_found(
    tx: &Tx,
    find: &'static str,
    delete: &'static str,
    before: i64,
    budget: u32,
) -> Result<u64, SqlError> {
    let mut deleted = 0;
    for mut row in tx.fetch_all(find, values![before, budget]).await? {
        deleted += tx.execute(delete, values![row.take::<Value>(0)?]).await?;
    }
    Ok(deleted)
}

/// Deletes the surplus rows of an account. The first statement finds the rows of an account beyond a number, at most
/// a hundred; the second deletes one by its key.
async fn trim(
    tx: &Tx,
    find: &'static str,
    delete: &'static str,
    uid: AccountId,
    keep: u32,
) -> Result<(), SqlError> {
    for mut row in tx.fetch_all(find, values![uid, keep]).await? {
        tx.execute(delete, values![row.take::<String>(0)?]).await?;
    }
    Ok(())
}
