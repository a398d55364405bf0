//! The sender of a request.

use std::net::IpAddr;

/// The sender of a request, as the listener saw it. Every request has it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address: the peer's own, or the last hop that a trusted proxy named.
    pub address: IpAddr,
    /// Whether nothing stands between: the server is private (see [`super::RemoteEvidence`]), and the request shows no sign of a
    /// proxy.
    pub is_direct: bool,
}
