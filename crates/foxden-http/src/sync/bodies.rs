//! How many bytes of request bodies are held at once, over all connections.

use std::sync::atomic::{AtomicU64, Ordering};

/// Room for request bodies, shared by all listeners.
///
/// A body has its place before any of it is read, and keeps it until its request is answered.
#[derive(Debug)]
pub struct Bodies {
    most: u64,
    held: AtomicU64,
}

/// The place of one body, given back when dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Place<'b> {
    bodies: &'b Bodies,
    bytes: u64,
}

/// Room for bodies where nobody says how much.
const USUAL_BYTES: u64 = 128_000_000;

impl Bodies {
    /// Room for so many bytes.
    pub const fn up_to(most: u64) -> Self {
        Self {
            most,
            held: AtomicU64::new(0),
        }
    }

    /// A place for a body of so many bytes, if there is one. A body that would be alone always finds it,
    /// so that no setting shuts out what a request may bring.
    pub(super) fn take(&self, bytes: u64) -> Option<Place<'_>> {
        let add = |held: u64| {
            let sum = held.saturating_add(bytes);
            (held == 0 || sum <= self.most).then_some(sum)
        };
        let taken = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        taken.ok().map(|_| Place { bodies: self, bytes })
    }
}

impl Default for Bodies {
    fn default() -> Self {
        Self::up_to(USUAL_BYTES)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.bodies.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_while_there_is_room() {
        let bodies = Bodies::up_to(100);
        let first = bodies.take(60).unwrap();
        assert!(bodies.take(41).is_none());
        let second = bodies.take(40).unwrap();
        assert!(bodies.take(1).is_none());
        drop(first);
        let third = bodies.take(60).unwrap();
        drop((second, third));
        assert!(bodies.take(100).is_some());
    }

    #[test]
    fn a_body_that_is_alone_is_never_too_large() {
        let bodies = Bodies::up_to(10);
        let alone = bodies.take(1000).unwrap();
        assert!(bodies.take(0).is_none());
        drop(alone);
        assert!(bodies.take(u64::MAX).is_some());
    }
}
