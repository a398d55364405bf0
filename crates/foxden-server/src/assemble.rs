//! What each listener serves.

mod doors;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use foxden_accounts::Accounts;
use foxden_http::fxa::{self, FxaState};
use foxden_http::ops::{self, OpsState};
use foxden_http::pages::{self, LegacyPages, LookOut, Outlook, PagesState};
use foxden_http::sync::{self, Backoff, LegacyState, SyncState};
use foxden_http::token::{self, TokenState, discovery};
use foxden_http::user::{self, AdminSecret, UserState, exchange};
use foxden_http::wire::{ToTheEnd, with_and_without_path};
use foxden_sql::Asker;

use crate::config::{self, listener::Surface};
use crate::house::House;
use crate::probe::{self, ProbeState};
use crate::tasks::Tasks;
use crate::version::VERSION;
pub use doors::Doors;

/// Seconds for which a node in maintenance sends clients away where nothing else is set.
const MAINTENANCE_SECONDS: u32 = 1800;

/// The way to everything a listener with these surfaces answers.
pub fn doors(house: &Arc<House>, surfaces: &BTreeSet<Surface>, tasks: &Tasks) -> Doors {
    let is_at_root = house.site.public_url.path().is_empty();
    let storage = sync_state(house, surfaces).filter(|_| is_at_root);
    Doors::new(storage, router(house, surfaces, tasks))
}

/// Everything a listener with these surfaces answers.
pub fn router(house: &Arc<House>, surfaces: &BTreeSet<Surface>, tasks: &Tasks) -> Router {
    let mut router = below_the_path(house, surfaces, tasks);
    if surfaces.contains(&Surface::Ops) {
        router = router.merge(ops::router(OpsState {
            storage: house.storage.clone(),
            accounts: house.accounts.clone(),
            version: VERSION,
        }));
    }
    if let Some(accounts) = house
        .accounts
        .as_ref()
        .filter(|_| surfaces.contains(&Surface::Fxa))
    {
        router = router.merge(fxa::router(fxa_state(house, accounts, tasks)));
    }
    let mut root = if surfaces.contains(&Surface::Pages) {
        pages::router(pages_state(house, tasks))
    } else {
        Router::new().route("/", ops::root())
    };
    if surfaces.contains(&Surface::Token) {
        root = discovery::layered_over(root, Arc::clone(&house.site));
    }
    router.merge(root).route("/robots.txt", ops::robots())
}

/// Storage, tokens, all of Sync 1.1 and what password managers ask for, found with and without the path of the public
/// address: some proxies cut it off.
fn below_the_path(house: &Arc<House>, surfaces: &BTreeSet<Surface>, tasks: &Tasks) -> Router {
    let mut router = Router::new();
    if let Some(state) = sync_state(house, surfaces) {
        router = router.merge(sync::router(state));
    }
    if let Some(accounts) = house
        .accounts
        .as_ref()
        .filter(|_| surfaces.contains(&Surface::Token))
    {
        router = router.merge(token::router(token_state(house, accounts)));
    }
    if surfaces.contains(&Surface::User) {
        router = router.merge(for_old_devices(house, tasks));
    }
    if surfaces.contains(&Surface::Pages) {
        router = router.merge(pages::change_password(&house.site));
    }
    router = router.merge(probe::router(ProbeState {
        probe: Arc::clone(&house.probe),
        reach: Arc::clone(&house.reach),
        max_request_bytes: house.config.storage.limits.max_request_bytes,
    }));
    with_and_without_path(router, house.site.public_url.path())
}

/// The User API, and where two devices of Sync 1.1 meet.
fn for_old_devices(house: &House, tasks: &Tasks) -> Router {
    let mut router = Router::new();
    if let Some(accounts) = &house.accounts {
        router = router.merge(user::router(user_state(house, accounts, tasks)));
    }
    if let Some(exchange) = &house.exchange {
        router = router.merge(exchange::router(Arc::clone(exchange)));
    }
    router
}

fn user_state(house: &House, accounts: &Accounts, tasks: &Tasks) -> UserState {
    let rules = &house.config.accounts;
    UserState {
        accounts: accounts.clone(),
        storage: house.storage.clone(),
        site: Arc::clone(&house.site),
        clock: Arc::clone(&house.clock),
        to_the_end: to_the_end(tasks),
        memory: Arc::clone(&house.memory),
        captcha: house.captcha.clone(),
        admin_secret: rules
            .admin_secret
            .as_ref()
            .and_then(|secret| AdminSecret::new(secret.reveal())),
        is_strict_about_names: rules.is_strict_about_names,
        offers_resets: house.config.welcomes_old_clients(),
    }
}

/// Has work carried out that must not stop halfway when its client hangs up.
fn to_the_end(tasks: &Tasks) -> ToTheEnd {
    let tasks = tasks.clone();
    Arc::new(move |work| match Asker::current() {
        Some(asker) => tasks.spawn(asker.carry(work)),
        None => tasks.spawn(work),
    })
}

fn sync_state(house: &House, surfaces: &BTreeSet<Surface>) -> Option<SyncState> {
    let storage = house
        .storage
        .clone()
        .filter(|_| surfaces.contains(&Surface::Sync))?;
    let (secrets, site) = (Arc::clone(&house.secrets), Arc::clone(&house.site));
    let passwords = house.passwords.as_ref();
    let rules = &house.config.storage;
    let skew = rules.max_clock_skew.map(|skew| skew.as_secs());
    let alert = rules
        .alert
        .as_deref()
        .and_then(|text| HeaderValue::from_str(text).ok());
    Some(SyncState {
        alert,
        backoff: Arc::new(backoff(rules)),
        memory: Arc::clone(&house.memory),
        compresses: rules.compresses,
        is_strict_about_nodes: rules.is_strict_about_nodes,
        legacy: passwords.map(|accounts| LegacyState::new(accounts.clone(), &site)),
        witness: house.security_log.witness(),
        max_skew_seconds: skew.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
        ..SyncState::new(storage, secrets, site, Arc::clone(&house.clock))
    })
}

/// Whether clients are sent away, and for how long.
fn backoff(rules: &config::storage::Storage) -> Backoff {
    // Clients read whole seconds alone, and half a second is not none.
    let seconds = |time: Duration| u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    let wish = rules.backoff.map_or(0, seconds);
    let backoff = Backoff::default();
    match (rules.is_in_maintenance, wish) {
        (false, _) => backoff.ask(wish),
        (true, 0) => backoff.close(MAINTENANCE_SECONDS),
        (true, _) => backoff.close(wish),
    }
    backoff
}

fn token_state(house: &House, accounts: &Accounts) -> TokenState {
    TokenState {
        accounts: accounts.clone(),
        storage: house.storage.clone(),
        secrets: Arc::clone(&house.secrets),
        site: Arc::clone(&house.site),
        clock: Arc::clone(&house.clock),
        rng: Arc::clone(&house.rng),
        duration: house.token_seconds,
        node_type: house.engine,
    }
}

fn fxa_state(house: &House, accounts: &Accounts, tasks: &Tasks) -> FxaState {
    FxaState {
        accounts: accounts.clone(),
        storage: house.storage.clone(),
        site: Arc::clone(&house.site),
        clock: Arc::clone(&house.clock),
        memory: Arc::clone(&house.memory),
        rng: Arc::clone(&house.rng),
        to_the_end: to_the_end(tasks),
    }
}

fn pages_state(house: &Arc<House>, tasks: &Tasks) -> PagesState {
    let asked = Arc::clone(house);
    PagesState {
        site: Arc::clone(&house.site),
        clock: Arc::clone(&house.clock),
        sign_up: house.config.accounts.sign_up,
        contact: house.config.accounts.contact.clone(),
        sends_mail: house.config.mail.is_some(),
        legacy: legacy_pages(house, tasks),
        outlook: Arc::new(move || look_out(Arc::clone(&asked))),
    }
}

/// The forms that old clients open, where their accounts are kept.
fn legacy_pages(house: &House, tasks: &Tasks) -> Option<LegacyPages> {
    let accounts = house
        .accounts
        .clone()
        .filter(|_| house.config.welcomes_old_clients())?;
    let origin = house.site.public_url.origin();
    let path = &house.config.key_exchange.path;
    Some(LegacyPages {
        accounts,
        storage: house.storage.clone(),
        memory: Arc::clone(&house.memory),
        captcha: house.captcha.clone(),
        to_the_end: to_the_end(tasks),
        meeting_place: house.exchange.is_some().then(|| format!("{origin}{path}/")),
    })
}

fn look_out(house: Arc<House>) -> LookOut {
    Box::pin(async move {
        let storage_answers = match &house.storage {
            Some(storage) => Some(storage.check().await.is_ok()),
            None => None,
        };
        let is_inhabited = match &house.accounts {
            Some(accounts) => accounts.count_accounts().await.ok().map(|count| count > 0),
            None => None,
        };
        Outlook {
            storage_answers,
            is_inhabited,
        }
    })
}

#[cfg(test)]
pub mod tests;
