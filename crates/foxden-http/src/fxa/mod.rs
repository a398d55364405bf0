//! The account API: sign-up and sign-in, sessions, passwords, devices, OAuth, profiles.
//!
//! - [`discovery`]: the documents in which browsers find the other services
//! - [`account`], [`session`], [`password`], [`email`]: the account API
//! - [`device`]: devices, their commands, attached clients
//! - [`oauth`]: codes and tokens; [`profile`]: profiles; [`unsupported`]: features that are not offered
//! - [`api_request`]: reads requests; [`raw_request`], [`caller`], [`credentials`]: its parts
//! - [`answer`], [`refusal`]: how answers and refusals are printed

mod account;
mod answer;
mod api_request;
mod caller;
mod credentials;
mod device;
mod discovery;
mod email;
mod oauth;
mod password;
mod profile;
mod raw_request;
mod refusal;
mod session;
mod unsupported;
mod user_agent;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderName;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, delete, get, post};
use foxden_accounts::Accounts;
use foxden_model::{Clock, Rng};
use foxden_storage::Storage;

use crate::wire::{
    HostCheck, Memory, ResponseHeaders, Routes, Site, TaskSpawner, add_headers, refuse_foreign_hosts,
};
use refusal::{Refusal, add_error_link, as_oauth_error, as_profile_error, refuse_foreign_host};

/// State of the account API.
#[derive(Clone)]
pub struct FxaState {
    /// The accounts.
    pub accounts: Accounts,
    /// The storage of this process, if it has one: it refuses the stores of a removed account at once.
    pub storage: Option<Storage>,
    /// Where this server is found.
    pub site: Arc<Site>,
    /// The clock for signatures.
    pub clock: Arc<dyn Clock>,
    /// The memory budgets of bodies and answers, shared with all other surfaces.
    pub memory: Arc<Memory>,
    /// The source of random bytes, for tools that ask for some.
    pub rng: Arc<dyn Rng>,
    /// Runs tasks that must not stop when the client disconnects.
    pub task_spawner: TaskSpawner,
}

/// The routes of the account API, all at the root of the origin.
pub fn router(state: FxaState) -> Router {
    let site = Arc::clone(&state.site);
    let (router, labels) = routes().build("");
    let headers_state = ResponseHeaders {
        site: Arc::clone(&state.site),
        clock: Arc::clone(&state.clock),
        time: HeaderName::from_static("timestamp"),
        routes: labels,
    };
    let hosts = HostCheck {
        site: Arc::clone(&state.site),
        refuse: refuse_foreign_host,
    };
    router
        .route("/v1/{*path}", any(unknown_path))
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
        .layer(from_fn_with_state(hosts, refuse_foreign_hosts))
        .layer(from_fn_with_state(site, add_error_link))
        .layer(from_fn_with_state(headers_state, add_headers))
}

pub(crate) fn routes() -> Routes<FxaState> {
    Routes::new()
        .merge(discovery_routes())
        .merge(account_routes())
        .merge(password_routes())
        .merge(device_routes())
        .merge(oauth_routes())
        .merge(bare_oauth_routes().map(|router| router.layer(from_fn(as_oauth_error))))
        .merge(profile_routes().map(|router| router.layer(from_fn(as_profile_error))))
        .merge(unsupported_routes())
}

fn discovery_routes() -> Routes<FxaState> {
    Routes::new()
        .route(
            "/.well-known/fxa-client-configuration",
            get(discovery::client_configuration),
        )
        .route(
            "/.well-known/openid-configuration",
            get(discovery::openid_configuration),
        )
}

fn account_routes() -> Routes<FxaState> {
    Routes::new()
        .route("/v1/account", get(account::subscriptions))
        .route("/v1/account/status", get(account::exists).post(account::status))
        .route(
            "/v1/account/credentials/status",
            post(account::credentials_status),
        )
        .route("/v1/account/create", post(account::create))
        .route("/v1/account/login", post(account::login))
        .route("/v1/account/destroy", post(account::destroy))
        .route("/v1/account/keys", get(account::keys))
        .route("/v1/account/profile", get(profile::of_session))
        .route("/v1/account/sessions", get(session::list))
        .route("/v1/session/reauth", post(session::reauth))
        .route("/v1/session/status", get(session::status))
        .route("/v1/session/destroy", post(session::destroy))
        .route("/v1/session/duplicate", post(session::duplicate))
        .route("/v1/session/verify_code", post(email::verify_session))
        .route("/v1/session/resend_code", post(email::resend))
        .route("/v1/recovery_email/status", get(email::status))
        .route("/v1/recovery_email/resend_code", post(email::resend))
        .route("/v1/recovery_email/verify_code", post(email::verify_address))
        .route("/v1/recovery_emails", get(email::list))
        .route("/v1/get_random_bytes", post(account::random_bytes))
}

fn password_routes() -> Routes<FxaState> {
    Routes::new()
        .route("/v1/password/change/start", post(password::start_change))
        .route("/v1/password/change/finish", post(password::finish_change))
        .route("/v1/password/forgot/send_code", post(password::forgot))
        .route(
            "/v1/password/forgot/resend_code",
            post(password::resend_reset_code),
        )
        .route("/v1/password/forgot/status", get(password::reset_status))
        .route("/v1/password/forgot/verify_code", post(password::verify_code))
        .route("/v1/password/forgot/send_otp", post(password::send_otp))
        .route("/v1/password/forgot/verify_otp", post(password::verify_otp))
        .route("/v1/password/link", post(password::open_link))
        .route("/v1/account/reset", post(password::reset))
}

fn device_routes() -> Routes<FxaState> {
    Routes::new()
        .route("/v1/account/device", post(device::register))
        .route("/v1/account/devices", get(device::list))
        .route("/v1/account/device/destroy", post(device::destroy))
        .route("/v1/account/devices/notify", post(device::notify))
        .route("/v1/account/devices/invoke_command", post(device::invoke))
        .route("/v1/account/device/commands", get(device::commands))
        .route("/v1/account/attached_clients", get(device::attached))
        .route("/v1/account/attached_client/destroy", post(device::detach))
}

/// OAuth as part of the account API, with its error numbers.
fn oauth_routes() -> Routes<FxaState> {
    Routes::new()
        .route("/v1/account/scoped-key-data", post(oauth::scoped_key_data))
        .route("/v1/oauth/authorization", post(oauth::authorize))
        .route("/v1/oauth/token", post(oauth::token))
        .route("/v1/oauth/destroy", post(oauth::destroy))
        .route("/v1/oauth/client/{id}", get(oauth::client))
}

/// OAuth on its own paths, with its own error numbers.
fn bare_oauth_routes() -> Routes<FxaState> {
    Routes::new()
        .route("/v1/authorization", get(oauth::navigate).post(oauth::authorize))
        .route("/v1/token", post(oauth::token))
        .route("/v1/destroy", post(oauth::bare_destroy))
        .route("/v1/verify", post(oauth::verify))
        .route("/v1/introspect", post(oauth::introspect))
        .route("/v1/jwks", get(oauth::jwks))
        .route("/v1/client/{id}", get(oauth::client))
}

fn profile_routes() -> Routes<FxaState> {
    Routes::new()
        .route("/v1/profile", get(profile::whole))
        .route("/v1/email", get(profile::email))
        .route("/v1/uid", get(profile::uid))
        .route("/v1/avatar", get(profile::avatar))
        .route("/v1/avatar/upload", post(profile::upload_avatar))
        .route("/v1/avatar/{id}", delete(profile::remove_avatar))
        .route(
            "/v1/display_name",
            get(profile::display_name).post(profile::set_display_name),
        )
        .route("/avatar/{id}", get(profile::picture))
}

/// Routes of features that are not offered.
fn unsupported_routes() -> Routes<FxaState> {
    Routes::new()
        .route("/v1/totp/exists", get(unsupported::totp_exists))
        .route("/v1/totp/create", post(unsupported::totp))
        .route("/v1/totp/destroy", post(unsupported::totp))
        .route("/v1/session/verify/totp", post(unsupported::totp))
        .route("/v1/session/verify/recoveryCode", post(unsupported::totp))
        .route("/v1/recoveryCodes", get(unsupported::totp))
        .route("/v1/recoveryKey/exists", post(unsupported::recovery_key_exists))
        .route(
            "/v1/recoveryKey",
            post(unsupported::feature).delete(unsupported::feature),
        )
        .route("/v1/recoveryKey/{id}", get(unsupported::feature))
        .route("/v1/account/login/send_unblock_code", post(unsupported::feature))
        .route(
            "/v1/account/login/reject_unblock_code",
            post(unsupported::feature),
        )
        .route("/v1/mfa/{*rest}", any(unsupported::feature))
        .route("/v1/certificate/sign", any(unsupported::removed))
        .route("/v1/account/lock", any(unsupported::removed))
        .route("/v1/account/unlock/{*rest}", any(unsupported::removed))
}

async fn unknown_path() -> Refusal {
    Refusal::UnknownPath
}

async fn wrong_method() -> Refusal {
    Refusal::WrongMethod
}
