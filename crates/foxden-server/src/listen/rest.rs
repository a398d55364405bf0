//! Reads off what is left of a request's body when its answer is made.
//!
//! An answer may be known before the body has come: 401, 404, 413, 503 and others. A client that sends its whole body
//! before it reads, as many proxies do, never sees such an answer if the connection ends meanwhile. So the rest of the
//! body is read and thrown away first, within bounds. Decision record 0020 gives the reasons.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};

use super::body::Arriving;
use super::left::Left;
use super::room::seat::Seat;
use super::turns::Turns;

/// How many bytes a frame holds at least, on the average: a chunk of one byte is as much work as a larger one.
const LEAST_FRAME: u64 = 256;

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

    /// Reads off what is left of a body within these bounds, if one of the `turns` is free for this client. Returns whether
    /// the body is at its end, so that the connection can go on.
    pub async fn read_off<B>(self, left: &Left<B>, seat: &Arc<Seat>, turns: &Turns, client: IpAddr) -> bool
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Some(body) = left.take() else { return true };
        if left.is_unasked() || body.size_hint().lower() > self.bytes {
            return false;
        }
        let Some(_turn) = turns.take(client) else {
            return false;
        };
        let mut body = Arriving::new(body, Arc::clone(seat), None);
        let until = Instant::now() + self.answer;
        let (mut came, mut frames) = (0, 0);
        while came <= self.bytes && frames <= self.bytes / LEAST_FRAME {
            let silence = Instant::now() + self.silence;
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
}
