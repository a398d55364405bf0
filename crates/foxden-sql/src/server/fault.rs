//! What an error of the driver means for its caller. Texts vary, so codes and numbers decide.

use crate::SqlError;

/// What an error of the driver means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The transaction is to be repeated from its first statement.
    Repeat,
    /// The same, on another connection: this one has prepared statements for tables as they were.
    StaleStatement,
    /// A unique value is taken.
    Conflict,
    /// A referenced row is missing.
    ForeignKey,
    /// A column got NULL that may not.
    NotNull,
    /// The connection is lost, or of no use any more.
    ConnectionLost,
    /// The server is a replica now: connections to it are of no use any more.
    ReadOnly,
    /// A statement took too long, or no more connections are allowed.
    Busy,
    /// The user lacks a privilege.
    Privilege,
    /// Nothing the caller can do.
    Other,
}

/// What an error of the driver means.
pub fn classify(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(error) => of_database(error.as_ref()),
        // After a protocol error the answers no longer fit the questions.
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            Fault::ConnectionLost
        }
        sqlx::Error::PoolTimedOut => Fault::Busy,
        _ => Fault::Other,
    }
}

/// The error for the caller. `user` and `database` are for the cure of a missing privilege.
pub(crate) fn sql_error(error: sqlx::Error, grant: &str) -> SqlError {
    match classify(&error) {
        Fault::Repeat | Fault::StaleStatement => SqlError::Repeat(Box::new(error)),
        Fault::Conflict => SqlError::Conflict,
        Fault::ForeignKey => SqlError::ForeignKey,
        Fault::ConnectionLost | Fault::ReadOnly => SqlError::ConnectionLost(Box::new(error)),
        Fault::Busy => SqlError::Busy,
        Fault::Privilege => SqlError::unsuitable(
            format!("a privilege is missing: {}", message(&error)),
            format!("let an administrator of the database run: {grant}"),
        ),
        Fault::NotNull | Fault::Other => SqlError::Unavailable(Box::new(error)),
    }
}

/// The error of a commit: unless the server says that it took the transaction back, the outcome is unknown.
pub(crate) fn commit_error(error: sqlx::Error, grant: &str) -> SqlError {
    match classify(&error) {
        Fault::Repeat | Fault::StaleStatement | Fault::Conflict | Fault::ForeignKey => {
            sql_error(error, grant)
        }
        Fault::ConnectionLost
        | Fault::ReadOnly
        | Fault::Busy
        | Fault::Privilege
        | Fault::NotNull
        | Fault::Other => SqlError::OutcomeUnknown(Box::new(error)),
    }
}

/// What the server said, without the driver's words around it.
pub(crate) fn message(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

fn of_database(error: &(dyn sqlx::error::DatabaseError + 'static)) -> Fault {
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return of_number(error.number());
    }
    of_state(error.code().as_deref().unwrap_or_default())
}

/// By SQLSTATE, for PostgreSQL.
fn of_state(state: &str) -> Fault {
    match state {
        "40001" | "40P01" | "55P03" => Fault::Repeat,
        "0A000" => Fault::StaleStatement,
        "23505" => Fault::Conflict,
        "23503" => Fault::ForeignKey,
        "23502" => Fault::NotNull,
        "25006" => Fault::ReadOnly,
        // A statement that ran too long, too many connections.
        "57014" | "53300" => Fault::Busy,
        "42501" => Fault::Privilege,
        // The server ends, ended this session, or begins; a transaction that was idle for too long; a prepared statement
        // that is not there, or is there already: a pooler gave us another session.
        "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "26000" | "42P05" => {
            Fault::ConnectionLost
        }
        _ if state.starts_with("08") => Fault::ConnectionLost,
        _ => Fault::Other,
    }
}

/// By error number, for MariaDB and MySQL, whose SQLSTATE is coarse.
#[cfg(feature = "mysql")]
const fn of_number(number: u16) -> Fault {
    match number {
        // A lock that was waited for too long, a deadlock, a row that changed since the snapshot.
        1205 | 1213 | 1020 => Fault::Repeat,
        1412 | 1615 => Fault::StaleStatement,
        1022 | 1062 | 1586 => Fault::Conflict,
        1216 | 1217 | 1451 | 1452 => Fault::ForeignKey,
        1048 => Fault::NotNull,
        1290 | 1792 | 1836 => Fault::ReadOnly,
        // Too many connections; a statement that ran too long (MariaDB, MySQL).
        1040 | 1203 | 1969 | 3024 => Fault::Busy,
        1044 | 1142 | 1227 | 1370 => Fault::Privilege,
        // The server ends, or ended this session; a Galera member that is not ready; a packet that was too large.
        1053 | 1077 | 1080 | 1158..=1161 | 1927 | 1047 | 1153 | 4031 => Fault::ConnectionLost,
        _ => Fault::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No transaction is repeated for it, and the server stays in use: it may answer reads.
    #[test]
    fn a_full_disk_is_nothing_that_the_caller_can_mend() {
        assert_eq!(of_state("53100"), Fault::Other);
        #[cfg(feature = "mysql")]
        for number in [1021, 1114] {
            assert_eq!(of_number(number), Fault::Other);
        }
    }
}
