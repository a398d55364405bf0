//! The User API 1.0: accounts of Sync 1.x, which authenticate by Basic with name and password. And the key exchange
//! of old devices.
//!
//! - [`route`]: what a path names
//! - [`api_request`]: reads requests
//! - [`account`]: whether a name is taken, creation and removal of accounts, their node
//! - [`password`], [`address`]: change and reset of the password, change of the address
//! - [`captcha`]: the captcha; [`admin_secret`]: the operator's secret
//! - [`mod@answer`], [`refusal`]: how answers and refusals are printed
//! - [`exchange`]: the key exchange, with routes of its own

mod account;
mod address;
mod admin_secret;
mod answer;
mod api_request;
mod captcha;
pub mod exchange;
mod password;
mod refusal;
mod route;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use foxden_accounts::Accounts;
use foxden_model::Clock;
use foxden_storage::Storage;

use crate::wire::captcha::Captcha;
use crate::wire::{HostCheck, Memory, Site, TaskSpawner, refuse_foreign_hosts, set_route};
pub use admin_secret::AdminSecret;
use api_request::ApiRequest;
use refusal::{Refusal, refuse_foreign_host};
pub(crate) use route::Route;
use route::Target;

/// The time of the response, in seconds with two decimals.
const TIMESTAMP: HeaderName = HeaderName::from_static("x-weave-timestamp");

/// State of the User API.
#[derive(Clone)]
pub struct UserState {
    /// The accounts.
    pub accounts: Accounts,
    /// The storage of this process, if it has one: it refuses the stores of a removed account at once.
    pub storage: Option<Storage>,
    /// Where this server is found.
    pub site: Arc<Site>,
    /// The clock of the time header.
    pub clock: Arc<dyn Clock>,
    /// Runs tasks that must not stop when the client disconnects.
    pub task_spawner: TaskSpawner,
    /// The memory budgets of bodies, shared with all other surfaces.
    pub memory: Arc<Memory>,
    /// The captcha, where one is asked.
    pub captcha: Option<Arc<Captcha>>,
    /// The secret with which the operator creates accounts for others.
    pub admin_secret: Option<AdminSecret>,
    /// Whether every name must be the hash of its address. Names that look like a hash must be one in any case.
    pub is_strict_about_names: bool,
    /// Whether there is a page that accepts the codes for password resets.
    pub offers_resets: bool,
}

/// The routes of the User API: everything below `/user/` and `/misc/`.
pub fn router(state: UserState) -> Router {
    let hosts = HostCheck {
        site: Arc::clone(&state.site),
        refuse: refuse_foreign_host,
    };
    let header_state = state.clone();
    let paths = [
        "/user",
        "/user/",
        "/user/{*path}",
        "/misc",
        "/misc/",
        "/misc/{*path}",
    ];
    let add = |router: Router<UserState>, path| router.route(path, any(serve));
    paths
        .into_iter()
        .fold(Router::new(), add)
        .with_state(state)
        .layer(from_fn_with_state(hosts, refuse_foreign_hosts))
        .layer(from_fn_with_state(header_state, add_headers))
}

/// Answers one request.
async fn serve(State(user): State<UserState>, request: Request) -> Response {
    let Some(target) = Target::parse(request.uri().path()) else {
        return Refusal::UnknownPath.into_response();
    };
    let answer = async {
        let request = ApiRequest::read(request, &user, &target).await?;
        answer(&user, request, target.route).await
    };
    let mut response = answer.await.unwrap_or_else(Refusal::into_response);
    set_route(&mut response, Some(target.route.template()));
    response
}

/// The routing table: one line for each method and path.
async fn answer(user: &UserState, request: ApiRequest, route: Route) -> Result<Response, Refusal> {
    let method = if request.parts.method == Method::HEAD {
        Method::GET
    } else {
        request.parts.method.clone()
    };
    match (method.as_str(), route) {
        ("GET", Route::Account) => account::is_taken(user, &request).await,
        ("PUT", Route::Account) => account::create(user, &request).await,
        ("DELETE", Route::Account) => account::remove(user, request).await,
        ("GET", Route::Node) => account::node(user, &request).await,
        ("GET", Route::Reset) => password::request_reset(user, &request).await,
        ("DELETE", Route::Reset) => password::drop_reset(user, &request).await,
        ("POST", Route::Password) => password::change(user, &request).await,
        ("POST", Route::Email) => address::change(user, &request).await,
        ("GET" | "POST", Route::Captcha) => captcha::question(user),
        ("GET", Route::CaptchaStyle) => captcha::style(user),
        (_, route) => Err(Refusal::WrongMethod(route.methods())),
    }
}

/// Adds the headers of every response.
async fn add_headers(State(user): State<UserState>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let now = HeaderValue::try_from(user.clock.now().to_string());
    headers.insert(TIMESTAMP, now.expect("digits and a point"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let unstored = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(unstored);
    if user.site.public_url.is_https() {
        let long = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, long);
    }
    response
}
