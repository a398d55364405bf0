//! The log's line for each request, written when its answer is done with.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use foxden_http::wire::{Note, Peer};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::room::seat::Seat;
use crate::log::{self, RequestId};

/// Bytes of an answer that no client keeps waiting.
const SHORT: u64 = 16 * 1024;

/// What the log's line for a request will say. It is written when the answer is done with.
#[derive(Debug)]
pub struct Record {
    seat: Arc<Seat>,
    line: Option<Box<Line>>,
}

#[derive(Debug)]
struct Line {
    id: RequestId,
    method: hyper::Method,
    uri: hyper::Uri,
    peer: Peer,
    began: Instant,
    /// Absent until there is an answer.
    status: Option<StatusCode>,
    note: Note,
    bytes: u64,
    end: End,
}

/// How an answer came to its end.
#[derive(Debug)]
enum End {
    /// The client went away, or was cut off.
    Broken,
    /// The surface could not go on.
    Failed(String),
    /// All of it was handed over.
    Whole,
}

impl Record {
    /// What is known before the request is answered.
    pub fn new(seat: Arc<Seat>, id: RequestId, peer: Peer, parts: &Parts) -> Self {
        let line = tracing::enabled!(target: log::REQUESTS, tracing::Level::INFO).then(|| {
            Box::new(Line {
                id,
                method: parts.method.clone(),
                uri: parts.uri.clone(),
                peer,
                began: Instant::now(),
                status: None,
                note: Note::default(),
                bytes: 0,
                end: End::Broken,
            })
        });
        Self { seat, line }
    }

    /// Takes what the surface says of the request, and reads off the status.
    pub fn note(&mut self, response: &Response<Body>, note: Note) {
        // Short answers fit into the buffers between us and the client, who then holds nothing of ours.
        if hyper::body::Body::size_hint(response.body())
            .upper()
            .is_none_or(|bytes| bytes > SHORT)
        {
            self.seat
                .answers(note.user.filter(|_| response.status().is_success()));
        }
        if let Some(line) = &mut self.line {
            line.status = Some(response.status());
            line.note = note;
            // Nobody reads the body of an answer to HEAD.
            if line.method == hyper::Method::HEAD || hyper::body::Body::is_end_stream(response.body()) {
                line.end = End::Whole;
            }
        }
    }

    /// So many bytes of the answer were handed over.
    pub fn count(&mut self, bytes: usize) {
        if let Some(line) = &mut self.line {
            line.bytes += bytes as u64;
        }
    }

    /// The surface could not go on with the answer.
    pub fn broke(&mut self, error: &axum::Error) {
        if let Some(line) = &mut self.line {
            line.end = End::Failed(error.to_string());
        }
    }

    /// All of the answer was handed over.
    pub fn is_whole(&mut self) {
        if let Some(line) = &mut self.line {
            line.end = End::Whole;
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.seat.request_ended();
        if let Some(line) = self.line.take() {
            line.write();
        }
    }
}

impl Line {
    fn write(self) {
        let method = log::Path(self.method.as_str());
        let path = log::Path(self.uri.path());
        let status = log::Status(self.status);
        let took = log::Took(self.began.elapsed());
        let details = log::Details {
            auth: self.note.auth,
            user: self.note.user,
            why: self.note.why.as_deref(),
            end: match &self.end {
                End::Broken if self.status.is_none() => Some("the client left before the answer"),
                End::Broken => Some("the answer was not taken whole"),
                End::Failed(why) => Some(why),
                End::Whole => None,
            },
        };
        let (peer, bytes) = (self.peer.address, self.bytes);
        let text = format_args!("{peer} {method} {path} {status} {bytes} B {took}{details}");
        log::within(self.id, || {
            if self.note.is_routine {
                tracing::debug!(target: log::REQUESTS, "{text}");
            } else {
                tracing::info!(target: log::REQUESTS, "{text}");
            }
        });
    }
}
