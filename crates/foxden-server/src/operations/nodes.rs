//! Operations on storage nodes.

use std::fmt::Write as _;

use foxden_accounts::security::OperatorAction;
use foxden_accounts::{Node, NodeSettings, NodeState};
use foxden_http::wire::{BadUrl, PublicUrl};

use super::{OperationError, accounts_of, report_details};
use crate::app::App;
use crate::config::tokens::NodeSource;

/// Lists the nodes in the order of their addresses.
pub async fn list(app: &App) -> Result<Vec<Node>, OperationError> {
    Ok(accounts_of(app)?.list_nodes().await?)
}

/// The one spelling of an address; what is no address stays as it is.
pub fn canonical(url: &str) -> String {
    let parsed: Result<PublicUrl, BadUrl> = url.parse();
    parsed.map_or_else(|_| url.to_owned(), |url| url.base())
}

/// Adds a node, where commands say which there are. Returns its address as it is kept.
pub async fn add(app: &App, url: &str, settings: NodeSettings) -> Result<String, OperationError> {
    let accounts = accounts_of(app)?;
    if app.config.tokens.nodes != NodeSource::ByCommand {
        return Err(OperationError::NodesAreNamed);
    }
    let parsed: Result<PublicUrl, BadUrl> = url.parse();
    let base = parsed
        .map_err(|cause| OperationError::InvalidNode {
            url: url.to_owned(),
            cause,
        })?
        .base();
    let added = accounts.add_node(&base, settings).await;
    added.map_err(|error| OperationError::on_node(error, &base))?;
    report_change(app, &base, &format!("added{}", details(settings)));
    Ok(base)
}

/// Changes what is set for a node.
pub async fn configure(app: &App, url: &str, settings: NodeSettings) -> Result<(), OperationError> {
    let changed = accounts_of(app)?.set_node(url, settings).await;
    changed.map_err(|error| OperationError::on_node(error, url))?;
    report_change(app, url, &format!("set{}", details(settings)));
    Ok(())
}

/// Sets whether the node takes users. Returns whether there is room for new ones, on this node or another one.
pub async fn set_state(app: &App, url: &str, state: NodeState) -> Result<bool, OperationError> {
    let changed = accounts_of(app)?.set_node_state(url, state).await;
    changed.map_err(|error| OperationError::on_node(error, url))?;
    report_change(app, url, state_name(state));
    has_room(app).await
}

/// Whether a node takes new users.
async fn has_room(app: &App) -> Result<bool, OperationError> {
    Ok(list(app).await?.iter().any(Node::takes_users))
}

/// Takes all stores off the node. Returns how many begin anew, there or on other nodes, and whether there is room for any.
pub async fn reset(app: &App, url: &str) -> Result<(u64, bool), OperationError> {
    let stores = accounts_of(app)?.reset_node(url).await;
    let stores = stores.map_err(|error| OperationError::on_node(error, url))?;
    report_change(app, url, "reset");
    Ok((stores, has_room(app).await?))
}

/// Removes the node. Returns how many of its stores begin anew on other nodes, and whether there is room for any.
pub async fn remove(app: &App, url: &str) -> Result<(u64, bool), OperationError> {
    let stores = accounts_of(app)?.remove_node(url).await;
    let stores = stores.map_err(|error| OperationError::on_node(error, url))?;
    report_change(app, url, "removed");
    Ok((stores, has_room(app).await?))
}

fn report_change(app: &App, url: &str, what: &str) {
    report_details(app, OperatorAction::NodeChanged, &format!("{url} {what}"));
}

/// A state as the security log names it.
const fn state_name(state: NodeState) -> &'static str {
    match state {
        NodeState::Accepting => "accepting",
        NodeState::NoNewUsers => "no-new-users",
        NodeState::Draining => "draining",
        NodeState::Down => "down",
    }
}

/// Settings as the security log names them.
fn details(settings: NodeSettings) -> String {
    let mut text = String::new();
    let NodeSettings {
        capacity,
        weight,
        backoff_seconds,
    } = settings;
    // Writing to a string cannot fail.
    let _ = match capacity {
        None => Ok(()),
        Some(None) => write!(text, " capacity=none"),
        Some(Some(stores)) => write!(text, " capacity={stores}"),
    };
    if let Some(weight) = weight {
        let _ = write!(text, " weight={weight}");
    }
    if let Some(seconds) = backoff_seconds {
        let _ = write!(text, " backoff={seconds}");
    }
    text
}
