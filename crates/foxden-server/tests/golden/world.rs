//! The server that a conversation is held with: every surface, a clock that is moved by hand, and random
//! bytes that follow from a seed. Storage is held with twice: kept in memory and in SQLite files.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use foxden_accounts::plain::{self, NewPlain};
use foxden_accounts::security::{Door, Witness};
use foxden_accounts::token::TokenSecrets;
use foxden_accounts::{
    Accounts, Cost, MIGRATIONS, NewUsers, NodeState, Nodes, Options, Parts, Role, SignUp, Visitor,
};
use foxden_http::fxa::{self, FxaState};
use foxden_http::ops::{self, OpsState, Version};
use foxden_http::pages::{self, LegacyPages, Outlook, PagesState};
use foxden_http::sync::{self, LegacyState, SyncState};
use foxden_http::token::{self, TokenState};
use foxden_http::user::exchange::{self, Exchange};
use foxden_http::user::{self, AdminSecret, UserState};
use foxden_http::wire::captcha::Captcha;
use foxden_http::wire::{Peer, PublicUrl, Site};
use foxden_model::{Clock, ManualClock, Rng, SeededRng};
use foxden_sql::Database;
use foxden_storage::{Engine, Limits, MemoryEngine, SqliteEngine, SqliteOptions, Storage};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tower::ServiceExt;

use crate::signer::SECRET;

/// The public address in every conversation, unless `server public-url=…` says otherwise.
pub const PUBLIC_URL: &str = "https://sync.example.org";
const VERSION: Version = Version {
    source: "",
    version: "1.2.3",
    commit: "",
    build: "",
};
/// Hashes that cost nothing: nobody attacks a conversation.
const CHEAP: Cost = Cost {
    memory: 8,
    passes: 1,
    lanes: 1,
};
/// When conversations begin, in milliseconds.
const BEGINNING: i64 = 1_763_690_000_000;

/// Where objects are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Memory,
    Sqlite,
}

/// What `server` directives may change.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Clone, Debug)]
pub struct Settings {
    place: Place,
    pub public_url: PublicUrl,
    limits: Limits,
    quota: Option<u64>,
    max_skew_seconds: Option<u32>,
    is_strict_about_nodes: bool,
    backoff: u32,
    alert: Option<String>,
    is_down: bool,
    secret: String,
    /// Whether nothing outside the machine can have sent the requests.
    is_private: bool,
    sign_up: Option<SignUp>,
    new_users: NewUsers,
    /// Where stores are kept, if not here.
    node: Option<String>,
    /// Whether that node takes users.
    is_draining: bool,
    asks_people: bool,
    /// Whether pages speak of mail. None is sent here.
    speaks_of_mail: bool,
    admin_secret: Option<String>,
    is_strict_about_names: bool,
    speaks_legacy: bool,
    /// Further names under which accounts are served.
    other_hosts: Vec<String>,
}

/// A server, and the clock it goes by.
pub struct World {
    pub clock: Arc<ManualClock>,
    is_private: bool,
    accounts: Accounts,
    // Dropped before the folder, so that no file in it is open any more.
    router: Router,
    runtime: tokio::runtime::Runtime,
    _folder: Option<Folder>,
}

/// A folder that goes when its conversation ends.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over lies in the folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Settings {
    /// What holds unless a conversation says otherwise.
    pub fn kept_in(place: Place) -> Self {
        Self {
            place,
            public_url: PUBLIC_URL.parse().expect("an address"),
            limits: Limits::default(),
            quota: None,
            max_skew_seconds: None,
            is_strict_about_nodes: false,
            backoff: 0,
            alert: None,
            is_down: false,
            secret: SECRET.to_owned(),
            is_private: false,
            sign_up: None,
            new_users: NewUsers::Welcome,
            node: None,
            is_draining: false,
            asks_people: false,
            speaks_of_mail: false,
            admin_secret: None,
            is_strict_about_names: false,
            speaks_legacy: true,
            other_hosts: Vec::new(),
        }
    }

    /// Takes the words of a `server` directive.
    pub fn change(&mut self, words: &str) -> Result<()> {
        for word in words.split_whitespace() {
            let (name, value) = word.split_once('=').context("a setting is name=value")?;
            match (name, value) {
                ("public-url", url) => self.public_url = url.parse()?,
                ("quota", bytes) => self.quota = Some(bytes.parse()?),
                ("batches", "off") => self.limits.batches = false,
                ("max-total-records", count) => self.limits.max_total_records = count.parse()?,
                ("max-total-bytes", bytes) => self.limits.max_total_bytes = bytes.parse()?,
                ("max-skew", seconds) => self.max_skew_seconds = Some(seconds.parse()?),
                ("secret", text) => self.secret = text.replace('_', " "),
                ("nodes", "strict") => self.is_strict_about_nodes = true,
                ("backoff", seconds) => self.backoff = seconds.parse()?,
                ("alert", text) => self.alert = Some(text.replace('_', " ")),
                ("down", seconds) => (self.backoff, self.is_down) = (seconds.parse()?, true),
                ("reach", "private") => {
                    self.is_private = true;
                    self.public_url = "http://127.0.0.1:5000".parse()?;
                }
                ("sign-up", "open") => self.sign_up = Some(SignUp::Open),
                ("sign-up", "invite") => self.sign_up = Some(SignUp::Invite),
                ("sign-up", "closed") => self.sign_up = Some(SignUp::Closed),
                ("node", url) => self.node = Some(url.to_owned()),
                ("nodes", "draining") => self.is_draining = true,
                ("captcha", "question") => self.asks_people = true,
                ("mail", "on") => self.speaks_of_mail = true,
                ("admin-secret", word) => self.admin_secret = Some(word.replace('_', " ")),
                ("names", "strict") => self.is_strict_about_names = true,
                ("legacy", "off") => self.speaks_legacy = false,
                ("other-host", name) => self.other_hosts.push(name.to_owned()),
                ("new-users", "refused") => self.new_users = NewUsers::Refused,
                _ => bail!("there is no setting {word}"),
            }
        }
        Ok(())
    }
}

impl World {
    pub fn new(settings: &Settings) -> Result<Self> {
        let clock = Arc::new(ManualClock::at_millis(BEGINNING));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let parts = Parts {
            database: runtime.block_on(Database::in_memory(MIGRATIONS))?,
            clock: Arc::clone(&clock) as _,
            rng: Arc::new(SeededRng::new(2)),
            nodes: match &settings.node {
                Some(url) => Nodes::Listed(vec![url.clone()]),
                None => Nodes::Own(settings.public_url.base()),
            },
            options: Options {
                sign_up: settings.sign_up,
                new_users: settings.new_users,
                sends_mail: settings.speaks_of_mail,
                cost: CHEAP,
                ..Options::default()
            },
        };
        let accounts = runtime.block_on(Accounts::open(parts))?;
        if settings.is_draining {
            let url = settings.public_url.base();
            runtime.block_on(accounts.set_node_state(&url, NodeState::Draining))?;
        }
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(1));
        let (engine, folder) = engine(settings.place, &clock, &rng)?;
        let storage = Storage::new(engine, settings.limits, settings.quota);
        let router = router(settings, &clock, rng, &accounts, storage);
        Ok(Self {
            clock,
            is_private: settings.is_private,
            accounts,
            router,
            runtime,
            _folder: folder,
        })
    }

    /// The code of a new invitation.
    pub fn invitation(&self) -> Result<String> {
        let invited = self.accounts.invite(Role::Member, "", None);
        Ok(self.runtime.block_on(invited)?)
    }

    /// The newest code that waits for somebody.
    pub fn waiting_code(&self, name: &str) -> Result<String> {
        let codes = self.runtime.block_on(self.accounts.waiting_codes(name))?;
        let newest = codes.into_iter().max_by_key(|code| code.expires);
        Ok(newest.context("no code waits")?.code)
    }

    /// The code of a set-password link.
    pub fn password_link(&self, name: &str) -> Result<String> {
        Ok(self.runtime.block_on(self.accounts.password_link(name))?)
    }

    /// Makes an account for somebody, known by a name or an address.
    pub fn welcome(&self, name: &str, password: &str) -> Result<()> {
        let address = if name.contains('@') {
            name.to_owned()
        } else {
            format!("{name}@example.org")
        };
        let known = plain::name_of(name).context("no name")?;
        let new = NewPlain {
            name: &known,
            address: &address,
            password,
            is_authorised: true,
        };
        self.runtime
            .block_on(self.accounts.create_plain(new, &operator()))?;
        Ok(())
    }

    /// Sends a request and takes the whole answer.
    pub fn send(&self, mut request: Request<Body>) -> Result<Response<Bytes>> {
        let forwarded = request.headers().get("x-forwarded-for");
        let client = forwarded.and_then(|named| named.to_str().ok()?.parse().ok());
        let peer = Peer {
            address: client.unwrap_or(Ipv4Addr::LOCALHOST.into()),
            is_direct: self.is_private && forwarded.is_none(),
        };
        request.extensions_mut().insert(peer);
        self.runtime.block_on(async {
            let Ok(response) = self.router.clone().oneshot(request).await;
            let (parts, body) = response.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| anyhow::anyhow!("the body broke off: {error}"))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        })
    }
}

/// Who makes accounts before a conversation begins.
fn operator() -> Visitor {
    Visitor {
        address: Ipv4Addr::LOCALHOST.into(),
        is_private: true,
        user_agent: String::new(),
        door: Door::Operator,
    }
}

fn engine(
    place: Place,
    clock: &Arc<ManualClock>,
    rng: &Arc<dyn Rng>,
) -> Result<(Arc<dyn Engine>, Option<Folder>)> {
    static OPENED: AtomicU32 = AtomicU32::new(0);
    let (clock, rng): (Arc<dyn Clock>, _) = (Arc::clone(clock) as _, Arc::clone(rng));
    match place {
        Place::Memory => Ok((Arc::new(MemoryEngine::new(clock, rng)), None)),
        Place::Sqlite => {
            let number = OPENED.fetch_add(1, Ordering::Relaxed);
            let name = format!("foxden-golden-{}-{number}", std::process::id());
            let folder = Folder(std::env::temp_dir().join(name));
            let options = SqliteOptions {
                folder: folder.0.clone(),
                files: 1,
                cached_users: 100,
                patience: Duration::from_secs(10),
            };
            Ok((Arc::new(SqliteEngine::open(options, clock, rng)?), Some(folder)))
        }
    }
}

fn router(
    settings: &Settings,
    clock: &Arc<ManualClock>,
    rng: Arc<dyn Rng>,
    accounts: &Accounts,
    storage: Storage,
) -> Router {
    let site = Arc::new(Site {
        public_url: settings.public_url.clone(),
        is_loopback: settings.is_private,
        other_hosts: settings.other_hosts.clone(),
    });
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    let secrets = Arc::new(TokenSecrets::new([], settings.secret.as_str()));
    let fxa = FxaState {
        accounts: accounts.clone(),
        storage: Some(storage.clone()),
        site: Arc::clone(&site),
        clock: Arc::clone(&clock),
        rng: Arc::clone(&rng),
        to_the_end: Arc::new(|work| drop(Handle::current().spawn(work))),
        memory: Arc::default(),
    };
    let user = user_state(settings, &fxa);
    let meeting = exchange::Settings::default();
    let meeting = Exchange::new(
        meeting,
        Arc::clone(&fxa.clock),
        Arc::clone(&fxa.rng),
        Witness::default(),
    );
    let pages = pages_state(settings, &user);
    let token = TokenState {
        accounts: accounts.clone(),
        storage: Some(storage.clone()),
        secrets: Arc::clone(&secrets),
        site: Arc::clone(&site),
        clock: Arc::clone(&clock),
        rng,
        duration: 3600,
        node_type: Some("sqlite"),
    };
    let state = SyncState {
        alert: settings.alert.as_deref().and_then(|text| text.parse().ok()),
        max_skew_seconds: settings.max_skew_seconds,
        is_strict_about_nodes: settings.is_strict_about_nodes,
        legacy: settings
            .speaks_legacy
            .then(|| LegacyState::new(accounts.clone(), &site)),
        ..SyncState::new(storage, secrets, site, clock)
    };
    if settings.is_down {
        state.backoff.close(settings.backoff);
    } else {
        state.backoff.ask(settings.backoff);
    }
    let ops = OpsState {
        storage: Some(state.storage.clone()),
        accounts: Some(accounts.clone()),
        version: VERSION,
    };
    sync::router(state)
        .merge(ops::router(ops))
        .merge(fxa::router(fxa))
        .merge(token::router(token))
        .merge(user::router(user))
        .merge(exchange::router(Arc::new(meeting)))
        .merge(pages::change_password(&pages.site))
        .merge(pages::router(pages))
        .route("/robots.txt", ops::robots())
}

fn pages_state(settings: &Settings, user: &UserState) -> PagesState {
    let outlook = Outlook {
        storage_answers: None,
        is_inhabited: None,
    };
    PagesState {
        site: Arc::clone(&user.site),
        clock: Arc::clone(&user.clock),
        sign_up: settings.sign_up,
        contact: None,
        sends_mail: settings.speaks_of_mail,
        legacy: settings.speaks_legacy.then(|| LegacyPages {
            accounts: user.accounts.clone(),
            storage: user.storage.clone(),
            captcha: user.captcha.clone(),
            to_the_end: Arc::clone(&user.to_the_end),
            memory: Arc::clone(&user.memory),
            meeting_place: None,
        }),
        outlook: Arc::new(move || Box::pin(async move { outlook })),
    }
}

fn user_state(settings: &Settings, fxa: &FxaState) -> UserState {
    let captcha = || Captcha::new(b"a key", Arc::clone(&fxa.clock), Arc::clone(&fxa.rng));
    UserState {
        accounts: fxa.accounts.clone(),
        storage: fxa.storage.clone(),
        site: Arc::clone(&fxa.site),
        clock: Arc::clone(&fxa.clock),
        to_the_end: Arc::clone(&fxa.to_the_end),
        memory: Arc::clone(&fxa.memory),
        captcha: settings.asks_people.then(|| Arc::new(captcha())),
        admin_secret: settings.admin_secret.as_deref().and_then(AdminSecret::new),
        is_strict_about_names: settings.is_strict_about_names,
        offers_resets: settings.speaks_legacy,
    }
}
