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
    /// Nothing the caller can do: a row does not hold what the program expects.
    #[error("a column does not hold what was expected")]
    Mismatch,
    /// Name a database that this program can open.
    #[error("no engine is known for {0}")]
    UnknownEngine(String),
    /// Check the database: it cannot be reached, or the disk fails.
    #[error("the database cannot be used")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}
