//! Storage nodes: their list, and the commands of the operator.

mod list;

use std::collections::BTreeMap;

use foxden_sql::{Database, Fetch, SqlError, Tx};

use crate::operator::named;
use crate::placement::{choose, current_store};
use crate::register::change;
use crate::register::node::{self, NodeQuery, NodeRow, UNLIMITED};
use crate::register::store::{self, ClosingStore};
use crate::{AccountId, Accounts, NodeError, OperatorError, Unavailable};

/// Stores that one transaction takes off their node.
const RESET_BATCH: u32 = 100;

/// Who says which storage nodes there are. Addresses are base URLs without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// One node, recognized by a mark: with another address it is the same node.
    Own(String),
    /// These nodes, each identified by its address. A node that is no longer listed keeps its users and takes no new
    /// ones. If one node is listed and a single other one is known, it is the same node under another name.
    Listed(Vec<String>),
    /// Those that commands add and remove.
    ByCommand,
    /// The list in the register: this process only reads it, or carries out a command.
    Unmanaged,
}

/// A node as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its base URL, without a slash at the end.
    pub url: String,
    /// Whether it takes users.
    pub state: NodeState,
    /// Whether the configuration names it, or a command added it.
    pub is_listed: bool,
    /// Stores of current browsers that are in use there.
    pub users: u64,
    /// Stores of old clients that are in use there.
    pub legacy_users: u64,
    /// Stores out of use that are still to be emptied there.
    pub stores_to_empty: u64,
    /// Stores that count towards its capacity: those in use, and replaced ones for a day.
    pub load: u64,
    /// How many stores it takes; `None`: any number.
    pub capacity: Option<u64>,
    /// Its share of new users: a node with twice the weight gets twice as many.
    pub weight: u32,
    /// Seconds for which its clients are asked not to sync again; 0: they are not asked.
    pub backoff_seconds: u32,
}

/// Whether a node takes users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It takes new ones.
    Accepting,
    /// It keeps those it has, and takes no new ones.
    NoNewUsers,
    /// It takes no new ones, and those it has move to other nodes as they come.
    Draining,
    /// Out of service: it gets no new users, those it has wait, and no store is emptied there.
    Down,
}

/// What an operator sets for a node; `None`: it stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeSettings {
    /// How many stores it takes, at least one; `Some(None)`: any number.
    pub capacity: Option<Option<u32>>,
    /// Its share of new users, at least one; 100 is usual.
    pub weight: Option<u32>,
    /// Seconds for which its clients are asked not to sync again; 0: they are not asked.
    pub backoff_seconds: Option<u32>,
}

/// What a node has to tell its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeOrders {
    /// Whether it is out of service.
    pub is_down: bool,
    /// Seconds for which clients are asked not to sync again; 0: they are not asked.
    pub backoff_seconds: u32,
}

/// Lists the nodes of a register that another process keeps.
pub async fn nodes_of(register: &Database) -> Result<Vec<Node>, Unavailable> {
    let legacy = node::service(register, node::LEGACY).await?;
    list(register, legacy.id).await
}

async fn list(register: &impl Fetch, legacy: i64) -> Result<Vec<Node>, Unavailable> {
    let counts = store::counts(register).await?;
    let mut nodes = BTreeMap::new();
    for row in node::all(register).await? {
        let count = counts.get(&row.id).copied().unwrap_or_default();
        let node = nodes.entry(row.node.clone()).or_insert_with(|| Node::of(&row));
        if row.service == legacy {
            node.legacy_users += count.in_use;
        } else {
            node.users += count.in_use;
        }
        node.stores_to_empty += count.to_empty;
        node.load += u64::try_from(row.current_load).unwrap_or(0);
    }
    Ok(nodes.into_values().collect())
}

impl Node {
    /// Whether it takes new users now.
    pub fn takes_users(&self) -> bool {
        let is_full = self.capacity.is_some_and(|capacity| self.load >= capacity);
        self.is_listed && self.state == NodeState::Accepting && !is_full
    }

    /// The node of a row, without its stores.
    fn of(row: &NodeRow) -> Self {
        Self {
            url: row.node.clone(),
            state: NodeState::of(row),
            is_listed: row.is_listed,
            users: 0,
            legacy_users: 0,
            stores_to_empty: 0,
            load: 0,
            capacity: u64::try_from(row.capacity)
                .ok()
                .filter(|_| row.capacity < UNLIMITED),
            weight: row.weight,
            backoff_seconds: row.backoff_seconds,
        }
    }
}

impl NodeState {
    const fn of(row: &NodeRow) -> Self {
        match (row.downed, row.drains, row.backoff) {
            (true, _, _) => Self::Down,
            (false, true, _) => Self::Draining,
            (false, false, true) => Self::NoNewUsers,
            (false, false, false) => Self::Accepting,
        }
    }
}

impl Accounts {
    /// Every node, and how many users it has.
    pub async fn list_nodes(&self) -> Result<Vec<Node>, Unavailable> {
        list(&self.0.database, self.0.settings.legacy_service_id).await
    }

    /// What the node at this address has to tell its clients; `None`: there is no such node.
    pub async fn node_orders(&self, url: &str) -> Result<Option<NodeOrders>, Unavailable> {
        let row = node::by_url(&self.0.database, self.0.settings.sync_service_id, plain_url(url)).await?;
        Ok(row.map(|row| NodeOrders {
            is_down: row.downed,
            backoff_seconds: row.backoff_seconds,
        }))
    }

    /// Adds a node, and has commands manage the list from now on: the caller makes sure that no configuration names the
    /// nodes.
    pub async fn add_node(&self, url: &str, settings: NodeSettings) -> Result<(), NodeError> {
        let url = plain_url(url);
        self.transact(|tx| async move {
            list::hand_to_commands(&tx, self.services()).await?;
            for service in self.services() {
                match node::by_url(&tx, service, url).await? {
                    Some(known) if known.is_listed => return Err(NodeError::Exists),
                    Some(_) => node::list(&tx, service, url).await?,
                    None => node::insert(&tx, service, url, false).await?,
                }
            }
            // One that was known before may have drained then.
            self.change_state(&tx, url, NodeState::Accepting).await?;
            Ok(apply(&tx, &self.rows_of(&tx, url).await?, settings).await?)
        })
        .await
    }

    /// Changes what is set for a node.
    pub async fn set_node(&self, url: &str, settings: NodeSettings) -> Result<(), NodeError> {
        let url = plain_url(url);
        self.transact(|tx| async move { Ok(apply(&tx, &self.rows_of(&tx, url).await?, settings).await?) })
            .await
    }

    /// Changes whether a node takes users.
    pub async fn set_node_state(&self, url: &str, state: NodeState) -> Result<(), NodeError> {
        let url = plain_url(url);
        self.transact(|tx| async move { self.change_state(&tx, url, state).await })
            .await
    }

    async fn change_state(&self, tx: &Tx, url: &str, state: NodeState) -> Result<(), NodeError> {
        let (downed, backoff) = match state {
            NodeState::Accepting => (false, false),
            NodeState::NoNewUsers | NodeState::Draining => (false, true),
            NodeState::Down => (true, true),
        };
        let rows = self.rows_of(tx, url).await?;
        node::set_state(tx, url, downed, backoff).await?;
        let mut setting = rows[0].setting();
        setting.drains = state == NodeState::Draining;
        Ok(node::set(tx, url, &setting).await?)
    }

    /// Removes a node: one that commands added, or one that is no longer listed. Its users get an empty store on another
    /// node when they next sync, and clients fill it. The data on the removed node stays there, since it cannot be reached
    /// any more. Returns the number of stores it had.
    pub async fn remove_node(&self, url: &str) -> Result<u64, NodeError> {
        self.transact_change(|tx| async move {
            let may_be_listed = list::is_managed_by_commands(&tx).await?;
            let mut users = 0;
            for row in self.rows_of(&tx, plain_url(url)).await? {
                if row.is_listed && !may_be_listed {
                    return Err(NodeError::Listed);
                }
                users += store::count_on(&tx, row.id).await?;
                node::delete(&tx, &row).await?;
            }
            change::insert_for_all(&tx, self.millis()).await?;
            Ok(users)
        })
        .await
    }

    /// Takes all stores off a node, whose data are lost or were restored from a backup: their owners get empty ones, there
    /// or elsewhere, and what is left of the old ones is emptied. Returns the number of stores. It may be called again if it
    /// fails half way.
    pub async fn reset_node(&self, url: &str) -> Result<u64, NodeError> {
        let rows = self.rows_of(&self.0.database, plain_url(url)).await?;
        // A store that is made meanwhile stays.
        let last = store::last_uid(&self.0.database).await?;
        let mut taken = 0;
        for NodeRow { id, .. } in rows {
            loop {
                let stores = self
                    .transact_change(|tx| self.unassign_some(tx, id, last))
                    .await?;
                taken += u64::from(stores);
                if stores < RESET_BATCH {
                    break;
                }
            }
        }
        Ok(taken)
    }

    /// Takes some stores off a node, up to that uid, and schedules them to be emptied. Returns their number.
    async fn unassign_some(&self, tx: Tx, nodeid: i64, last: foxden_model::UserId) -> Result<u32, NodeError> {
        let stores = store::in_use(&tx, nodeid, last, RESET_BATCH).await?;
        for &uid in &stores {
            store::unassign(&tx, uid).await?;
            let closing = ClosingStore {
                uid,
                nodeid,
                is_removed: false,
                last_expiry: self.millis() + self.token_millis(),
            };
            store::close(&tx, &closing).await?;
        }
        let count = u32::try_from(stores.len()).unwrap_or(RESET_BATCH);
        node::release_slots(&tx, nodeid, count.into()).await?;
        change::insert_for_all(&tx, self.millis()).await?;
        Ok(count)
    }

    /// The rows of a node, one for each service.
    async fn rows_of(&self, from: &impl Fetch, url: &str) -> Result<Vec<NodeRow>, NodeError> {
        let mut rows = Vec::new();
        for service in self.services() {
            rows.extend(node::by_url(from, service, url).await?);
        }
        if rows.is_empty() {
            return Err(NodeError::Unknown);
        }
        Ok(rows)
    }

    /// Moves an account's stores to that node, or to the best other one: it gets empty stores there, which clients
    /// fill. The old ones are emptied once no token for them is valid. Returns the number of moved stores.
    pub async fn move_user(&self, name: &str, to: Option<&str>) -> Result<u64, OperatorError> {
        self.transact_change(|tx| async move {
            let uid = named(&tx, name).await?.uid;
            let (mut moved, mut rather) = (0, String::new());
            for service in self.services() {
                let target = self.move_store(&tx, service, uid, to, &rather).await?;
                if let Some(target) = target {
                    (moved, rather) = (moved + 1, target.node);
                }
            }
            self.write_change(&tx, uid).await?;
            Ok(moved)
        })
        .await
    }

    /// Moves the store of a service. Returns its new node.
    async fn move_store(
        &self,
        tx: &Tx,
        service: i64,
        uid: AccountId,
        to: Option<&str>,
        rather: &str,
    ) -> Result<Option<NodeRow>, OperatorError> {
        let Some(current) = current_store(tx, service, &self.store_name(uid)).await? else {
            return Ok(None);
        };
        let query = NodeQuery {
            service,
            slots: 1,
            but: Some(current.nodeid),
            rather,
        };
        let target = match to {
            Some(url) => node::by_url(tx, service, plain_url(url))
                .await?
                .ok_or(OperatorError::UnknownNode)?,
            None => choose(tx, query).await?.ok_or(OperatorError::NoCapacity)?,
        };
        if target.id == current.nodeid {
            return Ok(None);
        }
        self.relocate(tx, current, &target).await?;
        Ok(Some(target))
    }
}

/// Sets what is given for the node of these rows.
async fn apply(tx: &Tx, rows: &[NodeRow], settings: NodeSettings) -> Result<(), SqlError> {
    let Some(row) = rows.first() else {
        return Ok(());
    };
    if let Some(capacity) = settings.capacity {
        let capacity = capacity.map_or(UNLIMITED, i64::from);
        let load: i64 = rows.iter().map(|row| row.current_load).sum();
        node::set_capacity(tx, &row.node, capacity, capacity - load).await?;
    }
    let mut setting = row.setting();
    setting.weight = settings.weight.unwrap_or(setting.weight);
    setting.backoff_seconds = settings.backoff_seconds.unwrap_or(setting.backoff_seconds);
    node::set(tx, &row.node, &setting).await
}

fn plain_url(url: &str) -> &str {
    url.trim_end_matches('/')
}
