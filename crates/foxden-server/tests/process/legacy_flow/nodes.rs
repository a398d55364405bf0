//! Two nodes: the assignment of users, and the move of a user to another node.

use std::collections::BTreeSet;

use super::first::fill;
use super::servers::{ANN, PASSWORD, TestServers, Topology};
use foxden_test_support::client::browser::Session;
use foxden_test_support::client::legacy::account::{self, StorageLocation};
use foxden_test_support::client::legacy::device::Device;
use foxden_test_support::client::legacy::engine::Platform;
use foxden_test_support::client::legacy::storage::{Node, Stop};

/// New people go to the node with the fewest and stay there. The other one knows their passwords, too, and
/// answers 401 all the same: it is not their node.
#[test]
fn people_are_spread_and_stay() {
    let servers = TestServers::start(Topology::Split, &[]);
    let server = servers.server();
    let mut used = BTreeSet::new();
    for number in 0..6 {
        let address = format!("ann{number}@example.org");
        let name = account::register(&server, &address, PASSWORD);
        let mut device = Device::first(&server, &address, PASSWORD);
        device.sync().unwrap();
        let base = device.node_base().unwrap();
        assert_eq!(
            account::storage_location(&server, &name),
            StorageLocation::At(base.clone())
        );
        let other = servers.bases().into_iter().find(|other| *other != base).unwrap();
        let mut stranger = Node::at(&other, &name, account::basic(&name, PASSWORD));
        let refused = stranger
            .send_unchecked("GET", "/info/collections", |call| call)
            .expect(401);
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"Sync\""));
        used.insert(base);
    }
    assert_eq!(used.len(), 2);
}

/// The operator moves a user to the other node. The old one answers 401; a device asks where to go, finds an
/// empty store there and fills it; the other devices follow, and nothing is lost. Firefox is sent there, too.
#[test]
fn a_moved_user_keeps_all_data() {
    let servers = TestServers::start(Topology::Split, &[]);
    let mut laptop = servers.ann();
    fill(&mut laptop);
    laptop.sync().unwrap();
    let mut telephone = laptop.another(Platform::Android);
    telephone.sync().unwrap();
    laptop.sync().unwrap();
    let before = laptop.everything().len();
    let firefox = Session::sign_in(&servers.server(), ANN, PASSWORD).connect("Firefox");
    let old_store = firefox.store();

    let old = laptop.node_base().unwrap();
    let new = servers.bases().into_iter().find(|other| *other != old).unwrap();
    let moved = servers.operator(&["user", "move", ANN, "--to", new.trim_end_matches('/')]);
    assert!(
        moved.status.success(),
        "{}",
        String::from_utf8_lossy(&moved.stderr)
    );
    assert_eq!(
        account::storage_location(&servers.server(), &laptop.name()),
        StorageLocation::At(new.clone())
    );
    crate::nodes::eventually(|| laptop.node().collections("").is_err());
    let amid = telephone.node().list("/storage/bookmarks?full=1");
    assert_eq!(amid.err(), Some(Stop::Reassigned), "as it would be amid a sync");

    for _ in 0..2 {
        laptop.sync().unwrap();
        telephone.sync().unwrap();
    }
    for device in [&laptop, &telephone] {
        assert_eq!(device.node_base().as_deref(), Some(new.as_str()));
        assert_eq!(device.everything().len(), before);
    }
    laptop.is_alike(&telephone);
    let store = firefox.store();
    let endpoint = store.token["api_endpoint"].as_str().unwrap().to_owned();
    assert!(endpoint.starts_with(&new), "{endpoint}");
    assert_ne!(store.uid(), old_store.uid(), "a store elsewhere is a fresh one");
}

/// No node accepts new users: they wait and retry. Users with a node are not affected.
#[test]
fn a_client_without_a_node_waits() {
    let servers = TestServers::start(Topology::Split, &[]);
    let mut laptop = servers.ann();
    let node = |command: &str| {
        for base in servers.bases() {
            let done = servers.operator(&["node", command, base.trim_end_matches('/')]);
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    };
    node("drain");
    laptop.sync().unwrap();
    account::register(&servers.server(), "bea@example.org", PASSWORD);
    let mut late = Device::first(&servers.server(), "bea@example.org", PASSWORD);
    assert_eq!(late.sync(), Err(Stop::NoNode));
    assert_eq!(late.sync(), Err(Stop::NoNode));
    node("resume");
    late.sync().unwrap();
    laptop.another(Platform::Desktop).sync().unwrap();
}
