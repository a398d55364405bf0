//! Speaks to a storage node as a client does: there is no private channel between servers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use data_encoding::BASE64;
use foxden_accounts::token::{Claims, Token, TokenSecrets};
use foxden_http::wire::PublicUrl;
use foxden_model::{Chance, Clock, UserId};
use ring::hmac;

use crate::chance;

/// How long the token for one request holds, in seconds.
const TOKEN_SECONDS: i64 = 300;
/// How long the node may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Empties a user's store on that node.
pub async fn empty_store(
    node: PublicUrl,
    secrets: &Arc<TokenSecrets>,
    user: UserId,
    clock: &dyn Clock,
    chance: &dyn Chance,
) -> anyhow::Result<()> {
    let base = node.base();
    let token = secrets.mint(
        &Claims {
            user,
            node: &base,
            expires: clock.seconds() + TOKEN_SECONDS,
            // Nobody in particular: the store's owner is gone.
            fxa_uid: "00000000000000000000000000000000",
            fxa_kid: "0000000000000-AAAAAAAAAAAAAAAAAAAAAA",
            hashed_fxa_uid: None,
            hashed_device_id: None,
        },
        chance,
    );
    let path = format!("{}/1.5/{user}", node.path());
    let authorization = sign(
        &token,
        "DELETE",
        &path,
        &node,
        clock.seconds(),
        &chance::hex(chance, 6),
    );
    let url = format!("{}{path}", node.origin());
    let status = tokio::task::spawn_blocking(move || delete(&url, &authorization)).await??;
    // A store that is not there is as empty as it can be.
    ensure!(
        (200..300).contains(&status) || status == 404,
        "the node {base} answered {status}"
    );
    Ok(())
}

fn delete(url: &str, authorization: &str) -> anyhow::Result<u16> {
    let agent = agent(PATIENCE);
    let answer = agent.delete(url).header("Authorization", authorization).call();
    let answer = answer.with_context(|| format!("cannot reach {url}"))?;
    Ok(answer.status().as_u16())
}

/// What sends requests: it follows nobody elsewhere and waits no longer than this.
pub fn agent(patience: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(patience))
        .build()
        .into()
}

/// The header that signs a request without a body.
pub fn sign(
    token: &Token,
    method: &str,
    target: &str,
    node: &PublicUrl,
    seconds: i64,
    nonce: &str,
) -> String {
    let text = format!(
        "hawk.1.header\n{seconds}\n{nonce}\n{method}\n{target}\n{}\n{}\n\n\n",
        node.host(),
        node.port()
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.key.as_str().as_bytes());
    let mac = BASE64.encode(hmac::sign(&key, text.as_bytes()).as_ref());
    format!(
        "Hawk id=\"{}\", ts=\"{seconds}\", nonce=\"{nonce}\", mac=\"{mac}\"",
        token.id
    )
}
