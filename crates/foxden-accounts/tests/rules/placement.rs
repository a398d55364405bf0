//! Where stores lie: the tokenserver and the look-up of old clients agree in every state of the nodes, from every process.

use std::sync::Arc;

use foxden_accounts::{
    Accounts, Assignment, Identity, KeyId, NodeLookup, NodeSettings, NodeState, Nodes, TokenError,
};
use foxden_model::{ManualClock, UserId};

use crate::context::{ANN, PASSWORD, START, TestContext, local_client};
use crate::credential_cache::Folder;
use crate::node_settings::{capacity, listed};

const ONE: &str = "https://one.example.org";
const TWO: &str = "https://two.example.org";
const DAY: i64 = 24 * 3_600_000;

/// Two processes on one register with two nodes, and a person with a store for each protocol.
struct Pair {
    processes: [TestContext; 2],
    identity: Identity,
    key_id: KeyId,
    folder: Folder,
}

/// What a person's clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    At(String),
    Down,
    NoRoom,
}

impl Pair {
    /// The person's stores are on the first node.
    async fn new() -> Self {
        let (folder, clock) = (Folder::new(), Arc::new(ManualClock::at_millis(START)));
        let first = folder.process(&clock, listed(&[ONE, TWO])).await;
        let second = folder.process(&clock, Nodes::Unmanaged).await;
        let signed_in = first.create(ANN).await;
        let session = first.session(&signed_in).await;
        let token = first.access_token(&session).await;
        let identity = first.accounts.verify_bearer(&token).await.unwrap();
        let key_id = KeyId {
            keys_changed_at: START,
            client_state: vec![1; 16],
        };
        let pair = Self {
            processes: [first, second],
            identity,
            key_id,
            folder,
        };
        pair.token().await;
        pair.accounts().move_user(ANN, Some(ONE)).await.unwrap();
        pair.open().await;
        pair.accounts().move_user(ANN, Some(ONE)).await.unwrap();
        pair.clock().advance_millis(2 * DAY);
        pair.accounts().purge(100, i64::MAX).await.unwrap();
        pair.assert_told(&Told::At(ONE.to_owned())).await;
        pair
    }

    fn accounts(&self) -> &Accounts {
        &self.processes[0].accounts
    }

    fn clock(&self) -> &ManualClock {
        &self.processes[0].clock
    }

    async fn token(&self) -> Assignment {
        self.accounts()
            .assign(&self.identity, &self.key_id)
            .await
            .unwrap()
    }

    /// The store of the old client, as a node opens it.
    async fn open(&self) -> UserId {
        UserId(self.processes[0].open(ANN, PASSWORD).await.unwrap())
    }

    async fn set_state(&self, url: &str, state: NodeState) {
        self.accounts().set_node_state(url, state).await.unwrap();
        self.clock().advance_millis(5000);
    }

    async fn set(&self, url: &str, settings: NodeSettings) {
        self.accounts().set_node(url, settings).await.unwrap();
    }

    /// Both services tell the same at both processes.
    async fn assert_told(&self, expected: &Told) {
        for round in 0..2 {
            for process in &self.processes {
                let told = told_by_token(process.accounts.assign(&self.identity, &self.key_id).await);
                assert_eq!(&told, expected, "the tokenserver, round {round}");
                let told = told_by_lookup(process).await;
                assert_eq!(&told, expected, "node/weave, round {round}");
            }
        }
    }

    /// The same, where an old client asks first.
    async fn assert_old_client_is_told(&self, expected: &Told) {
        assert_eq!(&told_by_lookup(&self.processes[1]).await, expected);
        self.assert_told(expected).await;
    }
}

pub(crate) fn told_by_token(assigned: Result<Assignment, TokenError>) -> Told {
    match assigned {
        Ok(assignment) => Told::At(assignment.node),
        Err(TokenError::NodeDown { .. }) => Told::Down,
        Err(TokenError::NoCapacity) => Told::NoRoom,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn told_by_lookup(process: &TestContext) -> Told {
    told_by_node_of(&process.accounts).await
}

async fn told_by_node_of(accounts: &Accounts) -> Told {
    match accounts.node_of(ANN, &local_client()).await.unwrap() {
        NodeLookup::At(node) => Told::At(node.to_string()),
        NodeLookup::Down(_) => Told::Down,
        NodeLookup::NoCapacity => Told::NoRoom,
        NodeLookup::Unknown => panic!("the account is known"),
    }
}

pub(crate) fn at(url: &str) -> Told {
    Told::At(url.to_owned())
}

#[tokio::test]
async fn a_node_that_takes_no_new_users_keeps_those_it_has() {
    let pair = Pair::new().await;
    let before = pair.token().await.user;
    pair.set_state(ONE, NodeState::NoNewUsers).await;
    pair.assert_told(&at(ONE)).await;
    assert_eq!(pair.token().await.user, before);
}

/// A node whose clients are asked to stay away, and one that is full, keep the users they have.
#[tokio::test]
async fn a_full_node_and_one_that_backs_off_keep_their_users() {
    let pair = Pair::new().await;
    pair.set(ONE, capacity(1)).await;
    pair.set(
        ONE,
        NodeSettings {
            backoff_seconds: Some(600),
            ..NodeSettings::default()
        },
    )
    .await;
    pair.assert_told(&at(ONE)).await;
}

/// Whichever client comes first takes both stores along; what stays behind is emptied once no token for it lives.
#[tokio::test]
async fn a_node_that_drains_loses_its_users_as_they_come() {
    for old_client_first in [false, true] {
        let pair = Pair::new().await;
        let (before, old_store) = (pair.token().await.user, pair.open().await);
        pair.set_state(ONE, NodeState::Draining).await;
        if old_client_first {
            assert_eq!(told_by_lookup(&pair.processes[1]).await, at(TWO));
        } else {
            pair.token().await;
        }
        let two = pair.accounts().list_nodes().await.unwrap().swap_remove(1);
        assert_eq!((two.users, two.legacy_users), (1, 1), "both at once");
        assert_ne!(pair.open().await, old_store, "no log-in leads back");
        pair.assert_told(&at(TWO)).await;
        let (after, new_store) = (pair.token().await, pair.open().await);
        assert!(after.user != before && new_store != old_store);
        assert!(pair.accounts().stores_to_empty(10).await.unwrap().is_empty());
        let nodes = pair.accounts().list_nodes().await.unwrap();
        let one = &nodes[0];
        assert_eq!((one.users, one.legacy_users, one.stores_to_empty), (0, 0, 2));

        pair.clock().advance_millis(2 * DAY);
        pair.accounts().purge(100, i64::MAX).await.unwrap();
        let due = pair.accounts().stores_to_empty(10).await.unwrap();
        assert!(due.iter().all(|store| store.node == ONE) && due.len() == 2);
        for store in due {
            pair.accounts().store_emptied(store.user).await.unwrap();
        }
        let nodes = pair.accounts().list_nodes().await.unwrap();
        let one = &nodes[0];
        assert_eq!(
            (one.users, one.legacy_users, one.stores_to_empty, one.load),
            (0, 0, 0, 0)
        );
        assert_eq!(pair.token().await.user, after.user, "it moves once");
    }
}

/// All devices of a person come at once, at two processes: the stores move once, together.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn devices_that_come_at_once_find_the_stores_moved_once() {
    let pair = Pair::new().await;
    let before = pair.processes[0].count("SELECT COUNT(*) FROM users").await;
    pair.set_state(ONE, NodeState::Draining).await;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..16 {
        let accounts = pair.processes[number % 2].accounts.clone();
        let (identity, key_id) = (pair.identity.clone(), pair.key_id.clone());
        asking.spawn(async move {
            if number % 4 < 2 {
                told_by_token(accounts.assign(&identity, &key_id).await)
            } else {
                told_by_node_of(&accounts).await
            }
        });
    }
    for told in asking.join_all().await {
        assert_eq!(told, at(TWO));
    }
    let after = pair.processes[0].count("SELECT COUNT(*) FROM users").await;
    assert_eq!(after, before + 2);
    let nodes = pair.accounts().list_nodes().await.unwrap();
    assert_eq!((nodes[1].users, nodes[1].legacy_users, nodes[1].load), (1, 1, 2));
}

/// It does not move half of what a person has.
#[tokio::test]
async fn a_user_stays_on_a_node_that_drains_until_another_one_has_room() {
    let pair = Pair::new().await;
    let before = pair.token().await.user;
    pair.set(TWO, capacity(1)).await;
    pair.set_state(ONE, NodeState::Draining).await;
    pair.assert_told(&at(ONE)).await;
    assert_eq!(pair.token().await.user, before);
    pair.set(TWO, capacity(2)).await;
    pair.assert_told(&at(TWO)).await;
    pair.set_state(ONE, NodeState::Accepting).await;
    pair.assert_told(&at(TWO)).await;
}

/// A new password reaches the tokenserver together with the request that moves the stores.
#[tokio::test]
async fn a_new_key_takes_no_slot_of_its_own_while_the_stores_move() {
    let mut pair = Pair::new().await;
    let before = pair.token().await.user;
    pair.set(TWO, capacity(2)).await;
    pair.set_state(ONE, NodeState::Draining).await;
    pair.identity.generation = Some(START + 1);
    pair.key_id = KeyId {
        keys_changed_at: START + 1,
        client_state: vec![2; 16],
    };
    let moved = pair.token().await;
    assert!(moved.user != before && moved.replaced.is_none());
    pair.assert_told(&at(TWO)).await;
    assert_eq!(pair.token().await.user, moved.user);
    assert!(moved.fxa_kid.contains(&"AgIC".repeat(5)), "{moved:?}");
    let nodes = pair.accounts().list_nodes().await.unwrap();
    assert_eq!((nodes[1].users, nodes[1].legacy_users, nodes[1].load), (1, 1, 2));
    assert_eq!(nodes[0].stores_to_empty, 2);
}

#[tokio::test]
async fn the_users_of_a_node_that_is_down_wait() {
    let pair = Pair::new().await;
    let before = pair.token().await.user;
    pair.set_state(ONE, NodeState::Down).await;
    pair.assert_told(&Told::Down).await;
    // A key that cannot be right is refused all the same.
    let stale = KeyId {
        keys_changed_at: 1,
        ..pair.key_id.clone()
    };
    let refused = pair.accounts().assign(&pair.identity, &stale).await;
    assert!(matches!(refused, Err(TokenError::InvalidKeysChangedAt)));
    pair.set_state(ONE, NodeState::Accepting).await;
    pair.assert_told(&at(ONE)).await;
    assert_eq!(pair.token().await.user, before);
}

#[tokio::test]
async fn the_users_of_a_removed_node_begin_anew_elsewhere() {
    let pair = Pair::new().await;
    let folder = &pair.folder;
    let other = folder.process(&pair.processes[0].clock, listed(&[TWO])).await;
    assert_eq!(other.accounts.remove_node(ONE).await.unwrap(), 2);
    pair.assert_old_client_is_told(&at(TWO)).await;
    pair.set_state(TWO, NodeState::NoNewUsers).await;
    pair.assert_told(&at(TWO)).await;
}

/// A user without a node, where none has room: both services have clients ask again.
#[tokio::test]
async fn without_any_node_that_has_room_clients_wait() {
    let pair = Pair::new().await;
    pair.accounts().reset_node(ONE).await.unwrap();
    pair.set_state(ONE, NodeState::Down).await;
    pair.set_state(TWO, NodeState::NoNewUsers).await;
    pair.assert_told(&Told::NoRoom).await;
    pair.set_state(ONE, NodeState::Accepting).await;
    pair.assert_told(&at(ONE)).await;
}

/// After a loss of data: clients get new uids and begin anew, and what a backup brought back is emptied at once.
#[tokio::test]
async fn after_a_reset_both_stores_begin_anew_and_the_old_ones_are_emptied() {
    let pair = Pair::new().await;
    let (before, old_store) = (pair.token().await, pair.open().await);
    // The slots are free at once.
    pair.set(ONE, capacity(2)).await;
    pair.set(TWO, capacity(1)).await;
    pair.set_state(TWO, NodeState::NoNewUsers).await;
    assert_eq!(pair.accounts().reset_node(ONE).await.unwrap(), 2);
    assert_eq!(pair.accounts().reset_node(ONE).await.unwrap(), 0);
    assert!(pair.accounts().cached_store(ANN, PASSWORD).is_none());

    pair.assert_told(&at(ONE)).await;
    let (after, new_store) = (pair.token().await, pair.open().await);
    assert_eq!(after.fxa_kid, before.fxa_kid, "the key is the same");
    assert!(after.user != before.user && new_store != old_store);
    let mut due = pair.processes[0].due().await;
    due.sort();
    let mut old = [before.user, old_store];
    old.sort();
    assert_eq!(due, old);
    for store in old {
        pair.accounts().store_emptied(store).await.unwrap();
    }
    // Once more when no token lives, and no slot is given back twice.
    pair.clock().advance_millis(2 * DAY);
    pair.accounts().purge(100, i64::MAX).await.unwrap();
    assert_eq!(pair.processes[0].due().await.len(), 2);
    let nodes = pair.accounts().list_nodes().await.unwrap();
    assert_eq!((nodes[0].users, nodes[0].legacy_users, nodes[0].load), (1, 1, 2));
    pair.assert_told(&at(ONE)).await;
}

/// A person who stays away after a reset is not forgotten, and one who leaves is emptied out.
#[tokio::test]
async fn a_user_of_a_reset_node_stays_known_until_the_account_is_removed() {
    let pair = Pair::new().await;
    let before = pair.token().await;
    pair.accounts().reset_node(ONE).await.unwrap();
    pair.clock().advance_millis(30 * DAY);
    pair.accounts().purge(100, i64::MAX).await.unwrap();
    assert_eq!(
        pair.processes[0]
            .count("SELECT COUNT(*) FROM users WHERE replaced_at IS NULL")
            .await,
        2
    );
    let due = pair.processes[0].due().await;
    assert_eq!(due.len(), 2);
    pair.accounts().remove_account(ANN).await.unwrap();
    let mut again = pair.processes[0].due().await;
    again.sort();
    assert!(again.contains(&before.user) && again.len() == 2);
}
