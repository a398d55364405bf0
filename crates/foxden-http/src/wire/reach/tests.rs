//! Which requests are evidence of remote clients, and which are not.

use axum::http::Request;

use super::*;

fn evidence(version: Version, uri: &str, headers: &[(&str, &str)]) -> Option<RemoteEvidence> {
    let mut request = Request::builder().version(version).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    RemoteEvidence::of(&request.body(()).unwrap().into_parts().0)
}

/// A request to this machine, with further headers.
fn evidence_with(headers: &[(&str, &str)]) -> Option<RemoteEvidence> {
    let host = [("host", "127.0.0.1:5000")];
    evidence(Version::HTTP_11, "/", &[&host, headers].concat())
}

#[test]
fn browsers_and_programs_of_this_machine_show_nothing() {
    for host in ["127.0.0.1:5000", "localhost:5000", "[::1]:5000", "LOCALHOST", ""] {
        assert_eq!(evidence(Version::HTTP_11, "/", &[("host", host)]), None, "{host}");
    }
    assert_eq!(evidence(Version::HTTP_11, "http://127.0.0.1:5000/", &[]), None);
    assert_eq!(evidence(Version::HTTP_11, "/", &[]), None);
    for headers in [
        // Firefox when it opens a page and when it syncs.
        &[
            ("user-agent", "Mozilla/5.0"),
            ("accept", "text/html"),
            ("accept-language", "en"),
            ("accept-encoding", "gzip"),
            ("connection", "keep-alive"),
            ("cookie", "a=b"),
            ("upgrade-insecure-requests", "1"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-site", "none"),
            ("priority", "u=0, i"),
            ("pragma", "no-cache"),
            ("cache-control", "no-cache"),
            ("te", "trailers"),
            ("dnt", "1"),
            ("if-none-match", "a"),
            ("range", "bytes=0-1"),
            ("referer", "http://127.0.0.1:5000/"),
        ][..],
        &[
            ("authorization", "Hawk id"),
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("x-client-state", "00"),
            ("x-keyid", "0-a"),
            ("x-if-unmodified-since", "1"),
            ("x-weave-records", "1"),
            ("x-confirm-delete", "1"),
            ("x-conditions-accepted", "1"),
            ("x-keyexchange-id", "a"),
            ("x-request-id", "1"),
            ("x-requested-with", "a"),
            ("traceparent", "1"),
            ("from", "a"),
            ("expect", "100-continue"),
        ],
        &[("connection", "close")],
        &[("origin", "http://127.0.0.1:5000")],
        &[("origin", "http://localhost:3000")],
        &[("origin", "null")],
        &[("origin", "moz-extension://0")],
        // Any page can trigger these in the user's browser.
        &[
            ("origin", "https://example.org"),
            ("sec-fetch-site", "cross-site"),
        ],
        &[("sec-fetch-site", "same-site"), ("origin", "http://example.org")],
    ] {
        assert_eq!(evidence_with(headers), None, "{headers:?}");
    }
}

#[test]
fn every_proxy_is_recognised_by_its_headers() {
    for name in [
        "Via",
        "Forwarded",
        "Forwarded-For",
        "X-Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-Prefix",
        "X-Forwarded-Ssl",
        "X-Forwarded-Client-Cert",
        "X-Real-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "X-Original-For",
        "X-Original-Host",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-ProxyUser-Ip",
        "X-Proxy-Id",
        "X-Envoy-External-Address",
        "X-Amzn-Trace-Id",
        "X-Amz-Cf-Id",
        "X-Azure-ClientIP",
        "X-ARR-SSL",
        "X-Cloud-Trace-Context",
        "X-AppEngine-User-IP",
        "X-Request-Start",
        "X-Scheme",
        "X-SSL-Client-Verify",
        "X-Varnish",
        "X-Remote-User",
        "X-Auth-Request-User",
        "X-Ingress-Path",
        "True-Client-IP",
        "Client-IP",
        "CF-Connecting-IP",
        "CF-Ray",
        "CDN-Loop",
        "CloudFront-Viewer-Address",
        "Fastly-Client-IP",
        "Fly-Client-IP",
        "Incap-Client-IP",
        "Akamai-Origin-Hop",
        "Tailscale-User-Login",
        "Surrogate-Capability",
        "Front-End-Https",
        "Proxy-Connection",
        "Proxy-Client-IP",
        "WL-Proxy-Client-IP",
        "Remote-User",
        "Max-Forwards",
        "Do-Connecting-IP",
    ] {
        let found = evidence_with(&[("accept", "*/*"), (name, "")]);
        let expected = HeaderName::from_bytes(name.as_bytes()).unwrap();
        assert_eq!(found, Some(RemoteEvidence::Header(expected)), "{name}");
    }
    // nginx with nothing but `proxy_pass`.
    let old = evidence(
        Version::HTTP_10,
        "/",
        &[("host", "127.0.0.1:5000"), ("connection", "close")],
    );
    assert_eq!(old, Some(RemoteEvidence::OldHttp));
}

#[test]
fn another_name_is_one_of_elsewhere() {
    for host in [
        "sync.example.org",
        "192.168.1.2:5000",
        "localhost.example.org",
        "0.0.0.0:5000",
        "b\u{e9}a",
    ] {
        let found = evidence(Version::HTTP_11, "/", &[("host", host)]);
        assert!(matches!(found, Some(RemoteEvidence::Host(_))), "{host}");
    }
    let twice = evidence_with(&[("host", "sync.example.org")]);
    assert_eq!(twice, Some(RemoteEvidence::Host("sync.example.org".into())));
    let whole = evidence(
        Version::HTTP_11,
        "http://sync.example.org/",
        &[("host", "127.0.0.1")],
    );
    assert_eq!(whole, Some(RemoteEvidence::Host("sync.example.org".into())));
}

/// Only a page at a public name claims the server's own site and has another origin.
#[test]
fn a_page_at_another_name_gives_the_proxy_away() {
    for headers in [
        &[("origin", "https://sync.example.org")][..],
        &[
            ("origin", "https://sync.example.org"),
            ("sec-fetch-site", "same-origin"),
        ],
        &[
            ("origin", "http://localhost"),
            ("origin", "https://sync.example.org"),
        ],
        &[("origin", "http://localhost.example.org:5000")],
        &[("origin", "https://")],
    ] {
        assert!(
            matches!(evidence_with(headers), Some(RemoteEvidence::Origin(_))),
            "{headers:?}"
        );
    }
}

#[test]
fn text_of_a_client_is_truncated_and_escaped() {
    let long = "\u{e9}a".repeat(500);
    let Some(RemoteEvidence::Host(shown)) = evidence(Version::HTTP_11, "/", &[("host", &long)]) else {
        panic!("no evidence");
    };
    assert_eq!(shown.len(), LONGEST);
    assert!(shown.chars().all(|c| c.is_ascii_graphic()), "{shown}");
}
