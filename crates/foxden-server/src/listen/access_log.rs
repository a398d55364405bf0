//! The log line of each request, written once its response is sent.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use foxden_http::response::proven_user;
use foxden_http::wire::{AccessLogFields, Peer};
use hyper::Response;
use hyper::http::request::Parts;

use super::connection_limiter::state::ConnectionState;
use crate::log::{self, RequestId};

/// A response of at most so many bytes never waits for its client.
const SHORT: u64 = 16 * 1024;

/// The log line of a request. It is written when this value is dropped.
#[derive(Debug)]
pub struct AccessLog {
    state: Arc<ConnectionState>,
    entry: Option<Box<AccessLogEntry>>,
}

#[derive(Debug)]
struct AccessLogEntry {
    id: RequestId,
    method: hyper::Method,
    uri: hyper::Uri,
    peer: Peer,
    began: Instant,
    /// Absent until there is a response.
    status: Option<u16>,
    note: AccessLogFields,
    bytes: u64,
    end: End,
}

/// How a response ended.
#[derive(Debug)]
enum End {
    /// The client went away, or its connection was closed.
    Interrupted,
    /// The surface could not complete it.
    Failed(String),
    /// It was sent completely.
    Complete,
}

impl AccessLog {
    /// Starts the entry of a request.
    pub fn new(state: Arc<ConnectionState>, id: RequestId, peer: Peer, parts: &Parts) -> Self {
        let entry = tracing::enabled!(target: log::REQUESTS, tracing::Level::INFO).then(|| {
            Box::new(AccessLogEntry {
                id,
                method: parts.method.clone(),
                uri: parts.uri.clone(),
                peer,
                began: Instant::now(),
                status: None,
                note: AccessLogFields::default(),
                bytes: 0,
                end: End::Interrupted,
            })
        });
        Self { state, entry }
    }

    /// Takes over the status and what the surface says of the request.
    pub fn add_response(&mut self, response: &Response<Body>, note: AccessLogFields) {
        // Short responses fit into the buffers between server and client, so the client holds no memory of the server.
        if hyper::body::Body::size_hint(response.body())
            .upper()
            .is_none_or(|bytes| bytes > SHORT)
        {
            self.state.set_user(proven_user(response, &note));
        }
        if let Some(entry) = &mut self.entry {
            entry.status = Some(response.status().as_u16());
            entry.note = note;
            // The body of a response to HEAD is never sent.
            if entry.method == hyper::Method::HEAD || hyper::body::Body::is_end_stream(response.body()) {
                entry.end = End::Complete;
            }
        }
    }

    /// Counts so many bytes of the response.
    pub fn count(&mut self, bytes: usize) {
        if let Some(entry) = &mut self.entry {
            entry.bytes += bytes as u64;
        }
    }

    /// Notes that the surface could not complete the response.
    pub fn set_failed(&mut self, error: &axum::Error) {
        if let Some(entry) = &mut self.entry {
            entry.end = End::Failed(error.to_string());
        }
    }

    /// Notes that the response was sent completely.
    pub fn set_complete(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.end = End::Complete;
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.state.request_ended();
        if let Some(entry) = self.entry.take() {
            entry.write();
        }
    }
}

impl AccessLogEntry {
    fn write(self) {
        let method = log::EscapedPath(self.method.as_str());
        let path = log::EscapedPath(self.uri.path());
        let status = log::Status(self.status);
        let took = log::DisplayMillis(self.began.elapsed());
        let details = log::Details {
            auth: self.note.auth,
            user: self.note.user,
            why: self.note.why.as_deref(),
            end: match &self.end {
                End::Interrupted if self.status.is_none() => Some("the client left before the answer"),
                End::Interrupted => Some("the answer was not taken whole"),
                End::Failed(why) => Some(why),
                End::Complete => None,
            },
        };
        let (peer, bytes) = (self.peer.address, self.bytes);
        let text = format_args!("{peer} {method} {path} {status} {bytes} B {took}{details}");
        log::with_request_id(self.id, || {
            if self.note.is_routine {
                tracing::debug!(target: log::REQUESTS, "{text}");
            } else {
                tracing::info!(target: log::REQUESTS, "{text}");
            }
        });
    }
}
