//! The pages for people: front page, sign-up and sign-in, settings, invitations, help.
//!
//! Pages are rendered here and call the account API with the scripts of `assets/`. No page posts to this surface or
//! shows it a password, except the forms of [`legacy`]. No page sets a cookie.
//!
//! - [`page`]: what templates may ask
//! - [`script_pages`]: the front page, and the pages that need scripts
//! - [`text_pages`]: static pages
//! - [`legacy`]: the forms for old clients
//! - [`links`]: links to pages, for mails and terminals
//! - [`assets`]: style sheet, logo and scripts, named by their content
//! - [`browser`], [`qr`]: the reader's browser; addresses as QR codes

mod assets;
mod browser;
mod legacy;
pub mod links;
mod page;
mod qr;
mod script_pages;
mod text_pages;

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
use page::PageContext;
pub use page::ServerStatus;

/// The page loads from this server alone, has no inline scripts, and may not be framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// State of the pages.
#[derive(Clone)]
pub struct PagesState {
    /// Where the server is found.
    pub site: Arc<Site>,
    /// The clock that the front page compares with the reader's.
    pub clock: Arc<dyn Clock>,
    /// The sign-up policy, if the operator configured it. By default anyone while the server is private,
    /// otherwise holders of an invitation.
    pub sign_up: Option<SignUp>,
    /// How to contact the operator: the address of a page, or a `mailto:` link.
    pub contact: Option<String>,
    /// Whether codes and links are mailed. Otherwise the operator hands them out.
    pub sends_mail: bool,
    /// State of the pages for old clients, where they are served.
    pub legacy: Option<LegacyPages>,
    /// Returns the status of the server. Called for every front page.
    pub server_status: Arc<dyn Fn() -> StatusFuture + Send + Sync>,
}

/// The future of the server's status.
pub type StatusFuture = Pin<Box<dyn Future<Output = ServerStatus> + Send>>;

/// All pages, their assets, and the page for unknown paths.
pub fn router(state: PagesState) -> Router {
    let site = state.site.clone();
    let check = HostCheck {
        site: site.clone(),
        refuse: text_pages::misdirected,
    };
    let legacy = state.legacy.clone();
    let context = PageContext::new(state);
    let (router, labels) = routes().build(site.public_url.path());
    let mut router = router.fallback(text_pages::not_found).with_state(context.clone());
    if let Some(legacy) = legacy {
        router = router.merge(legacy::router(&context, legacy));
    }
    router
        .layer(from_fn_with_state(check, refuse_foreign_hosts))
        .layer(from_fn_with_state((site, labels), add_headers))
}

/// The route where password managers look for the page that changes a password. They ask at the root of the origin;
/// the route also exists below the path of the public address, as a proxy may keep or remove that path.
pub fn change_password(site: &Arc<Site>) -> Router {
    let check = HostCheck {
        site: Arc::clone(site),
        refuse: text_pages::misdirected,
    };
    let (router, labels) = change_password_route().build(site.public_url.path());
    router
        .layer(from_fn_with_state(check, refuse_foreign_hosts))
        .layer(from_fn_with_state((Arc::clone(site), labels), add_headers))
}

fn change_password_route() -> Routes<()> {
    Routes::new().route("/.well-known/change-password", get(text_pages::change_password))
}

/// The labels of all routes of the pages.
pub(crate) fn route_labels() -> Vec<&'static str> {
    [routes().labels(), change_password_route().labels()].concat()
}

fn routes() -> Routes<PageContext> {
    // Clients know more paths than this server has pages for, and add to them. Every path that begins like a
    // sign-in is one.
    Routes::new()
        .route("/", get(script_pages::root))
        .route("/assets/{name}", get(asset))
        .route("/favicon.ico", get(favicon))
        .route("/metrics-flow", get(text_pages::metrics_flow))
        .route("/connect_another_device", get(text_pages::connect_another_device))
        .route(links::INVITE, get(script_pages::invite))
        .route(links::CONFIRM_ADDRESS, get(script_pages::confirm_address))
        .route("/legal/terms", get(text_pages::terms))
        .route("/legal/privacy", get(text_pages::privacy))
        .route("/docs/errors", get(text_pages::errors))
        .route("/docs/https", get(text_pages::https))
        .routes(SIGN_IN, &get(script_pages::sign_in))
        .routes(SETTINGS, &get(script_pages::settings))
        .routes(RESET, &get(script_pages::reset))
        .routes(PAIR, &get(text_pages::pair))
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
const RESET: &[&str] = &[links::RESET_PASSWORD, "/reset_password/{*rest}"];
const PAIR: &[&str] = &["/pair", "/pair/", "/pair/{*rest}"];

async fn asset(State(context): State<PageContext>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    match context.assets().answer(&name, &headers) {
        Some(file) => file,
        None => text_pages::not_found_page(&context),
    }
}

async fn favicon(State(context): State<PageContext>, headers: HeaderMap) -> Response {
    let name = context.assets().path("mark.svg").trim_start_matches("/assets/");
    match context.assets().answer(name, &headers) {
        Some(file) => file,
        None => text_pages::not_found_page(&context),
    }
}

/// Adds the headers of every page, and its route for the access log.
async fn add_headers(
    State((site, labels)): State<(Arc<Site>, RouteLabels)>,
    request: Request,
    next: Next,
) -> Response {
    let route = labels.find(&request);
    let mut answer = next.run(request).await;
    set_route(&mut answer, route);
    let headers = answer.headers_mut();
    // Pages with other needs have set theirs.
    let mut set = |name: HeaderName, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(CONTENT_SECURITY_POLICY, POLICY);
    // The URL of a sign-in contains its state.
    set(REFERRER_POLICY, "no-referrer");
    set(X_FRAME_OPTIONS, "DENY");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // For crawlers that follow a link: `robots.txt` is at the root of the host, which may belong to another
    // service.
    set(ROBOTS_TAG, "noindex, nofollow");
    if site.public_url.is_https() {
        set(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    answer
}
