//! The slots of connections: as many as may be open, and a few beyond them for connections that come when all are taken.
//!
//! A connection that waits in such a slot is served health pages at once. For every other request it waits a short time for a
//! slot of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections may wait.
pub const MAX_WAITING: u32 = 32;

/// How long a request waits for a slot.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The slot of a connection. It is released when dropped.
#[derive(Debug)]
pub struct Slot {
    is_waiting: AtomicBool,
    free: Arc<Semaphore>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Slot {
    /// One of the `free` slots.
    pub fn connection(permit: OwnedSemaphorePermit, free: Arc<Semaphore>) -> Self {
        Self::new(permit, free, false)
    }

    /// A slot beyond them, to wait in until one of the `free` slots is found.
    pub fn waiting(permit: OwnedSemaphorePermit, free: Arc<Semaphore>) -> Self {
        Self::new(permit, free, true)
    }

    fn new(permit: OwnedSemaphorePermit, free: Arc<Semaphore>, is_waiting: bool) -> Self {
        Self {
            is_waiting: AtomicBool::new(is_waiting),
            free,
            permit: Mutex::new(Some(permit)),
        }
    }

    /// Returns whether the connection waits.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Relaxed)
    }

    /// Waits a short time for a free slot. Returns whether the connection has one.
    pub async fn acquire(&self) -> bool {
        if !self.is_waiting() {
            return true;
        }
        let permit = tokio::time::timeout(TIMEOUT, Arc::clone(&self.free).acquire_owned());
        let Ok(Ok(permit)) = permit.await else {
            return false;
        };
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
        self.is_waiting.store(false, Ordering::Relaxed);
        true
    }

    /// Releases the slot now: the state of a closed connection may live on for a moment.
    pub fn release(&self) {
        drop(self.permit.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
