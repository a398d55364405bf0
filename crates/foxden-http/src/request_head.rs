//! Checks of the request head by the listener, before any surface reads it.
//!
//! A head that this server and a proxy before it could read in two ways (RFC 9112, section 3.2) is answered 400.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName,
    HeaderValue, IF_MATCH, IF_NONE_MATCH, ORIGIN, TRANSFER_ENCODING,
};
use axum::http::request::Parts;
use axum::http::{Uri, Version};

use crate::ops;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

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

/// Returns why the head of a request could be read in two ways.
pub fn ambiguity(parts: &Parts) -> Option<&'static str> {
    let host = parts.headers.get(HOST);
    ambiguous_host(parts.version, &parts.uri, host).or_else(|| doubled(&parts.headers))
}

/// The address of the client, as the proxy before this server names it. Only the last hop of `X-Forwarded-For` was written by
/// that proxy; a client may have written what stands before it.
pub fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    // Most requests have no such header, and looking one up costs less than all.
    headers.get(FORWARDED_FOR)?;
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?;
    let hop = last.to_str().ok()?.rsplit(',').next()?.trim();
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let address = bare
        .parse()
        .or_else(|_| hop.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// Returns whether the client sends the body only when it is asked for it.
pub fn waits_for_continue(parts: &Parts) -> bool {
    let expected = parts.headers.get(EXPECT);
    let expects = expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    expects && parts.version > Version::HTTP_10
}

/// Returns whether a token of an account is asked for at this path, as today's storage API does. A client without one gets
/// nothing, whether or not the server is private.
pub fn needs_token(uri: &Uri) -> bool {
    uri.path().starts_with("/1.5/")
}

/// Returns whether monitors ask for this path.
pub fn is_health(uri: &Uri) -> bool {
    ops::ROUTES.iter().any(|(_, route)| *route == uri.path())
}

/// Returns what is ambiguous about the host that a request names.
fn ambiguous_host(version: Version, uri: &Uri, host: Option<&HeaderValue>) -> Option<&'static str> {
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

/// Returns what is ambiguous about a header that has two values where one is read. Most requests have no header twice.
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
    use axum::http::Request;

    use super::*;

    fn read(target: &str, version: Version, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = Request::builder().uri(target).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        ambiguity(&request.body(()).unwrap().into_parts().0)
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
    fn headers_with_one_value_may_not_repeat() {
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
