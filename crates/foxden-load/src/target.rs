//! The address of the measured server.

use std::fmt;
use std::net::IpAddr;

/// Where requests are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether the connection is encrypted.
    pub is_https: bool,
    /// The host: a name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path below which the protocol begins, without a slash at its end.
    pub path: String,
}

impl Target {
    /// Reads a URL.
    pub fn read(url: &str) -> Result<Self, String> {
        let (is_https, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(format!("{url:?} does not begin with http:// or https://")),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') || path.contains(['?', '#']) {
            return Err(format!("{url:?} has more than a host, a port and a path"));
        }
        let (host, port) =
            split_port(authority).ok_or_else(|| format!("{url:?} has no valid host and port"))?;
        Ok(Self {
            is_https,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(if is_https { 443 } else { 80 }),
            path: path.trim_end_matches('/').to_owned(),
        })
    }

    /// Whether it is this machine.
    pub fn is_local(&self) -> bool {
        let is_loopback = |address: IpAddr| address.is_loopback();
        self.host == "localhost" || self.host.parse().is_ok_and(is_loopback)
    }

    /// The value of the `Host` header.
    pub fn authority(&self) -> String {
        let usual = if self.is_https { 443 } else { 80 };
        let host = self.bracketed();
        if self.port == usual {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Scheme, host and port, as they begin a URL.
    pub fn origin(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// The host as it is written in a URL, and signed.
    pub fn bracketed(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

/// Splits the port off.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        (host, rest.strip_prefix(':'))
    } else {
        match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || ".-:_".contains(letter);
    if host.is_empty() || !host.chars().all(is_name) {
        return None;
    }
    match port {
        Some(port) => Some((host, Some(port.parse().ok()?))),
        None => Some((host, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_put_together() {
        for (url, written, is_local) in [
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000", true),
            ("http://127.8.0.1:5000/", "http://127.8.0.1:5000", true),
            ("http://localhost/", "http://localhost", true),
            ("http://[::1]:5000/", "http://[::1]:5000", true),
            (
                "https://Sync.example.org:443/a/",
                "https://sync.example.org/a",
                false,
            ),
            (
                "https://127.0.0.1.example.org",
                "https://127.0.0.1.example.org",
                false,
            ),
            ("http://192.168.1.2", "http://192.168.1.2", false),
        ] {
            let target = Target::read(url).unwrap();
            assert_eq!(target.to_string(), written);
            assert_eq!(target.is_local(), is_local, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in [
            "127.0.0.1:5000",
            "ftp://a",
            "http://",
            "http://a:b",
            "http://ann:pw@a/",
            "http://a/?x",
            "http://[::1",
        ] {
            assert!(Target::read(url).is_err(), "{url}");
        }
    }
}
