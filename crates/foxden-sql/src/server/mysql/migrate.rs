//! Migrations in MariaDB and MySQL, under a lock that the connection holds.

use sqlx::mysql::{MySql, MySqlConnection};
use sqlx::{AssertSqlSafe, Executor, Row};

use super::{Flavour, MysqlPool};
use crate::migration::check_version;
use crate::server::fault;
use crate::{Migration, SqlError};

/// Seconds for which another process may migrate.
const WAIT: u32 = 120;

pub(super) async fn migrate(
    pool: &MysqlPool,
    connection: &mut MySqlConnection,
    table: &str,
    migrations: &[Migration],
) -> Result<(), SqlError> {
    let known = i64::try_from(migrations.len()).map_err(|_| SqlError::Mismatch)?;
    let fault = |error| pool.fault(error);
    let session = format!("SET {}, lock_wait_timeout = 60", super::SESSION);
    run(connection, &session).await.map_err(fault)?;
    lock(connection, table)
        .await
        .map_err(fault)?
        .ok_or_else(too_long)?;
    if version(connection, table).await.map_err(fault)?.is_none() {
        create(connection, table).await.map_err(fault)?;
    }
    if pool.flavour == Flavour::Galera {
        claim(pool, connection, table).await?;
    }
    let migrated = apply(pool, connection, table, migrations, known).await;
    if pool.flavour == Flavour::Galera {
        let release = format!("UPDATE {table} SET claimed_until = 0");
        run(connection, &release).await.map_err(fault)?;
    }
    migrated
}

async fn apply(
    pool: &MysqlPool,
    connection: &mut MySqlConnection,
    table: &str,
    migrations: &[Migration],
    known: i64,
) -> Result<(), SqlError> {
    let fault = |error| pool.fault(error);
    loop {
        let found = version(connection, table).await.map_err(fault)?;
        let found = found.ok_or(SqlError::Mismatch)?;
        check_version(found, known)?;
        let Some(migration) = usize::try_from(found)
            .ok()
            .and_then(|found| migrations.get(found))
        else {
            return Ok(());
        };
        tracing::info!(migration = migration.name, of = table, "applying a migration");
        run(connection, migration.statements).await.map_err(fault)?;
        let raise = format!("UPDATE {table} SET version = {}", found + 1);
        run(connection, &raise).await.map_err(fault)?;
    }
}

/// Waits for other processes of this server that migrate. The answer must be 1: it is NULL where the server could not.
async fn lock(connection: &mut MySqlConnection, table: &str) -> Result<Option<()>, sqlx::Error> {
    // Names of locks are short and belong to the whole server.
    let lock = format!(
        "SELECT CAST(GET_LOCK(CONCAT('foxden.', MD5(CONCAT(DATABASE(), '.{table}'))), {WAIT}) AS SIGNED)"
    );
    let row = connection.fetch_one(sqlx::query(AssertSqlSafe(lock))).await?;
    Ok((row.try_get::<Option<i64>, _>(0)? == Some(1)).then_some(()))
}

/// Members of a Galera cluster grant the same lock each, so the process that changes this row first migrates.
async fn claim(pool: &MysqlPool, connection: &mut MySqlConnection, table: &str) -> Result<(), SqlError> {
    let claim = format!(
        "UPDATE {table} SET claimed_until = UNIX_TIMESTAMP() + {WAIT} WHERE claimed_until < UNIX_TIMESTAMP()"
    );
    for _ in 0..WAIT {
        match sqlx::raw_sql(AssertSqlSafe(claim.as_str()))
            .execute(&mut *connection)
            .await
        {
            Ok(done) if done.rows_affected() == 1 => return Ok(()),
            Ok(_) => {}
            Err(error) if fault::classify(&error) == fault::Fault::Repeat => {}
            Err(error) => return Err(pool.fault(error)),
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    Err(too_long())
}

/// The version of the tables; `None` before there are any.
pub(super) async fn version(
    connection: &mut MySqlConnection,
    table: &str,
) -> Result<Option<i64>, sqlx::Error> {
    let exists = format!(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '{table}'"
    );
    let row = connection
        .fetch_one(sqlx::query::<MySql>(AssertSqlSafe(exists)))
        .await?;
    if row.try_get::<i64, _>(0)? == 0 {
        return Ok(None);
    }
    let row = connection
        .fetch_optional(sqlx::query(AssertSqlSafe(format!("SELECT version FROM {table}"))))
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}

async fn create(connection: &mut MySqlConnection, table: &str) -> Result<(), sqlx::Error> {
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {table} (id TINYINT NOT NULL PRIMARY KEY, version BIGINT NOT NULL,
            claimed_until BIGINT NOT NULL) ENGINE = InnoDB;
        INSERT IGNORE INTO {table} VALUES (1, 0, 0)"
    );
    run(connection, &create).await
}

async fn run(connection: &mut MySqlConnection, text: &str) -> Result<(), sqlx::Error> {
    let ran = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await;
    ran.map(drop)
}

fn too_long() -> SqlError {
    SqlError::Unavailable("another process has been migrating for too long".into())
}
