//! JSON bodies: members are read one by one, so that each fault names its member.

use data_encoding::HEXLOWER_PERMISSIVE;
use serde_json::{Map, Value};

/// A JSON object that a client sent. Unknown members are ignored; `null` counts as absent.
#[derive(Debug, Default)]
pub(crate) struct JsonBody(Map<String, Value>);

/// A fault of a JSON body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadJson {
    /// The body is not JSON.
    NotJson,
    /// The body is JSON, but not an object.
    NotAnObject,
    /// This member is absent.
    Missing(&'static str),
    /// This member has another type, or a value out of bounds.
    Invalid(&'static str),
}

impl JsonBody {
    /// Parses a body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, BadJson> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(BadJson::NotAnObject),
            Err(_) => Err(BadJson::NotJson),
        }
    }

    /// Parses a body that may be empty, as an object without members.
    pub(crate) fn parse_or_empty(body: &[u8]) -> Result<Self, BadJson> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        Self::parse(body)
    }

    /// Returns how many bytes of memory the members take, approximately.
    pub(crate) fn weight(&self) -> u64 {
        weight_of_map(&self.0) as u64
    }

    /// Returns a member that may be absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Returns a string that may be absent.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, BadJson> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value.as_str().map(Some).ok_or(BadJson::Invalid(name))
    }

    /// Returns a string that must be present.
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, BadJson> {
        self.optional_text(name)?.ok_or(BadJson::Missing(name))
    }

    /// Returns a string; an absent member, and one of another type, is empty.
    pub(crate) fn text_or_empty(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns a string of at most `most` bytes that must be present.
    pub(crate) fn text_within(&self, name: &'static str, most: usize) -> Result<&str, BadJson> {
        let text = self.text(name)?;
        if text.len() <= most {
            Ok(text)
        } else {
            Err(BadJson::Invalid(name))
        }
    }

    /// Returns a non-negative integer that may be absent. Some clients write it with a fraction of zero.
    pub(crate) fn optional_number(&self, name: &'static str) -> Result<Option<u64>, BadJson> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.as_u64().or_else(|| whole(value.as_f64()?));
        number.map(Some).ok_or(BadJson::Invalid(name))
    }

    /// Returns bytes in hex of either case that may be absent.
    pub(crate) fn optional_hex<const N: usize>(
        &self,
        name: &'static str,
    ) -> Result<Option<[u8; N]>, BadJson> {
        let Some(text) = self.optional_text(name)? else {
            return Ok(None);
        };
        parse_hex(text).map(Some).ok_or(BadJson::Invalid(name))
    }

    /// Returns bytes in hex of either case that must be present.
    pub(crate) fn hex<const N: usize>(&self, name: &'static str) -> Result<[u8; N], BadJson> {
        self.optional_hex(name)?.ok_or(BadJson::Missing(name))
    }

    /// Returns whether a flag is set. An absent flag is not.
    pub(crate) fn is_set(&self, name: &'static str) -> Result<bool, BadJson> {
        let Some(value) = self.get(name) else {
            return Ok(false);
        };
        value.as_bool().ok_or(BadJson::Invalid(name))
    }
}

/// Returns the number as an integer, if a double holds it exactly.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole, not negative and small"
)]
fn whole(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    ((0.0..=EXACT).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// Parses exactly `N` bytes in hex of either case.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Returns how many bytes a value takes on the heap.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.capacity(),
        Value::Array(values) => {
            values.capacity() * size_of::<Value>() + values.iter().map(weight).sum::<usize>()
        }
        Value::Object(members) => weight_of_map(members),
    }
}

/// Returns how many bytes a map takes on the heap. A map has nodes of eleven members, of which at least five are in use
/// where there is more than one node.
fn weight_of_map(members: &Map<String, Value>) -> usize {
    const MEMBER: usize = size_of::<String>() + size_of::<Value>();
    let nodes = members.len().div_ceil(5);
    let kept = members
        .iter()
        .map(|(name, value)| name.capacity() + weight(value));
    nodes * 11 * MEMBER + kept.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_fault_names_its_member() {
        let body = JsonBody::parse(br#"{"email":7,"nothing":null,"authPW":"0G"}"#).unwrap();
        assert!(matches!(body.text("email"), Err(BadJson::Invalid("email"))));
        assert!(matches!(body.text("nothing"), Err(BadJson::Missing("nothing"))));
        assert!(matches!(body.hex::<1>("authPW"), Err(BadJson::Invalid("authPW"))));
        assert!(matches!(body.optional_number("ttl"), Ok(None)));
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
        let body = br#"{"a":21600.0,"b":3e2,"c":18446744073709551615,"d":1.5,"e":-1,"f":-0.5,"g":1e300,"h":"1","i":0.0}"#;
        let body = JsonBody::parse(body).unwrap();
        let number = |name| body.optional_number(name).ok().flatten();
        let wanted = [("a", 21600), ("b", 300), ("c", u64::MAX), ("i", 0)];
        for (name, value) in wanted {
            assert_eq!(number(name), Some(value), "{name}");
        }
        for name in ["d", "e", "f", "g", "h"] {
            assert!(body.optional_number(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_body_is_an_object_or_nothing() {
        assert!(JsonBody::parse_or_empty(b"").is_ok());
        assert!(matches!(JsonBody::parse(b""), Err(BadJson::NotJson)));
        assert!(matches!(JsonBody::parse(b"[]"), Err(BadJson::NotAnObject)));
        for bad in [&b"{"[..], b"{\"a\":\"\xff\"}", b"{} {}"] {
            assert!(matches!(JsonBody::parse(bad), Err(BadJson::NotJson)));
        }
    }

    #[test]
    fn hex_comes_in_either_case() {
        assert_eq!(parse_hex::<2>("aBcD"), Some([0xab, 0xcd]));
        for text in ["", "abc", "abcde", "abcdef", "ab d", "é0é"] {
            assert_eq!(parse_hex::<2>(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(members) = JsonBody::parse(&body) {
                prop_assert!(members.hex::<32>("authPW").is_err());
            }
        }
    }
}
