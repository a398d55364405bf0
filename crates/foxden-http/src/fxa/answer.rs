//! How answers are printed, and what every one of them carries.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use foxden_model::Clock;
use serde::Serialize;

use crate::wire::Site;

/// An answer in JSON.
pub(super) struct Json<T>(pub(super) T);

/// The empty success: clients read every body as JSON, so there is one.
#[derive(Serialize)]
pub(super) struct Done {}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        print(StatusCode::OK, &self.0)
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        Json(self).into_response()
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
    let seconds = HeaderValue::from(marks.clock.seconds());
    headers.insert(HeaderName::from_static("timestamp"), seconds);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let unstored = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(unstored);
    if marks.site.public_url.is_https() {
        let long = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, long);
    }
    response
}
