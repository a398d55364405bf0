//! Reads and discards the unread part of a request's body once its response is made.
//!
//! A response may be known before the body has come: 401, 404, 413, 503 and others. A client that sends its whole body before
//! it reads, as many proxies do, never sees such a response if the connection ends meanwhile. So the rest of the body is read
//! and discarded first, within limits. Decision record 0020 gives the reasons.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};

use super::body::RequestBody;
use super::connection_limiter::state::ConnectionState;
use super::drain_permits::DrainPermits;
use super::unread_body::UnreadBody;

/// The least average size of a frame, in bytes: a chunk of one byte is as much work as a larger one.
const LEAST_FRAME: u64 = 256;

/// How much of what a client still sends is read and discarded around an early response.
#[derive(Clone, Copy, Debug)]
pub struct DrainLimits {
    /// Bodies that are drained before their responses at once, of which a network has a share. Each holds two read buffers
    /// meanwhile; further requests are answered first.
    pub max_concurrent: u32,
    /// Bytes before the response is sent.
    pub bytes: u64,
    /// How long the rest of a body may take before the response is sent.
    pub timeout: Duration,
    /// How long the client may be silent before that: it may be waiting for the response.
    pub idle_timeout: Duration,
    /// Bytes after the response, where the connection ends with it.
    pub linger_bytes: u64,
    /// How long a connection lingers after its last response.
    pub linger_timeout: Duration,
    /// How long it lingers while the client is silent.
    pub linger_idle_timeout: Duration,
}

impl DrainLimits {
    /// The limits where an upload may have so many bytes: a client that sends a few times as much still gets its response.
    pub fn for_uploads_of(max_request_bytes: u64) -> Self {
        const LEAST: u64 = 16_000_000;
        let bytes = max_request_bytes.saturating_mul(4).max(LEAST);
        Self {
            max_concurrent: 64,
            bytes,
            linger_bytes: bytes.saturating_mul(4),
            timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(2),
            linger_timeout: Duration::from_secs(30),
            linger_idle_timeout: Duration::from_secs(5),
        }
    }

    /// Drains a body within these limits, if one of the `permits` is free for this client. Returns whether the body is at its
    /// end, so that the connection can be used again.
    pub async fn drain<B>(
        self,
        unread: &UnreadBody<B>,
        state: &Arc<ConnectionState>,
        permits: &DrainPermits,
        client: IpAddr,
    ) -> bool
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Some(body) = unread.take() else { return true };
        if unread.is_unrequested() || body.size_hint().lower() > self.bytes {
            return false;
        }
        let Some(_permit) = permits.take(client) else {
            return false;
        };
        let mut body = RequestBody::new(body, Arc::clone(state), None);
        let until = Instant::now() + self.timeout;
        let (mut received, mut frames) = (0, 0);
        while received <= self.bytes && frames <= self.bytes / LEAST_FRAME {
            let idle = Instant::now() + self.idle_timeout;
            match timeout_at(idle.min(until), body.frame()).await {
                // Each frame is dropped before the next one is polled.
                Ok(Some(Ok(frame))) => {
                    received += frame.data_ref().map_or(0, |data| data.len() as u64);
                    frames += 1;
                }
                Ok(None) => return true,
                // The body was interrupted, or does not come in time.
                Ok(Some(Err(_))) | Err(_) => return false,
            }
        }
        false
    }
}
