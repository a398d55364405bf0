//! What operators set for nodes, and who says which nodes there are.

use std::sync::Arc;

use foxden_accounts::{
    Accounts, Identity, KeyId, MIGRATIONS, NodeError, NodeLookup, NodeSettings, NodeState, Nodes, OLDSYNC,
    OpenError, Parts, TokenError,
};
use foxden_model::{Clock, ManualClock, SeededRng};
use foxden_sql::Database;
use tokio::task::JoinSet;

use crate::context::{ANN, NODE, START, TestContext, cheap, local_client};
use crate::credential_cache::Folder;
use crate::placement::{at, told_by_lookup, told_by_token};

const ONE: &str = "https://one.example.org";
const TWO: &str = "https://two.example.org";

pub(crate) fn listed(urls: &[&str]) -> Nodes {
    Nodes::Listed(urls.iter().map(|&url| url.to_owned()).collect())
}

pub(crate) fn capacity(stores: u32) -> NodeSettings {
    NodeSettings {
        capacity: Some(Some(stores)),
        ..NodeSettings::default()
    }
}

/// Firefox and old clients share the slots of a node.
#[tokio::test]
async fn stores_of_both_protocols_count_towards_the_capacity() {
    let ctx = TestContext::new().await;
    ctx.accounts.set_node(NODE, capacity(3)).await.unwrap();
    let assign = async |number: u8| ctx.accounts.assign(&stranger(number), &key()).await;
    assign(1).await.unwrap();
    assign(2).await.unwrap();
    ctx.create(ANN).await;
    assert_eq!(told_by_lookup(&ctx).await, at(NODE));
    assert!(matches!(assign(3).await, Err(TokenError::NoCapacity)));
    let node = &ctx.accounts.list_nodes().await.unwrap()[0];
    assert_eq!((node.load, node.capacity), (3, Some(3)));
    ctx.accounts.remove_account(ANN).await.unwrap();
    assign(3).await.unwrap();
    assert_eq!(
        told_by_token(assign(1).await),
        at(NODE),
        "those with a store are served"
    );
    ctx.accounts
        .set_node(
            NODE,
            NodeSettings {
                capacity: Some(None),
                ..NodeSettings::default()
            },
        )
        .await
        .unwrap();
    assign(4).await.unwrap();
}

/// A node with many stores of old clients is as full for Firefox.
#[tokio::test]
async fn new_users_go_by_the_load_of_both_protocols() {
    let (folder, clock) = (Folder::new(), Arc::new(ManualClock::at_millis(START)));
    let ctx = folder.process(&clock, listed(&[ONE, TWO])).await;
    let set = async |url, state| ctx.accounts.set_node_state(url, state).await.unwrap();
    set(TWO, NodeState::NoNewUsers).await;
    for address in [ANN, "bea@example.org", "cai@example.org"] {
        ctx.create(address).await;
        let node = ctx.accounts.node_of(address, &local_client()).await.unwrap();
        assert_eq!(node, NodeLookup::At(ONE.into()));
    }
    set(TWO, NodeState::Accepting).await;
    for number in 0..2 {
        let assigned = ctx.accounts.assign(&stranger(number), &key()).await.unwrap();
        assert_eq!(assigned.node, TWO);
    }
}

/// A node of twice the weight gets twice the users, and one whose clients are asked to stay away only those for whom there
/// is no other room.
#[tokio::test]
async fn new_users_go_by_weight_and_past_a_node_that_backs_off() {
    let (folder, clock) = (Folder::new(), Arc::new(ManualClock::at_millis(START)));
    let ctx = folder.process(&clock, listed(&[ONE, TWO])).await;
    let settings = |weight, backoff_seconds| NodeSettings {
        weight: Some(weight),
        backoff_seconds: Some(backoff_seconds),
        ..NodeSettings::default()
    };
    let on_two = async |numbers: std::ops::Range<u8>| {
        let mut count = 0;
        for number in numbers {
            let assigned = ctx.accounts.assign(&stranger(number), &key()).await.unwrap();
            count += u32::from(assigned.node == TWO);
        }
        count
    };
    ctx.accounts.set_node(TWO, settings(200, 0)).await.unwrap();
    assert_eq!(on_two(0..12).await, 8);
    ctx.accounts.set_node(TWO, settings(200, 600)).await.unwrap();
    assert_eq!(on_two(12..20).await, 0);
    let orders = ctx.accounts.node_orders(TWO).await.unwrap().unwrap();
    assert_eq!((orders.is_down, orders.backoff_seconds), (false, 600));
    ctx.accounts
        .set_node_state(ONE, NodeState::NoNewUsers)
        .await
        .unwrap();
    assert_eq!(on_two(20..22).await, 2);
}

/// Fifty first sign-ins at once at two processes, and room for ten stores: ten get one, and all others are told to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_at_once_give_out_no_more_than_there_is() {
    let (folder, clock) = (Folder::new(), Arc::new(ManualClock::at_millis(START)));
    let mut processes = Vec::new();
    for seed in 0..2 {
        processes.push(open(&folder, &clock, seed, listed(&[ONE])).await.unwrap());
    }
    processes[0].set_node(ONE, capacity(10)).await.unwrap();
    let mut asking = JoinSet::new();
    for number in 0..50_u8 {
        let accounts = processes[usize::from(number % 2)].clone();
        asking.spawn(async move { accounts.assign(&stranger(number), &key()).await });
    }
    let (mut stores, mut refused) = (Vec::new(), 0);
    for answer in asking.join_all().await {
        match answer {
            Ok(assignment) => stores.push(assignment.user),
            Err(TokenError::NoCapacity) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    stores.sort();
    stores.dedup();
    assert_eq!((stores.len(), refused), (10, 40));
    let node = &processes[1].list_nodes().await.unwrap()[0];
    assert_eq!((node.users, node.load), (10, 10));
}

/// Where commands manage the nodes, a start with another list changes nothing.
#[tokio::test]
async fn configuration_and_commands_do_not_undo_each_other() {
    let (folder, clock) = (Folder::new(), Arc::new(ManualClock::at_millis(START)));
    let first = folder.process(&clock, Nodes::ByCommand).await;
    assert!(first.accounts.list_nodes().await.unwrap().is_empty());
    first.accounts.add_node(ONE, capacity(5)).await.unwrap();
    first
        .accounts
        .add_node(&format!("{TWO}/"), NodeSettings::default())
        .await
        .unwrap();
    let again = first.accounts.add_node(ONE, NodeSettings::default()).await;
    assert!(matches!(again, Err(NodeError::Exists)));
    for nodes in [
        Nodes::Own(NODE.to_owned()),
        listed(&[ONE]),
        listed(&[ONE, TWO, NODE]),
    ] {
        match open(&folder, &clock, 1, nodes).await {
            Err(OpenError::NodesByCommand { added }) => assert_eq!(added, [ONE, TWO]),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("the list was given up"),
        }
    }
    first.accounts.remove_node(TWO).await.unwrap();
    let urls = async |ctx: &TestContext| {
        let nodes = ctx.accounts.list_nodes().await.unwrap();
        nodes.into_iter().map(|node| node.url).collect::<Vec<_>>()
    };
    assert_eq!(urls(&first).await, [ONE]);

    // The configuration that names the same nodes takes over.
    let named = folder.process(&clock, listed(&[ONE])).await;
    let listed_node = named.accounts.remove_node(ONE).await;
    assert!(matches!(listed_node, Err(NodeError::Listed)));
    let named = folder.process(&clock, listed(&[ONE, TWO])).await;
    assert_eq!(urls(&named).await, [ONE, TWO]);
    assert_eq!(named.accounts.list_nodes().await.unwrap()[0].capacity, Some(5));
    // And commands take the list over as it is, the server's own node included.
    let back = folder.process(&clock, Nodes::ByCommand).await;
    assert_eq!(urls(&back).await, [ONE, TWO]);
    assert!(
        back.accounts
            .list_nodes()
            .await
            .unwrap()
            .iter()
            .all(|node| node.is_listed)
    );
    assert_eq!(back.clock.millis(), START);
}

/// What is set for a node stays with it under another address.
#[tokio::test]
async fn a_single_node_keeps_its_settings_under_another_address() {
    let ctx = TestContext::new().await;
    let settings = NodeSettings {
        capacity: Some(Some(7)),
        weight: Some(300),
        backoff_seconds: Some(60),
    };
    ctx.accounts.set_node(NODE, settings).await.unwrap();
    ctx.accounts
        .set_node_state(NODE, NodeState::Draining)
        .await
        .unwrap();
    let before = ctx.accounts.list_nodes().await.unwrap();
    let ctx = ctx.reopened(cheap(), ONE).await;
    let mut expected = before[0].clone();
    expected.url = ONE.to_owned();
    assert_eq!(ctx.accounts.list_nodes().await.unwrap(), [expected]);
}

/// A node that was known and is added is one that takes users, whatever it did before.
#[tokio::test]
async fn a_node_that_is_added_again_takes_users() {
    let (folder, clock) = (Folder::new(), Arc::new(ManualClock::at_millis(START)));
    let named = folder.process(&clock, listed(&[ONE, TWO])).await;
    for state in [NodeState::Draining, NodeState::NoNewUsers, NodeState::Down] {
        named.accounts.set_node_state(TWO, state).await.unwrap();
        let named = folder.process(&clock, listed(&[ONE])).await;
        assert!(!named.accounts.list_nodes().await.unwrap()[1].is_listed);
        let by_command = folder.process(&clock, Nodes::ByCommand).await;
        by_command.accounts.add_node(TWO, capacity(3)).await.unwrap();
        let node = by_command.accounts.list_nodes().await.unwrap().remove(1);
        assert_eq!((node.url.as_str(), node.state), (TWO, NodeState::Accepting));
        assert!(node.takes_users() && node.capacity == Some(3));
        let named = folder.process(&clock, listed(&[ONE, TWO])).await;
        assert!(named.accounts.list_nodes().await.unwrap()[1].takes_users());
    }
}

/// The accounts of a process of its own.
pub(crate) async fn open(
    folder: &Folder,
    clock: &Arc<ManualClock>,
    seed: u64,
    nodes: Nodes,
) -> Result<Accounts, OpenError> {
    let parts = Parts {
        database: Database::open(&folder.location(), MIGRATIONS).await.unwrap(),
        clock: Arc::clone(clock) as Arc<_>,
        rng: Arc::new(SeededRng::new(seed)),
        nodes,
        options: cheap(),
    };
    Accounts::open(parts).await
}

/// An identity of another account server.
pub(crate) fn stranger(number: u8) -> Identity {
    Identity {
        fxa_uid: format!("{number:032x}"),
        issuer: "issuer.example".to_owned(),
        generation: Some(START),
        scope: vec![OLDSYNC.to_owned()],
    }
}

pub(crate) fn key() -> KeyId {
    KeyId {
        keys_changed_at: START,
        client_state: vec![2; 16],
    }
}
