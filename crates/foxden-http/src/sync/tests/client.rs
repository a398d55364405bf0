//! A node accepts the requests of servers with the same secrets.

use super::super::client::{NodeRequest, NodeRequests, ProbeAnswer, is_deleted};
use super::*;

fn send_to_node(sync: &SyncState, request: &NodeRequest) -> u16 {
    let node = sync.site.public_url.origin();
    let path = request.url.strip_prefix(&node).unwrap();
    let request = Request::builder()
        .method(&request.method)
        .uri(path)
        .header("authorization", &request.authorization)
        .body(Body::empty())
        .unwrap();
    send(sync, request).0.as_u16()
}

#[test]
fn a_node_deletes_a_store_for_a_server_with_its_secrets() {
    let (sync, rng) = (state(), SeededRng::new(3));
    let (shared, other) = (secrets(), TokenSecrets::new([], "another"));
    let requests = |secrets| NodeRequests {
        secrets,
        clock: &*sync.clock,
        rng: &rng,
    };
    let token = token();
    let put = request(&token, "PUT", "/1.5/42/storage/c/a", r#"{"payload":"x"}"#.into());
    assert_eq!(send(&sync, put).0, StatusCode::OK);
    let node = &sync.site.public_url;

    let probe = send_to_node(&sync, &requests(&shared).probe(node));
    assert_eq!(ProbeAnswer::of(probe), ProbeAnswer::Accepted);
    let probe = send_to_node(&sync, &requests(&other).probe(node));
    assert_eq!(ProbeAnswer::of(probe), ProbeAnswer::Unauthorized);
    let refused = send_to_node(&sync, &requests(&other).delete_store(node, UserId(42)));
    assert!(!is_deleted(refused), "{refused}");
    let deleted = send_to_node(&sync, &requests(&shared).delete_store(node, UserId(42)));
    assert!(is_deleted(deleted), "{deleted}");

    let get = request(&token, "GET", "/1.5/42/storage/c/a", Body::empty());
    assert_eq!(send(&sync, get).0, StatusCode::NOT_FOUND);
}
