//! Repetition of transactions that the database took back.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::SqlError;

/// How often a transaction runs at most.
const ATTEMPTS: u32 = 12;
/// The pause after the first attempt; it doubles, up to the longest.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The transactions of a database that run again. They take turns, so that they do not hinder one another for ever.
pub(crate) struct Repeats(Arc<Semaphore>);

/// The attempts of one transaction.
pub(crate) struct Attempts {
    repeats: Arc<Semaphore>,
    number: u32,
    turn: Option<OwnedSemaphorePermit>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Repeats {
    pub(crate) fn first(&self) -> Attempts {
        Attempts {
            repeats: Arc::clone(&self.0),
            number: 1,
            turn: None,
        }
    }
}

impl Attempts {
    /// Waits for the next attempt. Returns the error if it allows none, and [`SqlError::Busy`] after the last.
    pub(crate) async fn again(&mut self, error: SqlError) -> Result<(), SqlError> {
        let (SqlError::Repeat(cause) | SqlError::ConnectionLost(cause)) = error else {
            return Err(error);
        };
        if self.number == ATTEMPTS {
            tracing::warn!(attempts = ATTEMPTS, %cause, "a transaction was taken back each time");
            return Err(SqlError::Busy);
        }
        tracing::debug!(attempt = self.number, %cause, "a transaction is repeated");
        if self.turn.is_none() {
            let turn = Arc::clone(&self.repeats).acquire_owned().await;
            self.turn = Some(turn.map_err(|closed| SqlError::Unavailable(Box::new(closed)))?);
        }
        let longest = (PAUSE * 2_u32.pow(self.number - 1)).min(LONGEST_PAUSE);
        // Processes that were taken back together must not come back together.
        let random = RandomState::new().hash_one(self.number) % 1024;
        tokio::time::sleep(longest / 2 + longest * u32::try_from(random).unwrap_or(0) / 2048).await;
        self.number += 1;
        Ok(())
    }
}
