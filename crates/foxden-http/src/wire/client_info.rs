//! The client of a request, as accounts need it.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::Request;
use axum::http::header::USER_AGENT;
use foxden_accounts::ClientInfo;
use foxden_accounts::security::EntryPoint;

use super::{Peer, Site};

/// Maximum length of a stored `User-Agent`.
const LONGEST: usize = 255;

/// Returns the client of a request, and the surface it uses.
pub(crate) fn client_info(request: &Request, site: &Site, entry_point: EntryPoint) -> ClientInfo {
    let peer = request.extensions().get::<Peer>();
    let user_agent = request.headers().get(USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok());
    ClientInfo {
        // All clients without a known address share one limit.
        address: peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address),
        is_private: site.is_private(request),
        user_agent: user_agent.map_or(String::new(), |text| text.chars().take(LONGEST).collect()),
        entry_point,
    }
}
