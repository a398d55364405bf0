//! Heads that could be read in two ways, by us and by what stands before us: RFC 9112, section 3.2.
//!
//! Such a request is answered 400 before any surface reads it.

use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    IF_MATCH, IF_NONE_MATCH, ORIGIN, TRANSFER_ENCODING,
};
use hyper::http::request::Parts;
use hyper::{Uri, Version};

/// Headers of which one value is read. `X-Forwarded-For` and its like are lists, of which the last item counts.
const SINGLE: [HeaderName; 22] = [
    HOST,
    AUTHORIZATION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    TRANSFER_ENCODING,
    IF_MATCH,
    IF_NONE_MATCH,
    ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-dest"),
    HeaderName::from_static("x-if-modified-since"),
    HeaderName::from_static("x-if-unmodified-since"),
    HeaderName::from_static("x-weave-records"),
    HeaderName::from_static("x-weave-bytes"),
    HeaderName::from_static("x-weave-total-records"),
    HeaderName::from_static("x-weave-total-bytes"),
    HeaderName::from_static("x-client-state"),
    HeaderName::from_static("x-keyid"),
    HeaderName::from_static("x-keyexchange-id"),
    HeaderName::from_static("x-weave-password-reset"),
    HeaderName::from_static("x-weave-secret"),
];

/// Which bytes a host and a port are made of.
const OF_HOSTS: [bool; 256] = {
    let all = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
    let (mut table, mut at) = ([false; 256], 0);
    while at < all.len() {
        table[all[at] as usize] = true;
        at += 1;
    }
    table
};

/// Why a request cannot be read in one way alone.
pub fn fault(parts: &Parts) -> Option<&'static str> {
    let host = parts.headers.get(HOST);
    fault_of_host(parts.version, &parts.uri, host).or_else(|| doubled(&parts.headers))
}

/// What is wrong with the host that a request names.
fn fault_of_host(version: Version, uri: &Uri, host: Option<&HeaderValue>) -> Option<&'static str> {
    let Some(host) = host.map(HeaderValue::as_bytes) else {
        return (version > Version::HTTP_10).then_some("no Host");
    };
    if host.is_empty() {
        return Some("an empty Host");
    }
    if !host.iter().all(|byte| OF_HOSTS[usize::from(*byte)]) {
        return Some("a Host that is no host and port");
    }
    let port: &[u8] = match uri.scheme_str() {
        Some("https") => b":443",
        _ => b":80",
    };
    // With the scheme's own port and without it is the same place: RFC 9110, section 4.2.3.
    let is_another = uri.authority().is_some_and(|authority| {
        let [named, host] =
            [authority.as_str().as_bytes(), host].map(|name| name.strip_suffix(port).unwrap_or(name));
        !named.eq_ignore_ascii_case(host)
    });
    is_another.then_some("a Host other than the one in the request line")
}

/// Whether a header has two values of which one is read. Most requests have no header twice.
fn doubled(headers: &HeaderMap) -> Option<&'static str> {
    if headers.len() == headers.keys_len() {
        return None;
    }
    let is_doubled = |name: &HeaderName| headers.get_all(name).iter().nth(1).is_some();
    SINGLE
        .iter()
        .any(is_doubled)
        .then_some("a header twice that has one value")
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn read(target: &str, version: Version, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = Request::builder().uri(target).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        fault(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn one_host_is_named_and_no_other() {
        const V11: Version = Version::HTTP_11;
        for host in [
            "sync.example.org",
            "127.0.0.1:5000",
            "[::1]:5000",
            "LOCALHOST",
            "my_box",
        ] {
            assert_eq!(read("/", V11, &[("host", host)]), None, "{host}");
        }
        for host in ["", "a, b", "user@a", "a/b", "a b", "a\tb", "ä"] {
            assert!(read("/", V11, &[("host", host)]).is_some(), "{host}");
        }
        assert!(read("/", V11, &[]).is_some());
        assert_eq!(read("/", Version::HTTP_10, &[]), None);
        assert!(read("/", Version::HTTP_10, &[("host", "")]).is_some());
        for (target, host) in [
            ("http://a.test:80/x", "A.test:80"),
            ("http://a.test:80/x", "a.test"),
            ("http://a.test/x", "a.test:80"),
            ("https://a.test:443/x", "a.test"),
            ("https://a.test/x", "a.test:443"),
            ("http://[::1]:80/x", "[::1]"),
        ] {
            assert_eq!(read(target, V11, &[("host", host)]), None, "{target} {host}");
        }
        for (target, host) in [
            ("http://a.test:443/x", "a.test"),
            ("https://a.test:80/x", "a.test"),
            ("http://a.test:8080/x", "a.test"),
            ("http://a.test/x", "a.test:443"),
            ("http://[::1]:80/x", "[::]"),
        ] {
            assert!(read(target, V11, &[("host", host)]).is_some(), "{target} {host}");
        }
        for host in ["b.test:80", "b.test", "a.test:81", ""] {
            assert!(
                read("http://a.test:80/x", V11, &[("host", host)]).is_some(),
                "{host}"
            );
        }
    }

    #[test]
    fn what_has_one_value_stands_once() {
        let twice = |name: &str| {
            let (first, second) = (if name == "host" { "c" } else { "a" }, "b");
            read(
                "/",
                Version::HTTP_11,
                &[("host", "c"), (name, first), (name, second)],
            )
        };
        for name in SINGLE {
            assert!(twice(name.as_str()).is_some(), "{name}");
        }
        // These are lists, or nothing hangs on them.
        for name in [
            "x-forwarded-for",
            "forwarded",
            "via",
            "accept",
            "accept-language",
            "x-other",
        ] {
            assert_eq!(twice(name), None, "{name}");
        }
        assert!(read("/", Version::HTTP_11, &[("host", "c"), ("host", "c")]).is_some());
    }
}
