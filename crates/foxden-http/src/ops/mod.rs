//! Health and version, for load balancers and monitoring.
//!
//! These routes need no authentication and tell nothing of any user. `/` belongs to the pages where they are
//! served; elsewhere it is a line of text.

use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL,
    CONTENT_TYPE, ORIGIN,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use foxden_accounts::Accounts;
use foxden_storage::Storage;
use serde::Serialize;

use crate::wire::{AccessLogFields, Routes, chain, label_route};

/// State of the service pages.
#[derive(Clone)]
pub struct OpsState {
    /// The storage whose health is shown, if this process has one.
    pub storage: Option<Storage>,
    /// The accounts, if this process has them: tokens need them as objects need storage.
    pub accounts: Option<Accounts>,
    /// The program's version.
    pub version: Version,
}

/// The program's version, as `__version__` prints it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Version {
    /// Where its source code is.
    pub source: &'static str,
    /// The version number.
    pub version: &'static str,
    /// The commit it was built from, if it is known.
    pub commit: &'static str,
    /// The build it came from, if it is known.
    pub build: &'static str,
}

#[derive(Serialize)]
struct Health<'a> {
    version: &'a str,
    quota: Quota,
    database: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    database_msg: Option<&'static str>,
    status: &'static str,
}

#[derive(Serialize)]
struct Quota {
    enabled: bool,
    size: u64,
}

/// The methods and paths of the service pages, without `/`.
pub const ROUTES: [(&str, &str); 3] = [
    ("GET", "/__heartbeat__"),
    ("GET", "/__lbheartbeat__"),
    ("GET", "/__version__"),
];

/// The service pages.
pub fn router(state: OpsState) -> Router {
    let (router, labels) = routes().build("");
    router
        .with_state(state)
        .layer(from_fn_with_state(labels, label_route))
}

pub(crate) fn routes() -> Routes<OpsState> {
    let [(_, heartbeat), (_, balancer), (_, version)] = ROUTES;
    Routes::new()
        .route(heartbeat, allow_any_page(get(show_health)))
        .route(balancer, allow_any_page(get(answer_balancer)))
        .route(version, allow_any_page(get(show_version)))
}

/// The path that crawlers read first.
pub(crate) const ROBOTS: &str = "/robots.txt";

/// `/robots.txt`, on every listener: nothing here is worth indexing.
pub fn robots() -> Router {
    const DAY: [(HeaderName, HeaderValue); 2] = [
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400")),
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
    ];
    let answer = async || {
        (
            Extension(AccessLogFields::of_route(ROBOTS)),
            DAY,
            "User-agent: *\nDisallow: /\n",
        )
    };
    Router::new().route(ROBOTS, get(answer))
}

/// `/`, where no pages are served.
pub fn root() -> Router {
    let answer = async || {
        (
            Extension(AccessLogFields::of_route("/")),
            NO_STORE,
            "Foxden, a Firefox Sync server. It works.\n",
        )
    };
    Router::new().route("/", get(answer))
}

const NO_STORE: [(HeaderName, HeaderValue); 1] = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// Allows pages of any origin to ask.
fn allow_any_page(pages: MethodRouter<OpsState>) -> MethodRouter<OpsState> {
    pages.options(allow_any_origin)
}

async fn allow_any_origin(headers: HeaderMap) -> Response {
    let mut response = StatusCode::OK.into_response();
    if let Some(origin) = headers.get(ORIGIN) {
        let allowed = response.headers_mut();
        allowed.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        allowed.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("1728000"));
        allowed.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS"),
        );
    }
    response
}

/// `GET /__heartbeat__`
async fn show_health(State(ops): State<OpsState>) -> Response {
    let failure = ops.find_failure().await;
    let quota = ops.storage.as_ref().and_then(Storage::quota);
    let mut health = Health {
        version: ops.version.version,
        quota: Quota {
            enabled: quota.is_some(),
            size: quota.unwrap_or(0),
        },
        database: "Ok",
        database_msg: None,
        status: "Ok",
    };
    let Some((words, why)) = failure else {
        return json(StatusCode::OK, &health);
    };
    health.database = "Unknown";
    health.database_msg = Some(words);
    health.status = "Err";
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &health);
    response.extensions_mut().insert(AccessLogFields::refused(why));
    response
}

impl OpsState {
    /// Returns what does not answer, in words for clients, and the reason for the log.
    async fn find_failure(&self) -> Option<(&'static str, String)> {
        if let Some(storage) = &self.storage
            && let Err(error) = storage.check().await
        {
            return Some(("the storage engine cannot serve", chain(&error)));
        }
        let error = self.accounts.as_ref()?.check().await.err()?;
        Some(("the register cannot serve", chain(&error)))
    }
}

/// `GET /__lbheartbeat__`: answers as long as the process does, whatever its databases do.
async fn answer_balancer() -> Response {
    json(StatusCode::OK, &serde_json::Map::new())
}

/// `GET /__version__`
async fn show_version(State(ops): State<OpsState>) -> Response {
    json(StatusCode::OK, &ops.version)
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_string(body).expect("plain structs can always be written as JSON");
    let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, NO_STORE, json, body).into_response()
}

#[cfg(test)]
mod tests;
