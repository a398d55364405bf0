//! Whether what stands before a server asks browsers to wait in a way that they understand.
//!
//! Browsers read whole seconds in digits. A date, which HTTP allows and maintenance pages of proxies like to send, is no
//! waiting to them: they repeat the request some twenty times a second as long as the answer stays.

use foxden_http::wire::unreadable_wait;
use ureq::http::HeaderMap;

/// Returns what to add to a finding about a response with these headers; empty if browsers can read them.
pub fn describe(headers: &HeaderMap) -> String {
    match unreadable_wait(headers) {
        Some((name, text)) => format!(
            ", and its {name} is {text:?}, which browsers do not understand: they come back at once, again \
             and again; it must be a whole number of seconds"
        ),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V7.14: only digits make a browser wait.
    #[test]
    fn a_wait_that_browsers_do_not_understand_is_named() {
        for (name, value, is_named) in [
            ("retry-after", "120", false),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("retry-after", "1.5", true),
            ("retry-after", "-1", true),
            ("retry-after", "", true),
            ("x-weave-backoff", "soon", true),
            ("x-backoff", "60 s", true),
            ("x-backoff", "60", false),
            ("expires", "Sun, 06 Nov 1994 08:49:37 GMT", false),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            assert_eq!(describe(&headers).contains(name), is_named, "{name}: {value}");
        }
        assert_eq!(describe(&HeaderMap::new()), "");
    }
}
