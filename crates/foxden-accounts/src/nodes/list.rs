//! Who manages the list of nodes: the configuration or commands. A start puts the list right.

use foxden_sql::{SqlError, Tx};

use super::Nodes;
use crate::OpenError;
use crate::register::change;
use crate::register::node::{self, NodeRow};
use crate::register::setting;

/// Key of the setting that says who manages the list.
const MANAGED_BY: &str = "nodes";
/// Its value where commands do; it is missing where the configuration does.
const COMMANDS: &str = "commands";

/// Whether commands manage the list of nodes.
pub(crate) async fn is_managed_by_commands(tx: &Tx) -> Result<bool, SqlError> {
    Ok(setting::get(tx, MANAGED_BY).await?.as_deref() == Some(COMMANDS))
}

/// Hands the list of nodes, as it is, to commands.
pub(crate) async fn hand_to_commands(tx: &Tx, services: [i64; 2]) -> Result<(), SqlError> {
    if is_managed_by_commands(tx).await? {
        return Ok(());
    }
    // No public address takes over a node that a command named.
    for service in services {
        node::unmark(tx, service).await?;
    }
    setting::set(tx, MANAGED_BY, COMMANDS).await
}

impl Nodes {
    /// Puts the register's list of nodes right, for each of the services. Returns the node that has another address from
    /// now on, and which: there is one at most.
    pub(crate) async fn write_list(
        &self,
        tx: &Tx,
        services: [i64; 2],
        now: i64,
    ) -> Result<Option<Renamed>, OpenError> {
        let urls = match self {
            Self::Own(url) => std::slice::from_ref(url),
            Self::Listed(urls) => urls,
            Self::ByCommand => {
                hand_to_commands(tx, services).await?;
                return Ok(None);
            }
            Self::Unmanaged => return Ok(None),
        };
        if is_managed_by_commands(tx).await? {
            take_from_commands(tx, urls).await?;
        }
        Ok(self.write_urls(tx, services, urls, now).await?)
    }

    async fn write_urls(
        &self,
        tx: &Tx,
        services: [i64; 2],
        urls: &[String],
        now: i64,
    ) -> Result<Option<Renamed>, SqlError> {
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

/// The configuration manages the list from now on, if it names the nodes that commands have added, and no other one: else
/// it would undo what they did.
async fn take_from_commands(tx: &Tx, urls: &[String]) -> Result<(), OpenError> {
    let nodes = node::all(tx).await?;
    let mut added: Vec<String> = nodes
        .into_iter()
        .filter(|node| node.is_listed)
        .map(|node| node.node)
        .collect();
    added.sort();
    added.dedup();
    let mut named = urls.to_vec();
    named.sort();
    named.dedup();
    if named != added {
        return Err(OpenError::NodesByCommand { added });
    }
    setting::set(tx, MANAGED_BY, "configuration").await?;
    Ok(())
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
    node::set_address(tx, row, url).await?;
    // Other processes remember where stores were.
    change::insert_for_all(tx, now).await?;
    Ok(Renamed {
        before: row.node.clone(),
        now: url.to_owned(),
    })
}
