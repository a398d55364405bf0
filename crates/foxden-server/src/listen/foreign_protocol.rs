//! Recognises clients that do not speak HTTP/1, such as a misconfigured proxy.

use std::fmt;
use std::net::IpAddr;

use foxden_model::LogThrottle;

/// The protocol of a connection's first bytes, if it is not HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignProtocol {
    /// TLS: a `ClientHello`.
    Tls = 1,
    /// HTTP/2 without TLS: its connection preface.
    Http2 = 2,
    /// The PROXY protocol, of either version.
    Proxy = 3,
}

/// All kinds.
const KINDS: [ForeignProtocol; 3] = [
    ForeignProtocol::Tls,
    ForeignProtocol::Http2,
    ForeignProtocol::Proxy,
];

/// Writes one line for each kind now and then: any client can send such bytes.
#[derive(Debug, Default)]
pub struct ForeignProtocolLog([LogThrottle; KINDS.len()]);

impl ForeignProtocol {
    /// Recognises the first bytes of a connection.
    pub fn of(first: &[u8]) -> Option<Self> {
        match first {
            // A handshake record, of any version up to TLS 1.3, that begins with a ClientHello.
            [0x16, 0x03, 0x00..=0x04, _, _, 0x01, ..] => Some(Self::Tls),
            _ if first.starts_with(b"PRI * HTTP/2.0\r\n") => Some(Self::Http2),
            _ if first.starts_with(b"\r\n\r\n\0\r\nQUIT\n") => Some(Self::Proxy),
            _ if first.starts_with(b"PROXY TCP") || first.starts_with(b"PROXY UNKNOWN") => Some(Self::Proxy),
            _ => None,
        }
    }

    /// The protocol with this number.
    pub fn numbered(number: u8) -> Option<Self> {
        KINDS.into_iter().find(|kind| *kind as u8 == number)
    }
}

impl fmt::Display for ForeignProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => {
                "TLS, but this listener takes plain HTTP: end TLS in the proxy, and let it pass requests on to http://"
            }
            Self::Http2 => {
                "HTTP/2, but this listener takes HTTP/1.1: set the proxy to HTTP/1.1 towards this server (HAProxy: no \
                 proto h2)"
            }
            Self::Proxy => {
                "the PROXY protocol, which this listener does not take: switch it off in the proxy (HAProxy: send-proxy; \
                 nginx: proxy_protocol), and let it set X-Forwarded-For"
            }
        })
    }
}

impl ForeignProtocolLog {
    /// Writes a line about a connection, unless one was written for its protocol a moment ago.
    pub fn warn(&self, protocol: ForeignProtocol, address: Option<IpAddr>) {
        let Some(suppressed) = self.0[protocol as usize - 1].should_log() else {
            return;
        };
        let client = address.map_or_else(
            || "a client on this machine".to_owned(),
            |address| address.to_string(),
        );
        tracing::warn!("{client} speaks {protocol}{suppressed}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_recognised() {
        let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
        for (first, expected) in [
            (&hello[..], Some(ForeignProtocol::Tls)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(ForeignProtocol::Http2)),
            (
                b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
                Some(ForeignProtocol::Proxy),
            ),
            (b"PROXY TCP6 ::1 ::1 1 2\r\n", Some(ForeignProtocol::Proxy)),
            (b"PROXY UNKNOWN\r\n", Some(ForeignProtocol::Proxy)),
            (
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
                Some(ForeignProtocol::Proxy),
            ),
            (b"PROXY /a HTTP/1.1\r\n", None),
            (b"GET / HTTP/1.1\r\n", None),
            (b"\r\n\r\nGET / HTTP/1.1\r\n", None),
            (b"", None),
        ] {
            assert_eq!(ForeignProtocol::of(first), expected, "{first:?}");
        }
    }
}
