//! Migrations of the tables: forward only, one transaction each.

#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::SqlError;

/// What is added to the version of tables whose rows are being moved to another database, or were moved: no program opens them,
/// earlier releases included.
pub const MOVED: i64 = 1_000_000;

/// One step from one version of the tables to the next. Never edited once released.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The name of its file.
    pub name: &'static str,
    /// Its statements, separated by semicolons.
    pub statements: &'static str,
}

/// The migrations for each kind of database. The last of each makes the same tables, whatever the number of steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Migrations {
    /// For SQLite.
    pub sqlite: &'static [Migration],
    /// For PostgreSQL.
    pub postgres: &'static [Migration],
    /// For MariaDB and MySQL. They may be applied again after they were interrupted: see `MysqlPool::migrate`.
    pub mysql: &'static [Migration],
    /// The table in which a server keeps the version.
    pub table: &'static str,
}

impl From<&'static [Migration]> for Migrations {
    /// Migrations for SQLite alone.
    fn from(sqlite: &'static [Migration]) -> Self {
        Self {
            sqlite,
            ..Self::default()
        }
    }
}

/// Refuses tables that this program must not open.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) const fn check_version(found: i64, known: i64) -> Result<(), SqlError> {
    if found >= MOVED {
        return Err(SqlError::Moved);
    }
    if found > known {
        return Err(SqlError::Newer { found, known });
    }
    Ok(())
}
