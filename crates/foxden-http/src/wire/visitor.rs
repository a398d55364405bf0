//! Who makes a request, as far as accounts care.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::Request;
use axum::http::header::USER_AGENT;
use foxden_accounts::Visitor;
use foxden_accounts::security::Door;

use super::{Peer, Site};

/// The most of what a client calls itself that is kept.
const LONGEST: usize = 255;

/// Who made this request, and by which door it came.
pub(crate) fn visitor(request: &Request, site: &Site, door: Door) -> Visitor {
    let peer = request.extensions().get::<Peer>();
    let user_agent = request.headers().get(USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok());
    Visitor {
        // Without a peer nothing can be told apart, so all share one limit.
        address: peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address),
        is_private: site.is_private(request),
        user_agent: user_agent.map_or(String::new(), |text| text.chars().take(LONGEST).collect()),
        door,
    }
}
