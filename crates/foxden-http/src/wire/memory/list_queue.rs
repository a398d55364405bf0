//! Lists that wait for room among the responses: many that are asked for at the same moment are answered one after the other.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use foxden_accounts::security::SecurityEvents;
use tokio::time::timeout;

use super::{Budget, Exceeded, MemoryFull, MemoryPermit, Owner, ShareDivisors};

/// How many lists may wait.
pub(super) const MOST_WAITING: u64 = 256;
/// The share of a reader in the queue.
const SHARES: ShareDivisors = ShareDivisors {
    authenticated: 8,
    small_bodies: 8,
    unauthenticated: 8,
};
/// How long a list waits.
const WAIT: Duration = Duration::from_secs(10);

/// The lists that wait.
#[derive(Debug)]
pub(crate) struct ListQueue {
    answers: Arc<Budget>,
    /// Their places, each counted as one.
    pub(super) places: Arc<Budget>,
}

/// Counts as waiting until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl ListQueue {
    pub(super) fn new(answers: Arc<Budget>, security_events: SecurityEvents) -> Self {
        let places = Budget::new("the queue of lists", MOST_WAITING, SHARES, security_events);
        Self {
            answers,
            places: Arc::new(places),
        }
    }

    /// Takes memory for a list, once there is some. Refused at once are a reader that has used up its own share, and one with too
    /// many lists that wait.
    pub(crate) async fn take(&self, owner: Owner, bytes: u64) -> Result<MemoryPermit, MemoryFull> {
        let taken = match self.answers.try_take(owner, bytes) {
            Err(Exceeded::SharedLimit) => {
                let _place = self.places.take(owner, 1)?;
                let taken = timeout(WAIT, self.answers.take_when_free(owner, bytes)).await;
                taken.unwrap_or(Err(Exceeded::SharedLimit))
            }
            taken => taken,
        };
        taken.map_err(|exceeded| {
            self.answers.report_full(owner, exceeded);
            MemoryFull
        })
    }
}

impl Budget {
    fn try_take(self: &Arc<Self>, owner: Owner, bytes: u64) -> Result<MemoryPermit, Exceeded> {
        let permit = self.empty_permit(owner);
        permit.try_grow(bytes)?;
        Ok(permit)
    }

    /// Takes memory as soon as there is some, unless the owner's own share is used up.
    async fn take_when_free(self: &Arc<Self>, owner: Owner, bytes: u64) -> Result<MemoryPermit, Exceeded> {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            // Before the try, so that nothing is given back unnoticed.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            match self.try_take(owner, bytes) {
                Err(Exceeded::SharedLimit) => freed.await,
                taken => {
                    // There may be room for another one.
                    self.tell_waiting();
                    return taken;
                }
            }
        }
    }

    /// Has the request that has waited for the longest time try again.
    pub(super) fn tell_waiting(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }
}

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
