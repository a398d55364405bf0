//! Why a database did not do what it was asked, named by what the caller should do.

use std::error::Error;

/// Why a statement was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// Try again shortly: too many wait, or another program holds the database.
    #[error("the database is busy")]
    Busy,
    /// Choose another value: a row with this one exists.
    #[error("a row with this value exists")]
    Conflict,
    /// Begin anew: the row that this one refers to is gone.
    #[error("the row that this one refers to is gone")]
    Orphan,
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
    /// Let the program that keeps it bring its tables up to date: this one only looks.
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
    /// See to the database: it cannot be reached, or the disk fails.
    #[error("the database cannot be used")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}
