//! Parses `Accept-Encoding`.

use axum::http::header::{self, HeaderMap};

/// Returns whether a client accepts gzip: it is listed, and not with a quality of zero.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    accept.unwrap_or_default().split(',').any(|coding| {
        let mut pieces = coding.split(';').map(str::trim);
        let is_gzip = pieces
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !pieces.any(is_quality_of_zero)
    })
}

fn is_quality_of_zero(piece: &str) -> bool {
    let quality = piece.strip_prefix("q=");
    quality
        .is_some_and(|quality| quality.starts_with('0') && quality.bytes().all(|b| matches!(b, b'0' | b'.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quality_of_zero_refuses() {
        for (accepted, is_taken) in [
            ("gzip", true),
            ("br, GZIP", true),
            ("br, gzip;q=0.5, deflate", true),
            ("", false),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("x-gzipped", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())]);
            assert_eq!(accepts_gzip(&headers), is_taken, "{accepted}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
