//! What a kind of database does.

use std::sync::Arc;

use async_trait::async_trait;

use crate::origin::QueueSlots;
use crate::waiting::QueueDepths;
use crate::{Row, SqlError, Value};

/// A database of one kind. Its futures are [`Erased`](crate::erased::Erased).
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    async fn check(&self) -> Result<(), SqlError>;
    fn queue_depths(&self) -> QueueDepths;
    async fn wipe_deleted(&self) -> Result<(), SqlError>;
    async fn close(&self);
    /// The rows of a query outside of any transaction.
    async fn rows(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError>;
    /// Waits for slots at a server, to be kept until the transaction has ended for good. In SQLite, where each transaction runs once,
    /// it waits for them as it begins.
    async fn enter(&self) -> Result<Option<QueueSlots>, SqlError>;
    async fn begin(self: Arc<Self>) -> Result<Box<dyn Transaction>, SqlError>;
}

/// An open transaction. Dropping it rolls back what was not committed.
#[async_trait]
pub(crate) trait Transaction: Send + Sync {
    fn statements(&self) -> Arc<dyn Statements>;
    /// Commits or rolls back. [`SqlError::Repeat`] or [`SqlError::ConnectionLost`] if the database took it back, also
    /// where the work went on as if it had not.
    async fn end(self: Box<Self>, is_kept: bool) -> Result<(), SqlError>;
}

/// The statements of a transaction.
#[async_trait]
pub(crate) trait Statements: Send + Sync {
    async fn execute(&self, statement: &'static str, values: Vec<Value>) -> Result<u64, SqlError>;
    async fn insert(&self, statement: &'static str, values: Vec<Value>) -> Result<i64, SqlError>;
    async fn rows(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError>;
}
