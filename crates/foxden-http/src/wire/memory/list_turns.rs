//! The turns of lists: few are read and printed at once, however many are asked for.

use std::sync::Arc;
use std::time::Duration;

use foxden_accounts::security::SecurityEvents;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{Budget, Exceeded, MemoryFull, Owner, ShareDivisors};

/// How many lists are read and printed at once: enough for all connections of a usual pool, and few enough that pages which wait for
/// a processor take little memory.
pub(super) const LISTS_AT_ONCE: usize = 16;
/// How many lists may wait for their turn.
pub(super) const WAITING_LISTS: u64 = 256;
/// The share of a reader, so that no more lists of any other one are ahead of a list.
const WAITING_DIVISORS: ShareDivisors = ShareDivisors {
    authenticated: 8,
    small_bodies: 8,
    unauthenticated: 8,
};
/// How long a list waits for its turn.
const WAIT: Duration = Duration::from_secs(10);

/// The turns of all lists.
#[derive(Debug)]
pub(crate) struct ListTurns {
    turns: Arc<Semaphore>,
    /// The lists that wait, each counted as one.
    pub(super) waiting: Arc<Budget>,
}

/// The turn of a list, until this is dropped.
#[derive(Debug)]
pub(crate) struct ListTurn {
    _turn: OwnedSemaphorePermit,
}

impl ListTurns {
    pub(super) fn new(security_events: SecurityEvents) -> Self {
        let waiting = Budget::new(
            "the queue of lists",
            WAITING_LISTS,
            WAITING_DIVISORS,
            security_events,
        );
        Self {
            turns: Arc::new(Semaphore::new(LISTS_AT_ONCE)),
            waiting: Arc::new(waiting),
        }
    }

    /// Waits until a list may be read. It is refused if the reader's share of the queue is full, or if it has waited for long.
    pub(crate) async fn wait(&self, owner: Owner) -> Result<ListTurn, MemoryFull> {
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            return Ok(ListTurn { _turn: turn });
        }
        let _place = self.waiting.take(owner, 1)?;
        // Nothing closes the semaphore.
        if let Ok(Ok(turn)) = timeout(WAIT, Arc::clone(&self.turns).acquire_owned()).await {
            return Ok(ListTurn { _turn: turn });
        }
        self.waiting.report_full(owner, Exceeded::SharedLimit);
        Err(MemoryFull)
    }
}
