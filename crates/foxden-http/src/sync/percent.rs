//! Undoes the percent-encoding of URLs.

use std::borrow::Cow;

/// The name and the value of a parameter.
pub(super) type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What a plus sign stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plus {
    /// Itself, as in a path.
    Plus,
    /// A space, as in a query.
    Space,
}

/// The text that was encoded; `None` if it never was one.
pub(super) fn decode(text: &str, plus: Plus) -> Option<Cow<'_, str>> {
    let is_special = |b: u8| b == b'%' || (b == b'+' && plus == Plus::Space);
    if !text.bytes().any(is_special) {
        return Some(Cow::Borrowed(text));
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if plus == Plus::Space => b' ',
            other => other,
        });
    }
    String::from_utf8(plain).ok().map(Cow::Owned)
}

/// The parameters of a query string, decoded; `None` for one that never was encoded. Of two with one name, the
/// later counts.
pub(super) fn parameters(text: Option<&str>) -> impl Iterator<Item = Option<Parameter<'_>>> {
    let pairs = text
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name, Plus::Space)?, decode(value, Plus::Space)?))
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[%+0-9a-f\\PC]{0,30}") {
            let _ = decode(&text, Plus::Space);
        }
    }
}
