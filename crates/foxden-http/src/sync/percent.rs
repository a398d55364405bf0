//! Parameters of query strings. Plus signs in ids follow a rule of their own.

use std::borrow::Cow;

use crate::wire::percent::{Plus, decode};

/// Name and value of a parameter.
pub(super) type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Parameters whose values are ids or lists of ids.
const IDS: [&str; 3] = ["ids", "parentid", "predecessorid"];

/// Decodes the parameters of a query string; `None` for one with an invalid escape. The last of several with one
/// name counts.
pub(super) fn parameters(text: Option<&str>) -> impl Iterator<Item = Option<Parameter<'_>>> {
    let pairs = text
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name, Plus::Space)?;
        let plus = if IDS.contains(&&*name) {
            plus_of_ids(value)
        } else {
            Plus::Space
        };
        Some((name, decode(value, plus)?))
    })
}

/// Tells a plus sign in ids from a space. Browsers append ids to a query as they are, and ids of form history contain plus
/// signs. Form encoders write spaces as plus signs; they also escape plus signs and the commas of a list, which
/// browsers never do.
fn plus_of_ids(value: &str) -> Plus {
    let mut escapes = value.split('%').skip(1).filter_map(|escape| escape.get(..2));
    if escapes.any(|digits| ["2B", "2C"].iter().any(|form| digits.eq_ignore_ascii_case(form))) {
        Plus::Space
    } else {
        Plus::Plus
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plus_sign_in_ids_is_one_unless_a_form_was_encoded() {
        let value = |text| {
            let mut parameters = parameters(Some(text));
            let (_, value) = parameters.next().unwrap().unwrap();
            value.into_owned()
        };
        for (text, meant) in [
            // As browsers write them.
            ("ids=Qk3/aB7x+Zr9LmWd", "Qk3/aB7x+Zr9LmWd"),
            ("ids=a+b/c==,{d}", "a+b/c==,{d}"),
            ("ids=a+b,c%20d,%22e%22", "a+b,c d,\"e\""),
            // With some escapes, but none of a plus sign.
            ("ids=Qk3%2FaB7x+Zr9LmWd", "Qk3/aB7x+Zr9LmWd"),
            ("parentid=a+b", "a+b"),
            ("predecessorid=a+b", "a+b"),
            // As forms are encoded, with hexadecimal digits of either case.
            ("ids=Qk3%2FaB7x%2BZr9LmWd", "Qk3/aB7x+Zr9LmWd"),
            ("ids=a%2Bb%2fc%3D%3D%2C%7Bd%7D", "a+b/c==,{d}"),
            ("ids=a+b%2Cc%2Bd", "a b,c+d"),
            ("ids=a+b%2Cc", "a b,c"),
            ("ids=a+b%2bc", "a b+c"),
            // Other parameters are not ids.
            ("newer=a+b", "a b"),
        ] {
            assert_eq!(value(text), meant, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[%+0-9a-f\\PC]{0,30}") {
            let _ = decode(&text, Plus::Space);
            let _ = parameters(Some(&format!("ids={text}"))).count();
        }
    }
}
