//! Evidence that clients on other machines reach a server.
//!
//! A server that listens on loopback alone takes its clients for users of this machine. A reverse proxy beside it
//! breaks that: its connections come from this machine, too. This module knows what proxies and remote clients
//! reveal.

use std::fmt;
use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version};

use super::host::{FETCH_SITE, without_port};
use super::site::is_loopback_host;

/// Evidence that a request or a connection did not begin on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteEvidence {
    /// The client has an address of another machine.
    Client(IpAddr),
    /// The connection came through a Unix socket: browsers cannot open one.
    UnixSocket,
    /// The connection began with the PROXY protocol.
    ProxyProtocol,
    /// The request uses HTTP/1.0, as some proxies do and no browser does.
    OldHttp,
    /// The request has this header, which proxies add.
    Header(HeaderName),
    /// The request asks for this host, which is not a loopback name.
    Host(String),
    /// A page of this origin triggered the request, and the browser takes it for a page of this server.
    Origin(String),
    /// `foxden check` connected to a port of this machine that others can reach.
    Check,
}

/// Maximum length of a header in a log line.
const LONGEST: usize = 120;

impl RemoteEvidence {
    /// Returns the first evidence in a request.
    pub fn of(parts: &Parts) -> Option<Self> {
        if parts.version < Version::HTTP_11 {
            return Some(Self::OldHttp);
        }
        if let Some(authority) = parts.uri.authority()
            && !is_of_this_machine(authority.as_str())
        {
            return Some(Self::Host(printable(authority.as_str().as_bytes())));
        }
        parts
            .headers
            .iter()
            .find_map(|(name, value)| Self::of_header(name, value, &parts.headers))
    }

    fn of_header(name: &HeaderName, value: &HeaderValue, all: &HeaderMap) -> Option<Self> {
        match name.as_str() {
            "host" => {
                let is_ours =
                    value.is_empty() || str::from_utf8(value.as_bytes()).is_ok_and(is_of_this_machine);
                (!is_ours).then(|| Self::Host(printable(value.as_bytes())))
            }
            "origin" => {
                let is_elsewhere = is_page_of_another_machine(value) && !is_by_foreign_page(all);
                is_elsewhere.then(|| Self::Origin(printable(value.as_bytes())))
            }
            other => is_added_by_proxies(other).then(|| Self::Header(name.clone())),
        }
    }
}

impl fmt::Display for RemoteEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(address) => write!(f, "a client at {address} connected"),
            Self::UnixSocket => f.write_str("a request came through a Unix socket, as from a proxy"),
            Self::ProxyProtocol => f.write_str("a proxy connected with the PROXY protocol"),
            Self::OldHttp => f.write_str("a request came by HTTP/1.0, as from a proxy"),
            Self::Header(name) => write!(f, "a request carried {name}, as from a proxy"),
            Self::Host(host) => write!(f, "a request asked for the host {host}"),
            Self::Origin(origin) => write!(f, "a page of {origin} sent a request"),
            Self::Check => f.write_str("foxden check came here by a port that others can reach"),
        }
    }
}

fn is_of_this_machine(authority: &str) -> bool {
    is_loopback_host(without_port(authority))
}

/// Returns whether an origin is that of a page from the network. `null` and the browser's own pages are not.
fn is_page_of_another_machine(origin: &HeaderValue) -> bool {
    let bytes = origin.as_bytes();
    let host = bytes.strip_prefix(b"http://").or(bytes.strip_prefix(b"https://"));
    host.is_some_and(|host| !str::from_utf8(host).is_ok_and(is_of_this_machine))
}

/// Returns whether the browser marks the request as triggered by a page of another site. Any page can trigger
/// requests in the user's browser, which proves no proxy. Pages cannot set this header.
fn is_by_foreign_page(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(FETCH_SITE).iter();
    sites.any(|site| matches!(site.as_bytes(), b"cross-site" | b"same-site"))
}

/// Returns whether proxies, load balancers, content delivery networks or hosting platforms add this header, and
/// clients of this server do not. Request and trace ids are left out: programs send them as well.
fn is_added_by_proxies(name: &str) -> bool {
    let begins = |with: &[&str]| with.iter().any(|begin| name.starts_with(begin));
    // The headers of nearly every request are decided by one comparison.
    match name.as_bytes().first() {
        Some(b'a') if matches!(name, "accept" | "authorization") => false,
        Some(b'a') => begins(&["akamai-", "ali-cdn-"]),
        Some(b'c') => begins(&["cdn-", "cf-", "client-ip", "cloudfront-", "coming-from"]),
        Some(b'd') => begins(&["do-connecting-ip"]),
        Some(b'f') => begins(&["fastly-", "fly-", "forwarded", "front-end-https"]),
        Some(b'i') => begins(&["incap-"]),
        Some(b'm') => begins(&["max-forwards"]),
        Some(b'p') => begins(&["proxy-"]),
        Some(b'r') => begins(&["remote-"]),
        Some(b's') => begins(&["ssl-", "surrogate-"]),
        Some(b't') => begins(&["tailscale-", "true-client-"]),
        Some(b'v') => name == "via",
        Some(b'w') => begins(&["wl-proxy-"]),
        Some(b'x') => begins(OF_PROXIES),
        _ => false,
    }
}

/// Prefixes of such headers. Clients send `x-client-state`, `x-conditions-accepted`, `x-confirm-delete`, `x-if-…`,
/// `x-keyexchange-…`, `x-keyid` and `x-weave-…`.
const OF_PROXIES: &[&str] = &[
    "x-akamai-",
    "x-amz",
    "x-appengine-",
    "x-arr-",
    "x-auth-request-",
    "x-authentik-",
    "x-azure-",
    "x-bluecoat-",
    "x-cdn",
    "x-client-cert",
    "x-client-ip",
    "x-client-ssl",
    "x-client-verify",
    "x-cloud-trace-context",
    "x-cluster-client-",
    "x-coming-from",
    "x-edge-",
    "x-envoy-",
    "x-forward",
    "x-from-",
    "x-gateway-",
    "x-haproxy-",
    "x-host",
    "x-ingress-",
    "x-lb-",
    "x-nginx",
    "x-original-",
    "x-originating-",
    "x-proxy",
    "x-queue-start",
    "x-real-",
    "x-remote-",
    "x-request-start",
    "x-rewrite-url",
    "x-scheme",
    "x-script-name",
    "x-ssl-",
    "x-sucuri-",
    "x-traefik-",
    "x-true-client-",
    "x-url-scheme",
    "x-varnish",
    "x-vercel-",
    "x-via",
];

/// Makes a client's text printable for a log and a terminal.
fn printable(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(LONGEST);
    shown
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
