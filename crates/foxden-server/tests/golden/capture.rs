//! Texts that a client works out for itself, or that an operator hands over, for `keep` directives.

use anyhow::{Context, Result, bail};

use crate::server::ConversationServer;
use foxden_test_support::client::onepw::{Stretched, TokenKeys};
use foxden_test_support::client::sync_key::ProofKey;

/// The text that the words after the name ask for.
pub fn text(words: &str, server: &ConversationServer) -> Result<String> {
    let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
    match verb {
        "authpw" => {
            let (email, password) = rest.split_once(' ').context("an address and a password")?;
            Ok(Stretched::v1(email, password).auth_pw_hex())
        }
        "id" => {
            let (kind, token) = rest.split_once(' ').context("a kind and a token")?;
            Ok(TokenKeys::derive(token, kind).id)
        }
        "challenge" => {
            let verifier = rest.to_owned();
            Ok(ProofKey { verifier }.challenge())
        }
        "sum" => sum(rest),
        "invitation" => server.invitation(),
        "code" => server.waiting_code(rest),
        "link" => server.password_link(rest),
        _ => bail!("nothing is kept by {verb}"),
    }
}

/// The answer to the question that a person is asked.
fn sum(text: &str) -> Result<String> {
    let words: Vec<&str> = text.split(' ').collect();
    let [first, sign, second] = words[..] else {
        bail!("a sum has two numbers and a sign between them");
    };
    let (first, second): (i64, i64) = (first.parse()?, second.parse()?);
    match sign {
        "+" => Ok((first + second).to_string()),
        "−" => Ok((first - second).to_string()),
        _ => bail!("no sum is made with {sign}"),
    }
}
