//! One way to open, migrate and speak to a relational database: SQLite today.
//!
//! - [`asker`]: [`QueryOrigin`], on whose behalf a question is asked
//! - [`database`]: [`Database`], its transactions, and the questions both answer, [`Fetch`]
//! - [`migration`]: how a database gets its tables
//! - [`value`]: [`Value`] and [`Row`], which hide the driver's types
//! - [`error`]: [`SqlError`], named by what the caller should do
//!
//! Statements are fixed texts with `?` placeholders that every dialect understands once they are numbered.

pub mod database;
pub mod error;
pub mod migration;
pub mod origin;
mod sqlite;
#[cfg(test)]
mod tests;
pub mod value;

pub use database::{Database, Fetch, Tx};
pub use error::SqlError;
pub use migration::Migration;
pub use origin::QueryOrigin;
pub use value::{FromValue, Nullable, Row, Value};
