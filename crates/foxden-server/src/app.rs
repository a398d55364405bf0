//! The services that surfaces, chores and commands use. Each process opens those that it needs, once.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use foxden_accounts::token::TokenSecrets;
use foxden_accounts::{Accounts, ClosedStore, Cost, Nodes, Options, Parts, Shared, SingleProcess};
use foxden_http::ops::Version;
use foxden_http::probe::Probe;
use foxden_http::sync::Backoff;
use foxden_http::sync::client::NodeRequests;
use foxden_http::user::exchange::{self, KeyExchange};
use foxden_http::wire::captcha::Captcha;
use foxden_http::wire::{Memory, PublicUrl, Site};
use foxden_model::{Clock, Rng, SystemClock};
use foxden_sql::Database;
use foxden_storage::{CacheTimes, OpenOptions, Storage};
use ring::hmac;

use crate::backoff;
use crate::chores::history::ChoreHistory;
use crate::chores::horizon::Horizon;
use crate::config::Config;
use crate::config::accounts::CaptchaKind;
use crate::config::listener::Surface;
use crate::config::tokens::NodeSource;
use crate::config::values::Secret;
use crate::data::{self, DataFolder};
use crate::exposure::Exposure;
use crate::node::{EmptyStoreError, NodeClient};
use crate::rng::SystemRng;
use crate::security_log::SecurityLog;
use crate::version::VERSION;

/// The services of a process, and its clock, random numbers and version.
pub struct App {
    /// Where this server is found.
    pub site: Arc<Site>,
    /// Whether others have reached it although it is private.
    pub exposure: Arc<Exposure>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub rng: Arc<dyn Rng>,
    /// The version of the server.
    pub version: Version,
    /// Signs storage tokens.
    pub secrets: Arc<TokenSecrets>,
    /// The configuration.
    pub config: Config,
    /// How many seconds a token holds.
    pub token_seconds: u32,
    /// Where objects are kept, if this process keeps them.
    pub storage: Option<Storage>,
    /// Room for bodies and answers, shared by all listeners and surfaces.
    pub memory: Arc<Memory>,
    /// The accounts, if this process creates and changes them.
    pub accounts: Option<Accounts>,
    /// The accounts that the passwords of Sync 1.1 are checked against, if this process serves it. A storage node may do so with accounts
    /// that another process keeps.
    pub passwords: Option<Accounts>,
    /// Which engine keeps objects, if this process keeps them.
    pub engine: Option<&'static str>,
    /// Where devices of Sync 1.1 meet, if that is served.
    pub exchange: Option<Arc<KeyExchange>>,
    /// Where security events go.
    pub security_log: SecurityLog,
    /// The captcha, if it is on. All surfaces share it, so that an answer works once.
    pub captcha: Option<Arc<Captcha>>,
    /// How chores fared.
    pub chore_history: ChoreHistory,
    /// The time up to which the chores remove expired data.
    pub horizon: Horizon,
    /// The word by which this server is recognised from outside.
    pub probe: Arc<Probe>,
    /// Whether clients of the storage are asked to stay away, by all listeners alike.
    pub backoff: Arc<Backoff>,
}

/// Dependencies on the environment. Tests replace them.
pub struct Environment {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub rng: Arc<dyn Rng>,
    /// The version of the server.
    pub version: Version,
    /// The cost of a password hash.
    pub cost: Cost,
    /// An open register, used in place of the file that the configuration names.
    pub register: Option<Database>,
}

impl Environment {
    /// The clock and the random bytes of this machine.
    pub fn of_this_machine() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng::new()),
            version: VERSION,
            cost: Options::default().cost,
            register: None,
        }
    }
}

/// Which services a process opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Components {
    /// Users' objects.
    pub storage: bool,
    /// Accounts.
    pub accounts: bool,
    /// How the list of nodes is maintained.
    pub nodes: NodeSync,
}

/// Whether the process writes its configured nodes to the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeSync {
    /// It does, if it keeps the accounts.
    Apply,
    /// The register's list stays: the configuration of a command may name the data folder alone, and not the nodes.
    Keep,
}

impl Components {
    /// The services that the configured surfaces need.
    pub fn of(config: &Config) -> Self {
        Self {
            storage: config.surfaces().contains(&Surface::Sync),
            accounts: config.keeps_accounts() || config.serves_legacy(),
            nodes: NodeSync::Apply,
        }
    }
}

impl App {
    /// Opens these services and no others.
    pub async fn open(
        config: &Config,
        data: &DataFolder,
        site: Arc<Site>,
        environment: Environment,
        components: Components,
    ) -> anyhow::Result<Self> {
        let Environment {
            clock,
            rng,
            version,
            cost,
            register,
        } = environment;
        let master = MasterSecrets::read(config, data, &*rng)?;
        let security_log = SecurityLog::open(
            &config.security_log.sink,
            site.public_url.host(),
            Arc::clone(&clock),
        )?;
        let exposure = Exposure::open(
            &site,
            data.public_mark(),
            Arc::clone(&clock),
            security_log.security_events(),
        )?;
        let mut app = Self {
            exposure: Arc::new(exposure),
            secrets: Arc::new(master.token_secrets()),
            token_seconds: u32::try_from(config.tokens.duration.as_secs())?,
            config: config.clone(),
            storage: None,
            memory: Arc::new(Memory::new(
                config.http.max_body_memory,
                config.http.max_answer_memory,
                security_log.security_events(),
            )),
            accounts: None,
            passwords: None,
            engine: None,
            exchange: None,
            security_log,
            captcha: None,
            chore_history: ChoreHistory::default(),
            horizon: Horizon::open(data.horizon(), &*clock),
            probe: Arc::default(),
            backoff: Arc::new(backoff::at_start(&config.storage)),
            site,
            clock,
            rng,
            version,
        };
        if components.storage {
            app.open_storage(data).await?;
        }
        let mut shared: Arc<dyn Shared> = Arc::new(SingleProcess);
        if components.accounts {
            let register = match register {
                Some(register) => register,
                None => open_register(config, data).await?,
            };
            let accounts = app
                .open_accounts(register, &master, cost, components.nodes)
                .await?;
            app.look_for_itself(&accounts).await?;
            shared = Arc::clone(accounts.shared());
            app.passwords = Some(accounts.clone()).filter(|_| config.serves_legacy());
            app.accounts = Some(accounts).filter(|_| config.keeps_accounts());
        }
        app.exchange = app.exchange(&shared);
        app.captcha = app.captcha(&master, shared);
        Ok(app)
    }

    /// The accounts of this process, if it reads the register, for whatever purpose.
    pub fn register_accounts(&self) -> Option<&Accounts> {
        self.accounts.as_ref().or(self.passwords.as_ref())
    }

    /// Whether there is a database of accounts. That of a server is taken to be there.
    pub fn has_register(config: &Config, data: &DataFolder) -> bool {
        let default = data.register();
        let file = config.accounts.register.file(&default);
        config.keeps_accounts() && file.is_none_or(Path::is_file)
    }

    /// Processes that share the master secret take each other's questions.
    fn captcha(&self, master: &MasterSecrets, shared: Arc<dyn Shared>) -> Option<Arc<Captcha>> {
        let (clock, rng) = (Arc::clone(&self.clock), Arc::clone(&self.rng));
        match self.config.accounts.captcha {
            CaptchaKind::None => None,
            CaptchaKind::Question => {
                let captcha = Captcha::new(&master.derive("captcha"), clock, rng, shared);
                Some(Arc::new(captcha))
            }
        }
    }

    /// Whether there are files with objects.
    pub fn keeps_objects(config: &Config, data: &DataFolder) -> bool {
        config.storage.url.exists(&open_options(config, data))
    }

    /// The channels are the same at every listener.
    fn exchange(&self, shared: &Arc<dyn Shared>) -> Option<Arc<KeyExchange>> {
        let wishes = &self.config.key_exchange;
        let settings = exchange::Settings {
            path: wishes.path.clone(),
            max_channels: usize::try_from(wishes.max_channels).unwrap_or(usize::MAX),
            channel_ttl: wishes.channel_ttl,
            abuse_control: wishes.abuse_control,
            ..exchange::Settings::default()
        };
        let (clock, rng) = (Arc::clone(&self.clock), Arc::clone(&self.rng));
        let security_events = self.security_log.security_events();
        let is_served = wishes.is_enabled && self.config.surfaces().contains(&Surface::User);
        let shared = Arc::clone(shared);
        is_served.then(|| Arc::new(KeyExchange::new(settings, clock, rng, shared, security_events)))
    }

    async fn open_storage(&mut self, data: &DataFolder) -> anyhow::Result<()> {
        let (clock, rng) = (Arc::clone(&self.clock), Arc::clone(&self.rng));
        let storage = &self.config.storage;
        let engine =
            foxden_storage::open(&storage.url, &open_options(&self.config, data), clock, rng).await?;
        self.engine = Some(storage.url.engine());
        self.storage = Some(Storage::new(engine, storage.limits, storage.quota));
        Ok(())
    }

    async fn open_accounts(
        &self,
        database: Database,
        master: &MasterSecrets,
        cost: Cost,
        list: NodeSync,
    ) -> anyhow::Result<Accounts> {
        let config = &self.config;
        let accounts = Accounts::open(Parts {
            database,
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&self.rng),
            nodes: self.nodes(list),
            options: Options {
                sign_up: config.accounts.sign_up,
                new_users: config.tokens.accept_new_users,
                reserved_names: config.accounts.reserved_names.clone(),
                token_seconds: self.token_seconds,
                max_replaced_stores: config.tokens.max_replaced_stores,
                sends_mail: config.mail.is_some(),
                unconfirmed_ttl: config.accounts.unconfirmed_ttl,
                metrics_secret: master.derive("metrics"),
                security_events: self.security_log.security_events(),
                cost,
                ..Options::default()
            },
        })
        .await?;
        // Tokens for these stores may still be good. A process that stopped between the removal of an account and the
        // closing of its stores left them open; closing one that is closed writes nothing.
        if let Some(storage) = &self.storage {
            for user in accounts.closed_stores().await? {
                storage.close(user).await?;
            }
        }
        Ok(accounts)
    }

    /// A node that the accounts do not know, by a slip in an address or because their server has not started yet, refuses
    /// every password: better said at the start. So is that there is no node at all.
    async fn look_for_itself(&self, accounts: &Accounts) -> anyhow::Result<()> {
        if self.config.keeps_accounts() {
            let is_by_command = self.config.tokens.nodes == NodeSource::ByCommand;
            if is_by_command && accounts.list_nodes().await?.is_empty() {
                tracing::warn!(
                    "there is no storage node yet, so no browser can sync; add one: foxden node add URL"
                );
            }
            return Ok(());
        }
        let own = self.site.public_url.base();
        if accounts.node_orders(&own).await?.is_none() {
            tracing::warn!(
                "node {own} is not in tokens.nodes of the registration server, nor added there with foxden node add; \
                 password log-ins here fail with 401 until it is added"
            );
        }
        Ok(())
    }

    /// Where stores are kept. A process that only checks passwords changes nothing about that.
    fn nodes(&self, list: NodeSync) -> Nodes {
        if !self.config.keeps_accounts() || list == NodeSync::Keep {
            return Nodes::Unmanaged;
        }
        match &self.config.tokens.nodes {
            NodeSource::Own => Nodes::Own(self.site.public_url.base()),
            NodeSource::Named(listed) => Nodes::Listed(listed.iter().map(PublicUrl::base).collect()),
            NodeSource::ByCommand => Nodes::ByCommand,
        }
    }

    /// Empties a closed store: here at once and for good, on another node by an ordinary request with a token of
    /// its own.
    pub async fn empty_store(&self, closed: &ClosedStore) -> Result<(), EmptyStoreError> {
        match &self.storage {
            Some(storage) if closed.is_own || closed.node == self.site.public_url.base() => {
                Ok(storage.close(closed.user).await?)
            }
            _ => {
                let requests = NodeRequests {
                    secrets: &self.secrets,
                    clock: &*self.clock,
                    rng: &*self.rng,
                };
                let client = NodeClient {
                    requests,
                    ca_file: self.config.server.ca_file.as_deref(),
                };
                client.empty_store(&closed.node.parse()?, closed.user).await
            }
        }
    }
}

/// Opens the database that keeps accounts. Of the processes that share it, the first to start makes it.
async fn open_register(config: &Config, data: &DataFolder) -> anyhow::Result<Database> {
    let register = &config.accounts.register;
    let default = data.register();
    let folder = register.file(&default).and_then(Path::parent);
    if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
        data::make_folder(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let opened = Database::open(&register.location(&default), foxden_accounts::MIGRATIONS).await;
    opened.with_context(|| format!("accounts.url: {register}"))
}

/// An engine whose URL names no folder stores its files in the data folder.
fn open_options(config: &Config, data: &DataFolder) -> OpenOptions {
    OpenOptions {
        default_folder: data.storage(),
        cache: config.storage.cache.clone(),
        cache_times: CacheTimes::default(),
    }
}

/// The master secrets, the newest last: the operator's, else the one in the data folder.
pub struct MasterSecrets(Vec<Secret>);

impl MasterSecrets {
    /// Those that this process uses; made now if this is the first start.
    fn read(config: &Config, data: &DataFolder, rng: &dyn Rng) -> anyhow::Result<Self> {
        match Self::given(config) {
            Some(given) => Ok(given),
            None => Ok(Self(vec![data.secrets(rng)?.master_secret.into()])),
        }
    }

    /// Those that the process uses which serves the data folder; `None` where they cannot be read.
    pub fn find(config: &Config) -> Option<Self> {
        let made = || {
            let secrets = data::existing_secrets(&config.server.data_dir).ok()??;
            Some(Self(vec![secrets.master_secret.into()]))
        };
        Self::given(config).or_else(made)
    }

    fn given(config: &Config) -> Option<Self> {
        let given = &config.server.master_secrets;
        (!given.is_empty()).then(|| Self(given.clone()))
    }

    fn newest(&self) -> &str {
        self.0.last().map_or("", Secret::reveal)
    }

    /// Signs tokens.
    pub fn token_secrets(&self) -> TokenSecrets {
        let earlier = &self.0[..self.0.len().saturating_sub(1)];
        TokenSecrets::new(earlier.iter().map(Secret::reveal), self.newest())
    }

    /// A secret for another purpose, which does not reveal the master secret.
    fn derive(&self, purpose: &str) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.newest().as_bytes());
        let tag = hmac::sign(&key, format!("foxden/{purpose}").as_bytes());
        tag.as_ref().to_vec()
    }
}
