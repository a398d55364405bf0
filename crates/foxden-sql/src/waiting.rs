//! How many transactions and queries wait, and may wait.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::SqlError;

/// The number of transactions that may wait; a further one fails as busy.
const WAITING: usize = 256;

/// The numbers of transactions and queries that wait for a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepths {
    /// Transactions that wait for their turn, or for a connection.
    pub transactions: usize,
    /// Queries outside of transactions that wait for the thread that reads, or for a connection. A database in memory
    /// counts them as transactions.
    pub queries: usize,
}

/// One of the waiting transactions.
pub(crate) struct WaitingGuard<'a>(&'a AtomicUsize);

impl<'a> WaitingGuard<'a> {
    pub(crate) fn join(count: &'a AtomicUsize) -> Result<Self, SqlError> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) < WAITING {
            Ok(waiting)
        } else {
            Err(SqlError::Busy)
        }
    }
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
