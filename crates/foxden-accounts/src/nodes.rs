//! Storage nodes: their list, the commands of the operator, and moving users between them.

use std::collections::BTreeMap;

use foxden_sql::{Database, SqlError, Tx};

use crate::operator::named;
use crate::register::change;
use crate::register::node::{self, NodeRow};
use crate::register::store::{self, StoreRow};
use crate::{AccountId, Accounts, NodeError, OperatorError, Unavailable};

/// How often slots are freed before it is said that no node has room.
const ROUNDS: usize = 5;

/// The storage nodes in the configuration. Addresses are base URLs without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// One node, recognized by a mark: with another address it is the same node.
    Own(String),
    /// These nodes, each identified by its address. A node that is no longer listed keeps its users and takes no new
    /// ones. If one node is listed and a single other one is known, it is the same node under another name.
    Listed(Vec<String>),
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
    /// Whether the configuration names it.
    pub is_listed: bool,
    /// Stores of current browsers that are in use there.
    pub users: u64,
    /// Stores of old clients that are in use there.
    pub legacy_users: u64,
}

/// Whether a node takes users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It takes new ones.
    Accepting,
    /// It keeps those it has.
    Draining,
    /// Out of service: it gets no new users, and no store is emptied there.
    Down,
}

impl Nodes {
    /// Puts the register's list of nodes right, for each of the services. Returns the node that has another address from
    /// now on, and which: there is one at most.
    pub(crate) async fn write_list(
        &self,
        tx: &Tx,
        services: [i64; 2],
        now: i64,
    ) -> Result<Option<Renamed>, SqlError> {
        let urls = match self {
            Self::Own(url) => std::slice::from_ref(url),
            Self::Listed(urls) => urls,
            Self::Unmanaged => return Ok(None),
        };
        let mut renamed = None;
        for service in services {
            let of_service = if let Self::Own(url) = self {
                sync_own_node(tx, service, url, now).await?
            } else {
                sync_listed_nodes(tx, service, urls, now).await?
            };
            renamed = of_service.or(renamed);
            node::unlist_all(tx, service).await?;
            for url in urls {
                node::list(tx, service, url).await?;
            }
        }
        Ok(renamed)
    }
}

/// A node that is reached at another address.
pub(crate) struct Renamed {
    before: String,
    now: String,
}

impl Renamed {
    /// Tells the operator, once it is committed.
    pub(crate) fn log_warning(&self) {
        let Self { before, now } = self;
        tracing::warn!(
            "the node {before} is taken for the same one under another address: it is {now} from now on, and keeps its \
             users"
        );
    }
}

/// Lists the nodes of a register that another process keeps.
pub async fn nodes_of(register: &Database) -> Result<Vec<Node>, Unavailable> {
    let legacy = node::service(register, node::LEGACY).await?;
    list(register, legacy.id).await
}

async fn list(register: &Database, legacy: i64) -> Result<Vec<Node>, Unavailable> {
    let mut nodes = BTreeMap::new();
    for row in node::all(register).await? {
        let node = nodes.entry(row.node.clone()).or_insert_with(|| Node {
            state: NodeState::of(row.downed, row.backoff),
            is_listed: row.is_listed,
            users: 0,
            legacy_users: 0,
            url: row.node,
        });
        if row.service == legacy {
            node.legacy_users += row.users;
        } else {
            node.users += row.users;
        }
    }
    Ok(nodes.into_values().collect())
}

impl Accounts {
    /// Every node, and how many users it has.
    pub async fn list_nodes(&self) -> Result<Vec<Node>, Unavailable> {
        list(&self.0.database, self.0.settings.legacy_service_id).await
    }

    /// Changes whether a node takes users.
    pub async fn set_node_state(&self, url: &str, state: NodeState) -> Result<(), NodeError> {
        let (downed, backoff) = match state {
            NodeState::Accepting => (false, false),
            NodeState::Draining => (false, true),
            NodeState::Down => (true, true),
        };
        self.transact(|tx| async move {
            match node::set_state(&tx, plain_url(url), downed, backoff).await? {
                0 => Err(NodeError::Unknown),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Removes a node that is no longer listed. Its users get an empty store on another node when they next sync, and
    /// clients fill it. The data on the removed node stays there, since it cannot be reached any more. Returns the
    /// number of stores it had.
    pub async fn remove_node(&self, url: &str) -> Result<u64, NodeError> {
        self.transact_change(|tx| async move {
            let mut rows = 0;
            let mut users = 0;
            for service in [self.0.settings.sync_service_id, self.0.settings.legacy_service_id] {
                let Some(row) = node::by_url(&tx, service, plain_url(url)).await? else {
                    continue;
                };
                if row.is_listed {
                    return Err(NodeError::Listed);
                }
                rows += 1;
                users += store::count_on(&tx, row.id).await?;
                node::delete(&tx, row.id).await?;
            }
            if rows == 0 {
                return Err(NodeError::Unknown);
            }
            change::insert_for_all(&tx, self.millis()).await?;
            Ok(users)
        })
        .await
    }

    /// Moves an account's stores to that node, or to the best other one: it gets empty stores there, which clients
    /// fill. The old ones are emptied once no token for them is valid. Returns the number of moved stores.
    pub async fn move_user(&self, name: &str, to: Option<&str>) -> Result<u64, OperatorError> {
        self.transact_change(|tx| async move {
            let uid = named(&tx, name).await?.uid;
            let mut moved = 0;
            for service in [self.0.settings.sync_service_id, self.0.settings.legacy_service_id] {
                moved += self.move_store(&tx, service, uid, to).await?;
            }
            self.write_change(&tx, uid).await?;
            Ok(moved)
        })
        .await
    }

    async fn move_store(
        &self,
        tx: &Tx,
        service: i64,
        uid: AccountId,
        to: Option<&str>,
    ) -> Result<u64, OperatorError> {
        let rows = store::of(tx, service, &self.store_name(uid)).await?;
        // Sort as the tokenserver does, so that the store it considers current is the one moved.
        let current = rows
            .into_iter()
            .filter(|row| row.replaced_at.is_none())
            .max_by_key(|row| (row.generation, row.created_at, row.uid));
        let Some(current) = current else { return Ok(0) };
        let target = match to {
            Some(url) => node::by_url(tx, service, plain_url(url))
                .await?
                .ok_or(OperatorError::UnknownNode)?,
            None => choose(tx, service, Some(current.nodeid))
                .await?
                .ok_or(OperatorError::NoCapacity)?,
        };
        if target.id == current.nodeid {
            return Ok(0);
        }
        let now = self.millis().max(current.created_at);
        let row = StoreRow {
            created_at: now,
            ..current
        };
        let row = insert_store(tx, row, &target).await?;
        store::replace_others(tx, &row, now).await?;
        Ok(1)
    }
}

impl NodeState {
    const fn of(downed: bool, backoff: bool) -> Self {
        match (downed, backoff) {
            (true, _) => Self::Down,
            (false, true) => Self::Draining,
            (false, false) => Self::Accepting,
        }
    }
}

/// The node with the smallest load, and not the one that is left out; slots are freed when all that were given out are
/// taken. `None`: no node has room.
pub(crate) async fn choose(tx: &Tx, service: i64, but: Option<i64>) -> Result<Option<NodeRow>, SqlError> {
    for _ in 0..ROUNDS {
        if let Some(node) = node::best(tx, service, but).await? {
            return Ok(Some(node));
        }
        if node::release(tx, service).await? == 0 {
            break;
        }
    }
    Ok(None)
}

/// Creates a store on that node, with a new uid whatever the row says.
pub(crate) async fn insert_store(tx: &Tx, row: StoreRow, node: &NodeRow) -> Result<StoreRow, SqlError> {
    node::reserve_slot(tx, node.id).await?;
    let mut row = StoreRow {
        nodeid: node.id,
        replaced_at: None,
        ..row
    };
    row.uid = store::insert(tx, &row).await?;
    Ok(row)
}

/// The one node: it keeps its mark and its users when its address changes.
async fn sync_own_node(tx: &Tx, service: i64, url: &str, now: i64) -> Result<Option<Renamed>, SqlError> {
    let marked = match node::own(tx, service).await? {
        Some(marked) => Some(marked),
        None => node::only(tx, service).await?,
    };
    match (node::by_url(tx, service, url).await?, marked) {
        (Some(known), _) => node::mark_own(tx, service, known.id).await?,
        (None, Some(marked)) => {
            let renamed = rename(tx, &marked, url, now).await?;
            node::mark_own(tx, service, marked.id).await?;
            return Ok(Some(renamed));
        }
        (None, None) => node::insert(tx, service, url, true).await?,
    }
    Ok(None)
}

/// Listed nodes: none of them has a mark, so that no later address can take over one of them.
async fn sync_listed_nodes(
    tx: &Tx,
    service: i64,
    urls: &[String],
    now: i64,
) -> Result<Option<Renamed>, SqlError> {
    let mut renamed = None;
    for url in urls {
        if node::by_url(tx, service, url).await?.is_some() {
            continue;
        }
        match node::only(tx, service).await? {
            Some(only) if urls.len() == 1 => renamed = Some(rename(tx, &only, url, now).await?),
            Some(_) | None => node::insert(tx, service, url, false).await?,
        }
    }
    node::unmark(tx, service).await?;
    Ok(renamed)
}

/// The same node is reached at another address.
async fn rename(tx: &Tx, row: &NodeRow, url: &str, now: i64) -> Result<Renamed, SqlError> {
    node::set_address(tx, row.id, url).await?;
    // Other processes remember where stores were.
    change::insert_for_all(tx, now).await?;
    Ok(Renamed {
        before: row.node.clone(),
        now: url.to_owned(),
    })
}

fn plain_url(url: &str) -> &str {
    url.trim_end_matches('/')
}
