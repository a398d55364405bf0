//! What is left of a request's body when its answer is made.
//!
//! An answer may be known before the body has come: 401, 404, 413, 503 and others. A client that sends its whole body
//! before it reads, as many proxies do, never sees such an answer if the connection ends meanwhile. So the rest of the
//! body is read and thrown away first, within bounds. Decision record 0020 gives the reasons.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Version;
use hyper::body::{Body, Incoming};
use hyper::header::{EXPECT, HeaderMap};
use hyper::http::request::Parts;
use tokio::time::{Instant, timeout_at};

use super::body::Arriving;
use super::room::seat::Seat;
use super::turns::Turns;

/// How much of what a client still sends is read and thrown away around an answer that was made early.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests whose bodies are read off before their answers at once, of which a network has a share. Each holds two read
    /// buffers meanwhile; further ones are answered first.
    pub at_once: u32,
    /// Bytes before the answer is sent.
    pub bytes: u64,
    /// How long the rest of a body may take before the answer is sent.
    pub answer: Duration,
    /// How long the client may be silent before that: it may be waiting for the answer.
    pub silence: Duration,
    /// Bytes after the answer, where the connection ends with it.
    pub linger_bytes: u64,
    /// How long a connection lingers after its last answer.
    pub linger: Duration,
    /// How long it lingers while the client is silent.
    pub linger_silence: Duration,
}

impl Bounds {
    /// The bounds where an upload may be so large: a client that sends some times as much learns of it.
    pub fn for_uploads_of(max_request_bytes: u64) -> Self {
        const LEAST: u64 = 16_000_000;
        let bytes = max_request_bytes.saturating_mul(4).max(LEAST);
        Self {
            at_once: 64,
            bytes,
            linger_bytes: bytes.saturating_mul(4),
            answer: Duration::from_secs(10),
            silence: Duration::from_secs(2),
            linger: Duration::from_secs(30),
            linger_silence: Duration::from_secs(5),
        }
    }
}

/// How many bytes a frame holds at least, on the average: a chunk of one byte is as much work as a larger one.
const LEAST_FRAME: u64 = 256;

/// A request's body that its surface dropped before the end.
#[derive(Debug, Default)]
pub struct Left {
    body: Mutex<Option<Incoming>>,
    was_asked_for: AtomicBool,
    /// Whether the client sends the body only when it is asked for.
    waits_to_be_asked: bool,
}

impl Left {
    /// A place for what may be left of this request's body; none if there is no body.
    pub fn of(parts: &Parts, body: &Incoming) -> Option<Arc<Self>> {
        let left = || Self {
            waits_to_be_asked: parts.version > Version::HTTP_10 && expects_continue(&parts.headers),
            ..Self::default()
        };
        (!body.is_end_stream()).then(|| Arc::new(left()))
    }

    /// Part of the body is waited for; from then on the client sends it.
    pub fn is_asked_for(&self) {
        self.was_asked_for.store(true, Ordering::Relaxed);
    }

    /// Keeps a body: the connection is read on for as long as it exists.
    pub fn keep(&self, body: Incoming) {
        if !body.is_end_stream() {
            *self.body() = Some(body);
        }
    }

    /// Whether a body was kept.
    pub fn is_any(&self) -> bool {
        self.body().is_some()
    }

    /// Reads the rest within these bounds, if one of the `turns` is free for this client. Returns whether the body is at its
    /// end, so that the connection can go on.
    pub async fn read_off(&self, seat: &Arc<Seat>, bounds: Bounds, turns: &Turns, client: IpAddr) -> bool {
        let kept = self.body().take();
        let Some(body) = kept else { return true };
        // Waiting for it would ask for it.
        let never_comes = self.waits_to_be_asked && !self.was_asked_for.load(Ordering::Relaxed);
        if never_comes || body.size_hint().lower() > bounds.bytes {
            return false;
        }
        let Some(_turn) = turns.take(client) else {
            return false;
        };
        let mut body = Arriving::new(body, Arc::clone(seat), None);
        let until = Instant::now() + bounds.answer;
        let (mut came, mut frames) = (0, 0);
        while came <= bounds.bytes && frames <= bounds.bytes / LEAST_FRAME {
            let silence = Instant::now() + bounds.silence;
            match timeout_at(silence.min(until), body.frame()).await {
                // Nothing is kept: a frame is gone before the next one is asked for.
                Ok(Some(Ok(frame))) => {
                    came += frame.data_ref().map_or(0, |data| data.len() as u64);
                    frames += 1;
                }
                Ok(None) => return true,
                // It broke off, or does not come in time.
                Ok(Some(Err(_))) | Err(_) => return false,
            }
        }
        false
    }

    fn body(&self) -> MutexGuard<'_, Option<Incoming>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    let expected = headers.get(EXPECT);
    expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
