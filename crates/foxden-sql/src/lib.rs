//! One way to open, migrate and query a relational database: SQLite, PostgreSQL, and MariaDB or MySQL.
//!
//! - [`origin`]: [`QueryOrigin`], the origin of a query, for a fair queue
//! - [`database`]: [`Database`], its transactions, and the queries that both answer, [`Fetch`]
//! - [`embedded`]: SQLite's threads, and the turn to write
//! - [`repeat`]: repetition of transactions that a server took back
//! - [`migration`]: migrations of the tables
//! - [`value`]: [`Value`] and [`Row`], which hide the types of the driver
//! - [`waiting`]: [`QueueDepths`], how many transactions and queries wait
//! - [`error`]: [`SqlError`], named by what the caller should do
//! - [`server`]: [`ServerUrl`], [`PostgresPool`] and [`MysqlPool`], connections of database servers
//! - [`folder_lock`]: [`FolderLock`], for files that one process at a time may use
//!
//! Statements are fixed texts with `?` placeholders that every dialect understands once they are numbered.

mod backend;
pub mod database;
mod embedded;
pub mod erased;
pub mod error;
pub mod folder_lock;
pub mod migration;
pub mod origin;
mod repeat;
pub mod server;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod value;
mod waiting;

pub use database::{Database, Fetch, Tx};
pub use error::SqlError;
pub use folder_lock::{FolderLock, FolderLockError};
pub use migration::{MOVED, Migration, Migrations};
pub use origin::QueryOrigin;
#[cfg(feature = "mysql")]
pub use server::MysqlPool;
#[cfg(feature = "postgres")]
pub use server::PostgresPool;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub use server::ServerLook;
pub use server::{ServerEngine, ServerUrl};
pub use value::{FromValue, Nullable, Row, Value};
pub use waiting::QueueDepths;
