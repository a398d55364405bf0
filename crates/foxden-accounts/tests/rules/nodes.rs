//! Several nodes: who is sent where, and what the operator may do.

use foxden_accounts::{
    NewUsers, Node, NodeError, NodeLookup, NodeState, Nodes, OpenStoreError, OperatorError, Options,
};
use std::sync::Arc;

use foxden_model::ManualClock;

use crate::context::{ANN, BEA, NODE, PASSWORD, START, TestContext, cheap, open_with};
use crate::credential_cache::Folder;
use crate::legacy::ANN_HASHED;

const ONE: &str = "https://one.example.org";
const TWO: &str = "https://two.example.org";
const DAY: i64 = 24 * 3_600_000;

impl TestContext {
    async fn listed(nodes: &[&str]) -> Self {
        Self::new().await.relisted(nodes).await
    }

    /// The same register, opened by a start with that list.
    async fn relisted(&self, nodes: &[&str]) -> Self {
        let nodes = Nodes::Listed(nodes.iter().map(|&url| url.to_owned()).collect());
        Self {
            accounts: open_with(&self.database, &self.clock, cheap(), nodes).await,
            database: self.database.clone(),
            clock: Arc::clone(&self.clock),
            lease: self.lease.clone(),
        }
    }

    async fn shown_node(&self, url: &str) -> Node {
        let nodes = self.accounts.list_nodes().await.unwrap();
        nodes
            .into_iter()
            .find(|node| node.url == url)
            .expect("it is there")
    }

    async fn legacy_node(&self, name: &str) -> String {
        match self
            .accounts
            .node_of(name, &crate::context::local_client())
            .await
            .unwrap()
        {
            NodeLookup::At(node) => node.to_string(),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn users_of_both_kinds_are_spread_over_the_nodes() {
    let ctx = TestContext::listed(&[ONE, TWO]).await;
    let mut met = Vec::new();
    for number in 0..4 {
        let address = format!("ann{number}@example.org");
        ctx.create(&address).await;
        met.push(ctx.firefox(&address, PASSWORD).await.node);
        let node = ctx.legacy_node(&address).await;
        let store = ctx
            .accounts
            .open_store(&address, PASSWORD, &crate::context::local_client())
            .await;
        assert_eq!(
            *store.unwrap().node,
            *node,
            "where one was sent, there the store is"
        );
    }
    assert_eq!(met.iter().filter(|node| *node == ONE).count(), 2);
    for url in [ONE, TWO] {
        let node = ctx.shown_node(url).await;
        assert_eq!((node.users, node.legacy_users), (2, 2));
        assert!(node.is_listed && node.state == NodeState::Accepting);
    }
}

/// A node that is no longer named keeps those it has.
#[tokio::test]
async fn a_node_taken_off_the_list_keeps_its_users_and_gets_no_new_ones() {
    let ctx = TestContext::listed(&[ONE, TWO]).await;
    ctx.create(ANN).await;
    let others: Vec<String> = (0..4).map(|number| format!("bea{number}@example.org")).collect();
    for address in &others {
        ctx.create(address).await;
    }
    let ann = ctx.legacy_node(ANN).await;
    let (left, stays) = if ann == ONE { (ONE, TWO) } else { (TWO, ONE) };
    let third = "https://three.example.org";

    let ctx = ctx.relisted(&[stays, third]).await;

    assert_eq!(ctx.legacy_node(ANN).await, left);
    for address in &others {
        assert_ne!(ctx.legacy_node(address).await, left);
    }
    assert!(!ctx.shown_node(left).await.is_listed);
}

/// One node is one node, whatever it is called, by which setting ever.
#[tokio::test]
async fn a_single_node_keeps_its_users_under_another_address() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let store = ctx.open(ANN, PASSWORD).await.unwrap();
    let ctx = ctx.relisted(&[ONE]).await;
    assert_eq!(ctx.legacy_node(ANN).await, ONE);
    assert_eq!(ctx.open(ANN, PASSWORD).await.unwrap(), store);
    let ctx = ctx.reopened(cheap(), NODE).await;
    assert_eq!(ctx.legacy_node(ANN).await, NODE);
    let ctx = ctx.relisted(&[NODE, TWO]).await;
    assert_eq!(ctx.legacy_node(ANN).await, NODE);
    let ctx = ctx.relisted(&[TWO]).await;
    assert_eq!(ctx.legacy_node(ANN).await, NODE, "the other one is another one");
    ctx.create(BEA).await;
    assert_eq!(ctx.legacy_node(BEA).await, TWO);
}

/// A list that names none of the nodes there were takes no node's place, and neither does a server that becomes the only
/// node.
#[tokio::test]
async fn of_several_nodes_none_is_taken_for_another_one() {
    const THREE: &str = "https://three.example.org";
    for (first, rest) in [(NODE, TWO), (ONE, TWO)] {
        let ctx = TestContext::new().await;
        let ctx = if first == NODE {
            ctx
        } else {
            ctx.relisted(&[first]).await
        };
        ctx.create(ANN).await;
        let store = ctx.open(ANN, PASSWORD).await.unwrap();
        let ctx = ctx.relisted(&[first, rest]).await;
        let ctx = ctx.relisted(&[THREE]).await;
        assert_eq!(ctx.legacy_node(ANN).await, first);
        let ctx = ctx.reopened(cheap(), "http://127.0.0.1:5005").await;
        assert_eq!(ctx.legacy_node(ANN).await, first);
        let ctx = ctx.relisted(&[first, rest]).await;
        assert_eq!(ctx.legacy_node(ANN).await, first);
        assert_eq!(ctx.open(ANN, PASSWORD).await.unwrap(), store);
        assert_eq!(ctx.accounts.list_nodes().await.unwrap().len(), 4);
    }
}

/// Its users would get empty stores on the same node, and what they had there would never be emptied.
#[tokio::test]
async fn a_node_that_is_in_use_is_not_struck_off() {
    let ctx = TestContext::new().await;
    let own = ctx.accounts.remove_node(NODE).await;
    assert!(matches!(own, Err(NodeError::Listed)));
    let ctx = ctx.relisted(&[ONE, TWO]).await;
    let listed = ctx.accounts.remove_node(ONE).await;
    assert!(matches!(listed, Err(NodeError::Listed)));
    assert!(ctx.shown_node(ONE).await.is_listed);
    ctx.accounts.remove_node(NODE).await.unwrap();
}

/// Nodes have no such setting of their own: they hold to that of the server that keeps the accounts.
#[tokio::test]
async fn a_node_makes_no_store_where_new_users_are_not_taken_in() {
    let folder = Folder::new();
    let clock = Arc::new(ManualClock::at_millis(START));
    let own = || Nodes::Own(NODE.to_owned());
    let keeper = |new_users| Options { new_users, ..cheap() };
    let closed = folder.opened(&clock, keeper(NewUsers::Refused), own()).await;
    closed.create(ANN).await;
    let node = folder.process(&clock, Nodes::Unmanaged).await;
    assert!(matches!(
        node.open(ANN, PASSWORD).await,
        Err(OpenStoreError::NoCapacity)
    ));
    let _open = folder.opened(&clock, keeper(NewUsers::Welcome), own()).await;
    node.open(ANN, PASSWORD).await.unwrap();
}

/// A storage node opens the register to check passwords; the list is not its business.
#[tokio::test]
async fn a_process_that_only_asks_rewrites_nothing() {
    let folder = Folder::new();
    let clock = Arc::new(ManualClock::at_millis(START));
    let one = folder
        .process(&clock, Nodes::Listed(vec![ONE.to_owned(), TWO.to_owned()]))
        .await;
    let before = one.accounts.list_nodes().await.unwrap();
    let changes = one.count("SELECT COUNT(*) FROM setting").await;
    let other = folder.process(&clock, Nodes::Unmanaged).await;
    assert_eq!(other.accounts.list_nodes().await.unwrap(), before);
    assert_eq!(other.accounts.issuer(), one.accounts.issuer());
    assert_eq!(other.count("SELECT COUNT(*) FROM setting").await, changes);
}

/// Whichever of several processes comes first makes the register.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_open_a_new_register_at_once() {
    for _ in 0..5 {
        let folder = Arc::new(Folder::new());
        let clock = Arc::new(ManualClock::at_millis(START));
        let mut opening = tokio::task::JoinSet::new();
        for number in 0..6 {
            let (folder, clock) = (Arc::clone(&folder), Arc::clone(&clock));
            opening.spawn(async move {
                let nodes = if number == 0 {
                    Nodes::Own(NODE.to_owned())
                } else {
                    Nodes::Unmanaged
                };
                folder.process(&clock, nodes).await
            });
        }
        let labs = opening.join_all().await;
        let issuer = labs[0].accounts.issuer();
        assert!(labs.iter().all(|ctx| ctx.accounts.issuer() == issuer));
        labs[0].create(ANN).await;
        let mut stores = Vec::new();
        for ctx in &labs {
            stores.push(ctx.open(ANN, PASSWORD).await.unwrap());
        }
        stores.dedup();
        assert_eq!(stores.len(), 1);
        drop(labs);
    }
}

/// Where new users are not taken in, an account with a store keeps it and no account gets one.
#[tokio::test]
async fn closed_to_new_users_those_with_a_store_are_served() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.create(BEA).await;
    let store = ctx.open(ANN, PASSWORD).await.unwrap();
    let closed = Options {
        new_users: NewUsers::Refused,
        ..cheap()
    };
    let ctx = ctx.reopened(closed, NODE).await;
    assert_eq!(ctx.open(ANN, PASSWORD).await.unwrap(), store);
    assert!(matches!(
        ctx.open(BEA, PASSWORD).await,
        Err(OpenStoreError::NoCapacity)
    ));
    assert_eq!(
        ctx.accounts
            .node_of(BEA, &crate::context::local_client())
            .await
            .unwrap(),
        NodeLookup::NoCapacity
    );
}

/// U13.30: no node has room.
#[tokio::test]
async fn without_room_there_is_no_node_and_no_store() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.accounts
        .set_node_state(NODE, NodeState::Draining)
        .await
        .unwrap();
    assert_eq!(
        ctx.accounts
            .node_of(ANN, &crate::context::local_client())
            .await
            .unwrap(),
        NodeLookup::NoCapacity
    );
    assert!(matches!(
        ctx.open(ANN, PASSWORD).await,
        Err(OpenStoreError::NoCapacity)
    ));
    ctx.accounts
        .set_node_state(&format!("{NODE}/"), NodeState::Accepting)
        .await
        .unwrap();
    ctx.open(ANN, PASSWORD).await.unwrap();
    ctx.accounts.set_node_state(NODE, NodeState::Down).await.unwrap();
    assert_eq!(
        ctx.accounts
            .node_of(ANN, &crate::context::local_client())
            .await
            .unwrap(),
        NodeLookup::Down(NODE.into()),
        "its users wait"
    );
    assert_eq!(ctx.shown_node(NODE).await.state, NodeState::Down);
    assert!(matches!(
        ctx.accounts.set_node_state(ONE, NodeState::Down).await,
        Err(NodeError::Unknown)
    ));
}

/// Both stores are new on the other node, the key is the same, and the old ones are emptied where they lie.
#[tokio::test]
async fn a_user_is_moved_with_both_stores() {
    let ctx = TestContext::listed(&[ONE, TWO]).await;
    ctx.create(ANN).await;
    let before = ctx.firefox(ANN, PASSWORD).await;
    let old = ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    ctx.accounts.move_user(ANN, Some(ONE)).await.unwrap();
    ctx.clock.advance_millis(1000);
    let on_one = ctx.firefox(ANN, PASSWORD).await;
    assert_eq!((on_one.node.as_str(), &on_one.kid), (ONE, &before.kid));

    assert_eq!(ctx.accounts.move_user(ANN, Some(TWO)).await.unwrap(), 2);
    assert_eq!(
        ctx.accounts.move_user(ANN, Some(TWO)).await.unwrap(),
        0,
        "it is there"
    );

    assert!(ctx.accounts.cached_store(ANN_HASHED, PASSWORD).is_none());
    let after = ctx.firefox(ANN, PASSWORD).await;
    assert_eq!(
        (after.node.as_str(), after.kb, &after.kid),
        (TWO, before.kb, &before.kid)
    );
    assert_ne!(after.store, on_one.store);
    assert_eq!(ctx.legacy_node(ANN).await, TWO);
    let new = ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    assert_ne!(new, old);
    assert_eq!(ctx.firefox(ANN, PASSWORD).await, after, "and there it stays");

    assert!(ctx.due().await.is_empty(), "tokens for them still live");
    ctx.clock.advance_millis(2 * DAY);
    ctx.accounts.purge(100, i64::MAX).await.unwrap();
    let due = ctx.accounts.stores_to_empty(10).await.unwrap();
    assert!(
        due.iter()
            .any(|store| store.user == on_one.store && store.node == ONE)
    );
    assert!(
        due.iter()
            .all(|store| store.user != after.store && store.user.0 != new)
    );
    assert_eq!(ctx.firefox(ANN, PASSWORD).await.store, after.store);
}

#[tokio::test]
async fn without_a_target_a_user_goes_to_another_node() {
    let ctx = TestContext::listed(&[ONE, TWO]).await;
    ctx.create(ANN).await;
    let before = ctx.legacy_node(ANN).await;
    assert_eq!(ctx.accounts.move_user(ANN, None).await.unwrap(), 1);
    assert_ne!(ctx.legacy_node(ANN).await, before);
    assert!(matches!(
        ctx.accounts
            .move_user(ANN, Some("https://nowhere.example.org"))
            .await,
        Err(OperatorError::UnknownNode)
    ));
    ctx.accounts
        .set_node_state(&before, NodeState::Draining)
        .await
        .unwrap();
    assert!(matches!(
        ctx.accounts.move_user(ANN, None).await,
        Err(OperatorError::NoCapacity)
    ));
}

/// A user of a removed node gets an empty store on another.
#[tokio::test]
async fn a_removed_node_sends_its_users_elsewhere() {
    let ctx = TestContext::listed(&[ONE, TWO]).await;
    ctx.create(ANN).await;
    let before = ctx.firefox(ANN, PASSWORD).await;
    ctx.accounts.move_user(ANN, Some(ONE)).await.unwrap();
    let old = ctx.open(ANN, PASSWORD).await.unwrap();
    ctx.accounts.move_user(ANN, Some(ONE)).await.unwrap();
    let on_one = ctx.firefox(ANN, PASSWORD).await;

    let ctx = ctx.relisted(&[TWO]).await;
    assert_eq!(ctx.open(ANN, PASSWORD).await.unwrap(), old, "remembered");
    ctx.accounts.remove_node(ONE).await.unwrap();

    assert!(ctx.accounts.cached_store(ANN, PASSWORD).is_none());
    ctx.clock.advance_millis(1000);
    let after = ctx.firefox(ANN, PASSWORD).await;
    assert_eq!((after.node.as_str(), &after.kid), (TWO, &before.kid));
    assert_ne!(after.store, on_one.store);
    assert_eq!(ctx.legacy_node(ANN).await, TWO);
    assert!(ctx.open(ANN, PASSWORD).await.unwrap() >= old);
    assert!(
        ctx.accounts
            .list_nodes()
            .await
            .unwrap()
            .iter()
            .all(|node| node.url != ONE)
    );
    ctx.clock.advance_millis(2 * DAY);
    ctx.accounts.purge(100, i64::MAX).await.unwrap();
    assert!(
        ctx.accounts
            .stores_to_empty(10)
            .await
            .unwrap()
            .iter()
            .all(|store| store.node != ONE)
    );
    assert!(matches!(
        ctx.accounts.remove_node(ONE).await,
        Err(NodeError::Unknown)
    ));
}

/// A user who stays away for long keeps the store.
#[tokio::test]
async fn a_user_of_a_removed_node_is_not_forgotten() {
    let ctx = TestContext::listed(&[ONE, TWO]).await;
    ctx.create(ANN).await;
    let before = ctx.firefox(ANN, PASSWORD).await;
    ctx.open(ANN, PASSWORD).await.unwrap();
    let ctx = ctx.reopened(cheap(), NODE).await;
    for url in [ONE, TWO] {
        ctx.accounts.remove_node(url).await.unwrap();
    }
    ctx.clock.advance_millis(30 * DAY);
    ctx.accounts.purge(100, i64::MAX).await.unwrap();
    let closed = Options {
        new_users: NewUsers::Refused,
        ..cheap()
    };
    let ctx = ctx.reopened(closed, NODE).await;
    let after = ctx.firefox(ANN, PASSWORD).await;
    assert_eq!((after.node.as_str(), &after.kid), (NODE, &before.kid));
    assert!(after.store > before.store);
    ctx.open(ANN, PASSWORD).await.unwrap();
}

/// The release before, on the same register, knew but one node and named none.
#[tokio::test]
async fn a_store_closed_without_a_node_lies_on_the_one_there_is() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.open(ANN, PASSWORD).await.unwrap();
    ctx.accounts.remove_account(ANN).await.unwrap();
    let closed = ctx.due().await;
    assert!(!closed.is_empty());
    ctx.write("UPDATE closed_store SET nodeid = NULL", vec![]).await;
    ctx.accounts.purge(100, i64::MAX).await.unwrap();
    assert_eq!(ctx.due().await, closed);
}

/// A removed account's stores are emptied each on its own node; one that is away holds up no other.
#[tokio::test]
async fn closed_stores_are_emptied_where_they_lie() {
    let ctx = TestContext::listed(&[ONE, TWO]).await;
    ctx.create(ANN).await;
    ctx.firefox(ANN, PASSWORD).await;
    ctx.open(ANN, PASSWORD).await.unwrap();
    ctx.accounts.move_user(ANN, Some(TWO)).await.unwrap();
    ctx.create(BEA).await;
    ctx.open(BEA, PASSWORD).await.unwrap();
    ctx.accounts.move_user(BEA, Some(ONE)).await.unwrap();
    ctx.accounts.remove_account(ANN).await.unwrap();
    ctx.accounts.remove_account(BEA).await.unwrap();

    let due = ctx.accounts.stores_to_empty(10).await.unwrap();
    assert!(due.iter().any(|store| store.node == ONE) && due.iter().any(|store| store.node == TWO));
    ctx.accounts.store_not_emptied(due[0].user).await.unwrap();
    let rest = ctx.accounts.stores_to_empty(10).await.unwrap();
    assert!(rest.len() == due.len() - 1 && !rest.contains(&due[0]));
    ctx.clock.advance_millis(10 * 60_000);
    assert!(ctx.accounts.stores_to_empty(10).await.unwrap().contains(&due[0]));
    ctx.accounts.node_not_reached(ONE).await.unwrap();
    let rest = ctx.accounts.stores_to_empty(10).await.unwrap();
    assert!(!rest.is_empty() && rest.iter().all(|store| store.node == TWO));
    ctx.clock.advance_millis(10 * 60_000);
    assert_eq!(ctx.accounts.stores_to_empty(10).await.unwrap().len(), due.len());
    ctx.accounts.set_node_state(TWO, NodeState::Down).await.unwrap();
    let due = ctx.accounts.stores_to_empty(10).await.unwrap();
    assert!(!due.is_empty() && due.iter().all(|store| store.node == ONE));
}
