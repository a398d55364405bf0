//! Percent-encoding of URLs, query strings and forms.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The meaning of a plus sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    /// Itself, as in a path.
    Plus,
    /// A space, as in a query.
    Space,
}

/// Encodes a text as one component of a URL, such as the value of a query parameter.
pub(crate) fn uri_component(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// Decodes a text; `None` if it is not percent-encoded UTF-8.
pub(crate) fn decode(text: &str, plus: Plus) -> Option<Cow<'_, str>> {
    let is_plain = match plus {
        Plus::Plus => memchr(b'%', text.as_bytes()).is_none(),
        Plus::Space => memchr2(b'%', b'+', text.as_bytes()).is_none(),
    };
    if is_plain {
        return Some(Cow::Borrowed(text));
    }
    // The decoder leaves a `%` without two digits as it is.
    if !text.split('%').skip(1).all(begins_with_digits) {
        return None;
    }
    let spaced = match plus {
        Plus::Plus => Cow::Borrowed(text),
        Plus::Space => Cow::Owned(text.replace('+', " ")),
    };
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

/// Whether an escape is whole, seen from behind its `%`.
fn begins_with_digits(text: &str) -> bool {
    let digits = text.as_bytes().get(..2);
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// Decodes a field of a form. A `%` without two hex digits stands for itself; bytes that are not UTF-8 are `None`.
pub(crate) fn decode_field(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// Returns the first parameter of this name in a query string, undecoded.
pub(crate) fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(given, _)| *given == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(uri_component("aZ09-._~").to_string(), "aZ09-._~");
        assert_eq!(uri_component("a b&c=ä").to_string(), "a%20b%26c%3D%C3%A4");
    }

    #[test]
    fn decodes_what_was_encoded_and_nothing_else() {
        assert_eq!(decode("%22%20{x}", Plus::Plus).as_deref(), Some("\" {x}"));
        assert_eq!(decode("a+b%2B", Plus::Plus).as_deref(), Some("a+b+"));
        assert_eq!(decode("a+b%2B", Plus::Space).as_deref(), Some("a b+"));
        assert_eq!(decode("%C3%A9", Plus::Plus).as_deref(), Some("é"));
        for text in ["%", "%2", "%zz", "%%%", "%ff"] {
            assert_eq!(decode(text, Plus::Plus), None, "{text}");
        }
    }
}
