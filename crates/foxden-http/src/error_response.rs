//! Responses without a surface, in the format of the protocol: the handler panicked, or no surface was asked.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Response, StatusCode, Uri};
use foxden_model::{Clock as _, SystemClock};

use crate::wire::AccessLogFields;

/// How many segments may precede the protocol's name: a public address may have a path of its own.
const MAX_PREFIX_SEGMENTS: usize = 4;

/// Seconds after which a client may try again when no connection was free.
const RETRY_SECONDS: &str = "10";

/// Why no surface answers.
#[derive(Clone, Copy, Debug)]
enum Cause<'a> {
    /// The handler panicked. The log has the details under this request id.
    Panic(&'a str),
    /// The request is malformed or ambiguous.
    Malformed(&'static str),
    /// No connection is free.
    NoConnection,
}

/// The response after a handler has panicked.
pub fn panic_response(uri: &Uri, request_id: &str) -> Response<Body> {
    answer(StatusCode::INTERNAL_SERVER_ERROR, uri, Cause::Panic(request_id))
}

/// The response to a malformed request.
pub fn bad_request_response(uri: &Uri, problem: &'static str) -> Response<Body> {
    let mut response = answer(StatusCode::BAD_REQUEST, uri, Cause::Malformed(problem));
    response
        .extensions_mut()
        .insert(AccessLogFields::refused(problem));
    response
}

/// The response when all connections are in use. It closes this one.
pub fn no_connection_response(uri: &Uri) -> Response<Body> {
    let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, uri, Cause::NoConnection);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let why = AccessLogFields::refused("all connections are taken");
    response.extensions_mut().insert(why);
    response
}

fn answer(status: StatusCode, uri: &Uri, cause: Cause<'_>) -> Response<Body> {
    let (kind, body) = type_and_body(cause, uri.path());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Storage responses always have the time; it does no harm elsewhere.
    if let Ok(now) = HeaderValue::try_from(SystemClock.now().to_string()) {
        headers.insert(HeaderName::from_static("x-weave-timestamp"), now);
    }
    response
}

/// Returns content type and body. After a panic the body only refers to the log.
fn type_and_body(cause: Cause<'_>, path: &str) -> (&'static str, String) {
    const JSON: &str = "application/json";
    let mut names = path.split('/').skip(1);
    for _ in 0..MAX_PREFIX_SEGMENTS {
        match names.next() {
            Some("1.5" | "user" | "token") => return (JSON, "0".to_owned()),
            Some("1.0") if names.clone().next() == Some("sync") && names.clone().count() == 2 => {
                return (JSON, cause.as_tokenserver());
            }
            Some("1.0" | "1" | "1.1") => return (JSON, format!("\"{}\"", cause.as_legacy())),
            Some("v1") => return (JSON, cause.as_accounts()),
            _ => {}
        }
    }
    ("text/plain; charset=utf-8", cause.as_text())
}

impl Cause<'_> {
    /// For the logs of Sync 1.1 clients.
    fn as_legacy(self) -> String {
        match self {
            Self::Panic(id) => format!("application error: crash id {id}"),
            Self::Malformed(problem) => format!("bad request: {problem}"),
            Self::NoConnection => "all connections are taken".to_owned(),
        }
    }

    fn as_tokenserver(self) -> String {
        let (status, location, description) = match self {
            Self::Panic(_) => ("internal-error", "internal", "Server error"),
            Self::Malformed(problem) => ("error", "header", problem),
            Self::NoConnection => ("error", "internal", "Resource is not available"),
        };
        format!(
            r#"{{"status":"{status}","errors":[{{"location":"{location}","name":"","description":"{description}"}}]}}"#
        )
    }

    fn as_accounts(self) -> String {
        let (code, errno, error, message) = match self {
            Self::Panic(_) => (500, 999, "Internal Server Error", "Unspecified error"),
            Self::Malformed(problem) => (400, 107, "Bad Request", problem),
            Self::NoConnection => (503, 201, "Service Unavailable", "All connections are taken"),
        };
        format!(r#"{{"code":{code},"errno":{errno},"error":"{error}","message":"{message}"}}"#)
    }

    /// For people and tools.
    fn as_text(self) -> String {
        match self {
            Self::Panic(id) => format!("The server made a mistake. Its log says more, under {id}.\n"),
            Self::Malformed(problem) => format!("This request has {problem}.\n"),
            Self::NoConnection => "All connections are taken. Try again in a moment.\n".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "/1.0/sync/1.5";

    /// Sync 1.1 clients receive a text for their log, all others their protocol's error.
    #[test]
    fn a_mistake_is_told_in_the_words_of_the_protocol() {
        let panic = Cause::Panic("00000000002a");
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
            assert_eq!(type_and_body(panic, path).1, expected, "{path}");
        }
        for (path, member, expected) in [
            ("/v1/account/login", "errno", "999"),
            (TOKEN, "status", "\"internal-error\""),
        ] {
            let (kind, body) = type_and_body(panic, path);
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(
                (kind, body[member].to_string().as_str()),
                ("application/json", expected)
            );
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_protocol() {
        let uri = |path: &str| path.parse::<Uri>().unwrap();
        for path in [
            "/1.5/42/storage/tabs",
            "/1.1/ann/storage/tabs",
            TOKEN,
            "/v1/account/login",
            "/user/1.0/ann",
        ] {
            for (response, status) in [
                (bad_request_response(&uri(path), "no Host"), 400),
                (no_connection_response(&uri(path)), 503),
            ] {
                assert_eq!(response.status(), status);
                assert_eq!(response.headers()[CONTENT_TYPE], "application/json", "{path}");
                assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
            }
        }
        for cause in [Cause::Malformed("no Host"), Cause::NoConnection] {
            for path in [
                "/1.5/1/info/quota",
                "/1.1/ann/info/quota",
                TOKEN,
                "/v1/account/login",
            ] {
                let (_, body) = type_and_body(cause, path);
                assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{body}");
            }
        }
        assert_eq!(
            type_and_body(Cause::Malformed("no Host"), "/signin").1,
            "This request has no Host.\n"
        );
    }
}
