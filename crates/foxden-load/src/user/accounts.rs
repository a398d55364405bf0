//! Where made users come from, and how they go again.
//!
//! A store is used only if it is empty or bears the mark of a made user: a person's data are never touched.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use foxden_model::{Clock, SystemClock};
use hyper::{Method, StatusCode};
use ring::hmac;
use serde_json::value::RawValue;

use super::{MARK, User};
use crate::client::token::TokenMaker;
use crate::client::{Authorization, Call, Client, Server};
use crate::fault::{Fault, FaultKind};
use crate::measure::recorder::Recorder;
use crate::protocol::{Protocol, RequestKind};

/// The uid of the first made user of 1.5: far beyond those that a small server gives, and within 32 bits with a sign.
pub const FIRST_UID: u64 = 1_900_000_000;
/// How long tokens are good for, in seconds.
const TOKEN_LIFE: i64 = 86_400;

/// Makes the users of a run.
#[derive(Debug)]
pub struct Accounts {
    server: Arc<Server>,
    recorder: Arc<Recorder>,
    seed: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Tokens are made from the shared secret; there are no accounts.
    Tokens { maker: TokenMaker, first_uid: u64 },
    /// Accounts with a password, made by the User API.
    Passwords { key: hmac::Key },
}

/// Whose store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// There is nothing in it.
    Empty,
    /// A made user.
    Made,
    /// Not a made user, so perhaps a person.
    Other,
}

impl Accounts {
    /// The users of a run. The secret signs tokens in 1.5, and in 1.1 the passwords are made from it.
    pub fn new(
        server: Arc<Server>,
        recorder: Arc<Recorder>,
        protocol: Protocol,
        secret: &str,
        first_uid: u64,
        seed: u64,
    ) -> Self {
        let kind = match protocol {
            Protocol::V1_5 => Kind::Tokens {
                maker: TokenMaker::new(secret, &server.target.to_string()),
                first_uid,
            },
            Protocol::V1_1 => Kind::Passwords {
                key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            },
        };
        Self {
            server,
            recorder,
            seed,
            kind,
        }
    }

    /// A user who may use the server.
    pub fn user(&self, number: u32) -> User {
        let (protocol, root, authorization) = match &self.kind {
            Kind::Tokens { maker, first_uid } => {
                let uid = first_uid + u64::from(number);
                let credentials = maker.token(uid, SystemClock.seconds() + TOKEN_LIFE);
                (
                    Protocol::V1_5,
                    format!("/1.5/{uid}"),
                    Authorization::Hawk(credentials),
                )
            }
            Kind::Passwords { key } => {
                let name = name(number);
                let authorization = Authorization::basic(&name, &password(key, &name));
                (Protocol::V1_1, format!("/1.1/{name}"), authorization)
            }
        };
        let recorder = self.recorder.handle(number);
        let client = Client::new(Arc::clone(&self.server), protocol, root, authorization, recorder);
        User::new(number, self.seed, client)
    }

    /// Makes the account of the user, where the protocol has accounts and this one is not there.
    pub async fn register(&self, user: &mut User) -> Result<(), Fault> {
        let Kind::Passwords { key } = &self.kind else {
            return Ok(());
        };
        if self.is_registered(user).await? {
            return Ok(());
        }
        let name = name(user.number);
        let body = serde_json::json!({
            "email": format!("{name}@foxden-load.invalid"),
            "password": password(key, &name),
        });
        let call = Call::new(RequestKind::Account, Method::PUT, "").with_body(body.to_string());
        let reply = user.client.send_to(account_path(&name), call).await?;
        reply.expect(StatusCode::OK)
    }

    async fn is_registered(&self, user: &mut User) -> Result<bool, Fault> {
        let call = Call::get(RequestKind::Account, "");
        let reply = user
            .client
            .send_to(account_path(&name(user.number)), call)
            .await?;
        reply.expect(StatusCode::OK)?;
        match &reply.body[..] {
            b"0" => Ok(false),
            b"1" => Ok(true),
            _ => Err(reply.fault(FaultKind::Form, "neither 0 nor 1")),
        }
    }

    /// Removes everything of a made user. Returns whose store it was: that of a person stays.
    pub async fn remove(&self, user: &mut User) -> Result<Owner, Fault> {
        let is_account = matches!(self.kind, Kind::Passwords { .. });
        if is_account && !self.is_registered(user).await? {
            return Ok(Owner::Empty);
        }
        let owner = user.owner().await?;
        if owner == Owner::Made {
            user.wipe().await?;
        }
        // The password follows from the secret, so it is no account of a person.
        if is_account && owner != Owner::Other {
            let call = Call::new(RequestKind::Account, Method::DELETE, "");
            let reply = user
                .client
                .send_to(account_path(&name(user.number)), call)
                .await?;
            reply.expect(StatusCode::OK)?;
            return Ok(Owner::Made);
        }
        Ok(owner)
    }
}

impl User {
    /// Whose store this is.
    pub async fn owner(&mut self) -> Result<Owner, Fault> {
        let call = Call::get(RequestKind::Collections, "/info/collections");
        let reply = self.client.send(call).await?;
        reply.expect(StatusCode::OK)?;
        let collections: std::collections::BTreeMap<String, &RawValue> = reply.json()?;
        Ok(if collections.contains_key(MARK) {
            Owner::Made
        } else if collections.is_empty() {
            Owner::Empty
        } else {
            Owner::Other
        })
    }
}

fn name(number: u32) -> String {
    format!("{MARK}-{number:06}")
}

fn account_path(name: &str) -> String {
    format!("/user/1.0/{name}")
}

fn password(key: &hmac::Key, name: &str) -> String {
    let mut password = BASE64URL_NOPAD.encode(hmac::sign(key, name.as_bytes()).as_ref());
    password.truncate(24);
    password
}
