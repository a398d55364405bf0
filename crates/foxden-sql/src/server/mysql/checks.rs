//! Whether this program can work with a database of MariaDB or MySQL.

use sqlx::mysql::{MySqlConnection, MySqlDatabaseError, MySqlRow};
use sqlx::{Executor, Row};

use super::super::pool::network_error;
use super::Flavour;
use crate::SqlError;
use crate::server::ServerUrl;
use crate::server::fault::{self, Fault, message};

/// An upload of 2 MB, its escapes, and room.
const SMALLEST_PACKET: i64 = 16 * 1024 * 1024;

const STATE: &str =
    "SELECT VERSION(), CAST(@@global.read_only AS SIGNED), CAST(@@global.max_allowed_packet AS SIGNED),
    CAST(@@global.innodb_flush_log_at_trx_commit AS SIGNED)";

/// What is wrong when a connection is refused.
pub(super) fn refusal(error: &sqlx::Error, url: &ServerUrl) -> SqlError {
    if let Some(error) = network_error(error, url) {
        return error;
    }
    let text = message(error);
    let number = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>())
        .map(MySqlDatabaseError::number);
    let (user, database, place) = (&url.user, &url.database, url.place());
    let (cause, cure) = match number {
        Some(1045 | 1698) => (
            format!("the server at {place} refuses {user} or its password"),
            "correct the user or the password in the URL or in its password_file=",
        ),
        Some(1049) => (
            format!("the server at {place} has no database {database}"),
            "create it, or correct the URL",
        ),
        Some(1044) => (
            format!("{user} may not use the database {database}, or there is none"),
            "create it, and let an administrator grant ALL on it",
        ),
        Some(1130) => (
            format!("the server at {place} accepts no connections from this host"),
            "create the user for this host: CREATE USER name@host",
        ),
        Some(1040 | 1203) => (
            format!("the server at {place} has no connection left"),
            "raise max_connections, or lower pool= in the URL",
        ),
        _ => (
            format!("the server at {place} refuses the connection: {text}"),
            "check the URL and the server's log",
        ),
    };
    SqlError::unsuitable(cause, cure)
}

/// Refuses a server that cannot keep what this program promises. Returns which one it is, and its version.
pub(super) async fn check(
    connection: &mut MySqlConnection,
    url: &ServerUrl,
) -> Result<(Flavour, String), SqlError> {
    let read = sqlx::query(STATE).fetch_one(&mut *connection).await;
    let row = read.map_err(|error| refusal(&error, url))?;
    let column = |error: sqlx::Error| SqlError::Unavailable(Box::new(error));
    let version: String = row.try_get(0).map_err(column)?;
    let is_mariadb = version.contains("MariaDB");
    let oldest = if is_mariadb { (10, 6) } else { (8, 0) };
    if number(&version) < oldest {
        let name = if is_mariadb { "MariaDB" } else { "MySQL" };
        let cure = format!("use {name} {}.{} or later", oldest.0, oldest.1);
        return Err(SqlError::unsuitable(format!("{name} {version} is too old"), cure));
    }
    if row.try_get::<i64, _>(1).map_err(column)? != 0 {
        return Err(read_only());
    }
    let packet: i64 = row.try_get(2).map_err(column)?;
    if packet < SMALLEST_PACKET {
        return Err(SqlError::unsuitable(
            format!("max_allowed_packet is {packet} bytes, too few for a large upload"),
            "set it to 16M or more in the server's configuration",
        ));
    }
    let flush: i64 = row.try_get(3).map_err(column)?;
    if flush != 1 && url.durability.as_deref() != Some(flush.to_string().as_str()) {
        return Err(SqlError::unsuitable(
            format!("innodb_flush_log_at_trx_commit is {flush}, so a crash loses what was acknowledged"),
            format!("set it to 1, or accept that with ?innodb_flush_log_at_trx_commit={flush} in the URL"),
        ));
    }
    let variables = connection
        .fetch_all("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format')")
        .await;
    if logs_statements(&variables.map_err(column)?) {
        return Err(SqlError::unsuitable(
            "binlog_format is STATEMENT, and InnoDB refuses writes at the isolation read committed then",
            "set it to MIXED or ROW in the server's configuration, or leave log_bin off if nothing replicates from it",
        ));
    }
    if !is_mariadb {
        return Ok((Flavour::Mysql, version));
    }
    let galera = connection
        .fetch_optional("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'")
        .await;
    let galera = galera.map_err(column)?;
    let is_galera = galera.is_some_and(|row| row.try_get::<String, _>(1).is_ok_and(|value| value == "ON"));
    let flavour = if is_galera {
        Flavour::Galera
    } else {
        Flavour::Mariadb
    };
    Ok((flavour, version))
}

/// Whether a binary log gets statements: rows `log_bin` and `binlog_format` of the server's variables.
fn logs_statements(variables: &[MySqlRow]) -> bool {
    let is = |name: &str, value: &str| {
        variables.iter().any(|row| {
            let text = |at| row.try_get::<String, _>(at).unwrap_or_default();
            text(0).eq_ignore_ascii_case(name) && text(1).eq_ignore_ascii_case(value)
        })
    };
    is("log_bin", "ON") && is("binlog_format", "STATEMENT")
}

/// What the server says to a table that could never be made, as the one that it resembles does not exist: an error about a
/// missing privilege comes first.
pub(super) async fn can_create(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    let create = sqlx::raw_sql("CREATE TABLE foxden_probe LIKE foxden_no_such_table");
    match connection.execute(create).await {
        Err(error) if fault::classify(&error) == Fault::Privilege => Err(error),
        _ => Ok(()),
    }
}

/// Whether the server accepts writes: after a failover it may not.
pub(super) async fn is_writable(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("SELECT CAST(@@global.read_only AS SIGNED)")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get::<i64, _>(0)? == 0)
}

pub(super) fn read_only() -> SqlError {
    SqlError::unsuitable(
        "the server is a replica or read-only",
        "name the primary in the URL: a replica would show old data",
    )
}

/// Major and minor number of a version. MariaDB may put `5.5.5-` before its own.
fn number(version: &str) -> (u32, u32) {
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut parts = version.split(|letter: char| !letter.is_ascii_digit());
    let mut part = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    (part(), part())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn versions_are_read() {
        assert_eq!(number("5.5.5-10.11.6-MariaDB-log"), (10, 11));
        assert_eq!(number("11.4.2-MariaDB"), (11, 4));
        assert_eq!(number("8.0.36"), (8, 0));
        assert_eq!(number("nonsense"), (0, 0));
    }
}
