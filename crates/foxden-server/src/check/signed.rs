//! A request signed for a storage node, on behalf of nobody.

use foxden_accounts::token::{Claims, TokenSecrets};
use foxden_http::wire::PublicUrl;
use foxden_model::{Clock, SystemClock, UserId};

use super::{Finding, date, wait};
use crate::chance::{self, SystemChance};
use crate::node::{self, Asker};

/// A store that no account ever has: uids are given out from one upwards.
const NOBODY: UserId = UserId(9_999_999_999);

/// What the node answered.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The time there, in seconds since 1970, if it was told.
    pub time: Option<i64>,
    /// What there is to say of how it asks clients to wait.
    pub wait: String,
}

/// Asks the node what nobody has stored there.
pub fn ask(asker: &Asker, node: &PublicUrl, secrets: &TokenSecrets) -> Result<Answer, ureq::Error> {
    let chance = SystemChance::new();
    let base = node.base();
    let claims = Claims {
        user: NOBODY,
        node: &base,
        expires: SystemClock.seconds() + 60,
        fxa_uid: "00000000000000000000000000000000",
        fxa_kid: "0000000000000-AAAAAAAAAAAAAAAAAAAAAA",
        hashed_fxa_uid: None,
        hashed_device_id: None,
    };
    let token = secrets.mint(&claims, &chance);
    let target = format!("{}/1.5/{NOBODY}/info/collections", node.path());
    let nonce = chance::hex(&chance, 6);
    let authorization = node::sign(&token, "GET", &target, node, SystemClock.seconds(), &nonce);
    let url = format!("{}{target}", node.origin());
    let answer = asker.ask(|agent| agent.get(&url).header("Authorization", &authorization).call())?;
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    Ok(Answer {
        status: answer.status().as_u16(),
        time: date.and_then(date::seconds_of),
        wait: wait::remark(answer.headers()),
    })
}

/// Without the secret nothing can be signed.
pub fn no_secret() -> Finding {
    Finding::doubtful(
        "the secret that signs tokens cannot be read",
        "run this as the user who runs the server",
    )
}

/// An address that does not answer, and what that may mean.
pub fn cannot_reach(url: &PublicUrl, error: &ureq::Error, else_mend: &str) -> Finding {
    let mend = match error {
        ureq::Error::HostNotFound => "the name has no address: add it to the DNS or to /etc/hosts",
        error if node::is_about_a_certificate(error) => {
            "the certificate is not one that browsers trust, or is another name's: renew it, or have the proxy get one; \
             where it comes from an authority of your own, name that with --ca"
        }
        _ => else_mend,
    };
    Finding::bad(
        format!("{url} cannot be reached from this machine: {error}"),
        mend,
    )
}
