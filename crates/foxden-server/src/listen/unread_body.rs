//! The part of a request's body that its surface did not read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foxden_http::request_head::waits_for_continue;
use hyper::body::Body;
use hyper::http::request::Parts;

/// The part of a request's body that its surface did not read.
#[derive(Debug)]
pub struct UnreadBody<B> {
    body: Mutex<Option<B>>,
    was_requested: AtomicBool,
    /// Whether the client sends the body only once it is asked for it.
    waits_for_continue: bool,
}

impl<B: Body> UnreadBody<B> {
    /// The part of this request's body that may stay unread; `None` if there is no body.
    pub fn of(parts: &Parts, body: &B) -> Option<Arc<Self>> {
        let unread = || Self {
            body: Mutex::new(None),
            was_requested: AtomicBool::new(false),
            waits_for_continue: waits_for_continue(parts),
        };
        (!body.is_end_stream()).then(|| Arc::new(unread()))
    }

    /// Notes that the surface waits for part of the body; from then on the client sends it.
    pub fn set_requested(&self) {
        self.was_requested.store(true, Ordering::Relaxed);
    }

    /// Stores a body: the connection is read on for as long as it exists.
    pub fn store(&self, body: B) {
        if !body.is_end_stream() {
            *self.body() = Some(body);
        }
    }

    /// Returns whether a body is stored.
    pub fn is_stored(&self) -> bool {
        self.body().is_some()
    }

    /// Takes the stored body.
    pub fn take(&self) -> Option<B> {
        self.body().take()
    }

    /// Returns whether reading the body would ask the client for it, which nothing has done yet.
    pub fn is_unrequested(&self) -> bool {
        self.waits_for_continue && !self.was_requested.load(Ordering::Relaxed)
    }

    fn body(&self) -> MutexGuard<'_, Option<B>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
