//! The hosts that requests to pages and account routes may ask for.
//!
//! A foreign page can let a host name of its own resolve to this server and then read the responses in the user's
//! browser (DNS rebinding). The `Host` header reveals it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, HOST, ORIGIN, REFERER, UPGRADE_INSECURE_REQUESTS as UPGRADE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::Response;

use super::site::is_loopback_host;
use super::{Peer, Site};

/// The header in which browsers describe what triggered a request.
pub(super) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// State of [`refuse_foreign_hosts`].
#[derive(Clone)]
pub struct HostCheck {
    /// Knows the hosts of this server.
    pub site: Arc<Site>,
    /// Makes the response with status 421.
    pub refuse: fn(&Site) -> Response,
}

impl Site {
    /// Returns whether the request never left this machine: the server is private, the request asks for a loopback
    /// name, and no page from elsewhere triggered it.
    pub fn is_private(&self, request: &Request) -> bool {
        let is_direct = request
            .extensions()
            .get::<Peer>()
            .is_some_and(|peer| peer.is_direct);
        self.is_loopback
            && is_direct
            && asked_host(request.uri(), request.headers()).is_some_and(is_loopback_host)
            && !comes_from_elsewhere(request)
    }

    /// Returns whether the request asks for a host of this server, on any port.
    pub fn is_meant_by(&self, request: &Request) -> bool {
        let Some(host) = asked_host(request.uri(), request.headers()) else {
            return false;
        };
        self.answers_to(host)
    }

    /// Returns whether a signature `holds` for an address of this server: the public one, or another host of this
    /// server that the request asks for. Clients sign for the address that they connect to.
    pub(crate) fn is_signed_for(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        holds: impl Fn(&str, u16) -> bool,
    ) -> bool {
        let url = &self.public_url;
        // Some clients sign for an IPv6 address with its brackets, some without.
        let holds = |host: &str, port| {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            holds(host, port) || bare.is_some_and(|bare| holds(bare, port))
        };
        if holds(url.host(), url.port()) {
            return true;
        }
        let Some(authority) = asked_authority(uri, headers) else {
            return false;
        };
        let host = without_port(authority).to_ascii_lowercase();
        let port = authority[host.len()..].strip_prefix(':');
        // A proxy may have removed the port.
        let port = port.map_or(Some(url.default_port()), |port| port.parse().ok());
        let ports = [port, Some(url.port())];
        self.answers_to(&host) && ports.into_iter().flatten().any(|port| holds(&host, port))
    }

    /// Returns whether a foreign page triggered the request. Other requests have no `Origin`, or `null`. Browsers
    /// send `null` for themselves and for pages that hide their origin; newer ones tell the two apart in
    /// `Sec-Fetch-Site`.
    pub(crate) fn is_sent_by_foreign_page(&self, headers: &HeaderMap) -> bool {
        let is_foreign = |origin: &HeaderValue| match origin.to_str().map(|text| text.split_once("://")) {
            Ok(Some((_, host))) => !self.answers_to(without_port(host)),
            Ok(None) => false,
            Err(_) => true,
        };
        let is_from_elsewhere = |site: &HeaderValue| !matches!(site.as_bytes(), b"none" | b"same-origin");
        headers.get_all(ORIGIN).iter().any(is_foreign)
            || headers.get_all(FETCH_SITE).iter().any(is_from_elsewhere)
    }

    /// Returns whether a page triggered a request to a route that only programs use. A page that hides its origin
    /// sends `null`, as programs do. But browsers ask for HTML when they navigate, and a page cannot change the
    /// browser's `User-Agent` without a preflight. Old browsers send no origin, but a `Referer`.
    pub(crate) fn is_sent_by_page(&self, headers: &HeaderMap) -> bool {
        let is_browser = || {
            let mut agents = headers.get_all(USER_AGENT).iter();
            agents.any(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
        };
        let is_foreign = |page: &HeaderValue| {
            let host = page.to_str().ok().and_then(|text| text.split_once("://"));
            host.is_some_and(|(_, rest)| {
                let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
                !self.answers_to(without_port(authority))
            })
        };
        let comes_from_foreign_page = || headers.get_all(REFERER).iter().any(is_foreign);
        let hides = headers.get_all(ORIGIN).iter().any(|origin| origin == "null");
        let asks_for_html = || {
            let mut accepted = headers.get_all(ACCEPT).iter();
            accepted.any(|types| types.to_str().is_ok_and(|types| types.contains("text/html")))
        };
        self.is_sent_by_foreign_page(headers)
            || comes_from_foreign_page()
            || hides
                && (headers.contains_key(REFERER)
                    || headers.contains_key(UPGRADE)
                    || asks_for_html()
                    || is_browser())
    }

    /// Returns whether the host is of this server, or a loopback name of a private server.
    fn answers_to(&self, host: &str) -> bool {
        self.is_named(host) || self.is_loopback && is_loopback_host(host)
    }

    /// Returns whether the host is that of the public address or another configured one.
    fn is_named(&self, host: &str) -> bool {
        let mut ours =
            std::iter::once(self.public_url.host()).chain(self.other_hosts.iter().map(String::as_str));
        ours.any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// Middleware for pages and account routes: refuses requests for foreign hosts.
pub async fn refuse_foreign_hosts(State(check): State<HostCheck>, request: Request, next: Next) -> Response {
    if check.site.is_meant_by(&request) {
        next.run(request).await
    } else {
        (check.refuse)(&check.site)
    }
}

/// Returns the requested host without its port.
fn asked_host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    asked_authority(uri, headers).map(without_port)
}

/// Returns the requested host, with its port if it has one.
fn asked_authority<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(HOST)?.to_str().ok(),
    }
}

/// Returns whether a page that is not of this machine triggered the request, or hides its origin (`null`).
fn comes_from_elsewhere(request: &Request) -> bool {
    let is_of_this_machine = |origin: &HeaderValue| {
        let (_, host) = origin.to_str().ok()?.split_once("://")?;
        Some(is_loopback_host(without_port(host)))
    };
    let origins = request.headers().get_all(ORIGIN).iter();
    origins
        .map(is_of_this_machine)
        .any(|is_ours| is_ours != Some(true))
}

pub(super) fn without_port(host: &str) -> &str {
    let colon = host
        .rfind(':')
        .filter(|&at| !host.as_bytes()[at..].contains(&b']'));
    colon.map_or(host, |at| &host[..at])
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::body::Body;

    use super::*;

    fn site(public_url: &str, is_loopback: bool) -> Site {
        Site {
            public_url: public_url.parse().unwrap(),
            is_loopback,
            other_hosts: vec!["old.example.org".into()],
        }
    }

    fn request(host: &str, is_direct: bool) -> Request {
        let peer = Peer {
            address: Ipv4Addr::LOCALHOST.into(),
            is_direct,
        };
        let request = Request::builder().uri("/v1/account/status").extension(peer);
        request.header(HOST, host).body(Body::empty()).unwrap()
    }

    #[test]
    fn a_request_must_name_us() {
        let public = site("https://sync.example.org", false);
        for host in ["sync.example.org", "SYNC.example.org:443", "old.example.org:8080"] {
            assert!(public.is_meant_by(&request(host, false)), "{host}");
        }
        for host in ["", "example.org", "127.0.0.1:5000", "sync.example.org.evil.test"] {
            assert!(!public.is_meant_by(&request(host, true)), "{host}");
        }
    }

    /// A client signs for the address that it connects to, by any host of this server.
    #[test]
    fn a_signature_holds_for_each_of_our_names() {
        let is_signed = |site: &Site, asked: &str, signed: (&str, u16)| {
            let request = request(asked, true);
            site.is_signed_for(request.uri(), request.headers(), |host, port| {
                (host, port) == signed
            })
        };
        let public = site("https://sync.example.org", false);
        for (asked, signed) in [
            // A proxy may ask for any host.
            ("127.0.0.1:5000", ("sync.example.org", 443)),
            ("", ("sync.example.org", 443)),
            ("SYNC.example.org:443", ("sync.example.org", 443)),
            ("sync.example.org:8443", ("sync.example.org", 8443)),
            ("old.example.org", ("old.example.org", 443)),
            ("OLD.example.org:443", ("old.example.org", 443)),
            ("old.example.org:8443", ("old.example.org", 8443)),
            ("old.example.org:8443", ("old.example.org", 443)),
        ] {
            assert!(is_signed(&public, asked, signed), "{asked} {signed:?}");
        }
        for (asked, signed) in [
            ("example.org", ("example.org", 443)),
            ("sync.example.org", ("old.example.org", 443)),
            ("old.example.org", ("old.example.org", 80)),
            ("old.example.org", ("old.example.org", 8443)),
            ("127.0.0.1:5000", ("127.0.0.1", 5000)),
            ("localhost:5000", ("localhost", 5000)),
            ("old.example.org.evil.test", ("old.example.org.evil.test", 443)),
        ] {
            assert!(!is_signed(&public, asked, signed), "{asked} {signed:?}");
        }

        let private = site("http://127.0.0.1:5000", true);
        for (asked, signed) in [
            ("127.0.0.1:5000", ("127.0.0.1", 5000)),
            ("localhost:5000", ("localhost", 5000)),
            ("LOCALHOST:5000", ("localhost", 5000)),
            ("localhost", ("localhost", 80)),
            ("[::1]:5000", ("[::1]", 5000)),
            ("[::1]:5000", ("::1", 5000)),
            ("[::1]", ("::1", 80)),
        ] {
            assert!(is_signed(&private, asked, signed), "{asked} {signed:?}");
        }
        assert!(!is_signed(&private, "example.org:5000", ("example.org", 5000)));
        assert!(!is_signed(&private, "localhost:5000x", ("localhost", 80)));
        let alone = site("http://[::1]:5000", true);
        assert!(is_signed(&alone, "[::1]:5000", ("::1", 5000)));
        let reached = site("http://127.0.0.1:5000", false);
        assert!(!is_signed(&reached, "localhost:5000", ("localhost", 5000)));
    }

    #[test]
    fn only_requests_of_this_machine_are_private() {
        let private = site("http://127.0.0.1:5000", true);
        for host in ["127.0.0.1:5000", "localhost", "[::1]:5000"] {
            let request = request(host, true);
            assert!(
                private.is_private(&request) && private.is_meant_by(&request),
                "{host}"
            );
        }
        assert!(
            !private.is_private(&request("127.0.0.1:5000", false)),
            "forwarded"
        );
        assert!(
            !private.is_private(&request("sync.example.org", true)),
            "another name"
        );
        assert!(private.is_meant_by(&request("localhost", false)), "forwarded");
        assert!(!private.is_meant_by(&request("sync.example.org", true)));
        let behind_proxy = site("https://sync.example.org", false);
        assert!(!behind_proxy.is_private(&request("127.0.0.1:5000", true)));
    }

    #[test]
    fn requests_caused_by_foreign_pages_are_not_private() {
        let private = site("http://127.0.0.1:5000", true);
        let sent_by = |origins: &[&str]| {
            let mut request = request("127.0.0.1:5000", true);
            for origin in origins {
                request.headers_mut().append(ORIGIN, origin.parse().unwrap());
            }
            private.is_private(&request)
        };
        for origin in ["http://127.0.0.1:5000", "http://localhost", "http://[::1]:5000"] {
            assert!(sent_by(&[origin]), "{origin}");
        }
        for origin in [
            "https://example.org",
            "http://localhost.example.org:5000",
            "null",
            "",
        ] {
            assert!(!sent_by(&[origin]), "{origin}");
        }
        assert!(!sent_by(&["http://127.0.0.1:5000", "https://example.org"]));
    }

    #[test]
    fn foreign_pages_are_recognised() {
        let public = site("https://sync.example.org", false);
        let is_foreign = |site: &Site, headers: &[(HeaderName, &str)]| {
            let mut request = request("sync.example.org", false);
            for (name, value) in headers {
                request.headers_mut().append(name, value.parse().unwrap());
            }
            site.is_sent_by_foreign_page(request.headers())
        };
        for headers in [
            &[][..],
            &[(ORIGIN, "https://sync.example.org")],
            &[(ORIGIN, "https://old.example.org:8443")],
            &[(ORIGIN, "null")],
            &[(FETCH_SITE, "none"), (ORIGIN, "null")],
            &[(FETCH_SITE, "same-origin")],
        ] {
            assert!(!is_foreign(&public, headers), "{headers:?}");
        }
        for headers in [
            &[(ORIGIN, "https://example.org")][..],
            &[(ORIGIN, "http://localhost:5000")],
            &[
                (ORIGIN, "https://sync.example.org"),
                (ORIGIN, "https://example.org"),
            ],
            &[(FETCH_SITE, "cross-site"), (ORIGIN, "null")],
            &[(FETCH_SITE, "same-site")],
        ] {
            assert!(is_foreign(&public, headers), "{headers:?}");
        }
        let is_by_page = |headers: &[(HeaderName, &str)]| {
            let mut request = request("sync.example.org", false);
            for (name, value) in headers {
                request.headers_mut().append(name, value.parse().unwrap());
            }
            public.is_sent_by_page(request.headers())
        };
        let html = (ACCEPT, "text/html,*/*;q=0.8");
        for (headers, by_page) in [
            (&[(ORIGIN, "null"), html.clone()][..], true),
            (&[(ORIGIN, "null"), (REFERER, "https://example.org/")], true),
            (&[(ORIGIN, "null"), (UPGRADE, "1")], true),
            (&[(ORIGIN, "https://example.org")], true),
            (&[(ORIGIN, "null"), (ACCEPT, "*/*")], false),
            (
                &[(ORIGIN, "null"), (USER_AGENT, "PaleMoon/33.0 FxSync/33.0")],
                false,
            ),
            (
                &[(ORIGIN, "null"), (USER_AGENT, "Mozilla/5.0 (X11) Goanna/6")],
                true,
            ),
            (&[(REFERER, "https://example.org/a?b")], true),
            (&[(REFERER, "https://sync.example.org:8443/a")], false),
            (&[html], false),
        ] {
            assert_eq!(is_by_page(headers), by_page, "{headers:?}");
        }
        let private = site("http://127.0.0.1:5000", true);
        assert!(!is_foreign(&private, &[(ORIGIN, "http://localhost:5000")]));
        assert!(is_foreign(&private, &[(ORIGIN, "https://example.org")]));
    }
}
