//! Whether a storage node that serves Sync 1.1 can read the accounts, and whether those know the node.

use std::path::Path;

use foxden_accounts::{Node, NodeState};
use foxden_sql::{Database, SqlError};

use super::Finding;
use crate::config::Config;
use crate::config::register::RegisterUrl;

/// Findings about accounts on another server; none if this server has its own or needs none.
pub fn check(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let RegisterUrl::File(file) = &config.accounts.register else {
        return Ok(Vec::new());
    };
    if config.keeps_accounts() || !config.serves_legacy() {
        return Ok(Vec::new());
    }
    if !file.is_file() {
        return Ok(vec![Finding::warning(
            format!("there are no accounts in {} yet", file.display()),
            "start the server that keeps them; accounts.url must name its file",
        )]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(vec![match runtime.block_on(read(file)) {
        Ok(nodes) => judge(config, &nodes),
        Err(error) if matches!(error.downcast_ref(), Some(SqlError::Older { .. })) => Finding::warning(
            format!(
                "the accounts in {} are kept by an older program: {error:#}",
                file.display()
            ),
            "stop all servers that share them, replace the program everywhere, and start the one that keeps them first",
        ),
        Err(error) => Finding::error(
            format!("the accounts in {} cannot be read: {error:#}", file.display()),
            "run the node on the same machine and as the same user as the server that keeps the accounts",
        ),
    }])
}

async fn read(file: &Path) -> anyhow::Result<Vec<Node>> {
    let register = Database::open_read_only(file, foxden_accounts::MIGRATIONS).await?;
    Ok(foxden_accounts::nodes_of(&register).await?)
}

fn judge(config: &Config, nodes: &[Node]) -> Finding {
    let Some(url) = config.server.public_url.as_ref() else {
        return Finding::ok("the accounts can be read");
    };
    let own = url.base();
    match nodes.iter().find(|node| node.url == own) {
        Some(node) if node.state == NodeState::Down => Finding::warning(
            format!("this node is down for the accounts: {own} gets no new users"),
            format!("when it is back: foxden node resume {own}, given where accounts are served"),
        ),
        Some(_) => Finding::ok(format!("the accounts can be read and send users to {own}")),
        None => Finding::error(
            format!(
                "node {own} is not in tokens.nodes of the registration server: password log-ins here fail with 401"
            ),
            "name exactly this address in tokens.nodes of the server that keeps the accounts, and restart that",
        ),
    }
}
