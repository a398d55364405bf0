//! Changes of the listener to every response of any surface.

use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use foxden_model::UserId;

use crate::wire::AccessLogFields;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Adds the id of the request, under which the log knows it. It is made of letters and digits.
pub fn set_request_id<B>(response: &mut Response<B>, id: &[u8]) {
    if let Ok(id) = HeaderValue::from_bytes(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

/// Says that the connection ends with this response.
pub fn close_connection<B>(response: &mut Response<B>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

/// Removes the length and type of a body from a response that never has one; routers give every response a length.
pub fn describe_no_body<B>(response: &mut Response<B>) {
    if matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(CONTENT_TYPE);
    }
}

/// The user whose data a successful response holds, if the request proved to come from that user.
pub fn proven_user<B>(response: &Response<B>, fields: &AccessLogFields) -> Option<UserId> {
    fields.user.filter(|_| response.status().is_success())
}

/// Splits a response from what it carries for the access log.
pub fn split_fields<B>(mut response: Response<B>) -> (Response<B>, AccessLogFields) {
    let fields = response.extensions_mut().remove().unwrap_or_default();
    (response, fields)
}
