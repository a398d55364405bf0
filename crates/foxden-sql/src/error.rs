//! Why a query failed, named by what the caller should do.

use std::error::Error;

/// Why a statement was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// Try again shortly: the queue is full, or another process locks the database.
    #[error("the database is busy")]
    Busy,
    /// Choose another value: a row with this one exists.
    #[error("a row with this value exists")]
    Conflict,
    /// Begin anew: the referenced row was deleted.
    #[error("the row that this one refers to is gone")]
    ForeignKey,
    /// Run a newer program: a later one has changed the tables.
    #[error(
        "the database is newer than this program: its tables are at version {found}, this program knows {known}"
    )]
    Newer {
        /// The version of the tables.
        found: i64,
        /// The last version that this program knows.
        known: i64,
    },
    /// Go where the rows are: they are being moved to another database, or were moved.
    #[error("its rows are being moved to another database, or were moved")]
    Moved,
    /// Go where the rows are, or restore a backup: the tables that this program has used are not there any more.
    #[error(
        "its tables are gone: its rows are being moved to another database or were moved, unless the tables were dropped"
    )]
    TablesGone(#[source] Box<dyn Error + Send + Sync>),
    /// Let the process that keeps it migrate it: this one only reads.
    #[error(
        "the database is older than this program: its tables are at version {found}, this program knows {known}"
    )]
    Older {
        /// The version of the tables.
        found: i64,
        /// The version that this program reads.
        known: i64,
    },
    /// Change the text: it holds U+0000, which not every database keeps, so none is asked to.
    #[error("a text holds U+0000")]
    NullCharacter,
    /// Nothing the caller can do: a row does not hold what the program expects.
    #[error("a column does not hold what was expected")]
    Mismatch,
    /// Name a database that this program can open.
    #[error("no engine is known for {0}")]
    UnknownEngine(String),
    /// Take a program that was built with the driver of this kind of server.
    #[error(
        "this program was built without {server}; use one that has it, or build it with --features {feature}"
    )]
    LeftOut {
        /// The name of the server.
        server: &'static str,
        /// The feature of Cargo that brings its driver.
        feature: &'static str,
    },
    /// Repeat the transaction from its first statement: the database took it back, so that others could go on
    /// (a serialization failure, a deadlock, a lock that was waited for too long).
    #[error("the database took the transaction back")]
    Repeat(#[source] Box<dyn Error + Send + Sync>),
    /// Repeat what was not committed: the connection was lost before the transaction was to be committed.
    #[error("the connection to the database was lost")]
    ConnectionLost(#[source] Box<dyn Error + Send + Sync>),
    /// Find out before it is repeated: the connection was lost while the transaction was being committed, so it may
    /// have happened or not.
    #[error("it is unknown whether the transaction was committed")]
    OutcomeUnknown(#[source] Box<dyn Error + Send + Sync>),
    /// Change the database or its URL: this program cannot work with it as it is.
    #[error("{cause}; {cure}")]
    Unsuitable {
        /// What is wrong. Names no password.
        cause: String,
        /// What the operator can do.
        cure: String,
    },
    /// Check the database: it cannot be reached, or the disk fails.
    #[error("the database cannot be used")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl SqlError {
    pub(crate) fn unsuitable(cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Unsuitable {
            cause: cause.into(),
            cure: cure.into(),
        }
    }
}
