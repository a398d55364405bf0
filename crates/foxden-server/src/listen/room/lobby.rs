//! A few places beyond the seats, for connections that come when all are taken.
//!
//! Who is there is served health pages at once. For everything else a seat is waited for, but not long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places beyond the seats.
pub const PLACES: u32 = 32;

/// How long a request waits for a seat.
const PATIENCE: Duration = Duration::from_secs(5);

/// The right to a seat, or to a place in the lobby meanwhile. It is given back when dropped.
#[derive(Debug)]
pub struct Place {
    is_in_lobby: AtomicBool,
    free: Arc<Semaphore>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Place {
    /// A seat of the `free` ones.
    pub fn seat(permit: OwnedSemaphorePermit, free: Arc<Semaphore>) -> Self {
        Self::new(permit, free, false)
    }

    /// A place in the lobby, until one of the `free` seats is found.
    pub fn lobby(permit: OwnedSemaphorePermit, free: Arc<Semaphore>) -> Self {
        Self::new(permit, free, true)
    }

    fn new(permit: OwnedSemaphorePermit, free: Arc<Semaphore>, is_in_lobby: bool) -> Self {
        Self {
            is_in_lobby: AtomicBool::new(is_in_lobby),
            free,
            permit: Mutex::new(Some(permit)),
        }
    }

    /// Whether it is a place in the lobby.
    pub fn is_in_lobby(&self) -> bool {
        self.is_in_lobby.load(Ordering::Relaxed)
    }

    /// Waits for a seat, but not for long. Returns whether there is one.
    pub async fn finds_seat(&self) -> bool {
        if !self.is_in_lobby() {
            return true;
        }
        let seat = tokio::time::timeout(PATIENCE, Arc::clone(&self.free).acquire_owned());
        let Ok(Ok(seat)) = seat.await else { return false };
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(seat);
        self.is_in_lobby.store(false, Ordering::Relaxed);
        true
    }

    /// Gives the place back: whoever is told to leave may still be held by others for a moment.
    pub fn give_back(&self) {
        drop(self.permit.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
