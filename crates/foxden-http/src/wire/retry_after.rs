//! The `Retry-After` header.
//!
//! Browsers parse whole seconds in digits. They ignore a date, a fraction or any other value, and repeat the
//! request at once.

#[cfg(test)]
pub(crate) mod all_errors;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue};

/// The headers that ask a client to wait.
const WAIT_HEADERS: [&str; 3] = ["retry-after", "x-weave-backoff", "x-backoff"];

/// Asks the client to wait this many seconds, at least one.
pub(crate) fn set_retry_after(headers: &mut HeaderMap, seconds: impl Into<u64>) {
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds.into().max(1)));
}

/// Returns the first header, with its value, that asks a client to wait in a form that browsers do not parse.
pub fn unreadable_wait(headers: &HeaderMap) -> Option<(&'static str, String)> {
    let is_seconds = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let values = WAIT_HEADERS
        .into_iter()
        .flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
    let mut texts =
        values.map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes()).into_owned()));
    texts.find(|(_, text)| !is_seconds(text))
}

/// Returns the seconds that a response asks the client to wait, in the form that browsers parse.
#[cfg(test)]
#[track_caller]
pub(crate) fn retry_after_in(headers: &HeaderMap) -> Option<u64> {
    for name in WAIT_HEADERS {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        assert!(values.len() <= 1, "{name}: {values:?}");
        for value in values {
            let text = value.to_str().unwrap();
            assert!(text.bytes().all(|b| b.is_ascii_digit()), "{name}: {text}");
            assert!(text.parse::<u64>().unwrap() > 0, "{name}: {text}");
        }
    }
    headers.get(RETRY_AFTER)?.to_str().unwrap().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_told_in_whole_seconds_and_takes_at_least_one() {
        for (seconds, told) in [(0, "1"), (1, "1"), (30, "30"), (u64::MAX, "18446744073709551615")] {
            let mut headers = HeaderMap::new();
            set_retry_after(&mut headers, seconds);
            assert_eq!(headers[RETRY_AFTER], told);
        }
    }
}
