//! What the answers of accounts and tokens have in common: how they are printed, and the headers that
//! every one of them carries.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use foxden_model::Clock;
use serde::Serialize;

use super::memory::{Place, held};
use super::{RouteLabels, Site, set_route};

/// Prints a value as JSON, with a status.
pub(crate) fn print_json(status: StatusCode, value: &impl Serialize) -> Response {
    print(status, value, None)
}

/// Prints a value as JSON that takes this place of memory until the client has it.
pub(crate) fn print_counted(value: &impl Serialize, place: Option<Place>) -> Response {
    print(StatusCode::OK, value, place)
}

fn print(status: StatusCode, value: &impl Serialize, place: Option<Place>) -> Response {
    let body = serde_json::to_vec(value).expect("answers hold texts and numbers alone");
    let mut response = Response::new(held(place, body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// What the layer of [`mark`] needs.
#[derive(Clone)]
pub(crate) struct Marks {
    /// Where the server is found.
    pub(crate) site: Arc<Site>,
    /// What tells the time.
    pub(crate) clock: Arc<dyn Clock>,
    /// The header that tells the time, in whole seconds.
    pub(crate) time: HeaderName,
    /// Labels of the routes below.
    pub(crate) routes: RouteLabels,
}

/// Puts the headers on an answer that every one carries, and its route into the access log.
pub(crate) async fn mark(State(marks): State<Marks>, request: Request, next: Next) -> Response {
    let route = marks.routes.find(&request);
    let mut response = next.run(request).await;
    set_route(&mut response, route);
    let headers = response.headers_mut();
    headers.insert(marks.time, HeaderValue::from(marks.clock.seconds()));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let unstored = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(unstored);
    if marks.site.public_url.is_https() {
        let long = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, long);
    }
    response
}
