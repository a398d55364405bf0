//! Whether a storage node that serves Sync 1.1 can read the accounts, and whether those know the node.

use std::path::Path;

use foxden_accounts::{Node, NodeState};
use foxden_sql::{Database, SqlError};

use super::{Finding, databases, wait_for};
use crate::config::Config;
use crate::config::register::RegisterUrl;

/// Findings about accounts on another server; none if this server has its own or needs none.
pub fn check(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let register = &config.accounts.register;
    if !register.is_given() || config.keeps_accounts() || !config.serves_legacy() {
        return Ok(Vec::new());
    }
    let missing = || {
        Finding::warning(
            format!("there are no accounts in {register} yet"),
            "start the server that keeps them; accounts.url must name its database",
        )
    };
    if matches!(register, RegisterUrl::File(file) if !file.is_file()) {
        return Ok(vec![missing()]);
    }
    // None without a name: the operator has given one.
    let location = register.location(Path::new(""));
    Ok(vec![match wait_for(read(&location))? {
        Ok(nodes) => judge(config, &nodes),
        Err(error) => match (error.downcast::<SqlError>(), register) {
            (Ok(SqlError::Older { found: 0, .. }), RegisterUrl::Server { .. }) => missing(),
            (Ok(error @ SqlError::Older { .. }), _) => Finding::warning(
                format!("the accounts in {register} are kept by an older program: {error}"),
                "stop all servers that share them, replace the program everywhere, and start the one that keeps them first",
            ),
            (Ok(error), RegisterUrl::Server { shown, .. }) => databases::refused("accounts", shown, error),
            (Ok(error), _) => unreadable(register, &error.into()),
            (Err(error), _) => unreadable(register, &error),
        },
    }])
}

fn unreadable(register: &RegisterUrl, error: &anyhow::Error) -> Finding {
    Finding::error(
        format!("the accounts in {register} cannot be read: {error:#}"),
        match register {
            RegisterUrl::Server { .. } => "check the server's log",
            _ => {
                "run the node on the same machine and as the same user as the server that keeps the accounts"
            }
        },
    )
}

/// The nodes of the accounts in that database.
pub(super) async fn read(location: &str) -> anyhow::Result<Vec<Node>> {
    let register = Database::open_read_only(location, foxden_accounts::MIGRATIONS).await?;
    let nodes = foxden_accounts::nodes_of(&register).await;
    register.close().await;
    Ok(nodes?)
}

fn judge(config: &Config, nodes: &[Node]) -> Finding {
    let Some(url) = config.server.public_url.as_ref() else {
        return Finding::ok("the accounts can be read");
    };
    let own = url.base();
    match nodes.iter().find(|node| node.url == own) {
        Some(node) if node.state == NodeState::Down => Finding::warning(
            format!("this node is down for the accounts: {own} gets no new users, and those it has wait"),
            format!("when it is back: foxden node up {own}, given where accounts are served"),
        ),
        Some(node) if node.state != NodeState::Accepting => Finding::ok(format!(
            "the accounts can be read; {own} gets no new users, as foxden node drain says"
        )),
        Some(_) => Finding::ok(format!("the accounts can be read and send users to {own}")),
        None => Finding::error(
            format!(
                "node {own} is not in tokens.nodes of the registration server: password log-ins here fail with 401"
            ),
            "name exactly this address in tokens.nodes of the server that keeps the accounts, and restart that; or, where that \
             says \"commands\", run there: foxden node add",
        ),
    }
}
