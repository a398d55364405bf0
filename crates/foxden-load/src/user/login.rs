//! Users of 1.5 with accounts: they sign in, and trade the login for a token at the tokenserver, as browsers do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use hyper::{Method, StatusCode};
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde::Deserialize;
use serde_json::Value;

use super::credentials;
use crate::client::reply::Reply;
use crate::client::token::Credentials;
use crate::client::{Authorization, Call, Client, Server, onepw};
use crate::fault::{Fault, FaultKind};
use crate::protocol::RequestKind;
use crate::target::Target;

/// The OAuth client id of a browser on a desktop.
const BROWSER: &str = "5882386c6d801776";
/// The scope of Sync.
const SCOPE: &str = "https://identity.mozilla.com/apps/oldsync";
/// The number of the error "there is no such account".
const UNKNOWN_ACCOUNT: u32 = 102;
/// How long before its end a token is renewed.
const EARLY: Duration = Duration::from_secs(60);

/// What a user of an account server somewhere else has been given: an access token and the id of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    access_token: String,
    key_id: String,
}

/// Reads a file with a user in each line: an access token, a space, and the key id that goes with it.
pub fn read(path: &Path) -> Result<Vec<Bearer>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("--bearer-file: {} cannot be read", path.display()))?;
    let mut bearers = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            [access_token, key_id] => bearers.push(Bearer {
                access_token: access_token.to_owned(),
                key_id: key_id.to_owned(),
            }),
            _ => anyhow::bail!(
                "--bearer-file: line {} is not an access token and a key id",
                number + 1
            ),
        }
    }
    ensure!(!bearers.is_empty(), "--bearer-file: {} is empty", path.display());
    Ok(bearers)
}

/// How users of 1.5 come to their tokens.
#[derive(Debug)]
pub struct Login {
    /// The account server and the tokenserver.
    server: Arc<Server>,
    kind: Kind,
    /// Storage nodes elsewhere, by their address.
    nodes: Mutex<BTreeMap<String, Arc<Server>>>,
}

#[derive(Debug)]
enum Kind {
    /// With an account and a password, which follows from this key.
    Account(hmac::Key),
    /// With what was given.
    Bearer(Vec<Bearer>),
}

/// What a user has to get the next token.
#[derive(Clone, Debug)]
pub struct Renewal {
    login: Arc<Login>,
    /// The number of the user.
    number: u32,
    /// The session at the account server, where there is one.
    session: Option<String>,
    key_id: String,
    /// When the token is to be renewed.
    until: Instant,
}

#[derive(Deserialize)]
struct Session {
    #[serde(rename = "sessionToken")]
    token: String,
    verified: Option<bool>,
}

#[derive(Deserialize)]
struct Refusal {
    errno: u32,
}

#[derive(Deserialize)]
struct ScopedKey {
    #[serde(rename = "keyRotationTimestamp")]
    rotation: u64,
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
}

#[derive(Deserialize)]
struct Token {
    id: String,
    key: String,
    api_endpoint: String,
    duration: u64,
}

impl Login {
    /// With accounts, whose passwords follow from the secret.
    pub fn with_accounts(server: Arc<Server>, secret: &str) -> Self {
        Self::new(
            server,
            Kind::Account(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())),
        )
    }

    /// With access tokens that were given.
    pub fn with_bearers(server: Arc<Server>, bearers: Vec<Bearer>) -> Self {
        Self::new(server, Kind::Bearer(bearers))
    }

    fn new(server: Arc<Server>, kind: Kind) -> Self {
        Self {
            server,
            kind,
            nodes: Mutex::default(),
        }
    }

    /// Signs a user in and gets its first token. An account that is not there is made if that is asked for; otherwise there is no
    /// answer.
    pub async fn sign_in(
        self: &Arc<Self>,
        client: &mut Client,
        number: u32,
        makes: bool,
    ) -> Result<Option<Renewal>, Fault> {
        let (session, key_id) = match &self.kind {
            Kind::Account(key) => {
                let Some(session) = self.session(client, number, key, makes).await? else {
                    return Ok(None);
                };
                let key_id = self.key_id(client, number, key, &session).await?;
                (Some(session), key_id)
            }
            Kind::Bearer(bearers) => (None, self.bearer(number, bearers)?.key_id.clone()),
        };
        let mut renewal = Renewal {
            login: Arc::clone(self),
            number,
            session,
            key_id,
            until: Instant::now(),
        };
        renewal.renew(client).await?;
        Ok(Some(renewal))
    }

    fn bearer<'a>(&self, number: u32, bearers: &'a [Bearer]) -> Result<&'a Bearer, Fault> {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        bearers.get(number).ok_or_else(|| Fault {
            kind: FaultKind::Status,
            what: format!("there are access tokens for {} users only", bearers.len()),
            request: format!("a token of {}", self.server.target),
            answer: "none".to_owned(),
        })
    }

    /// Signs in, or makes the account.
    async fn session(
        &self,
        client: &mut Client,
        number: u32,
        key: &hmac::Key,
        makes: bool,
    ) -> Result<Option<String>, Fault> {
        let body = proof(key, number);
        let mut reply = self.ask(client, "/v1/account/login", None, &body).await?;
        if reply.status == StatusCode::BAD_REQUEST && reply.json::<Refusal>()?.errno == UNKNOWN_ACCOUNT {
            if !makes {
                return Ok(None);
            }
            reply = self.ask(client, "/v1/account/create", None, &body).await?;
        }
        reply.expect(StatusCode::OK)?;
        let session: Session = reply.json()?;
        if session.verified == Some(false) {
            let what = "the server wants the address of a made user to be confirmed";
            return Err(reply.fault(FaultKind::Status, what));
        }
        let session = onepw::session(&session.token);
        let no_digits = || reply.fault(FaultKind::Form, "a session token without digits");
        session.map(Some).ok_or_else(no_digits)
    }

    /// The id of the key with which a browser of this user would encrypt.
    async fn key_id(
        &self,
        client: &mut Client,
        number: u32,
        key: &hmac::Key,
        session: &str,
    ) -> Result<String, Fault> {
        let body = serde_json::json!({ "client_id": BROWSER, "scope": SCOPE });
        let path = "/v1/account/scoped-key-data";
        let reply = self.ask(client, path, Some(session), &body).await?;
        reply.expect(StatusCode::OK)?;
        let keys: BTreeMap<String, ScopedKey> = reply.json()?;
        let Some(data) = keys.get(SCOPE) else {
            return Err(reply.fault(FaultKind::Form, "no key of Sync"));
        };
        let encryption = hmac::sign(key, format!("key of {}", email(number)).as_bytes());
        let fingerprint = digest(&SHA256, encryption.as_ref());
        let fingerprint = BASE64URL_NOPAD.encode(&fingerprint.as_ref()[..16]);
        Ok(format!("{}-{fingerprint}", data.rotation))
    }

    /// Asks the account server, as the owner of a session if there is one.
    async fn ask(
        &self,
        client: &mut Client,
        path: &str,
        session: Option<&str>,
        body: &Value,
    ) -> Result<Reply, Fault> {
        client.move_to(Arc::clone(&self.server), String::new(), Authorization::None);
        let mut call = Call::new(RequestKind::Account, Method::POST, path)
            .with("content-type", "application/json")
            .with_body(body.to_string());
        if let Some(session) = session {
            call = call.with("authorization", session);
        }
        client.send(call).await
    }

    /// The node at this address, and the path of the user on it.
    fn node(&self, endpoint: &str) -> Result<(Arc<Server>, String)> {
        let mut target = Target::read(endpoint).map_err(anyhow::Error::msg)?;
        let root = std::mem::take(&mut target.path);
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.get(&target.to_string()) {
            return Ok((Arc::clone(node), root));
        }
        let node = Arc::new(self.server.beside(target.clone())?);
        nodes.insert(target.to_string(), Arc::clone(&node));
        Ok((node, root))
    }
}

impl Renewal {
    /// Whether the token ends soon.
    pub fn is_due(&self) -> bool {
        self.until <= Instant::now()
    }

    /// Trades the login for a token, and sends the client to its node.
    pub async fn renew(&mut self, client: &mut Client) -> Result<(), Fault> {
        let login = &self.login;
        let access_token = match &login.kind {
            Kind::Bearer(bearers) => login.bearer(self.number, bearers)?.access_token.clone(),
            Kind::Account(_) => {
                let body = serde_json::json!({
                    "grant_type": "fxa-credentials", "client_id": BROWSER, "scope": SCOPE,
                });
                let session = self.session.as_deref();
                let reply = login.ask(client, "/v1/oauth/token", session, &body).await?;
                reply.expect(StatusCode::OK)?;
                reply.json::<AccessToken>()?.access_token
            }
        };
        client.move_to(Arc::clone(&login.server), String::new(), Authorization::None);
        let call = Call::get(RequestKind::Account, "/1.0/sync/1.5")
            .with("authorization", format!("Bearer {access_token}"))
            .with("x-keyid", &self.key_id);
        let reply = client.send(call).await?;
        reply.expect(StatusCode::OK)?;
        let token: Token = reply.json()?;
        let node = login.node(&token.api_endpoint);
        let (node, root) = node.map_err(|error| reply.fault(FaultKind::Form, format!("{error:#}")))?;
        let credentials = Credentials {
            key: hmac::Key::new(hmac::HMAC_SHA256, token.key.as_bytes()),
            id: token.id,
        };
        client.move_to(node, root, Authorization::Hawk(credentials));
        self.until = Instant::now() + Duration::from_secs(token.duration).saturating_sub(EARLY);
        Ok(())
    }

    /// Removes the account, if it was made here.
    pub async fn close(&self, client: &mut Client) -> Result<bool, Fault> {
        let Kind::Account(key) = &self.login.kind else {
            return Ok(false);
        };
        let (body, session) = (proof(key, self.number), self.session.as_deref());
        let reply = self
            .login
            .ask(client, "/v1/account/destroy", session, &body)
            .await?;
        reply.expect(StatusCode::OK)?;
        Ok(true)
    }
}

fn email(number: u32) -> String {
    format!("{}@foxden-load.invalid", credentials::name(number))
}

/// The address, and what proves the password, which follows from the secret.
fn proof(key: &hmac::Key, number: u32) -> Value {
    let email = email(number);
    let proof = onepw::proof(&email, &credentials::password(key, &email));
    serde_json::json!({ "email": email, "authPW": proof })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_access_tokens_has_a_user_in_each_line() {
        let path = std::env::temp_dir().join(format!("foxden-load-bearers-{}", std::process::id()));
        fs::write(&path, "abc 1234-AAAA\n\ndef  5-BBBB\n").unwrap();
        let bearers = read(&path).unwrap();
        assert_eq!(bearers.len(), 2);
        assert_eq!(
            (&bearers[1].access_token[..], &bearers[1].key_id[..]),
            ("def", "5-BBBB")
        );
        fs::write(&path, "abc\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 1"));
        fs::remove_file(&path).unwrap();
    }
}
