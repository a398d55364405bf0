//! The `sync` surface: the Sync storage protocol.
//!
//! - [`v1_5`]: Sync 1.5
//! - [`legacy`]: Sync 1.0 and 1.1
//! - [`body`]: reads request bodies
//! - [`reply`]: builds responses; [`accept`]: parses `Accept`
//! - [`listing`], [`summary`]: print lists of objects, and the content of a store
//! - [`value`]: parses values of members
//! - [`gzip`]: compresses responses
//! - [`mod@print`]: prints JSON; [`percent`]: parses query strings
//! - [`verifier`]: verifies tokens and caches them
//! - [`backoff`]: tells clients to back off
//! - [`client`]: requests that a server sends to a node

mod accept;
mod backoff;
mod body;
pub mod client;
mod gzip;
mod legacy;
mod listing;
mod percent;
mod print;
mod reply;
mod summary;
mod v1_5;
mod value;
mod verifier;

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, Response, StatusCode};
use foxden_accounts::security::{EntryPoint, Event, EventKind, SecurityEvents};
use foxden_accounts::token::TokenSecrets;
use foxden_model::{Clock, UserId};
use foxden_storage::Storage;
use tower::service_fn;

use crate::wire::{AccessLogFields, Memory, Peer, Site, accepts_gzip};
pub use backoff::Backoff;
pub use legacy::LegacyState;
use reply::{Format, Reply};
pub use verifier::Verifier;

/// Seconds for which a browser may cache the answer to a preflight.
const PREFLIGHT_SECONDS: u32 = 1_728_000;
const ALERT: HeaderName = HeaderName::from_static("x-weave-alert");

/// The templates of all routes of this surface.
pub(crate) fn route_labels() -> Vec<&'static str> {
    [&v1_5::TEMPLATES[..], &legacy::TEMPLATES].concat()
}

/// State of this surface.
#[derive(Clone)]
pub struct SyncState {
    /// The storage.
    pub storage: Storage,
    /// Verifies the tokens of this node.
    pub verifier: Arc<Verifier>,
    /// The address of this node.
    pub site: Arc<Site>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Whether clients are told to back off.
    pub backoff: Arc<Backoff>,
    /// The memory budgets of bodies and responses, shared with all other surfaces.
    pub memory: Arc<Memory>,
    /// The value of `X-Weave-Alert` in every response; clients log it.
    pub alert: Option<HeaderValue>,
    /// How many seconds a client's clock may differ; `None` means any number, as clients correct their clocks only
    /// roughly.
    pub max_skew_seconds: Option<u32>,
    /// Whether clients are told to back off where their tokens say so: for a node that does not know better.
    pub heeds_token_backoff: bool,
    /// Whether a token must have been issued for this very node.
    pub verifies_token_node: bool,
    /// Whether long responses are compressed for clients that accept it. Payloads are encrypted and shrink by a
    /// quarter only, at several times the work of the response itself.
    pub compresses: bool,
    /// Receives events about refused tokens.
    pub security_events: SecurityEvents,
    /// State of the old dialects; `None` if they are not served.
    pub legacy: Option<LegacyState>,
}

impl SyncState {
    /// Defaults: any clock difference, any node with the same secret, no backoff.
    pub fn new(storage: Storage, secrets: Arc<TokenSecrets>, site: Arc<Site>, clock: Arc<dyn Clock>) -> Self {
        Self {
            storage,
            verifier: Arc::new(Verifier::new(secrets)),
            site,
            clock,
            backoff: Arc::default(),
            alert: None,
            memory: Arc::default(),
            max_skew_seconds: None,
            heeds_token_backoff: false,
            verifies_token_node: false,
            compresses: false,
            security_events: SecurityEvents::default(),
            legacy: None,
        }
    }
}

/// The routes of this surface: everything below `/1.5/` and `/storage/1.5/`, and where the old dialects are served,
/// below `/1.1/`, `/1/` and, with exceptions, `/1.0/`.
pub fn router(state: SyncState) -> Router {
    const ALWAYS: [&str; 4] = ["/1.5/", "/1.5/{*path}", "/storage/1.5/", "/storage/1.5/{*path}"];
    // Paths of two segments below `/1.0/` belong to the tokenserver; literal segments take precedence over
    // parameters.
    const LEGACY: [&str; 9] = [
        "/1.1/",
        "/1.1/{*path}",
        "/1/",
        "/1/{*path}",
        "/1.0/{name}",
        "/1.0/{name}/",
        "/1.0/{name}/storage",
        "/1.0/{name}/storage/",
        "/1.0/{name}/{resource}/{*path}",
    ];
    let legacy: &[&str] = if state.legacy.is_some() { &LEGACY } else { &[] };
    let state = Arc::new(state);
    let service = service_fn(move |request: Request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(serve(&state, request).await) }
    });
    let add = |router: Router, path: &&str| router.route_service(path, service.clone());
    ALWAYS.iter().chain(legacy).fold(Router::new(), add)
}

impl SyncState {
    /// Returns whether a path at the root belongs to this surface, for callers with a router of their own.
    pub fn owns(&self, path: &str) -> bool {
        path.starts_with("/1.5/") || (self.legacy.is_some() && legacy::target::owns(path))
    }
}

/// Answers one request. The client, if it is known, is an extension of the request, and the fields of the access log are one
/// of the response.
pub async fn serve(sync: &SyncState, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().copied();
    let (mut response, fields) = serve_client(sync, &mut parts, body, peer).await;
    response.extensions_mut().insert(fields);
    response
}

/// Answers one request of this client with the response and the fields of the access log. Extensions cost several
/// allocations, so callers with a router of their own call this directly. The headers of the request are taken.
pub async fn serve_client(
    sync: &SyncState,
    parts: &mut Parts,
    body: Body,
    peer: Option<Peer>,
) -> (Response<Body>, AccessLogFields) {
    if parts.method == Method::OPTIONS {
        return (preflight(sync, parts), AccessLogFields::default());
    }
    let mut fields = AccessLogFields::default();
    let (mut reply, auth) = match &sync.legacy {
        Some(legacy) if legacy::target::owns(parts.uri.path()) => {
            let reply = answer_legacy(sync, legacy, parts, peer, body, &mut fields).await;
            if reply.as_ref().is_err_and(legacy::Refusal::is_over_quota) {
                report_quota(sync, peer, EntryPoint::Basic, fields.user);
            }
            (reply.unwrap_or_else(legacy::Refusal::into_reply), "basic")
        }
        Some(_) | None => {
            let reply = answer(sync, parts, peer, body, &mut fields).await;
            if reply.as_ref().is_err_and(v1_5::Refusal::is_over_quota) {
                report_quota(sync, peer, EntryPoint::Storage, fields.user);
            }
            (reply.unwrap_or_else(v1_5::Refusal::into_reply), "hawk")
        }
    };
    fields.auth = Some(auth);
    fields.why = reply.why.take().map(Cow::Owned);
    (respond(sync, reply, parts), fields)
}

/// Builds the response. The header map of the request is reused for it.
fn respond(sync: &SyncState, reply: Reply, parts: &mut Parts) -> Response<Body> {
    let headers = std::mem::take(&mut parts.headers);
    let is_compressed = sync.compresses && parts.method == Method::GET;
    let accepts_gzip = is_compressed && accepts_gzip(&headers);
    let now = sync.clock.now();
    let asked = if sync.heeds_token_backoff {
        reply.token_backoff
    } else {
        0
    };
    let backoff = sync.backoff.seconds(asked, || sync.clock.millis());
    let mut response = reply.into_response(headers, now, backoff);
    if let Some(alert) = &sync.alert {
        response.headers_mut().insert(ALERT, alert.clone());
    }
    if is_compressed {
        return gzip::compress(response, accepts_gzip);
    }
    if parts.method == Method::HEAD {
        let length = response.body().size_hint().exact();
        *response.body_mut() = Body::empty();
        if let Some(length) = length.filter(|_| response.status() != StatusCode::NOT_MODIFIED) {
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length.into());
        }
    }
    response
}

/// The routing table of Sync 1.5: one line for each method and path. `fields` receives the store and the route. The futures
/// of rare requests are boxed, so that they do not enlarge those of frequent ones.
async fn answer(
    sync: &SyncState,
    parts: &Parts,
    peer: Option<Peer>,
    body: Body,
    fields: &mut AccessLogFields,
) -> Result<Reply, v1_5::Refusal> {
    use v1_5::{Refusal, Resource};
    let target = v1_5::Target::parse(parts.uri.path())?;
    fields.user = Some(target.user);
    fields.route = Some(target.resource.template());
    if let Some(seconds) = maintenance_seconds(sync) {
        return Err(Refusal::Down { seconds });
    }
    let call = v1_5::Call::open(sync, parts, peer, &target)?;
    let mut reply = match (method(parts), target.resource) {
        ("GET", Resource::InfoCollections { .. }) => v1_5::info::get_collections(&call).await,
        ("GET", Resource::InfoCounts) => Box::pin(v1_5::info::get_counts(&call)).await,
        ("GET", Resource::InfoUsage) => Box::pin(v1_5::info::get_usage(&call)).await,
        ("GET", Resource::InfoQuota) => Box::pin(v1_5::info::get_quota(&call)).await,
        ("GET", Resource::InfoConfiguration) => Box::pin(v1_5::info::get_configuration(&call)).await,
        ("GET", Resource::Collection(name)) => Box::pin(v1_5::get_collection(&call, name)).await,
        ("POST", Resource::Collection(name)) => Box::pin(v1_5::post_collection(&call, name, body)).await,
        ("DELETE", Resource::Collection(name)) => Box::pin(v1_5::delete_collection(&call, name)).await,
        ("GET", Resource::Object(name, id)) => v1_5::get_object(&call, name, id).await,
        ("PUT", Resource::Object(name, id)) => Box::pin(v1_5::put_object(&call, name, id, body)).await,
        ("DELETE", Resource::Object(name, id)) => Box::pin(v1_5::delete_object(&call, name, id)).await,
        ("DELETE", Resource::Store) => Box::pin(v1_5::delete_store(&call)).await,
        _ => Err(Refusal::MethodNotAllowed),
    }?;
    reply.token_backoff = call.token_backoff();
    Ok(reply)
}

/// The routing table of Sync 1.0 and 1.1. `fields` receives the route, and the store once it is known.
async fn answer_legacy(
    sync: &SyncState,
    state: &LegacyState,
    parts: &Parts,
    peer: Option<Peer>,
    body: Body,
    fields: &mut AccessLogFields,
) -> Result<Reply, legacy::Refusal> {
    use legacy::{Refusal, Resource};
    let target = legacy::Target::parse(parts.uri.path())?;
    fields.route = Some(target.resource.template());
    if let Some(seconds) = maintenance_seconds(sync) {
        return Err(Refusal::Down { seconds });
    }
    // Browsers send a password from a prompt along with every request, also with those that a foreign page
    // triggers.
    if method(parts) != "GET" && sync.site.is_sent_by_page(&parts.headers) {
        return Err(Refusal::ForeignPage);
    }
    let call = legacy::Call::open(sync, state, parts, peer, &target.name).await?;
    fields.user = Some(call.user());
    match (method(parts), target.resource) {
        ("GET", Resource::InfoCollections) => legacy::info::get_collections(&call).await,
        ("GET", Resource::InfoCounts) => Box::pin(legacy::info::get_counts(&call)).await,
        ("GET", Resource::InfoUsage) => Box::pin(legacy::info::get_usage(&call)).await,
        ("GET", Resource::InfoQuota) => Box::pin(legacy::info::get_quota(&call)).await,
        ("GET", Resource::Collection(name)) => Box::pin(legacy::get_collection(&call, name)).await,
        ("POST" | "PUT", Resource::Collection(name)) => {
            Box::pin(legacy::post_collection(&call, name, body)).await
        }
        ("DELETE", Resource::Collection(name)) => Box::pin(legacy::delete_collection(&call, name)).await,
        ("GET", Resource::Object(name, id)) => legacy::get_object(&call, name, id).await,
        ("PUT", Resource::Object(name, id)) => Box::pin(legacy::put_object(&call, name, id, body)).await,
        ("DELETE", Resource::Object(name, id)) => Box::pin(legacy::delete_object(&call, name, id)).await,
        ("DELETE", Resource::Store { .. }) => Box::pin(legacy::delete_store(&call)).await,
        // A collection without a name.
        (_, Resource::Store { is_open_ended: true }) => Err(Refusal::NotFound),
        _ => Err(Refusal::MethodNotAllowed),
    }
}

/// Emits a security event: the quota is used up.
fn report_quota(sync: &SyncState, peer: Option<Peer>, entry_point: EntryPoint, user: Option<UserId>) {
    let from = peer.map(|peer| peer.address);
    let user = user.map(|user| user.to_string());
    let event = Event::new(EventKind::LimitReached, entry_point, from)
        .with_subject(user.as_deref().unwrap_or_default());
    sync.security_events.emit(&event.with_reason("storage.quota"));
}

/// Returns the method. A `HEAD` is a `GET` whose body is not sent.
fn method(parts: &Parts) -> &str {
    if parts.method == Method::HEAD {
        "GET"
    } else {
        parts.method.as_str()
    }
}

/// Returns for how many seconds this node is in maintenance.
fn maintenance_seconds(sync: &SyncState) -> Option<u32> {
    let is_down = sync.backoff.is_down();
    is_down
        .then(|| sync.backoff.seconds(0, || sync.clock.millis()))
        .flatten()
}

/// Answers a preflight of any origin. Pages may read no response, and may send neither a signature nor credentials.
/// Requests with credentials that the browser adds are refused where they would write.
fn preflight(sync: &SyncState, parts: &Parts) -> Response<Body> {
    let mut response =
        Reply::new(Format::Json, Vec::new()).into_response(HeaderMap::new(), sync.clock.now(), None);
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
