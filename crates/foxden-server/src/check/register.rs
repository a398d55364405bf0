//! Whether a storage node that serves Sync 1.1 can read the accounts, and whether those know the node.

use std::path::Path;
use std::sync::Arc;

use foxden_accounts::{Accounts, Node, NodeState, Nodes, Options, Parts};
use foxden_model::SystemClock;
use foxden_sql::Database;

use super::Finding;
use crate::chance::SystemChance;
use crate::config::Config;

/// What there is to say about the accounts that another server keeps; nothing where this one does or needs none.
pub fn look(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let Some(file) = config.accounts.file.as_deref() else {
        return Ok(Vec::new());
    };
    if config.keeps_accounts() || !config.serves_legacy() {
        return Ok(Vec::new());
    }
    if !file.is_file() {
        return Ok(vec![Finding::doubtful(
            format!("there are no accounts in {} yet", file.display()),
            "start the server that keeps them; accounts.url must name its file",
        )]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(vec![match runtime.block_on(read(file)) {
        Ok(nodes) => judge(config, &nodes),
        Err(error) => Finding::bad(
            format!("the accounts in {} cannot be read: {error:#}", file.display()),
            "run the node on the same machine and as the same user as the server that keeps the accounts",
        ),
    }])
}

async fn read(file: &Path) -> anyhow::Result<Vec<Node>> {
    let accounts = Accounts::open(Parts {
        database: Database::open(&file.to_string_lossy(), foxden_accounts::MIGRATIONS).await?,
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance::new()),
        nodes: Nodes::AsTheyAre,
        options: Options::default(),
    })
    .await?;
    Ok(accounts.list_nodes().await?)
}

fn judge(config: &Config, nodes: &[Node]) -> Finding {
    let Some(url) = config.server.public_url.as_ref() else {
        return Finding::good("the accounts can be read");
    };
    let own = url.base();
    match nodes.iter().find(|node| node.url == own) {
        Some(node) if node.state == NodeState::Down => Finding::doubtful(
            format!("the accounts call this node down: nobody is sent to {own}"),
            format!("when it is back: foxden node resume {own}, given where accounts are served"),
        ),
        Some(_) => Finding::good(format!("the accounts can be read and send users to {own}")),
        None => Finding::bad(
            format!("the accounts do not know the node {own}: whoever comes here with a password gets 401"),
            "name exactly this address in tokens.nodes of the server that keeps the accounts, and restart that",
        ),
    }
}
