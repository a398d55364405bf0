//! The accounts service: every surface calls [`Accounts`].

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use foxden_model::{Clock, LogThrottle, Rng};
use foxden_sql::{Database, QueueDepths, SqlError, Tx};
use tokio::sync::Notify;

use crate::command_delay::CommandDelay;
use crate::credential_cache::CredentialCache;
use crate::limits::Limits;
use crate::misspelled_logins::MisspelledLogins;
use crate::nonce::Nonces;
use crate::password_hasher::{HashQueue, PasswordHasher};
use crate::rejected_passwords::RejectedPasswords;
use crate::security::{EntryPoint, Event, SecurityEvents};
use crate::shared::Shared;
use crate::shared::register::RegisterShared;
use crate::{AccessTokens, CredentialKind, Nodes, OpenError, SecretToken, Secrets, Unavailable, setting};

/// The accounts, and all that hangs on them. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) password_hasher: PasswordHasher,
    pub(crate) limits: Limits,
    pub(crate) nonces: Nonces,
    pub(crate) shared: Arc<dyn Shared>,
    pub(crate) credential_cache: CredentialCache,
    pub(crate) misspelled_logins: MisspelledLogins,
    pub(crate) rejected_passwords: RejectedPasswords,
    pub(crate) command_delay: CommandDelay,
    /// Limits how often the log says that devices or commands were evicted.
    pub(crate) crowded: LogThrottle,
    /// The last account that the clean-up of unconfirmed accounts looked at.
    pub(crate) claims_after: tokio::sync::Mutex<String>,
    pub(crate) options: Options,
    pub(crate) settings: setting::Settings,
    /// Notified when mail was queued.
    pub(crate) mail: Notify,
}

/// The parts of [`Accounts`].
pub struct Parts {
    /// The register, opened with [`crate::MIGRATIONS`].
    pub database: Database,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub rng: Arc<dyn Rng>,
    /// Where stores are kept.
    pub nodes: Nodes,
    /// The operator's options.
    pub options: Options,
}

/// The operator's options.
#[derive(Clone)]
pub struct Options {
    /// The sign-up policy. `None`: any private client, and others by invitation.
    pub sign_up: Option<SignUp>,
    /// Whether the tokenserver takes in users it does not know.
    pub new_users: NewUsers,
    /// Reserved names, lower case: whole addresses, or the part before the `@`.
    pub reserved_names: Vec<String>,
    /// Seconds a storage token lives at most; a closed store is emptied again after that.
    pub token_seconds: u32,
    /// Stores of one account that another key has replaced and that a token may still open. A further change of
    /// keys waits.
    pub max_replaced_stores: u32,
    /// Keys the hashed ids that tell users apart without naming them.
    pub metrics_secret: Vec<u8>,
    /// Verifies access tokens that this server did not issue.
    pub outside: Option<Arc<dyn AccessTokens>>,
    /// Whether mail is queued. The server must then send it.
    pub sends_mail: bool,
    /// How long an account that never confirmed an address and has no store is kept, where mails are sent; `None`: for
    /// good.
    pub unconfirmed_ttl: Option<Duration>,
    /// How hard passwords are hashed.
    pub cost: Cost,
    /// Memory-hungry hashes computed at once; `None`: one per core but one.
    pub parallel_hashes: Option<usize>,
    /// Receives security events.
    pub security_events: SecurityEvents,
}

/// The sign-up policy: who may create an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// Any client.
    Open,
    /// Clients with an invitation.
    Invite,
    /// The operator alone.
    Closed,
}

/// Whether the tokenserver takes in users it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewUsers {
    /// Each verified one gets a store.
    Welcome,
    /// Only those who have one are served.
    Refused,
}

/// How hard a password hash is, as Argon2id counts. Stored with each hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// The client that makes a request, as far as rate limits and the sign-up policy care.
#[derive(Clone, Debug)]
pub struct ClientInfo {
    /// The client's address.
    pub address: IpAddr,
    /// Whether the request counts as private: it can only come from this machine.
    pub is_private: bool,
    /// The `User-Agent` header; empty if there is none.
    pub user_agent: String,
    /// The entry point of the request.
    pub entry_point: EntryPoint,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sign_up: None,
            new_users: NewUsers::Welcome,
            reserved_names: Vec::new(),
            token_seconds: 3600,
            max_replaced_stores: 10,
            metrics_secret: b"insecure".to_vec(),
            outside: None,
            sends_mail: false,
            unconfirmed_ttl: Some(Duration::from_secs(7 * 24 * 60 * 60)),
            cost: Cost::default(),
            parallel_hashes: None,
            security_events: SecurityEvents::default(),
        }
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            memory: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

impl SignUp {
    /// The policy that applies to a client: what the operator chose, else open to private clients and by invitation to
    /// others.
    pub fn for_client(chosen: Option<Self>, is_private: bool) -> Self {
        let default = if is_private { Self::Open } else { Self::Invite };
        chosen.unwrap_or(default)
    }
}

impl Cost {
    /// Whether a hash of this cost should be made anew at that one.
    pub(crate) const fn is_below(self, other: Self) -> bool {
        self.memory < other.memory || self.passes < other.passes || self.lanes < other.lanes
    }
}

impl Accounts {
    /// Opens the accounts: makes the fixed settings at the first start and puts the list of nodes right.
    pub async fn open(parts: Parts) -> Result<Self, OpenError> {
        let Parts {
            database,
            clock,
            rng,
            nodes,
            options,
        } = parts;
        let settings = setting::prepare(&database, &*rng, &nodes, options.new_users, clock.millis()).await?;
        let password_hasher = PasswordHasher::new(options.parallel_hashes, options.security_events.clone());
        let shared: Arc<dyn Shared> = Arc::new(RegisterShared::new(
            database.clone(),
            Arc::clone(&clock),
            Arc::clone(&rng),
        ));
        Ok(Self(Arc::new(Inner {
            limits: Limits::new(&*shared),
            shared,
            nonces: Nonces::default(),
            credential_cache: CredentialCache::default(),
            misspelled_logins: MisspelledLogins::default(),
            rejected_passwords: RejectedPasswords::default(),
            command_delay: CommandDelay::default(),
            crowded: LogThrottle::default(),
            claims_after: tokio::sync::Mutex::default(),
            database,
            clock,
            rng,
            password_hasher,
            options,
            settings,
            mail: Notify::default(),
        })))
    }

    /// What this process shares with others that serve the same people.
    pub fn shared(&self) -> &Arc<dyn Shared> {
        &self.0.shared
    }

    /// Returns the sign-up policy that applies to this client.
    pub fn sign_up_policy(&self, client: &ClientInfo) -> SignUp {
        SignUp::for_client(self.0.options.sign_up, client.is_private)
    }

    /// Whether the register answers.
    pub async fn check(&self) -> Result<(), Unavailable> {
        Ok(self.0.database.check().await?)
    }

    /// The server's own id: random, made at the first start.
    pub fn server_id(&self) -> &str {
        &self.0.settings.server_id
    }

    /// Names our own accounts in the records of the tokenserver; never changes.
    pub fn issuer(&self) -> &str {
        &self.0.settings.issuer
    }

    /// Emits a security event. Account events are emitted by this crate; surfaces use this for events only they can
    /// see.
    pub fn emit(&self, event: &Event<'_>) {
        self.0.options.security_events.emit(event);
    }

    /// The number of slow password hashes begun since the start, as a measure of load.
    pub fn hashes(&self) -> u64 {
        self.0.password_hasher.hashed()
    }

    /// How many password hashes run, and how many wait.
    pub fn hash_queue(&self) -> HashQueue {
        self.0.password_hasher.queue()
    }

    /// How much waits for the register in this process.
    pub fn register_queue(&self) -> QueueDepths {
        self.0.database.queue_depths()
    }

    /// Returns the buffers of password hashes to the system each time that no hash has begun for a second. Runs for
    /// ever; without it the buffers stay.
    pub async fn free_unused_buffers(&self) {
        self.0.password_hasher.free_unused_buffers().await;
    }

    /// Runs the work in a transaction of the register, perhaps more than once: see [`Database::transact`].
    pub(crate) async fn transact<T, E, F, W>(&self, work: F) -> Result<T, E>
    where
        E: From<SqlError>,
        F: Fn(Tx) -> W,
        W: Future<Output = Result<T, E>>,
    {
        self.0.database.transact(work).await
    }

    pub(crate) fn millis(&self) -> i64 {
        self.0.clock.millis()
    }

    /// The clock that measures durations within this process: see [`Clock::steady_millis`].
    pub(crate) fn steady(&self) -> i64 {
        self.0.clock.steady_millis()
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.rng.fill(&mut bytes);
        bytes
    }

    /// A fresh credential of that kind, and what follows from it.
    pub(crate) fn new_secrets(&self, kind: CredentialKind) -> (SecretToken, Secrets) {
        let token = SecretToken(self.random());
        let secrets = Secrets::derive(kind, &token);
        (token, secrets)
    }
}
