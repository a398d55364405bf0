//! What every door calls.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use foxden_model::{Clock, LogThrottle, Rng};
use foxden_sql::{Database, SqlError, Tx};
use tokio::sync::Notify;

use crate::limits::Limits;
use crate::memo::Memo;
use crate::nonce::Nonces;
use crate::quiet::Quiet;
use crate::security::{Door, Event, Witness};
use crate::spelling::Spellings;
use crate::verifier::Verifiers;
use crate::wrong::WrongProofs;
use crate::{AccessTokens, Kind, Nodes, SecretToken, Secrets, Unavailable, setting};

/// The accounts, and all that hangs on them. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(pub(crate) Arc<Inside>);

pub(crate) struct Inside {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) verifiers: Verifiers,
    pub(crate) limits: Limits,
    pub(crate) nonces: Nonces,
    pub(crate) memo: Memo,
    pub(crate) spellings: Spellings,
    pub(crate) wrong: WrongProofs,
    pub(crate) quiet: Quiet,
    /// What the log is told when devices or their commands make room.
    pub(crate) crowded: LogThrottle,
    /// The account that was looked at last when claims were ended.
    pub(crate) claims_after: tokio::sync::Mutex<String>,
    pub(crate) options: Options,
    pub(crate) settings: setting::Settings,
    /// Told when a letter was written.
    pub(crate) mail: Notify,
}

/// What the accounts are made of.
pub struct Parts {
    /// The register, opened with [`crate::MIGRATIONS`].
    pub database: Database,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub rng: Arc<dyn Rng>,
    /// Where stores are kept.
    pub nodes: Nodes,
    /// What the operator may choose.
    pub options: Options,
}

/// What the operator may choose.
#[derive(Clone)]
pub struct Options {
    /// Who may create an account; `None`: whoever reaches a private server, else the invited.
    pub sign_up: Option<SignUp>,
    /// Whether the tokenserver takes in users it does not know.
    pub new_users: NewUsers,
    /// Names nobody may take, lower case: whole addresses or the part before the `@`.
    pub reserved_names: Vec<String>,
    /// Seconds a storage token lives at most; a closed store is emptied again after that.
    pub token_seconds: u32,
    /// Stores of one account that another key has replaced and that a token may still open. A further change of
    /// keys waits.
    pub max_replaced_stores: u32,
    /// Keys the hashed ids that tell users apart without naming them.
    pub metrics_secret: Vec<u8>,
    /// Who verifies access tokens that are not our own.
    pub outside: Option<Arc<dyn AccessTokens>>,
    /// Whether letters are written; somebody must then send them.
    pub sends_mail: bool,
    /// How long an account that never confirmed an address and has no store is kept, where letters are sent; `None`: for
    /// good.
    pub unconfirmed_ttl: Option<Duration>,
    /// How hard passwords are hashed.
    pub cost: Cost,
    /// Memory-hungry hashes computed at once; `None`: one per core but one.
    pub parallel_hashes: Option<usize>,
    /// Who hears of what a security officer asks about.
    pub witness: Witness,
}

/// Who may create an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// Anybody.
    Open,
    /// Whoever has an invitation.
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

/// Who makes a request, as far as limits and the sign-up policy care.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The client's address.
    pub address: IpAddr,
    /// Whether the request counts as private: nothing outside this machine can have made it.
    pub is_private: bool,
    /// What the client calls itself; empty when it does not say.
    pub user_agent: String,
    /// By which door the request came.
    pub door: Door,
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
            witness: Witness::default(),
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
    pub async fn open(parts: Parts) -> Result<Self, Unavailable> {
        let Parts {
            database,
            clock,
            rng,
            nodes,
            options,
        } = parts;
        let settings = setting::prepare(&database, &*rng, &nodes, options.new_users, clock.millis()).await?;
        let verifiers = Verifiers::new(options.parallel_hashes, options.witness.clone());
        Ok(Self(Arc::new(Inside {
            limits: Limits::default(),
            nonces: Nonces::default(),
            memo: Memo::default(),
            spellings: Spellings::default(),
            wrong: WrongProofs::default(),
            quiet: Quiet::default(),
            crowded: LogThrottle::default(),
            claims_after: tokio::sync::Mutex::default(),
            database,
            clock,
            rng,
            verifiers,
            options,
            settings,
            mail: Notify::default(),
        })))
    }

    /// Who may create an account, as this visitor meets it.
    pub fn sign_up_policy(&self, visitor: &Visitor) -> SignUp {
        SignUp::for_client(self.0.options.sign_up, visitor.is_private)
    }

    /// Whether the register answers.
    pub async fn check(&self) -> Result<(), Unavailable> {
        Ok(self.0.database.check().await?)
    }

    /// The server's own id: random, made at the first start.
    pub fn server_id(&self) -> &str {
        &self.0.settings.server_id
    }

    /// The word that stands for our own accounts in the tokenserver's records; never changes.
    pub fn issuer(&self) -> &str {
        &self.0.settings.issuer
    }

    /// Tells whoever hears of it what a security officer asks about. What happens to accounts is told here already;
    /// this is for what only a surface knows.
    pub fn tell(&self, event: &Event<'_>) {
        self.0.options.witness.tell(event);
    }

    /// How many slow password hashes were begun since the start, for whoever watches the load.
    pub fn hashes(&self) -> u64 {
        self.0.verifiers.hashed()
    }

    /// Gives the megabytes that password hashes worked in back to the system, each time that none has begun for a second.
    /// It goes on for ever; without it they stay.
    pub async fn give_buffers_back(&self) {
        self.0.verifiers.give_buffers_back().await;
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

    /// What spans of time within this process are measured by: see [`Clock::steady_millis`].
    pub(crate) fn steady(&self) -> i64 {
        self.0.clock.steady_millis()
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.rng.fill(&mut bytes);
        bytes
    }

    /// A fresh credential of that kind, and what follows from it.
    pub(crate) fn new_secrets(&self, kind: Kind) -> (SecretToken, Secrets) {
        let token = SecretToken(self.random());
        let secrets = Secrets::derive(kind, &token);
        (token, secrets)
    }
}
