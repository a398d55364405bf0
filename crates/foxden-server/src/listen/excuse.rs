//! The answer in place of a handler that panicked, in the words of the protocol that was spoken.

use std::any::Any;

use axum::body::Body;
use foxden_model::{Clock as _, SystemClock};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode, Uri};

use crate::log::{self, RequestId};

/// Names of the path among which the protocol's is: a public address may have a path of its own before it.
const DEPTH: usize = 4;

/// Writes down why the handler panicked, and excuses it.
pub fn excuse(id: RequestId, uri: &Uri, panic: &(dyn Any + Send)) -> Response<Body> {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    log::within(id, || {
        tracing::error!("a handler panicked: {}", text.unwrap_or("for no reason given"));
    });
    let (kind, body) = words(id, uri.path());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Storage tells the time on every answer; elsewhere it does no harm.
    if let Ok(now) = HeaderValue::try_from(SystemClock.now().to_string()) {
        headers.insert(HeaderName::from_static("x-weave-timestamp"), now);
    }
    response
}

/// The type of the answer and its body, which says no more than where to look in the log.
fn words(id: RequestId, path: &str) -> (&'static str, String) {
    const JSON: &str = "application/json";
    for name in path.split('/').skip(1).take(DEPTH) {
        match name {
            "1.5" | "user" | "token" => return (JSON, "0".to_owned()),
            "1.0" | "1" | "1.1" => return (JSON, format!("\"application error: crash id {id}\"")),
            "v1" => {
                let body = r#"{"code":500,"errno":999,"error":"Internal Server Error","message":"Unspecified error"}"#;
                return (JSON, body.to_owned());
            }
            _ => {}
        }
    }
    let text = format!("The server made a mistake. Its log says more, under {id}.\n");
    ("text/plain; charset=utf-8", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients of Sync 1.1 are given a text to log, all others the number or the words they read.
    #[test]
    fn a_mistake_is_told_in_the_words_of_the_protocol() {
        for (path, expected) in [
            ("/1.5/42/storage/tabs", "0"),
            ("/sync/1.5/42/storage/tabs", "0"),
            (
                "/1.1/ann/storage/tabs",
                "\"application error: crash id 00000000002a\"",
            ),
            (
                "/1.0/ann/info/quota",
                "\"application error: crash id 00000000002a\"",
            ),
            ("/user/1.0/ann", "0"),
            (
                "/signin",
                "The server made a mistake. Its log says more, under 00000000002a.\n",
            ),
        ] {
            assert_eq!(words(RequestId::from(42), path).1, expected, "{path}");
        }
        let (kind, body) = words(RequestId::from(42), "/v1/account/login");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((kind, body["errno"].as_i64()), ("application/json", Some(999)));
    }
}
