//! The User API 1.0: the accounts of Sync 1.x, a name and a password sent with Basic. And how two old devices meet.
//!
//! - [`target`]: what the path of a request names
//! - [`ask`]: how a request is read; who asks
//! - [`account`]: whether a name is taken, accounts made and removed, their node
//! - [`password`], [`address`]: changing and resetting the one, changing the other
//! - [`guard`]: the question that a person answers; [`secret`]: the operator's own word
//! - [`mod@answer`], [`refusal`]: how answers and refusals are printed
//! - [`exchange`]: the key exchange, with routes of its own

mod account;
mod address;
mod answer;
mod ask;
pub mod exchange;
mod guard;
mod password;
mod refusal;
mod secret;
mod target;
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
use crate::wire::{HostCheck, Memory, Site, ToTheEnd, refuse_foreign_hosts, set_route};
use ask::Ask;
use refusal::{Refusal, refuse_foreign_host};
pub use secret::AdminSecret;
pub(crate) use target::Place;
use target::Target;

/// The time, in seconds with two decimals.
const TIMESTAMP: HeaderName = HeaderName::from_static("x-weave-timestamp");

/// What the User API needs.
#[derive(Clone)]
pub struct UserState {
    /// The accounts.
    pub accounts: Accounts,
    /// The storage of this process, if it serves any: it refuses a closed account's stores at once.
    pub storage: Option<Storage>,
    /// Where this server is found.
    pub site: Arc<Site>,
    /// The time that every answer tells.
    pub clock: Arc<dyn Clock>,
    /// Carries out what must not stop halfway when its client hangs up.
    pub to_the_end: ToTheEnd,
    /// Room for bodies, shared with all other surfaces.
    pub memory: Arc<Memory>,
    /// The question that a person answers, where one is asked.
    pub captcha: Option<Arc<Captcha>>,
    /// What the operator sends to make accounts for others.
    pub admin_secret: Option<AdminSecret>,
    /// Whether every name must be the hash of its address; names that look like one must be in any case.
    pub is_strict_about_names: bool,
    /// Whether there is a page that takes the codes which reset passwords.
    pub offers_resets: bool,
}

/// The routes of the User API: everything below `/user/` and `/misc/`.
pub fn router(state: UserState) -> Router {
    let hosts = HostCheck {
        site: Arc::clone(&state.site),
        refuse: refuse_foreign_host,
    };
    let marked = state.clone();
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
        .layer(from_fn_with_state(marked, mark))
}

/// Answers one request.
async fn serve(State(user): State<UserState>, request: Request) -> Response {
    let Some(target) = Target::parse(request.uri().path()) else {
        return Refusal::UnknownPath.into_response();
    };
    let answer = async {
        let ask = Ask::read(request, &user, &target).await?;
        answer(&user, ask, target.place).await
    };
    let mut response = answer.await.unwrap_or_else(Refusal::into_response);
    set_route(&mut response, Some(target.place.template()));
    response
}

/// The routing table: one line for each method and path.
async fn answer(user: &UserState, ask: Ask, place: Place) -> Result<Response, Refusal> {
    let method = if ask.parts.method == Method::HEAD {
        Method::GET
    } else {
        ask.parts.method.clone()
    };
    match (method.as_str(), place) {
        ("GET", Place::Account) => account::is_taken(user, &ask).await,
        ("PUT", Place::Account) => account::create(user, &ask).await,
        ("DELETE", Place::Account) => account::remove(user, ask).await,
        ("GET", Place::Node) => account::node(user, &ask).await,
        ("GET", Place::Reset) => password::request_reset(user, &ask).await,
        ("DELETE", Place::Reset) => password::drop_reset(user, &ask).await,
        ("POST", Place::Password) => password::change(user, &ask).await,
        ("POST", Place::Email) => address::change(user, &ask).await,
        ("GET" | "POST", Place::Captcha) => guard::question(user),
        ("GET", Place::CaptchaStyle) => guard::style(user),
        (_, place) => Err(Refusal::WrongMethod(place.methods())),
    }
}

/// Puts the headers on an answer that every one carries.
async fn mark(State(user): State<UserState>, request: Request, next: Next) -> Response {
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
