//! Successful answers.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::wire::{AccessLogFields, print_json};

/// A plain text. Clients compare some byte for byte.
pub(super) fn text(text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    let plain = HeaderValue::from_static("text/plain; charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// A plain text for a client that has sent the right password.
pub(super) fn authenticated_text(text: impl Into<Body>) -> Response {
    let mut response = self::text(text);
    response.extensions_mut().insert(AccessLogFields {
        auth: Some("basic"),
        ..AccessLogFields::default()
    });
    response
}

/// `null`: no node is free, the client asks again later.
pub(super) fn null() -> Response {
    print_json(StatusCode::OK, &())
}
