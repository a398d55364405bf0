//! Orders about storage nodes.

use anyhow::anyhow;
use foxden_accounts::{Accounts, NodeError};

use super::command::{Command, Node, NodeState, Response};

/// Executes a command about nodes.
pub async fn execute(accounts: &Accounts, command: Command) -> anyhow::Result<Response> {
    let text = match command {
        Command::ListNodes => {
            let nodes = accounts.list_nodes().await?;
            let nodes = nodes.into_iter().map(Node::from).collect();
            return Ok(Response::Nodes { nodes });
        }
        Command::SetNode { url, state } => {
            accounts
                .set_node_state(&url, state.into())
                .await
                .map_err(|error| named(error, &url))?;
            match state {
                NodeState::Accepting => format!("{url} takes users"),
                NodeState::Draining => format!("{url} takes no new users"),
                NodeState::Down => format!("{url} is out of service"),
            }
        }
        Command::RemoveNode { url } => {
            let users = accounts.remove_node(&url).await;
            let users = users.map_err(|error| named(error, &url))?;
            format!("{url} is struck off; {users} stores begin anew elsewhere")
        }
        other => return Err(anyhow!("not about nodes: {other:?}")),
    };
    Ok(Response::Done { text })
}

/// An error about a node, as shown to the operator.
pub fn named(error: NodeError, url: &str) -> anyhow::Error {
    match error {
        NodeError::Unknown => unknown(url),
        NodeError::Listed => anyhow!(
            "{url} is where users are sent to; take it out of tokens.nodes of the server that keeps the accounts, restart \
             that, then remove the node"
        ),
        NodeError::Unavailable(error) => error.into(),
    }
}

/// No node has that address.
pub fn unknown(url: &str) -> anyhow::Error {
    anyhow!("there is no node {url}; foxden node list tells which there are")
}
