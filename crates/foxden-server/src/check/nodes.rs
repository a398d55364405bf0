//! Whether the storage nodes that users are sent to can be reached, share the master secret and the time.

use foxden_http::sync::client::ProbeAnswer;
use foxden_http::wire::PublicUrl;
use foxden_model::{Clock, SystemClock};

use super::signed::{self, Answer};
use super::{Finding, date};
use crate::app::MasterSecrets;
use crate::config::Config;
use crate::http_client::HttpClient;

/// Findings about the nodes; none if users are assigned to this server only.
pub fn check(config: &Config, client: &HttpClient) -> Vec<Finding> {
    let nodes = &config.tokens.nodes;
    if nodes.is_empty() || !config.keeps_accounts() {
        return Vec::new();
    }
    let Some(secrets) = MasterSecrets::find(config) else {
        return vec![signed::no_secret()];
    };
    let secrets = secrets.token_secrets();
    let look_at = |node: &PublicUrl| match signed::request(client, node, &secrets) {
        Ok(answer) => judge(node, &answer, SystemClock.seconds()),
        Err(error) => vec![signed::cannot_reach(
            node,
            &error,
            "start the node, open its port, or mend tokens.nodes; foxden node down keeps users away until then",
        )],
    };
    nodes.iter().flat_map(look_at).collect()
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
            "both need the same master_secret, the node's public_url must be exactly what tokens.nodes says, and their \
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
            "mend tokens.nodes, or the proxy in front of the node",
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
