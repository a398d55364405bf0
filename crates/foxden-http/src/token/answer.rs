//! How the tokenserver prints its answers, and what every one of them carries.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use foxden_accounts::Assignment;
use foxden_accounts::token::Token;
use foxden_model::Clock;
use serde::Serialize;

use crate::wire::Site;

/// The pass to a store.
#[derive(Serialize)]
pub(super) struct TokenAnswer {
    id: String,
    key: String,
    uid: u64,
    api_endpoint: String,
    duration: u32,
    hashalg: &'static str,
    hashed_fxa_uid: String,
    node_type: Option<&'static str>,
}

impl TokenAnswer {
    pub(super) fn new(
        assignment: Assignment,
        token: &Token,
        duration: u32,
        node_type: Option<&'static str>,
    ) -> Self {
        Self {
            id: token.id.clone(),
            key: token.key.as_str().to_owned(),
            uid: assignment.user.0,
            api_endpoint: assignment.api_endpoint,
            duration,
            hashalg: "sha256",
            hashed_fxa_uid: assignment.hashed_fxa_uid,
            node_type,
        }
    }
}

impl IntoResponse for TokenAnswer {
    fn into_response(self) -> Response {
        print(StatusCode::OK, &self)
    }
}

/// Prints a value with a status.
pub(super) fn print(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("answers hold texts and numbers alone");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// What the layer of [`mark`] needs.
#[derive(Clone)]
pub(super) struct Marks {
    pub(super) site: Arc<Site>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Puts the headers on an answer that every one carries.
pub(super) async fn mark(State(marks): State<Marks>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let now = HeaderValue::from(marks.clock.seconds());
    headers.insert(HeaderName::from_static("x-timestamp"), now);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if marks.site.public_url.is_https() {
        let long = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, long);
    }
    response
}
