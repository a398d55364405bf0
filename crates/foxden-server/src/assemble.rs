//! Assembles the surfaces of each listener.

mod listener_service;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use foxden_accounts::Accounts;
use foxden_http::fxa::{self, FxaState};
use foxden_http::ops::{self, OpsState};
use foxden_http::pages::{self, LegacyPages, PagesState, ServerStatus, StatusFuture};
use foxden_http::probe::{self, ProbeState};
use foxden_http::sync::{self, LegacyState, SyncState};
use foxden_http::token::{self, TokenState, discovery};
use foxden_http::user::{self, AdminSecret, UserState, exchange};
use foxden_http::wire::{TaskSpawner, with_and_without_path};
use foxden_sql::QueryOrigin;

use crate::app::App;
use crate::config::listener::Surface;
use crate::tasks::Tasks;
pub use listener_service::ListenerService;

/// The way to everything a listener with these surfaces answers.
pub fn listener_service(app: &Arc<App>, surfaces: &BTreeSet<Surface>, tasks: &Tasks) -> ListenerService {
    let is_at_root = app.site.public_url.path().is_empty();
    let storage = sync_state(app, surfaces).filter(|_| is_at_root);
    ListenerService::new(storage, router(app, surfaces, tasks))
}

/// Everything a listener with these surfaces answers.
pub fn router(app: &Arc<App>, surfaces: &BTreeSet<Surface>, tasks: &Tasks) -> Router {
    let mut router = path_router(app, surfaces, tasks);
    if surfaces.contains(&Surface::Ops) {
        router = router.merge(ops::router(OpsState {
            storage: app.storage.clone(),
            accounts: app.accounts.clone(),
            version: app.version,
        }));
    }
    if let Some(accounts) = app.accounts.as_ref().filter(|_| surfaces.contains(&Surface::Fxa)) {
        router = router.merge(fxa::router(fxa_state(app, accounts, tasks)));
    }
    let mut root = if surfaces.contains(&Surface::Pages) {
        pages::router(pages_state(app, tasks))
    } else {
        ops::root()
    };
    if surfaces.contains(&Surface::Token) {
        root = discovery::layered_over(root, Arc::clone(&app.site));
    }
    router.merge(root).merge(ops::robots())
}

/// Storage, tokens, all of Sync 1.1 and what password managers ask for, found with and without the path of the public
/// address: some proxies cut it off.
fn path_router(app: &Arc<App>, surfaces: &BTreeSet<Surface>, tasks: &Tasks) -> Router {
    let mut router = Router::new();
    if let Some(state) = sync_state(app, surfaces) {
        router = router.merge(sync::router(state));
    }
    if let Some(accounts) = app
        .accounts
        .as_ref()
        .filter(|_| surfaces.contains(&Surface::Token))
    {
        router = router.merge(token::router(token_state(app, accounts)));
    }
    if surfaces.contains(&Surface::User) {
        router = router.merge(legacy_router(app, tasks));
    }
    if surfaces.contains(&Surface::Pages) {
        router = router.merge(pages::change_password(&app.site));
    }
    let exposure = Arc::clone(&app.exposure);
    router = router.merge(probe::router(ProbeState {
        probe: Arc::clone(&app.probe),
        on_evidence: Arc::new(move |evidence| exposure.observe(evidence)),
        max_request_bytes: app.config.storage.limits.max_request_bytes,
    }));
    with_and_without_path(router, app.site.public_url.path())
}

/// The User API, and where two devices of Sync 1.1 meet.
fn legacy_router(app: &App, tasks: &Tasks) -> Router {
    let mut router = Router::new();
    if let Some(accounts) = &app.accounts {
        router = router.merge(user::router(user_state(app, accounts, tasks)));
    }
    if let Some(exchange) = &app.exchange {
        router = router.merge(exchange::router(Arc::clone(exchange)));
    }
    router
}

fn user_state(app: &App, accounts: &Accounts, tasks: &Tasks) -> UserState {
    let rules = &app.config.accounts;
    UserState {
        accounts: accounts.clone(),
        storage: app.storage.clone(),
        site: Arc::clone(&app.site),
        clock: Arc::clone(&app.clock),
        task_spawner: task_spawner(tasks),
        memory: Arc::clone(&app.memory),
        captcha: app.captcha.clone(),
        admin_secret: rules
            .admin_secret
            .as_ref()
            .and_then(|secret| AdminSecret::new(secret.reveal())),
        is_strict_about_names: rules.is_strict_about_names,
        offers_resets: app.config.welcomes_old_clients(),
    }
}

/// Has work carried out that must not stop halfway when its client hangs up.
fn task_spawner(tasks: &Tasks) -> TaskSpawner {
    let tasks = tasks.clone();
    Arc::new(move |work| match QueryOrigin::current() {
        Some(asker) => tasks.spawn(asker.carry(work)),
        None => tasks.spawn(work),
    })
}

fn sync_state(app: &App, surfaces: &BTreeSet<Surface>) -> Option<SyncState> {
    let storage = app
        .storage
        .clone()
        .filter(|_| surfaces.contains(&Surface::Sync))?;
    let (secrets, site) = (Arc::clone(&app.secrets), Arc::clone(&app.site));
    let passwords = app.passwords.as_ref();
    let rules = &app.config.storage;
    let skew = rules.max_clock_skew.map(|skew| skew.as_secs());
    let alert = rules
        .alert
        .as_deref()
        .and_then(|text| HeaderValue::from_str(text).ok());
    Some(SyncState {
        alert,
        backoff: Arc::clone(&app.backoff),
        heeds_token_backoff: app.register_accounts().is_none(),
        memory: Arc::clone(&app.memory),
        compresses: rules.compresses,
        verifies_token_node: rules.verifies_token_node,
        legacy: passwords.map(|accounts| LegacyState::new(accounts.clone(), &site)),
        security_events: app.security_log.security_events(),
        max_skew_seconds: skew.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
        ..SyncState::new(storage, secrets, site, Arc::clone(&app.clock))
    })
}

fn token_state(app: &App, accounts: &Accounts) -> TokenState {
    TokenState {
        accounts: accounts.clone(),
        storage: app.storage.clone(),
        secrets: Arc::clone(&app.secrets),
        site: Arc::clone(&app.site),
        clock: Arc::clone(&app.clock),
        rng: Arc::clone(&app.rng),
        duration: app.token_seconds,
        node_type: app.engine,
    }
}

fn fxa_state(app: &App, accounts: &Accounts, tasks: &Tasks) -> FxaState {
    FxaState {
        accounts: accounts.clone(),
        storage: app.storage.clone(),
        site: Arc::clone(&app.site),
        clock: Arc::clone(&app.clock),
        memory: Arc::clone(&app.memory),
        rng: Arc::clone(&app.rng),
        task_spawner: task_spawner(tasks),
    }
}

fn pages_state(app: &Arc<App>, tasks: &Tasks) -> PagesState {
    let app_for_status = Arc::clone(app);
    PagesState {
        site: Arc::clone(&app.site),
        clock: Arc::clone(&app.clock),
        sign_up: app.config.accounts.sign_up,
        contact: app.config.accounts.contact.clone(),
        sends_mail: app.config.mail.is_some(),
        legacy: legacy_pages(app, tasks),
        server_status: Arc::new(move || server_status(Arc::clone(&app_for_status))),
    }
}

/// The forms that old clients open, where their accounts are kept.
fn legacy_pages(app: &App, tasks: &Tasks) -> Option<LegacyPages> {
    let accounts = app
        .accounts
        .clone()
        .filter(|_| app.config.welcomes_old_clients())?;
    let origin = app.site.public_url.origin();
    let path = &app.config.key_exchange.path;
    Some(LegacyPages {
        accounts,
        storage: app.storage.clone(),
        memory: Arc::clone(&app.memory),
        captcha: app.captcha.clone(),
        task_spawner: task_spawner(tasks),
        key_exchange_url: app.exchange.is_some().then(|| format!("{origin}{path}/")),
    })
}

fn server_status(app: Arc<App>) -> StatusFuture {
    Box::pin(async move {
        let storage_answers = match &app.storage {
            Some(storage) => Some(storage.check().await.is_ok()),
            None => None,
        };
        let has_accounts = match &app.accounts {
            Some(accounts) => accounts.count_accounts().await.ok().map(|count| count > 0),
            None => None,
        };
        ServerStatus {
            storage_answers,
            has_accounts,
        }
    })
}

#[cfg(test)]
pub mod tests;
