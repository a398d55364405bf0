//! How long a client is asked to wait.
//!
//! Browsers read whole seconds in digits. A date, a fraction or no number at all is no waiting to them: they repeat the
//! request at once, again and again.

#[cfg(test)]
pub(crate) mod every;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue};

/// Asks the client to wait this many seconds. Whoever is to wait waits at least one.
pub(crate) fn ask_to_wait(headers: &mut HeaderMap, seconds: impl Into<u64>) {
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds.into().max(1)));
}

/// The seconds that the answer asks the client to wait, told as browsers read them.
#[cfg(test)]
#[track_caller]
pub(crate) fn wait_in(headers: &HeaderMap) -> Option<u64> {
    for name in ["retry-after", "x-weave-backoff", "x-backoff"] {
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
            ask_to_wait(&mut headers, seconds);
            assert_eq!(headers[RETRY_AFTER], told);
        }
    }
}
