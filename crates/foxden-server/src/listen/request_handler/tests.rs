//! Trust in the client addresses that proxies name, and the evidence that makes a private server public.

use foxden_model::SeededRng;

use super::*;
use crate::exposure;

/// A listener of a server that is private, or not. Nothing of it is written.
fn handler(is_private: bool) -> RequestHandler {
    let trusted = vec!["10.0.0.0/8".parse().unwrap()];
    let ids = Arc::new(RequestIds::new(&SeededRng::new(1)));
    let exposure = Arc::new(exposure::tests::open(is_private, "/proc/foxden/public".into()));
    RequestHandler::new(
        axum::Router::new().into(),
        trusted,
        exposure,
        ids,
        DrainLimits::for_uploads_of(0),
        SecurityEvents::default(),
    )
}

fn peer_at(handler: &RequestHandler, connected: Option<&str>, headers: &[(&str, &str)]) -> Peer {
    let mut request = Request::builder().uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    handler.peer(connected.map(|address| address.parse().unwrap()), &parts)
}

fn peer(connected: Option<&str>, forwarded: &[&str]) -> Peer {
    let headers: Vec<_> = forwarded
        .iter()
        .map(|value| ("x-forwarded-for", *value))
        .collect();
    peer_at(&handler(true), connected, &headers)
}

#[test]
fn the_last_hop_counts_where_a_believed_proxy_names_it() {
    for connected in [
        None,
        Some("127.0.0.1"),
        Some("::1"),
        Some("10.1.2.3"),
        Some("::ffff:10.1.2.3"),
    ] {
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
    assert!(peer(Some("127.0.0.1"), &[]).is_direct);
    assert!(peer(Some("::1"), &[]).is_direct);
    assert!(
        !peer(None, &[]).is_direct,
        "browsers open no socket in the file system"
    );
    assert!(!peer(Some("192.0.2.7"), &[]).is_direct);
    assert!(!peer(Some("127.0.0.1"), &["unknown"]).is_direct);
    assert!(!peer_at(&handler(false), Some("127.0.0.1"), &[]).is_direct);
}

/// After the first evidence no request looks private any more, whatever it shows.
#[test]
fn evidence_is_permanent() {
    let handler = handler(true);
    let here = Some("127.0.0.1");
    assert!(peer_at(&handler, here, &[("host", "localhost:5000")]).is_direct);
    assert!(!peer_at(&handler, here, &[("host", "sync.example.org")]).is_direct);
    assert!(!peer_at(&handler, here, &[("host", "localhost:5000")]).is_direct);
    assert!(handler.exposure.mark().unwrap().why.contains("sync.example.org"));
}

#[test]
fn the_proxy_protocol_gives_a_proxy_away() {
    for (foreign_protocol, stays) in [
        (ForeignProtocol::Tls, true),
        (ForeignProtocol::Http2, true),
        (ForeignProtocol::Proxy, false),
    ] {
        let handler = handler(true);
        handler.report_foreign_protocol(foreign_protocol, None);
        assert_eq!(handler.exposure.is_private(), stays, "{foreign_protocol:?}");
    }
}
