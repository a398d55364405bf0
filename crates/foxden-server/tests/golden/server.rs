//! The server that a conversation runs against: the shipped one, with a clock that is moved by hand and random bytes that follow
//! from a seed. `server` directives change its settings.

use anyhow::{Context, Result, bail};
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use foxden_accounts::legacy::{self, NewLegacyAccount};
use foxden_accounts::{NodeState, Role};
use foxden_http::wire::PublicUrl;
use foxden_model::ManualClock;
use foxden_server::config::Config;
use foxden_test_support::server::{TestServer, operator};

use crate::signer::MASTER_SECRET;

/// The public address in every conversation, unless `server public-url=…` says otherwise.
pub const PUBLIC_URL: &str = "https://sync.example.org";

/// The storage engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Memory,
    Sqlite,
}

/// The settings that `server` directives may change.
#[derive(Clone, Debug)]
pub struct Settings {
    pub public_url: PublicUrl,
    /// Keys and values of the configuration; the later wins.
    values: Vec<(&'static str, String)>,
    /// The nodes in the register, if they are not the server itself.
    nodes: Option<Vec<String>>,
    /// Whether the server, as a node, takes no new users.
    is_draining: bool,
    /// A short one, which a configuration may not hold.
    admin_secret: Option<String>,
}

/// A server, and the runtime that it runs on.
pub struct ConversationServer {
    server: TestServer,
    runtime: tokio::runtime::Runtime,
}

impl Settings {
    /// The settings of conversations that change none.
    pub fn new(engine: Engine) -> Self {
        let url = match engine {
            Engine::Memory => "memory:",
            Engine::Sqlite => "sqlite:?shards=1",
        };
        Self {
            public_url: PUBLIC_URL.parse().expect("an address"),
            values: vec![
                ("storage.url", url.to_owned()),
                ("master_secret", MASTER_SECRET.to_owned()),
            ],
            nodes: None,
            is_draining: false,
            admin_secret: None,
        }
    }

    /// Takes the words of a `server` directive.
    pub fn change(&mut self, words: &str) -> Result<()> {
        for word in words.split_whitespace() {
            let (name, value) = word.split_once('=').context("a setting is name=value")?;
            let text = value.replace('_', " ");
            let key = match (name, value) {
                ("public-url", url) => {
                    self.public_url = url.parse()?;
                    continue;
                }
                ("reach", "private") => {
                    self.public_url = "http://127.0.0.1:5000".parse()?;
                    continue;
                }
                ("node", url) => {
                    self.nodes = Some(vec![url.to_owned()]);
                    continue;
                }
                ("nodes", "draining") => {
                    self.is_draining = true;
                    continue;
                }
                ("mail", "on") => {
                    // Mail stays in the outbox: nothing here delivers it.
                    self.set("mail.from", "sync@example.org");
                    self.set("mail.host", "mail.example.org");
                    continue;
                }
                ("down", seconds) => {
                    self.set("storage.backoff", format!("{seconds} s"));
                    self.set("storage.maintenance", "true");
                    continue;
                }
                ("quota", bytes) => ("storage.quota", bytes.to_owned()),
                ("batches", "off") => ("storage.batches", "false".to_owned()),
                ("max-total-records", count) => ("storage.max_total_records", count.to_owned()),
                ("max-total-bytes", bytes) => ("storage.max_total_bytes", bytes.to_owned()),
                ("max-skew", seconds) => ("storage.max_clock_skew", format!("{seconds} s")),
                ("secret", _) => ("master_secret", text),
                ("nodes", "strict") => ("storage.verify_token_node", "true".to_owned()),
                ("backoff", seconds) => ("storage.backoff", format!("{seconds} s")),
                ("alert", _) => ("storage.alert", text),
                ("sign-up", policy) => ("accounts.sign_up", policy.to_owned()),
                ("captcha", kind) => ("accounts.captcha", kind.to_owned()),
                ("admin-secret", _) => {
                    self.admin_secret = Some(text);
                    continue;
                }
                ("names", "strict") => ("accounts.strict_names", "true".to_owned()),
                ("legacy", "off") => ("storage.legacy", "false".to_owned()),
                ("other-host", name) => ("other_hosts", name.to_owned()),
                ("new-users", "refused") => ("tokens.accept_new_users", "false".to_owned()),
                _ => bail!("there is no setting {word}"),
            };
            self.set(key.0, key.1);
        }
        Ok(())
    }

    fn set(&mut self, key: &'static str, value: impl Into<String>) {
        self.values.push((key, value.into()));
    }
}

impl ConversationServer {
    pub fn new(settings: &Settings) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let public_url = settings.public_url.to_string();
        let mut values = vec![("public_url", public_url.as_str())];
        values.extend(settings.values.iter().map(|(key, value)| (*key, value.as_str())));
        let mut config = Config::of(&values)?;
        config.accounts.admin_secret = settings.admin_secret.clone().map(Into::into);
        let server = runtime.block_on(TestServer::open(&config, settings.nodes.clone()))?;
        if settings.is_draining {
            let url = settings.public_url.base();
            runtime.block_on(server.accounts()?.set_node_state(&url, NodeState::Draining))?;
        }
        Ok(Self { server, runtime })
    }

    pub fn clock(&self) -> &ManualClock {
        &self.server.clock
    }

    /// The code of a new invitation.
    pub fn invitation(&self) -> Result<String> {
        let invited = self.server.accounts()?.invite(Role::Member, "", None);
        Ok(self.runtime.block_on(invited)?)
    }

    /// The newest code that an account has to confirm.
    pub fn waiting_code(&self, name: &str) -> Result<String> {
        let codes = self
            .runtime
            .block_on(self.server.accounts()?.pending_codes(name))?;
        let newest = codes.into_iter().max_by_key(|code| code.expires);
        Ok(newest.context("no code waits")?.code)
    }

    /// The code of a set-password link.
    pub fn password_link(&self, name: &str) -> Result<String> {
        let link = self.server.accounts()?.password_link(name);
        Ok(self.runtime.block_on(link)?)
    }

    /// Creates an account with this name or address.
    pub fn create_account(&self, name: &str, password: &str) -> Result<()> {
        let address = if name.contains('@') {
            name.to_owned()
        } else {
            format!("{name}@example.org")
        };
        let known = legacy::name_of(name).context("no name")?;
        let new = NewLegacyAccount {
            name: &known,
            address: &address,
            password,
            is_authorised: true,
        };
        let operator = operator();
        let created = self.server.accounts()?.create_legacy(new, &operator);
        self.runtime.block_on(created)?;
        Ok(())
    }

    /// Sends a request and waits for the whole response.
    pub fn send(&self, request: Request<Body>) -> Result<Response<Bytes>> {
        self.runtime.block_on(self.server.send(request))
    }
}
