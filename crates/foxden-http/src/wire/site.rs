//! The address of this server.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The most characters of an address: nodes are known by theirs, and databases keep them.
const LONGEST: usize = 255;

/// The address in links, discovery documents, tokens and nodes: scheme, host, port, and a path for storage and
/// tokens. Pages and the account API are always at the root of the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    is_https: bool,
    host: String,
    port: u16,
    path: String,
}

/// Not a valid public address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadUrl(&'static str);

/// The hosts of this server.
#[derive(Clone, Debug)]
pub struct Site {
    /// The public address.
    pub public_url: PublicUrl,
    /// Whether the server listens on loopback alone and its public address is loopback too. The first request with
    /// a [`super::RemoteEvidence`] of remote clients makes it public all the same.
    pub is_loopback: bool,
    /// Further hosts for pages and account routes.
    pub other_hosts: Vec<String>,
}

impl PublicUrl {
    /// Scheme, host and port, without a default port and a trailing slash.
    pub fn origin(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        if self.port == self.default_port() {
            format!("{scheme}://{}", self.host)
        } else {
            format!("{scheme}://{}:{}", self.host, self.port)
        }
    }

    /// The host in lower case, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Host and port as people read them, without a default port.
    pub fn host_and_port(&self) -> String {
        let origin = self.origin();
        origin
            .split_once("://")
            .map_or(origin.clone(), |(_, rest)| rest.to_owned())
    }

    /// The port that clients connect to.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether clients connect by https.
    pub const fn is_https(&self) -> bool {
        self.is_https
    }

    /// The path of storage and tokens: empty, or `/` and a name, without a trailing slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Origin and path: the prefix of nodes and token addresses.
    pub fn base(&self) -> String {
        self.origin() + &self.path
    }

    /// Whether the host is a loopback address.
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }

    /// The default port of the scheme.
    pub(super) const fn default_port(&self) -> u16 {
        if self.is_https { 443 } else { 80 }
    }
}

impl FromStr for PublicUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let (scheme, rest) = text
            .trim()
            .split_once("://")
            .ok_or(BadUrl("it must begin with https:// or http://"))?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(BadUrl("it must begin with https:// or http://")),
        };
        if rest.contains(['?', '#', '@', ' ']) {
            return Err(BadUrl("it may hold a host, a port and a path, nothing else"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = split_port(authority)?;
        let host = read_host(host).ok_or(BadUrl(
            "its host must be a name or an address, in ASCII (xn--… for other letters)",
        ))?;
        let path = match path.trim_matches('/') {
            "" => String::new(),
            path if path.split('/').all(is_plain) => format!("/{path}"),
            _ => {
                return Err(BadUrl(
                    "its path may hold names of ASCII letters, digits and -._~ alone",
                ));
            }
        };
        let port = port.unwrap_or(if is_https { 443 } else { 80 });
        let url = Self {
            is_https,
            host,
            port,
            path,
        };
        if url.base().len() > LONGEST {
            return Err(BadUrl("it may have at most 255 characters"));
        }
        Ok(url)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base())
    }
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadUrl {}

/// The one spelling of a host: a name in lower case, or an address. A name that ends in a dot is another one to clients.
fn read_host(text: &str) -> Option<String> {
    if let Some(address) = text.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.split('.').all(is_label).then(|| text.to_ascii_lowercase())
}

/// Returns whether a segment of a path needs no escapes.
fn is_plain(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain)
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), BadUrl> {
    // A colon inside brackets belongs to an IPv6 address.
    let colon = authority
        .rfind(':')
        .filter(|&at| authority[at..].find(']').is_none());
    let Some(colon) = colon else {
        return Ok((authority, None));
    };
    let digits = &authority[colon + 1..];
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|_| is_number);
    let port = port.ok_or(BadUrl("its port must be a number below 65536"))?;
    Ok((&authority[..colon], Some(port)))
}

/// Returns whether a host, without a port, is a loopback name.
pub fn is_loopback_host(host: &str) -> bool {
    // The most frequent case first.
    if host == "127.0.0.1" || host == "localhost" {
        return true;
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_addresses() {
        for (text, base, host_and_port) in [
            (
                "https://sync.example.org",
                "https://sync.example.org",
                "sync.example.org",
            ),
            (
                "https://Sync.Example.org:443/",
                "https://sync.example.org",
                "sync.example.org",
            ),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000", "127.0.0.1:5000"),
            ("https://a.b:8443/sync/", "https://a.b:8443/sync", "a.b:8443"),
            (
                "https://a.b/~ann/sync-1.5_x//",
                "https://a.b/~ann/sync-1.5_x",
                "a.b",
            ),
            ("http://[::1]:5000", "http://[::1]:5000", "[::1]:5000"),
            ("http://[0:0:0::0001]:080", "http://[::1]", "[::1]"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!(
                (url.base().as_str(), url.host_and_port().as_str()),
                (base, host_and_port),
                "{text}"
            );
        }
        for text in [
            "",
            "sync.example.org",
            "ftp://a",
            "https://",
            "https://a:99999",
            "https://a:+443",
            "https://a:",
            "https://a:b:1",
            "https://a.:443",
            "https://.a",
            "https://a..b",
            "https://[::1",
            "https://[a]",
            "https://ä.example.org",
            "https://u@a",
            "https://a?b",
            "https://a/{b}",
            "https://a/b}/c",
            "https://a/*b",
            "https://a/:b",
            "https://a/b%20c",
            "https://a/bücher",
            "https://a/b//c",
            "https://a/b/../c",
        ] {
            assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        }
        let long = |length: usize| format!("https://a/{}", "b".repeat(length - 10)).parse::<PublicUrl>();
        assert!(long(255).is_ok() && long(256).is_err());
    }

    #[test]
    fn knows_what_only_this_machine_can_reach() {
        for host in ["localhost", "127.0.0.1", "127.3.2.1", "[::1]", "LOCALHOST"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in ["example.org", "192.168.1.2", "[::2]", "localhost.example.org"] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
