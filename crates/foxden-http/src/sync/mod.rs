//! The `sync` surface: users' objects, by the Sync storage protocol.
//!
//! - [`v1_5`]: the dialect of today's Firefox
//! - [`legacy`]: the dialect of old ones, 1.0 and 1.1
//! - [`body`]: reads request bodies
//! - [`reply`]: answers; [`accept`]: in which format
//! - [`listing`], [`summary`]: prints lists, and what a store holds
//! - [`value`]: reads what clients send as the value of a member
//! - [`gzip`]: compresses answers
//! - [`mod@print`], [`percent`]: the spelling of JSON and of URLs
//! - [`verifier`]: checks tokens, and remembers them for a while
//! - [`backoff`]: asks clients to stay away

mod accept;
mod backoff;
mod body;
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
use foxden_accounts::security::{Door, Event, What, Witness};
use foxden_accounts::token::TokenSecrets;
use foxden_model::{Clock, UserId};
use foxden_storage::Storage;
use tower::service_fn;

use crate::wire::{Memory, Note, Peer, Site, accepts_gzip};
pub use backoff::Backoff;
pub use legacy::LegacyState;
use reply::{Format, Reply};
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
    /// Room for bodies and answers, shared with all other surfaces.
    pub memory: Arc<Memory>,
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
    /// What the old dialects need; `None`: they are not spoken.
    pub legacy: Option<LegacyState>,
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
            memory: Arc::default(),
            max_skew_seconds: None,
            is_strict_about_nodes: false,
            compresses: false,
            witness: Witness::default(),
            legacy: None,
        }
    }
}

/// The routes of this surface: everything below `/1.5/` and `/storage/1.5/`, and where the old dialects are spoken,
/// below `/1.1/`, `/1/` and, with exceptions, `/1.0/`.
pub fn router(state: SyncState) -> Router {
    const ALWAYS: [&str; 4] = ["/1.5/", "/1.5/{*path}", "/storage/1.5/", "/storage/1.5/{*path}"];
    // Two further segments below `/1.0/` are the tokenserver's; whatever is spelled out goes before these.
    const LEGACY: [&str; 9] = [
        "/1.1/",
        "/1.1/{*path}",
        "/1/",
        "/1/{*path}",
        "/1.0/{name}",
        "/1.0/{name}/",
        "/1.0/{name}/storage",
        "/1.0/{name}/storage/",
        "/1.0/{name}/{place}/{*path}",
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
    /// Whether a path, as it is at the root, leads here. What has a router of its own may ask this.
    pub fn owns(&self, path: &str) -> bool {
        path.starts_with("/1.5/") || (self.legacy.is_some() && legacy::target::owns(path))
    }
}

/// Answers one request whose client, if it is known, is an extension of the request; what the access log is told of it
/// is one of the response.
pub async fn serve(sync: &SyncState, request: Request) -> Response<Body> {
    let peer = request.extensions().get::<Peer>().copied();
    let (mut response, fields) = serve_client(sync, request, peer).await;
    response.extensions_mut().insert(fields);
    response
}

/// Answers one request of that client: the response, and what the access log is told. Extensions cost several allocations,
/// so a caller with a router of its own asks here.
pub async fn serve_client(sync: &SyncState, request: Request, peer: Option<Peer>) -> (Response<Body>, Note) {
    let (parts, body) = request.into_parts();
    if parts.method == Method::OPTIONS {
        return (preflight(sync, &parts), Note::default());
    }
    let mut user = None;
    let (mut reply, auth) = match &sync.legacy {
        Some(legacy) if legacy::target::owns(parts.uri.path()) => {
            let reply = answer_legacy(sync, legacy, &parts, peer, body, &mut user).await;
            if reply.as_ref().is_err_and(legacy::Refusal::is_over_quota) {
                tell_quota(sync, peer, Door::Basic, user);
            }
            (reply.unwrap_or_else(legacy::Refusal::into_reply), "basic")
        }
        Some(_) | None => {
            let reply = answer(sync, &parts, peer, body, &mut user).await;
            if reply.as_ref().is_err_and(v1_5::Refusal::is_over_quota) {
                tell_quota(sync, peer, Door::Storage, user);
            }
            (reply.unwrap_or_else(v1_5::Refusal::into_reply), "hawk")
        }
    };
    let fields = Note {
        auth: Some(auth),
        user,
        why: reply.why.take().map(Cow::Owned),
        ..Note::default()
    };
    (respond(sync, reply, parts), fields)
}

/// The response to a request. The headers of the request give their memory to those of the response.
fn respond(sync: &SyncState, reply: Reply, parts: Parts) -> Response<Body> {
    let Parts { method, headers, .. } = parts;
    let is_compressed = sync.compresses && method == Method::GET;
    let accepts_gzip = is_compressed && accepts_gzip(&headers);
    let now = sync.clock.now();
    let backoff = sync.backoff.seconds(|| sync.clock.millis());
    let mut response = reply.into_response(headers, now, backoff);
    if let Some(alert) = &sync.alert {
        response.headers_mut().insert(ALERT, alert.clone());
    }
    if is_compressed {
        return gzip::compress(response, accepts_gzip);
    }
    if method == Method::HEAD {
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

/// The routing table of Sync 1.5: one line for each method and path. `user` takes the store that is meant. What is asked for
/// most stands here itself and the rest in boxes, so that a request is no larger than it must be.
async fn answer(
    sync: &SyncState,
    parts: &Parts,
    peer: Option<Peer>,
    body: Body,
    user: &mut Option<UserId>,
) -> Result<Reply, v1_5::Refusal> {
    use v1_5::{Place, Refusal};
    let target = v1_5::Target::parse(parts.uri.path())?;
    *user = Some(target.user);
    if let Some(seconds) = rest_of(sync) {
        return Err(Refusal::Down { seconds });
    }
    let call = v1_5::Call::open(sync, parts, peer, &target)?;
    match (method(parts), target.place.clone()) {
        ("GET", Place::InfoCollections { .. }) => v1_5::info::get_collections(&call).await,
        ("GET", Place::InfoCounts) => Box::pin(v1_5::info::get_counts(&call)).await,
        ("GET", Place::InfoUsage) => Box::pin(v1_5::info::get_usage(&call)).await,
        ("GET", Place::InfoQuota) => Box::pin(v1_5::info::get_quota(&call)).await,
        ("GET", Place::InfoConfiguration) => Box::pin(v1_5::info::get_configuration(&call)).await,
        ("GET", Place::Collection(name)) => Box::pin(v1_5::get_collection(&call, name)).await,
        ("POST", Place::Collection(name)) => Box::pin(v1_5::post_collection(&call, name, body)).await,
        ("DELETE", Place::Collection(name)) => Box::pin(v1_5::delete_collection(&call, name)).await,
        ("GET", Place::Object(name, id)) => v1_5::get_object(&call, name, id).await,
        ("PUT", Place::Object(name, id)) => Box::pin(v1_5::put_object(&call, name, id, body)).await,
        ("DELETE", Place::Object(name, id)) => Box::pin(v1_5::delete_object(&call, name, id)).await,
        ("DELETE", Place::Store) => Box::pin(v1_5::delete_store(&call)).await,
        _ => Err(Refusal::MethodNotAllowed),
    }
}

/// The routing table of Sync 1.0 and 1.1. `user` takes the store once it is known whose it is.
async fn answer_legacy(
    sync: &SyncState,
    state: &LegacyState,
    parts: &Parts,
    peer: Option<Peer>,
    body: Body,
    user: &mut Option<UserId>,
) -> Result<Reply, legacy::Refusal> {
    use legacy::{Place, Refusal};
    let target = legacy::Target::parse(parts.uri.path())?;
    if let Some(seconds) = rest_of(sync) {
        return Err(Refusal::Down { seconds });
    }
    // Browsers send a password that they were asked for along with whatever another page makes them send.
    if method(parts) != "GET" && sync.site.is_sent_by_page(&parts.headers) {
        return Err(Refusal::ForeignPage);
    }
    let call = legacy::Call::open(sync, state, parts, peer, &target.name).await?;
    *user = Some(call.user());
    match (method(parts), target.place) {
        ("GET", Place::InfoCollections) => legacy::info::get_collections(&call).await,
        ("GET", Place::InfoCounts) => Box::pin(legacy::info::get_counts(&call)).await,
        ("GET", Place::InfoUsage) => Box::pin(legacy::info::get_usage(&call)).await,
        ("GET", Place::InfoQuota) => Box::pin(legacy::info::get_quota(&call)).await,
        ("GET", Place::Collection(name)) => Box::pin(legacy::get_collection(&call, name)).await,
        ("POST" | "PUT", Place::Collection(name)) => {
            Box::pin(legacy::post_collection(&call, name, body)).await
        }
        ("DELETE", Place::Collection(name)) => Box::pin(legacy::delete_collection(&call, name)).await,
        ("GET", Place::Object(name, id)) => legacy::get_object(&call, name, id).await,
        ("PUT", Place::Object(name, id)) => Box::pin(legacy::put_object(&call, name, id, body)).await,
        ("DELETE", Place::Object(name, id)) => Box::pin(legacy::delete_object(&call, name, id)).await,
        ("DELETE", Place::Store { .. }) => Box::pin(legacy::delete_store(&call)).await,
        // A collection without a name.
        (_, Place::Store { is_open_ended: true }) => Err(Refusal::NotFound),
        _ => Err(Refusal::MethodNotAllowed),
    }
}

/// Whoever watches over the server hears whose quota is used up.
fn tell_quota(sync: &SyncState, peer: Option<Peer>, door: Door, user: Option<UserId>) {
    let from = peer.map(|peer| peer.address);
    let user = user.map(|user| user.to_string());
    let event = Event::new(What::LimitReached, door, from).about(user.as_deref().unwrap_or_default());
    sync.witness.tell(&event.because("storage.quota"));
}

/// The method that is meant: a `HEAD` is a `GET` of which the body is not sent.
fn method(parts: &Parts) -> &str {
    if parts.method == Method::HEAD {
        "GET"
    } else {
        parts.method.as_str()
    }
}

/// The seconds for which this node serves nobody.
fn rest_of(sync: &SyncState) -> Option<u32> {
    let is_down = sync.backoff.is_down();
    is_down
        .then(|| sync.backoff.seconds(|| sync.clock.millis()))
        .flatten()
}

/// Lets a page of whichever origin ask what it may do: it may read no answer, and neither the header of a signature nor
/// that of a name and password is let through. What a browser sends along by itself is refused where it would write.
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
