//! Who is believed about where a request comes from.

use foxden_model::SeededChance;

use super::*;

fn peer(connected: Option<&str>, forwarded: &[&str]) -> Peer {
    let trusted = vec![Network::parse("10.0.0.0/8").unwrap()];
    let ids = Arc::new(Ids::new(&SeededChance::new(1)));
    let front = Front::new(
        axum::Router::new().into(),
        trusted,
        ids,
        Bounds::for_uploads_of(0),
    );
    let mut headers = HeaderMap::new();
    for value in forwarded {
        headers.append("x-forwarded-for", value.parse().unwrap());
    }
    front.peer(connected.map(|address| address.parse().unwrap()), &headers)
}

#[test]
fn the_last_hop_counts_where_a_believed_proxy_names_it() {
    for connected in [None, Some("127.0.0.1"), Some("::1"), Some("10.1.2.3")] {
        for (forwarded, address) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
            (&["203.0.113.9", "198.51.100.1,192.0.2.1"], "192.0.2.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
        ] {
            let peer = peer(connected, forwarded);
            assert_eq!(peer.address, address.parse::<IpAddr>().unwrap(), "{forwarded:?}");
            assert!(!peer.is_direct);
        }
    }
}

#[test]
fn a_stranger_is_not_believed() {
    let peer = peer(Some("192.0.2.7"), &["198.51.100.1"]);
    assert_eq!(peer.address, "192.0.2.7".parse::<IpAddr>().unwrap());
    assert!(!peer.is_direct);
}

#[test]
fn nothing_stands_between_on_this_machine_alone() {
    assert!(peer(None, &[]).is_direct);
    assert!(peer(Some("127.0.0.1"), &[]).is_direct);
    assert!(!peer(Some("192.0.2.7"), &[]).is_direct);
    assert!(!peer(Some("127.0.0.1"), &["unknown"]).is_direct);
}
