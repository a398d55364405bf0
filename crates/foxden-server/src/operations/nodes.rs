//! Operations on storage nodes.

use foxden_accounts::security::OperatorAction;
use foxden_accounts::{Node, NodeState};

use super::{OperationError, accounts_of, report_details};
use crate::app::App;

/// Lists the nodes in the order of their addresses.
pub async fn list(app: &App) -> Result<Vec<Node>, OperationError> {
    Ok(accounts_of(app)?.list_nodes().await?)
}

/// Sets whether the node takes users.
pub async fn set_state(app: &App, url: &str, state: NodeState) -> Result<(), OperationError> {
    let changed = accounts_of(app)?.set_node_state(url, state).await;
    changed.map_err(|error| OperationError::on_node(error, url))?;
    let details = format!("{url} {}", state_name(state));
    report_details(app, OperatorAction::NodeChanged, &details);
    Ok(())
}

/// Removes the node. Returns how many of its stores begin anew on other nodes.
pub async fn remove(app: &App, url: &str) -> Result<u64, OperationError> {
    let stores = accounts_of(app)?.remove_node(url).await;
    let stores = stores.map_err(|error| OperationError::on_node(error, url))?;
    report_details(app, OperatorAction::NodeChanged, &format!("{url} removed"));
    Ok(stores)
}

/// A state as the security log names it.
const fn state_name(state: NodeState) -> &'static str {
    match state {
        NodeState::Accepting => "accepting",
        NodeState::Draining => "draining",
        NodeState::Down => "down",
    }
}
