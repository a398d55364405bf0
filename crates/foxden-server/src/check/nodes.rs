//! Whether the storage nodes that users are sent to can be reached, share the master secret and the time.

use foxden_accounts::token::TokenSecrets;
use foxden_accounts::{Node, NodeState};
use foxden_http::sync::client::ProbeAnswer;
use foxden_http::wire::PublicUrl;
use foxden_model::{Clock, SystemClock};

use super::signed::{self, Answer};
use super::{Finding, TIMEOUT, date, register, wait_for};
use crate::app::MasterSecrets;
use crate::config::Config;
use crate::config::tokens::NodeSource;
use crate::data;
use crate::http_client::HttpClient;

/// Findings about the nodes; none if users are assigned to this server only.
pub fn check(config: &Config, client: &HttpClient) -> Vec<Finding> {
    if config.tokens.nodes == NodeSource::Own || !config.keeps_accounts() {
        return Vec::new();
    }
    let Some(secrets) = MasterSecrets::find(config) else {
        return vec![signed::no_secret()];
    };
    let secrets = secrets.token_secrets();
    let known = read_known(config);
    let nodes = match (&config.tokens.nodes, &known) {
        (NodeSource::ByCommand, Some(known)) => added(known),
        (list, _) => list.named().to_vec(),
    };
    let known = known.unwrap_or_default();
    let mut findings = judge_list(config, &known);
    let is_down = |node: &PublicUrl| {
        known
            .iter()
            .any(|known| known.url == node.base() && known.state == NodeState::Down)
    };
    for node in &nodes {
        if is_down(node) {
            findings.push(Finding::warning(
                format!("the node {node} is marked as down: its users wait"),
                format!(
                    "when it is back: foxden node up {node}; if its data are lost: foxden node reset {node}"
                ),
            ));
        } else {
            findings.extend(probe(node, client, &secrets, HINT_AWAY));
        }
    }
    findings
}

/// What to do about a node of the list that does not answer.
const HINT_AWAY: &str = "start the node, open its port, or correct its address in the list; foxden node down has its users wait until then";

/// Findings about a node that is to be added; none if the command will be refused anyway.
pub fn check_new(config: &Config, node: &str) -> anyhow::Result<Vec<Finding>> {
    let Ok(node) = node.parse::<PublicUrl>() else {
        return Ok(Vec::new());
    };
    if config.tokens.nodes != NodeSource::ByCommand || !config.keeps_accounts() {
        return Ok(Vec::new());
    }
    let Some(secrets) = MasterSecrets::find(config) else {
        return Ok(vec![signed::no_secret()]);
    };
    let client = HttpClient::new(TIMEOUT, config.server.ca_file.as_deref())?;
    let hint = "start the node, open its port, or correct the address";
    Ok(probe(&node, &client, &secrets.token_secrets(), hint))
}

/// Asks a node for an answer to a request that it must take.
fn probe(node: &PublicUrl, client: &HttpClient, secrets: &TokenSecrets, hint: &str) -> Vec<Finding> {
    match signed::request(client, node, secrets) {
        Ok(answer) => judge(node, &answer, SystemClock.seconds()),
        Err(error) => vec![signed::cannot_reach(node, &error, hint)],
    }
}

/// The nodes of the accounts' database; `None` where it cannot be read, which another check says.
fn read_known(config: &Config) -> Option<Vec<Node>> {
    let location = config
        .accounts
        .register
        .location(&data::register(&config.server.data_dir));
    wait_for(register::read(&location)).ok()?.ok()
}

/// The addresses of the nodes that commands added.
fn added(known: &[Node]) -> Vec<PublicUrl> {
    let listed = known.iter().filter(|node| node.is_listed);
    listed.filter_map(|node| node.url.parse().ok()).collect()
}

/// Whether there is a node that takes users.
fn judge_list(config: &Config, known: &[Node]) -> Vec<Finding> {
    let is_by_command = config.tokens.nodes == NodeSource::ByCommand;
    if known.is_empty() && is_by_command {
        return vec![Finding::warning(
            "there is no storage node yet, so no browser can sync",
            "add one: foxden node add URL",
        )];
    }
    if known.is_empty() || known.iter().any(Node::takes_users) {
        return Vec::new();
    }
    vec![Finding::warning(
        "no node takes new users: they wait, and those of a node that drains stay there",
        "foxden node list shows why; foxden node up, set --capacity or a further node changes it",
    )]
}

fn judge(node: &PublicUrl, answer: &Answer, now: i64) -> Vec<Finding> {
    match answer.meaning() {
        ProbeAnswer::Accepted => {
            let taken = Finding::ok(format!("the node {node} takes the tokens that are signed here"));
            // Where the clocks agree there is nothing more to say.
            let clock = date::check(node, answer.time, now);
            std::iter::once(taken)
                .chain(clock.is_error().then_some(clock))
                .collect()
        }
        ProbeAnswer::Unauthorized => vec![Finding::error(
            format!("the node {node} refuses the tokens that are signed here"),
            "both need the same master_secret, the node's public_url must be exactly what foxden node list says, and their \
             clocks must be right",
        )],
        ProbeAnswer::Unavailable => vec![Finding::warning(
            format!(
                "the node {node} turns all clients away for a while{}",
                answer.wait
            ),
            "if that is not meant (storage.maintenance), its log says why",
        )],
        ProbeAnswer::NotFound | ProbeAnswer::Other => vec![Finding::error(
            format!(
                "at {node} something else than a storage node answered, with status {}{}",
                answer.status, answer.wait
            ),
            "correct the node's address in the list, or the proxy in front of it",
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn a_node_is_good_only_with_the_same_secret_and_time() {
        let node: PublicUrl = "https://node1.example.org".parse().unwrap();
        for (status, time, weights) in [
            (200, Some(1000), &[Severity::Ok][..]),
            (200, None, &[Severity::Ok]),
            (200, Some(5000), &[Severity::Ok, Severity::Error]),
            (401, Some(1000), &[Severity::Error]),
            (503, Some(1000), &[Severity::Warning]),
            (404, None, &[Severity::Error]),
        ] {
            let wait = String::new();
            let answer = Answer { status, time, wait };
            let found = judge(&node, &answer, 1000);
            let found: Vec<Severity> = found.iter().map(|finding| finding.severity).collect();
            assert_eq!(found, weights, "{status} {time:?}");
        }
    }
}
