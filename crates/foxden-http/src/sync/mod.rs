//! The `sync` surface: users' objects, by the Sync storage protocol.
//!
//! - [`v1_5`]: the dialect of today's Firefox
//! - [`body`]: reads request bodies; [`bodies`]: how much of them is held at once
//! - [`reply`]: answers; [`accept`]: in which format
//! - [`listing`], [`summary`]: prints lists, and what a store holds
//! - [`gzip`]: compresses answers
//! - [`mod@print`], [`percent`]: the spelling of JSON and of URLs
//! - [`verifier`]: checks tokens, and remembers them for a while
//! - [`backoff`]: asks clients to stay away

mod accept;
mod backoff;
mod bodies;
mod body;
mod gzip;
mod listing;
mod percent;
mod print;
mod reply;
mod summary;
mod v1_5;
mod verifier;

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, Response};
use foxden_accounts::security::Witness;
use foxden_accounts::token::TokenSecrets;
use foxden_model::Clock;
use foxden_storage::Storage;
use tower::service_fn;

use crate::wire::{Note, Site};
pub use backoff::Backoff;
pub use bodies::Bodies;
use reply::{Format, Reply};
use v1_5::refusal::Refusal;
use v1_5::target::{Place, Target};
pub use verifier::Verifier;

/// Seconds for which a browser may keep the answer to a preflight.
const PREFLIGHT_SECONDS: u32 = 1_728_000;
const ALERT: HeaderName = HeaderName::from_static("x-weave-alert");

/// What this surface needs.
#[derive(Clone)]
pub struct SyncState {
    /// Where objects are kept.
    pub storage: Storage,
    /// What checks the tokens of this node.
    pub verifier: Arc<Verifier>,
    /// Where clients find this node.
    pub site: Arc<Site>,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
    /// Whether clients are asked to stay away.
    pub backoff: Arc<Backoff>,
    /// Room for request bodies, shared with whoever else serves this surface.
    pub bodies: Arc<Bodies>,
    /// A text for every client's log, on every answer.
    pub alert: Option<HeaderValue>,
    /// How far a client's clock may be off; `None`: any distance, as clients correct theirs only roughly.
    pub max_skew_seconds: Option<u32>,
    /// Whether a token must have been made for this very node.
    pub is_strict_about_nodes: bool,
    /// Whether long answers are compressed for clients that take it. Payloads are encrypted and shrink by
    /// a quarter only, at several times the work of the answer itself.
    pub compresses: bool,
    /// Who hears of tokens that are refused.
    pub witness: Witness,
}

impl SyncState {
    /// The usual rules: any clock, any node that shares the secret, nobody sent away.
    pub fn new(storage: Storage, secrets: Arc<TokenSecrets>, site: Arc<Site>, clock: Arc<dyn Clock>) -> Self {
        Self {
            storage,
            verifier: Arc::new(Verifier::new(secrets)),
            site,
            clock,
            backoff: Arc::default(),
            alert: None,
            bodies: Arc::default(),
            max_skew_seconds: None,
            is_strict_about_nodes: false,
            compresses: false,
            witness: Witness::default(),
        }
    }
}

/// The routes of this surface: everything below `/1.5/` and `/storage/1.5/`.
pub fn router(state: SyncState) -> Router {
    let state = Arc::new(state);
    let service = service_fn(move |request: Request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(serve(&state, request).await) }
    });
    let prefixes = ["/1.5/", "/1.5/{*path}", "/storage/1.5/", "/storage/1.5/{*path}"];
    let add = |router: Router, path| router.route_service(path, service.clone());
    prefixes.into_iter().fold(Router::new(), add)
}

/// Answers one request. What has a router of its own may call this directly.
pub async fn serve(sync: &SyncState, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if parts.method == Method::OPTIONS {
        return preflight(sync, &parts);
    }
    let target = Target::parse(parts.uri.path());
    let user = target.as_ref().ok().map(|target| target.user);
    let reply = match target {
        Ok(target) => answer(sync, &parts, &target, body).await,
        Err(refusal) => Err(refusal),
    };
    let mut reply = reply.unwrap_or_else(Refusal::into_reply);
    let note = Note {
        auth: Some("hawk"),
        user,
        why: reply.why.take().map(Cow::Owned),
        ..Note::default()
    };
    let backoff = sync.backoff.seconds(sync.clock.millis());
    let mut response = reply.into_response(sync.clock.now(), backoff);
    response.extensions_mut().insert(note);
    if let Some(alert) = &sync.alert {
        response.headers_mut().insert(ALERT, alert.clone());
    }
    if sync.compresses && parts.method == Method::GET {
        return gzip::compress(response, &parts.headers);
    }
    if parts.method == Method::HEAD {
        let length = response.body().size_hint().exact();
        *response.body_mut() = Body::empty();
        if let Some(length) = length {
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length.into());
        }
    }
    response
}

/// The routing table: one line for each method and path.
async fn answer(sync: &SyncState, parts: &Parts, target: &Target, body: Body) -> Result<Reply, Refusal> {
    if let Some(seconds) = sync
        .backoff
        .seconds(sync.clock.millis())
        .filter(|_| sync.backoff.is_down())
    {
        return Err(Refusal::Down { seconds });
    }
    let call = v1_5::Call::open(sync, parts, target)?;
    let method = if parts.method == Method::HEAD {
        &Method::GET
    } else {
        &parts.method
    };
    match (method.as_str(), target.place.clone()) {
        ("GET", Place::InfoCollections { .. }) => v1_5::info::get_collections(&call).await,
        ("GET", Place::InfoCounts) => v1_5::info::get_counts(&call).await,
        ("GET", Place::InfoUsage) => v1_5::info::get_usage(&call).await,
        ("GET", Place::InfoQuota) => v1_5::info::get_quota(&call).await,
        ("GET", Place::InfoConfiguration) => v1_5::info::get_configuration(&call).await,
        ("GET", Place::Collection(name)) => v1_5::get_collection(&call, name).await,
        ("POST", Place::Collection(name)) => v1_5::post_collection(&call, name, body).await,
        ("DELETE", Place::Collection(name)) => v1_5::delete_collection(&call, name).await,
        ("GET", Place::Object(name, id)) => v1_5::get_object(&call, name, id).await,
        ("PUT", Place::Object(name, id)) => v1_5::put_object(&call, name, id, body).await,
        ("DELETE", Place::Object(name, id)) => v1_5::delete_object(&call, name, id).await,
        ("DELETE", Place::Store) => v1_5::delete_store(&call).await,
        _ => Err(Refusal::MethodNotAllowed),
    }
}

/// Lets a page of whichever origin ask; credentials are signatures, which no page gets by itself.
fn preflight(sync: &SyncState, parts: &Parts) -> Response<Body> {
    let mut response = Reply::new(Format::Json, Vec::new()).into_response(sync.clock.now(), None);
    let headers = response.headers_mut();
    if let Some(origin) = parts.headers.get(header::ORIGIN) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    let methods = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS.into());
    response
}

#[cfg(test)]
mod tests;
