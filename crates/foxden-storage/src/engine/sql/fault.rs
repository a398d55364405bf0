//! Errors of the server and the driver, and what they mean for a write.

use foxden_sql::server::fault;
#[cfg(feature = "mysql")]
use sqlx::mysql::MySqlDatabaseError;
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::engine::{Corrupt, EngineError};

/// Why a step of a transaction failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The command is refused; the transaction is rolled back.
    Refused(EngineError),
    /// The server or the driver failed.
    Server(sqlx::Error),
    /// The transaction took so long that readers may have passed its time.
    Overdue,
    /// The leave to write had ended.
    PassEnded,
}

impl Fault {
    /// Returns whether the same transaction may succeed when it is run again on the same connection: it met another one. The codes
    /// decide, as the texts vary: 40001, 40P01 and 55P03 of PostgreSQL, 1213 and 1205 of MySQL.
    pub(super) fn may_succeed_again(&self) -> bool {
        self.class() == Some(fault::Fault::Repeat)
    }

    /// Returns whether the connection is of no use any more, and another one may be: it is lost, or has statements that were prepared
    /// for other tables. What was not to be committed has not happened.
    pub(super) fn is_of_the_connection(&self) -> bool {
        matches!(
            self.class(),
            Some(fault::Fault::StaleStatement | fault::Fault::ConnectionLost)
        )
    }

    /// Returns whether the server says that a statement outside a transaction, or statements and their commit, committed nothing. What
    /// ends the session may come after the commit.
    pub(super) fn committed_nothing(&self) -> bool {
        let Self::Server(error) = self else { return true };
        match self.class() {
            Some(fault::Fault::Repeat) => return true,
            // Poolers, too, say so in the words of an ordinary error.
            Some(fault::Fault::ConnectionLost) => return false,
            _ => {}
        }
        let refused = error.as_database_error();
        #[cfg(feature = "postgres")]
        if let Some(error) = refused.and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) {
            return error.severity() == PgSeverity::Error;
        }
        // A full table, a server that takes no writes, a missing privilege, table or column: these come before a commit.
        #[cfg(feature = "mysql")]
        if let Some(error) = refused.and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>()) {
            return matches!(error.number(), 1054 | 1114 | 1142 | 1146 | 1290 | 1792 | 1836);
        }
        false
    }

    /// Returns whether a column got NULL that may not.
    pub(super) fn is_about_null(&self) -> bool {
        self.class() == Some(fault::Fault::NotNull)
    }

    fn class(&self) -> Option<fault::Fault> {
        match self {
            Self::Server(error) => Some(fault::classify(error)),
            Self::Refused(_) | Self::Overdue | Self::PassEnded => None,
        }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Server(error)
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        Self::Refused(error)
    }
}

impl From<Corrupt> for Fault {
    fn from(error: Corrupt) -> Self {
        Self::Refused(error.into())
    }
}
