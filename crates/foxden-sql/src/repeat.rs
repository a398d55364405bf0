//! Repetition of transactions that the database took back.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::SqlError;
use crate::erased::Erased;

/// How often a transaction runs at most.
const ATTEMPTS: u32 = 12;
/// No attempt begins later after the first one: who asked does not wait much longer.
const DEADLINE: Duration = Duration::from_secs(10);
/// The pause after the first attempt; it doubles, up to the longest.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The transactions of a database that run again. They take turns, so that they do not hinder one another for ever.
pub(crate) struct Repeats(Arc<Semaphore>);

/// The attempts of one transaction.
pub(crate) struct Attempts {
    repeats: Arc<Semaphore>,
    number: u32,
    deadline: Instant,
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
            deadline: Instant::now() + DEADLINE,
            turn: None,
        }
    }
}

impl Attempts {
    /// Waits for the next attempt. Returns the error if it allows none, and [`SqlError::Busy`] after the last, or once ten
    /// seconds have passed.
    pub(crate) fn again(&mut self, error: SqlError) -> Erased<'_, ()> {
        Box::pin(self.wait(error))
    }

    async fn wait(&mut self, error: SqlError) -> Result<(), SqlError> {
        let (SqlError::Repeat(cause) | SqlError::ConnectionLost(cause)) = error else {
            return Err(error);
        };
        let left = self.deadline.saturating_duration_since(Instant::now());
        if self.number == ATTEMPTS || left.is_zero() {
            tracing::warn!(attempts = self.number, %cause, "a transaction was taken back each time");
            return Err(SqlError::Busy);
        }
        tracing::debug!(attempt = self.number, %cause, "a transaction is repeated");
        if self.turn.is_none() {
            let turn = Arc::clone(&self.repeats).acquire_owned();
            let Ok(turn) = tokio::time::timeout(left, turn).await else {
                tracing::warn!(%cause, "a transaction was taken back, and others ran again until it was too late for it");
                return Err(SqlError::Busy);
            };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_back() -> SqlError {
        SqlError::Repeat("a deadlock".into())
    }

    #[tokio::test]
    async fn no_attempt_begins_after_the_deadline() {
        let repeats = Repeats::default();
        let mut attempts = repeats.first();
        attempts.again(taken_back()).await.unwrap();
        attempts.deadline = Instant::now();
        assert!(matches!(attempts.again(taken_back()).await, Err(SqlError::Busy)));
    }

    #[tokio::test]
    async fn the_turn_of_another_is_not_waited_for_beyond_the_deadline() {
        let repeats = Repeats::default();
        let (mut first, mut second) = (repeats.first(), repeats.first());
        first.again(taken_back()).await.unwrap();
        second.deadline = Instant::now() + Duration::from_millis(20);
        assert!(matches!(second.again(taken_back()).await, Err(SqlError::Busy)));
        drop(first);
        repeats.first().again(taken_back()).await.unwrap();
    }
}
