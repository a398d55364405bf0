//! Migrations in PostgreSQL: each is one transaction, under a lock that the transaction holds.

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use super::{Isolation, PostgresPool};
use crate::migration::check_version;
use crate::server::fault::{self, Fault};
use crate::{Migration, SqlError};

/// Another process may migrate for so long.
const LIMITS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL lock_timeout = '120s'";

pub(super) async fn migrate(
    pool: &PostgresPool,
    connection: &mut PgConnection,
    table: &str,
    migrations: &[Migration],
) -> Result<(), SqlError> {
    let known = i64::try_from(migrations.len()).map_err(|_| SqlError::Mismatch)?;
    loop {
        pool.begin(connection, Isolation::ReadCommitted).await?;
        let fault = |error| match fault::classify(&error) {
            Fault::Repeat | Fault::Busy => SqlError::Unavailable(
                format!(
                    "another process has been migrating for too long: {}",
                    fault::message(&error)
                )
                .into(),
            ),
            _ => pool.fault(error),
        };
        let found = lock(connection, table).await.map_err(fault)?;
        check_version(found, known)?;
        let Some(migration) = usize::try_from(found)
            .ok()
            .and_then(|found| migrations.get(found))
        else {
            return run(connection, "ROLLBACK").await.map_err(fault);
        };
        tracing::info!(migration = migration.name, of = table, "applying a migration");
        run(connection, migration.statements).await.map_err(fault)?;
        let raise = format!("UPDATE {table} SET version = {}", found + 1);
        run(connection, &raise).await.map_err(fault)?;
        run(connection, "COMMIT")
            .await
            .map_err(|error| pool.commit_fault(error))?;
    }
}

/// The version of the tables, 0 before there are any.
pub(super) async fn found(
    pool: &PostgresPool,
    connection: &mut PgConnection,
    table: &str,
) -> Result<i64, SqlError> {
    pool.begin(connection, Isolation::Snapshot).await?;
    if !exists(connection, table)
        .await
        .map_err(|error| pool.fault(error))?
    {
        return Ok(0);
    }
    let found = one(connection, &format!("SELECT version FROM {table}")).await;
    found.map_err(|error| pool.fault(error))
}

/// Waits for other processes that migrate; returns the version of the tables.
async fn lock(connection: &mut PgConnection, table: &str) -> Result<i64, sqlx::Error> {
    run(connection, LIMITS).await?;
    // The lock belongs to a name, so that it can be taken before there is a table.
    let lock = format!("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.{table}', 0))");
    run(connection, &lock).await?;
    if !exists(connection, table).await? {
        let create =
            format!("CREATE TABLE {table} (version BIGINT NOT NULL); INSERT INTO {table} VALUES (0)");
        run(connection, &create).await?;
    }
    one(connection, &format!("SELECT version FROM {table}")).await
}

async fn exists(connection: &mut PgConnection, table: &str) -> Result<bool, sqlx::Error> {
    let exists = format!("SELECT CASE WHEN to_regclass('{table}') IS NULL THEN 0 ELSE 1 END");
    Ok(one::<i32>(connection, &exists).await? == 1)
}

/// Plain texts: several statements at once, and nothing stays prepared.
async fn run(connection: &mut PgConnection, text: &str) -> Result<(), sqlx::Error> {
    let ran = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await;
    ran.map(drop)
}

async fn one<T>(connection: &mut PgConnection, text: &str) -> Result<T, sqlx::Error>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(text))).await?;
    row.try_get(0)
}
