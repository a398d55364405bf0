//! Percent-encoding of what is put into a URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The text as one component of a URL, such as the value of a query parameter.
pub fn uri_component(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(uri_component("aZ09-._~").to_string(), "aZ09-._~");
        assert_eq!(uri_component("a b&c=ä").to_string(), "a%20b%26c%3D%C3%A4");
    }
}
