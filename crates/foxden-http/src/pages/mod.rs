//! The pages for people: front page, sign-up and sign-in, settings, invitations, help.
//!
//! Pages are rendered here and then talk to the account API by themselves, with the script of `assets/`: but for
//! the forms of [`legacy`], no page posts anything to this surface or learns a password. None sets a cookie.
//!
//! - [`page`]: what every page knows of the server
//! - [`front`]: the front page, and where the browser's own links lead
//! - [`plain`]: pages of words alone
//! - [`legacy`]: forms that old clients open
//! - [`assets`]: style sheet, mark and script, named by their content
//! - [`browser`], [`qr`]: which browser asks; addresses as QR codes

mod assets;
mod browser;
mod front;
mod legacy;
mod page;
mod plain;
mod qr;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use foxden_model::Clock;

use crate::wire::{HostCheck, RouteLabels, Routes, Site, refuse_foreign_hosts, set_route};
pub use foxden_accounts::SignUp;
pub use legacy::LegacyPages;
use page::House;
pub use page::Outlook;

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// What pages need.
#[derive(Clone)]
pub struct PagesState {
    /// Where the server is found.
    pub site: Arc<Site>,
    /// The time that the front page compares the reader's clock with.
    pub clock: Arc<dyn Clock>,
    /// Who may make accounts, if the operator said so. Else anyone while the server is private, and whoever
    /// has an invitation otherwise.
    pub sign_up: Option<SignUp>,
    /// How to reach the operator: the address of a page, or `mailto:` and an address.
    pub contact: Option<String>,
    /// Whether codes and links go out by mail. Else they wait for the operator to hand them over.
    pub sends_mail: bool,
    /// What the pages for old clients need, where such clients are served.
    pub legacy: Option<LegacyPages>,
    /// How the server fares, asked each time the front page is shown.
    pub outlook: Arc<dyn Fn() -> LookOut + Send + Sync>,
}

/// The answer to how the server fares, as it is being found out.
pub type LookOut = Pin<Box<dyn Future<Output = Outlook> + Send>>;

/// All pages, their assets, and the page for what is not there.
pub fn router(state: PagesState) -> Router {
    let site = state.site.clone();
    let check = HostCheck {
        site: site.clone(),
        refuse: plain::misdirected,
    };
    let legacy = state.legacy.clone();
    let house = House::new(state);
    let (router, labels) = routes().build(site.public_url.path());
    let mut router = router.fallback(plain::not_found).with_state(house.clone());
    if let Some(legacy) = legacy {
        router = router.merge(legacy::router(&house, legacy));
    }
    router
        .layer(from_fn_with_state(check, refuse_foreign_hosts))
        .layer(from_fn_with_state((site, labels), add_headers))
}

/// Where password managers look for the page that changes a password. They ask at the root of the origin; with this
/// router below the path of the public address too, a proxy may hand that path on or cut it off.
pub fn change_password(site: &Arc<Site>) -> Router {
    let check = HostCheck {
        site: Arc::clone(site),
        refuse: plain::misdirected,
    };
    let (router, labels) = change_password_route().build(site.public_url.path());
    router
        .layer(from_fn_with_state(check, refuse_foreign_hosts))
        .layer(from_fn_with_state((Arc::clone(site), labels), add_headers))
}

fn change_password_route() -> Routes<()> {
    Routes::new().route("/.well-known/change-password", get(plain::change_password))
}

/// The labels of all routes of the pages.
pub(crate) fn route_labels() -> Vec<&'static str> {
    [routes().labels(), change_password_route().labels()].concat()
}

fn routes() -> Routes<House> {
    // Clients know more names than this server has pages for, and add to them: whatever begins like a sign-in
    // is one.
    Routes::new()
        .route("/", get(front::root))
        .route("/assets/{name}", get(asset))
        .route("/favicon.ico", get(favicon))
        .route("/metrics-flow", get(plain::metrics_flow))
        .route("/connect_another_device", get(plain::connect_another_device))
        .route("/invite", get(front::invite))
        .route("/confirm_address", get(front::confirm_address))
        .route("/legal/terms", get(plain::terms))
        .route("/legal/privacy", get(plain::privacy))
        .route("/docs/errors", get(plain::errors))
        .route("/docs/https", get(plain::https))
        .routes(SIGN_IN, &get(front::sign_in))
        .routes(SETTINGS, &get(front::settings))
        .routes(RESET, &get(front::reset))
        .routes(PAIR, &get(plain::pair))
        .with_labels(&legacy::TEMPLATES)
}

const SIGN_IN: &[&str] = &[
    "/signin",
    "/signin/{*rest}",
    "/signup",
    "/signup/{*rest}",
    "/force_auth",
    "/force_auth/{*rest}",
    "/oauth",
    "/oauth/{*rest}",
    "/authorization",
    "/authorization/{*rest}",
    "/post_verify",
    "/post_verify/{*rest}",
];
const SETTINGS: &[&str] = &["/settings", "/settings/", "/settings/{*rest}"];
const RESET: &[&str] = &["/reset_password", "/reset_password/{*rest}"];
const PAIR: &[&str] = &["/pair", "/pair/", "/pair/{*rest}"];

async fn asset(State(house): State<House>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    match house.assets().answer(&name, &headers) {
        Some(file) => file,
        None => plain::nothing_here(&house),
    }
}

async fn favicon(State(house): State<House>, headers: HeaderMap) -> Response {
    let name = house.assets().path("mark.svg").trim_start_matches("/assets/");
    match house.assets().answer(name, &headers) {
        Some(file) => file,
        None => plain::nothing_here(&house),
    }
}

/// Puts the headers on a page that every one carries, and its route into the access log.
async fn add_headers(
    State((site, labels)): State<(Arc<Site>, RouteLabels)>,
    request: Request,
    next: Next,
) -> Response {
    let route = labels.find(&request);
    let mut answer = next.run(request).await;
    set_route(&mut answer, route);
    let headers = answer.headers_mut();
    // Pages that need less have said so.
    let mut set = |name: HeaderName, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(CONTENT_SECURITY_POLICY, POLICY);
    // The address of a sign-in carries its state.
    set(REFERRER_POLICY, "no-referrer");
    set(X_FRAME_OPTIONS, "DENY");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // For crawlers that come by a link: `robots.txt` stands at the root of the host, which may be somebody else's.
    set(ROBOTS_TAG, "noindex, nofollow");
    if site.public_url.is_https() {
        set(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    answer
}
