//! Whether this program can work with a PostgreSQL database.

use sqlx::{PgConnection, Row};

use super::super::pool::network_error;
use crate::SqlError;
use crate::server::ServerUrl;
use crate::server::fault::message;

/// The oldest version, as the server numbers it.
const OLDEST: i64 = 130_000;

const STATE: &str = "SELECT current_setting('server_version_num')::int8, current_setting('server_version'),
    current_setting('server_encoding'), pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
    current_setting('synchronous_commit'), current_setting('fsync'), current_setting('statement_timeout'),
    current_schema()::text, COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)";

/// What is wrong when a connection is refused.
pub(super) fn refusal(error: &sqlx::Error, url: &ServerUrl) -> SqlError {
    if let Some(error) = network_error(error, url) {
        return error;
    }
    let text = message(error);
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    let (user, database, place) = (&url.user, &url.database, url.place());
    let (cause, cure) = match code.as_deref().unwrap_or_default() {
        "28P01" if !url.has_password() => (
            format!("PostgreSQL at {place} asks {user} for a password, and the URL has no password"),
            "write it into a file and name that in the URL with password_file=",
        ),
        "28P01" => (
            format!("PostgreSQL at {place} refuses the password of {user}"),
            "correct the password in the URL or in its password_file=",
        ),
        "28000" => (
            format!("PostgreSQL at {place} refuses {user}: {text}"),
            "create the role, or add a line for it to pg_hba.conf",
        ),
        "3D000" => (
            format!("PostgreSQL at {place} has no database {database}"),
            "create it, or correct the URL",
        ),
        "42501" => (
            format!("{user} may not connect to the database {database}"),
            "let an administrator grant CONNECT on it",
        ),
        "53300" => (
            format!("PostgreSQL at {place} has no connection left"),
            "raise max_connections, or lower pool= in the URL",
        ),
        "57P03" => (
            format!("PostgreSQL at {place} is not ready: {text}"),
            "wait until it has started",
        ),
        "08P01" if text.contains("startup parameter") => return pooler(url),
        _ => (
            format!("PostgreSQL at {place} refuses the connection: {text}"),
            "check the URL and the server's log",
        ),
    };
    SqlError::unsuitable(cause, cure)
}

/// Refuses a server that cannot keep what this program promises. Returns its version.
pub(super) async fn check(connection: &mut PgConnection, url: &ServerUrl) -> Result<String, SqlError> {
    // As plain text, which a pooler passes on whole.
    let read = sqlx::Executor::fetch_one(connection, sqlx::raw_sql(STATE)).await;
    let row = read.map_err(|error| refusal(&error, url))?;
    let column = |error: sqlx::Error| SqlError::Unavailable(Box::new(error));
    let version: String = row.try_get(1).map_err(column)?;
    if row.try_get::<i64, _>(0).map_err(column)? < OLDEST {
        return refuse(
            format!("PostgreSQL {version} is too old"),
            "use version 13 or later",
        );
    }
    let encoding: String = row.try_get(2).map_err(column)?;
    if encoding != "UTF8" {
        return refuse(
            format!("the database {} keeps text as {encoding}", url.database),
            "create it anew with ENCODING 'UTF8' TEMPLATE template0",
        );
    }
    if row.try_get(3).map_err(column)? {
        return Err(read_only());
    }
    if row.try_get::<String, _>(4).map_err(column)? == "off" && url.durability.as_deref() != Some("off") {
        return refuse(
            "synchronous_commit is off, so a crash loses what was acknowledged",
            "set it to on, or accept that with ?synchronous_commit=off in the URL",
        );
    }
    if row.try_get::<String, _>(5).map_err(column)? == "off" && !url.allows_no_fsync {
        return refuse(
            "fsync is off, so a crash destroys the database",
            "set it to on, or accept that with ?fsync=off in the URL",
        );
    }
    if !url.has_pooler && row.try_get::<String, _>(6).map_err(column)? != "8s" {
        return Err(pooler(url));
    }
    // Behind a pooler the path is set by each transaction, and a missing privilege is found by the migration.
    if url.has_pooler {
        return Ok(version);
    }
    let Some(schema) = row.try_get::<Option<String>, _>(7).map_err(column)? else {
        let schema = url.schema.as_deref().unwrap_or("public");
        return refuse(
            format!("the database {} has no schema {schema}", url.database),
            "create it, or correct search_path= in the URL",
        );
    };
    if row.try_get(8).map_err(column)? {
        return Ok(version);
    }
    refuse(
        format!("{} may not create tables in the schema {schema}", url.user),
        format!(
            "let an administrator run: GRANT USAGE, CREATE ON SCHEMA {schema} TO \"{}\"",
            url.user
        ),
    )
}

/// Whether the server accepts writes: after a failover it may not.
pub(super) async fn is_writable(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let text = "SELECT CASE WHEN pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' THEN 1 ELSE 0 END";
    // As plain text, which a pooler passes on whole.
    let row = sqlx::Executor::fetch_one(connection, sqlx::raw_sql(text)).await?;
    Ok(row.try_get::<i32, _>(0)? == 0)
}

pub(super) fn read_only() -> SqlError {
    SqlError::unsuitable(
        "the server is a replica or read-only",
        "name the primary in the URL: a replica would show old data",
    )
}

fn pooler(url: &ServerUrl) -> SqlError {
    SqlError::unsuitable(
        format!("a pooler such as pgbouncer stands at {}", url.place()),
        "connect to PostgreSQL itself, or add ?pgbouncer=true to the URL",
    )
}

fn refuse<T>(cause: impl Into<String>, cure: impl Into<String>) -> Result<T, SqlError> {
    Err(SqlError::unsuitable(cause, cure))
}
