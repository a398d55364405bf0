//! The routes by which `foxden check` recognises this very server from outside, and sees what happens to its
//! requests on the way.
//!
//! They need a random word that the control socket has issued at most a minute ago; all other requests are answered
//! 404.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use data_encoding::HEXLOWER;
use foxden_model::Rng;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

use crate::wire::{Peer, RemoteEvidence};

/// The path, before the word.
const PATH: &str = "/.well-known/foxden-check/";

/// The path after the word when something other than this server listens, which passes requests on to it.
const PASSED_ON: &str = "passed-on";

/// The path that is answered with the word.
pub fn word_path(word: &str) -> String {
    format!("{PATH}{word}")
}

/// The path that is answered with the word, for a check of something else that listens and may pass requests on.
pub fn passed_on_path(word: &str) -> String {
    format!("{PATH}{word}/{PASSED_ON}")
}

/// A path and query that is answered with the request as the server received it, a [`Seen`].
pub fn request_path(word: &str, rest: &str) -> String {
    format!("{PATH}{word}/{rest}")
}

/// How long a word is valid.
const LIFE: Duration = Duration::from_secs(60);

/// A request as the server received it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Its path and query, as [`request_path`] returns it unless a proxy has changed it.
    pub target: String,
    /// Its `Host`.
    pub host: Option<String>,
    /// Its `X-Forwarded-For`, several of them with commas between.
    pub forwarded_for: Option<String>,
    /// The client as the server identifies it.
    pub client: Option<IpAddr>,
    /// The length of its body.
    pub bytes: u64,
}

impl Seen {
    /// Parses an answer; `None` if something else than this server has answered.
    pub fn parse(answer: &str) -> Option<Self> {
        serde_json::from_str(answer).ok()
    }
}

/// A word that the control socket has issued, and that `foxden check` expects at the public address.
#[derive(Debug, Default)]
pub struct Probe(Mutex<Option<(String, Instant)>>);

impl Probe {
    /// Creates a word, valid for a minute.
    pub fn announce(&self, rng: &dyn Rng) -> String {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes);
        let word = HEXLOWER.encode(&bytes);
        let until = Instant::now() + LIFE;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((word.clone(), until));
        word
    }

    /// Returns whether this is the word.
    pub fn knows(&self, word: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .is_some_and(|(known, until)| known == word && Instant::now() < *until)
    }
}

/// State of the routes.
#[derive(Clone)]
pub struct ProbeState {
    /// The current word.
    pub probe: Arc<Probe>,
    /// Called when a request was passed on by something else.
    pub on_evidence: Arc<dyn Fn(&RemoteEvidence) + Send + Sync>,
    /// Maximum number of bytes of a body that are counted.
    pub max_request_bytes: u64,
}

/// The routes: the word itself, and below it the request as it was received.
pub fn router(state: ProbeState) -> Router {
    let pages = any(answer).with_state(state);
    Router::new().route(&format!("{PATH}{{*word}}"), pages)
}

async fn answer(State(state): State<ProbeState>, request: Request) -> Response {
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    let below = target.find(PATH).map_or("", |at| &target[at + PATH.len()..]);
    let word = below.split(['/', '?']).next().unwrap_or_default();
    if !state.probe.knows(word) {
        return StatusCode::NOT_FOUND.into_response();
    }
    if below == word {
        return word.to_owned().into_response();
    }
    if below.strip_prefix(word).and_then(|rest| rest.strip_prefix('/')) == Some(PASSED_ON) {
        (state.on_evidence)(&RemoteEvidence::Check);
        return word.to_owned().into_response();
    }
    let headers = request.headers();
    let mut seen = Seen {
        target: format!("{PATH}{below}"),
        host: text_of(headers, HOST.as_str()),
        forwarded_for: text_of(headers, "x-forwarded-for"),
        client: request.extensions().get::<Peer>().map(|peer| peer.address),
        bytes: 0,
    };
    let Some(bytes) = count(request.into_body(), state.max_request_bytes).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    seen.bytes = bytes;
    match serde_json::to_string(&seen) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Returns all values of a header.
fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(name).iter();
    let values: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Reads and discards a body and returns its length; `None` if it is too long or ends early.
async fn count(mut body: Body, most: u64) -> Option<u64> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.ok()?.data_ref().map_or(0, Bytes::len) as u64;
        if bytes > most {
            return None;
        }
    }
    Some(bytes)
}
