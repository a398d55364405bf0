//! Common parts of the responses of accounts and tokens: JSON, and the headers of every response.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use foxden_model::Clock;
use serde::Serialize;

use super::memory::{MemoryPermit, body_with_permit};
use super::{RouteLabels, Site, set_route};

/// Prints a value as JSON.
pub(crate) fn print_json(status: StatusCode, value: &impl Serialize) -> Response {
    print(status, value, None)
}

/// Prints a value as JSON. The body keeps the permit until the client has received it.
pub(crate) fn print_counted(value: &impl Serialize, permit: Option<MemoryPermit>) -> Response {
    print(StatusCode::OK, value, permit)
}

fn print(status: StatusCode, value: &impl Serialize, permit: Option<MemoryPermit>) -> Response {
    let body = serde_json::to_vec(value).expect("answers hold texts and numbers alone");
    let mut response = Response::new(body_with_permit(permit, body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// State of [`add_headers`].
#[derive(Clone)]
pub(crate) struct ResponseHeaders {
    /// Where the server is found.
    pub(crate) site: Arc<Site>,
    /// The clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// The name of the header with the time in whole seconds.
    pub(crate) time: HeaderName,
    /// The labels of the routes.
    pub(crate) routes: RouteLabels,
}

/// Adds the headers of every response, and its route for the access log.
pub(crate) async fn add_headers(
    State(headers_state): State<ResponseHeaders>,
    request: Request,
    next: Next,
) -> Response {
    let route = headers_state.routes.find(&request);
    let mut response = next.run(request).await;
    set_route(&mut response, route);
    let headers = response.headers_mut();
    headers.insert(
        headers_state.time,
        HeaderValue::from(headers_state.clock.seconds()),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let unstored = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(unstored);
    if headers_state.site.public_url.is_https() {
        let long = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, long);
    }
    response
}
