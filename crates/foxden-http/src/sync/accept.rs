//! Parses `Accept`.

use axum::http::{HeaderMap, header};

use super::reply::Format;

/// How much a client prefers a format, and how specific the matching range is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MediaPreference {
    /// In thousandths; zero means not acceptable.
    pub(super) quality: u32,
    pub(super) precision: u8,
}

/// Returns the header; `None` if the client sends none.
pub(super) fn header(headers: &HeaderMap) -> Option<&str> {
    let accept = headers.get(header::ACCEPT)?;
    if accept == FIREFOX {
        return Some(FIREFOX);
    }
    let accept = accept.to_str().unwrap_or_default();
    (!accept.trim().is_empty()).then_some(accept)
}

/// The header of every Firefox.
const FIREFOX: &str = "application/json;q=0.9,*/*;q=0.2";

/// Returns the client's preference for a format. The most specific matching range decides.
pub(super) fn preference(accept: &str, format: Format) -> MediaPreference {
    if accept == FIREFOX && format == Format::Json {
        return MediaPreference {
            quality: 900,
            precision: 3,
        };
    }
    read(accept, format)
}

fn read(accept: &str, format: Format) -> MediaPreference {
    let mut preference = MediaPreference::default();
    // Bytes, as nearly every request has this header, and searching a `str` for a character takes several times as
    // long.
    for range in accept.as_bytes().split(|byte| *byte == b',') {
        let mut pieces = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let precision = match pieces.next().unwrap_or_default() {
            media if media.eq_ignore_ascii_case(format.media_type().as_bytes()) => 3,
            media if media.eq_ignore_ascii_case(b"application/*") => 2,
            b"*/*" | b"*" => 1,
            _ => continue,
        };
        let quality = pieces
            .find_map(|piece| piece.strip_prefix(b"q="))
            .map_or(1000, quality);
        if precision > preference.precision {
            preference = MediaPreference { quality, precision };
        }
    }
    preference
}

/// Parses a quality such as `0.9` in thousandths; zero if it is invalid.
fn quality(text: &[u8]) -> u32 {
    let dot = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = dot.map_or((text, &b""[..]), |dot| (&text[..dot], &text[dot + 1..]));
    let mut thousandths = 0;
    for at in 0..3 {
        let digit = fraction.get(at).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return 0;
        }
        thousandths = thousandths * 10 + u32::from(digit - b'0');
    }
    match whole {
        b"1" => 1000,
        b"0" | b"" => thousandths,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constant_for_firefox_equals_the_parsed_header() {
        assert_eq!(preference(FIREFOX, Format::Json), read(FIREFOX, Format::Json));
    }

    #[test]
    fn a_quality_is_read_in_thousandths() {
        for (text, thousandths) in [
            ("1", 1000),
            ("1.000", 1000),
            ("0.9", 900),
            ("0.25", 250),
            ("0.0019", 1),
            (".5", 500),
            ("0", 0),
            ("", 0),
            ("2", 0),
            ("0.x", 0),
            ("1.x", 0),
            ("high", 0),
        ] {
            assert_eq!(quality(text.as_bytes()), thousandths, "{text:?}");
        }
    }
}
