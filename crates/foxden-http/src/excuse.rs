//! Answers in place of a surface, in the words of the protocol that was spoken: its handler panicked, or it was not asked.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Response, StatusCode, Uri};
use foxden_model::{Clock as _, SystemClock};

use crate::wire::Note;

/// Names of the path among which the protocol's is: a public address may have a path of its own before it.
const DEPTH: usize = 4;

/// Seconds after which it is worth trying again where no connection was free.
const SOON: &str = "10";

/// Why a surface gives no answer.
#[derive(Clone, Copy, Debug)]
enum Cause<'a> {
    /// It panicked; the log says why under this id of the request.
    Mistake(&'a str),
    /// The request can be read in two ways.
    Malformed(&'static str),
    /// No seat became free.
    Full,
}

/// Excuses a handler that panicked while it answered the request with this id.
pub fn excuse(uri: &Uri, request_id: &str) -> Response<Body> {
    answer(StatusCode::INTERNAL_SERVER_ERROR, uri, Cause::Mistake(request_id))
}

/// Refuses a request that has this fault.
pub fn refuse(uri: &Uri, fault: &'static str) -> Response<Body> {
    let mut response = answer(StatusCode::BAD_REQUEST, uri, Cause::Malformed(fault));
    response.extensions_mut().insert(Note::refused(fault));
    response
}

/// Asks to come back where all connections are taken, and ends this one.
pub fn turn_away(uri: &Uri) -> Response<Body> {
    let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, uri, Cause::Full);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static(SOON));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let why = Note::refused("all connections are taken");
    response.extensions_mut().insert(why);
    response
}

fn answer(status: StatusCode, uri: &Uri, cause: Cause<'_>) -> Response<Body> {
    let (kind, body) = words(cause, uri.path());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
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

/// The type of the answer and its body, which says no more of a mistake than where to look in the log.
fn words(cause: Cause<'_>, path: &str) -> (&'static str, String) {
    const JSON: &str = "application/json";
    let mut names = path.split('/').skip(1);
    for _ in 0..DEPTH {
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
    /// As clients of Sync 1.1 write it into their logs.
    fn as_legacy(self) -> String {
        match self {
            Self::Mistake(id) => format!("application error: crash id {id}"),
            Self::Malformed(fault) => format!("bad request: {fault}"),
            Self::Full => "all connections are taken".to_owned(),
        }
    }

    fn as_tokenserver(self) -> String {
        let (status, location, description) = match self {
            Self::Mistake(_) => ("internal-error", "internal", "Server error"),
            Self::Malformed(fault) => ("error", "header", fault),
            Self::Full => ("error", "internal", "Resource is not available"),
        };
        format!(
            r#"{{"status":"{status}","errors":[{{"location":"{location}","name":"","description":"{description}"}}]}}"#
        )
    }

    fn as_accounts(self) -> String {
        let (code, errno, error, message) = match self {
            Self::Mistake(_) => (500, 999, "Internal Server Error", "Unspecified error"),
            Self::Malformed(fault) => (400, 107, "Bad Request", fault),
            Self::Full => (503, 201, "Service Unavailable", "All connections are taken"),
        };
        format!(r#"{{"code":{code},"errno":{errno},"error":"{error}","message":"{message}"}}"#)
    }

    /// As people and tools read it.
    fn as_text(self) -> String {
        match self {
            Self::Mistake(id) => format!("The server made a mistake. Its log says more, under {id}.\n"),
            Self::Malformed(fault) => format!("This request has {fault}.\n"),
            Self::Full => "All connections are taken. Try again in a moment.\n".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "/1.0/sync/1.5";

    /// Clients of Sync 1.1 are given a text to log, all others the number or the words they read.
    #[test]
    fn a_mistake_is_told_in_the_words_of_the_protocol() {
        let mistake = Cause::Mistake("00000000002a");
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
            assert_eq!(words(mistake, path).1, expected, "{path}");
        }
        for (path, member, expected) in [
            ("/v1/account/login", "errno", "999"),
            (TOKEN, "status", "\"internal-error\""),
        ] {
            let (kind, body) = words(mistake, path);
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
            for (response, status) in [(refuse(&uri(path), "no Host"), 400), (turn_away(&uri(path)), 503)] {
                assert_eq!(response.status(), status);
                assert_eq!(response.headers()[CONTENT_TYPE], "application/json", "{path}");
                assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
            }
        }
        for cause in [Cause::Malformed("no Host"), Cause::Full] {
            for path in [
                "/1.5/1/info/quota",
                "/1.1/ann/info/quota",
                TOKEN,
                "/v1/account/login",
            ] {
                let (_, body) = words(cause, path);
                assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{body}");
            }
        }
        assert_eq!(
            words(Cause::Malformed("no Host"), "/signin").1,
            "This request has no Host.\n"
        );
    }
}
