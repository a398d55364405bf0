//! Commands about nodes while two processes give out stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use foxden_accounts::{Accounts, NodeSettings, NodeState, Nodes, TokenError};
use foxden_model::ManualClock;
use tokio::task::JoinSet;

use crate::context::{START, TestContext};
use crate::credential_cache::Folder;
use crate::node_settings::{capacity, key, open, stranger};
use crate::placement::{Told, at, told_by_token};

const ONE: &str = "https://one.example.org";
const TWO: &str = "https://two.example.org";

/// Two processes that give out stores, and one that looks.
struct Group {
    processes: [Accounts; 2],
    observer: TestContext,
    _folder: Folder,
}

impl Group {
    /// Commands have added both nodes, with room for so many stores.
    async fn new(room: [u32; 2]) -> Self {
        let (folder, clock) = (Folder::new(), Arc::new(ManualClock::at_millis(START)));
        let first = open(&folder, &clock, 1, Nodes::ByCommand).await.unwrap();
        let second = open(&folder, &clock, 2, Nodes::ByCommand).await.unwrap();
        for (url, stores) in [ONE, TWO].into_iter().zip(room) {
            first.add_node(url, capacity(stores)).await.unwrap();
        }
        Self {
            processes: [first, second],
            observer: folder.process(&clock, Nodes::Unmanaged).await,
            _folder: folder,
        }
    }

    /// All of these people ask at once, each so often, at one process and at the other. Returns what each was told last.
    async fn request_tokens(&self, people: std::ops::Range<u8>, times: usize) -> BTreeMap<u8, Told> {
        let mut asking = JoinSet::new();
        for number in people {
            let processes = self.processes.clone();
            asking.spawn(async move {
                let mut told = Told::NoRoom;
                for time in 0..times {
                    let process = &processes[(usize::from(number) + time) % 2];
                    told = told_by_token(process.assign(&stranger(number), &key()).await);
                }
                (number, told)
            });
        }
        asking.join_all().await.into_iter().collect()
    }

    /// Each node counts the stores that hold a slot there, within its capacity.
    async fn assert_counts(&self) {
        for node in self.observer.accounts.list_nodes().await.unwrap() {
            let statement = match &*node.url {
                ONE => {
                    "SELECT COUNT(*) FROM users u JOIN nodes n ON n.id = u.nodeid WHERE n.node LIKE '%one%'"
                }
                _ => "SELECT COUNT(*) FROM users u JOIN nodes n ON n.id = u.nodeid WHERE n.node LIKE '%two%'",
            };
            let stores = self.observer.count(statement).await;
            assert_eq!(i64::try_from(node.load).unwrap(), stores, "{node:?}");
            assert!(node.load <= node.capacity.unwrap(), "{node:?}");
        }
    }
}

fn on_two(told: &BTreeMap<u8, Told>) -> usize {
    told.values().filter(|told| **told == at(TWO)).count()
}

/// It fills the other one up to its capacity, and the rest stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_node_that_drains_as_many_move_as_there_is_room_for() {
    let group = Group::new([12, 5]).await;
    let [first, second] = &group.processes;
    first.set_node_state(TWO, NodeState::NoNewUsers).await.unwrap();
    assert_eq!(on_two(&group.request_tokens(0..12, 1).await), 0);
    first.set_node_state(TWO, NodeState::Accepting).await.unwrap();
    second.set_node_state(ONE, NodeState::Draining).await.unwrap();
    for _ in 0..2 {
        let told = group.request_tokens(0..12, 3).await;
        assert_eq!(on_two(&told), 5);
        assert!(told.values().all(|told| [at(ONE), at(TWO)].contains(told)));
        group.assert_counts().await;
    }
    first.set_node(TWO, capacity(12)).await.unwrap();
    assert_eq!(on_two(&group.request_tokens(0..12, 1).await), 12);
    group.assert_counts().await;
}

/// No command is lost, no slot is counted twice, and each person has one store.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_are_carried_out_while_stores_are_given_out() {
    let group = Group::new([60, 60]).await;
    let operator = group.processes[0].clone();
    let mut commands = JoinSet::new();
    commands.spawn(async move {
        for [url, other] in [[ONE, TWO], [TWO, ONE], [ONE, TWO]] {
            operator.set_node_state(url, NodeState::Draining).await.unwrap();
            let weight = NodeSettings {
                weight: Some(150),
                ..NodeSettings::default()
            };
            operator.set_node(other, weight).await.unwrap();
            operator.set_node_state(url, NodeState::Down).await.unwrap();
            operator.set_node_state(url, NodeState::Accepting).await.unwrap();
            operator.reset_node(other).await.unwrap();
            operator.remove_node(other).await.unwrap();
            operator.add_node(other, capacity(60)).await.unwrap();
        }
    });
    let told = group.request_tokens(0..16, 8).await;
    commands.join_all().await;
    assert_eq!(told.len(), 16);
    group.assert_counts().await;

    let told = group.request_tokens(0..16, 2).await;
    assert!(
        told.values().all(|told| [at(ONE), at(TWO)].contains(told)),
        "{told:?}"
    );
    group.assert_counts().await;
    let in_use = "SELECT COUNT(*) FROM users WHERE replaced_at IS NULL";
    assert_eq!(group.observer.count(in_use).await, 16);
    let nodes = group.observer.accounts.list_nodes().await.unwrap();
    assert_eq!(nodes.iter().map(|node| node.users).sum::<u64>(), 16);
}

/// Everyone whose store a reset takes gets another one, also those who ask meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_reset_each_person_has_another_store_than_the_lost_one() {
    let group = Group::new([40, 40]).await;
    let [first, second] = &group.processes;
    let mut before = BTreeMap::new();
    for number in 0..10 {
        let assigned = first.assign(&stranger(number), &key()).await.unwrap();
        before.insert(number, assigned);
    }
    let (told, reset) = tokio::join!(group.request_tokens(0..10, 4), second.reset_node(ONE));
    reset.unwrap();
    assert!(told.values().all(|told| [at(ONE), at(TWO)].contains(told)));
    let due = first.stores_to_empty(100).await.unwrap();
    for (number, before) in before {
        let now = second.assign(&stranger(number), &key()).await;
        let now = now.unwrap_or_else(|error: TokenError| panic!("{error}"));
        let is_lost = before.node == ONE;
        assert_eq!(now.user != before.user, is_lost, "{number}");
        assert_eq!(
            due.iter().any(|store| store.user == before.user),
            is_lost,
            "{number}"
        );
    }
    group.assert_counts().await;
}
