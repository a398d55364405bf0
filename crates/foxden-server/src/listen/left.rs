//! A request's body that its surface dropped before the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::Version;
use hyper::body::Body;
use hyper::header::{EXPECT, HeaderMap};
use hyper::http::request::Parts;

/// A request's body that its surface dropped before the end.
#[derive(Debug)]
pub struct Left<B> {
    body: Mutex<Option<B>>,
    was_asked_for: AtomicBool,
    /// Whether the client sends the body only when it is asked for.
    waits_to_be_asked: bool,
}

impl<B: Body> Left<B> {
    /// A place for what may be left of this request's body; none if there is no body.
    pub fn of(parts: &Parts, body: &B) -> Option<Arc<Self>> {
        let left = || Self {
            body: Mutex::new(None),
            was_asked_for: AtomicBool::new(false),
            waits_to_be_asked: parts.version > Version::HTTP_10 && expects_continue(&parts.headers),
        };
        (!body.is_end_stream()).then(|| Arc::new(left()))
    }

    /// Part of the body is waited for; from then on the client sends it.
    pub fn is_asked_for(&self) {
        self.was_asked_for.store(true, Ordering::Relaxed);
    }

    /// Keeps a body: the connection is read on for as long as it exists.
    pub fn keep(&self, body: B) {
        if !body.is_end_stream() {
            *self.body() = Some(body);
        }
    }

    /// Whether a body was kept.
    pub fn is_any(&self) -> bool {
        self.body().is_some()
    }

    /// Takes the body that was kept.
    pub fn take(&self) -> Option<B> {
        self.body().take()
    }

    /// Whether waiting for the body would ask the client for it, which nothing has done yet.
    pub fn is_unasked(&self) -> bool {
        self.waits_to_be_asked && !self.was_asked_for.load(Ordering::Relaxed)
    }

    fn body(&self) -> MutexGuard<'_, Option<B>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    let expected = headers.get(EXPECT);
    expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
