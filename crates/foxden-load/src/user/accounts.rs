//! Where made users come from, and how they go again.
//!
//! A store is used only if it is empty or bears the mark of a made user: a person's data are never touched.

use std::sync::Arc;

use foxden_model::{Clock, SystemClock};
use hyper::{Method, StatusCode};
use ring::hmac;
use serde_json::value::RawValue;

use super::credentials::{name, password};
use super::login::{Bearer, Login};
use super::{MARK, User};
use crate::client::token::TokenMaker;
use crate::client::{Authorization, Call, Client, Server};
use crate::fault::{Fault, FaultKind};
use crate::measure::recorder::Recorder;
use crate::protocol::{Protocol, RequestKind};
use crate::result::LoginKind;

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
    /// Accounts whose tokens come from a tokenserver.
    Login(Arc<Login>),
}

/// How users show who they are.
#[derive(Debug)]
pub enum Identity {
    /// In 1.5, with tokens signed with the secret that tokenserver and storage share; there are no accounts.
    Secret {
        /// The secret.
        secret: String,
        /// The uid of the first user.
        first_uid: u64,
    },
    /// In 1.1, with accounts whose passwords follow from the secret.
    Passwords {
        /// The secret.
        secret: String,
    },
    /// In 1.5, with accounts whose passwords follow from the secret, and tokens of the tokenserver.
    Accounts {
        /// The secret.
        secret: String,
    },
    /// In 1.5, with access tokens that were given, and tokens of the tokenserver.
    Bearers(Vec<Bearer>),
}

impl Identity {
    /// The protocol that goes with it.
    pub const fn protocol(&self) -> Protocol {
        match self {
            Self::Passwords { .. } => Protocol::V1_1,
            Self::Secret { .. } | Self::Accounts { .. } | Self::Bearers(_) => Protocol::V1_5,
        }
    }

    /// What is written down of it.
    pub const fn login(&self) -> LoginKind {
        match self {
            Self::Secret { .. } | Self::Passwords { .. } => LoginKind::Secret,
            Self::Accounts { .. } => LoginKind::Accounts,
            Self::Bearers(_) => LoginKind::Bearers,
        }
    }
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
    /// The users of a run.
    pub fn new(server: Arc<Server>, recorder: Arc<Recorder>, identity: &Identity, seed: u64) -> Self {
        let kind = match identity {
            Identity::Secret { secret, first_uid } => Kind::Tokens {
                maker: TokenMaker::new(secret, &server.target.to_string()),
                first_uid: *first_uid,
            },
            Identity::Passwords { secret } => Kind::Passwords {
                key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            },
            Identity::Accounts { secret } => {
                Kind::Login(Arc::new(Login::with_accounts(Arc::clone(&server), secret)))
            }
            Identity::Bearers(bearers) => Kind::Login(Arc::new(Login::with_bearers(
                Arc::clone(&server),
                bearers.clone(),
            ))),
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
            // The token says where the store is.
            Kind::Login(_) => (Protocol::V1_5, String::new(), Authorization::None),
        };
        let recorder = self.recorder.handle(number);
        let client = Client::new(Arc::clone(&self.server), protocol, root, authorization, recorder);
        User::new(number, self.seed, client)
    }

    /// Makes the account of the user, where there are accounts and this one is not there, and signs in.
    pub async fn register(&self, user: &mut User) -> Result<(), Fault> {
        let key = match &self.kind {
            Kind::Tokens { .. } => return Ok(()),
            Kind::Login(login) => {
                user.renewal = login.sign_in(&mut user.client, user.number, true).await?;
                return Ok(());
            }
            Kind::Passwords { key } => key,
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
        if let Kind::Login(login) = &self.kind {
            user.renewal = login.sign_in(&mut user.client, user.number, false).await?;
            if user.renewal.is_none() {
                return Ok(Owner::Empty);
            }
        }
        let is_account = matches!(self.kind, Kind::Passwords { .. });
        if is_account && !self.is_registered(user).await? {
            return Ok(Owner::Empty);
        }
        let owner = user.owner().await?;
        if owner == Owner::Made {
            user.wipe().await?;
        }
        // The password follows from the secret, so it is no account of a person.
        if let Some(renewal) = &user.renewal
            && owner != Owner::Other
            && renewal.close(&mut user.client).await?
        {
            return Ok(Owner::Made);
        }
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

fn account_path(name: &str) -> String {
    format!("/user/1.0/{name}")
}
