//! The pages that old clients open: request a new password, set it, delete the account.
//!
//! They are plain forms without scripts and cookies, for browsers that are years old. The password is sent as it
//! is, as these clients always do.
//!
//! - [`form`]: reads forms
//! - [`errors`]: error messages, in phrases that clients look for
//! - [`reset`]: requests a code, and sets a new password with it
//! - [`delete`]: removes an account

mod delete;
mod errors;
mod form;
mod reset;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use foxden_accounts::Accounts;
use foxden_storage::Storage;

use super::page::{Page, PageContext, render};
use super::{links, text_pages};
use crate::wire::captcha::Captcha;
use crate::wire::{AccessLogFields, Memory, TaskSpawner, set_retry_after};
use errors::PageError;
use form::Form;

/// As strict as the policy of other pages, and without scripts.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'";
/// The URL of the reset page contains the code, so only the origin may be sent along with a request. Without any
/// referrer, browsers would send no origin with the form either, and `localhost` would be refused.
const REFERRER: &str = "no-referrer, strict-origin";

/// State of the pages for old clients.
#[derive(Clone)]
pub struct LegacyPages {
    /// The accounts.
    pub accounts: Accounts,
    /// The storage of this process, if it has one: it empties the stores of a removed account at once.
    pub storage: Option<Storage>,
    /// The memory budgets of bodies, shared with all other surfaces.
    pub memory: Arc<Memory>,
    /// The captcha for resets, if the operator has switched it on.
    pub captcha: Option<Arc<Captcha>>,
    /// Runs tasks that must not stop when the client disconnects.
    pub task_spawner: TaskSpawner,
    /// The address of the key exchange, if this server has one.
    pub key_exchange_url: Option<String>,
}

/// State of the handlers.
#[derive(Clone)]
struct Legacy {
    context: PageContext,
    parts: Arc<LegacyPages>,
}

#[derive(Template)]
#[template(path = "pages/legacy/page_error.html")]
struct ErrorPage {
    page: Page,
    form: Form,
    page_error: PageError,
    /// When the client may try again.
    until: Option<String>,
}

/// The templates of the routes.
pub(super) const TEMPLATES: [&str; 3] = [links::LEGACY_RESET, "/weave-delete-account", "/media/{name}"];

/// The routes, with and without the path of the public address: clients look below the address they were given.
pub(super) fn router(context: &PageContext, parts: LegacyPages) -> Router {
    let legacy = Legacy {
        context: context.clone(),
        parts: Arc::new(parts),
    };
    let path = context.site().public_url.path();
    let [reset, delete, file] = TEMPLATES;
    let mut router = Router::new();
    for base in [path, ""].iter().take(if path.is_empty() { 1 } else { 2 }) {
        for slash in ["", "/"] {
            router = router
                .route(
                    &format!("{base}{reset}{slash}"),
                    get(reset::form).post(reset::answer),
                )
                .route(
                    &format!("{base}{delete}{slash}"),
                    get(delete::form).post(delete::answer),
                );
        }
        router = router.route(&format!("{base}{file}"), get(media));
    }
    router.with_state(legacy).layer(map_response(add_headers))
}

/// `/media/<file>`: assets under names that do not change.
async fn media(
    State(legacy): State<Legacy>,
    Path(name): Path<String>,
    request_headers: HeaderMap,
) -> Response {
    match legacy.context.assets().answer_by_name(&name, &request_headers) {
        Some(file) => file,
        None => text_pages::not_found_page(&legacy.context),
    }
}

async fn add_headers(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static(REFERRER));
    answer
}

impl Legacy {
    /// Renders a page that says why there is no form.
    fn error_page(
        &self,
        page: Page,
        form: Form,
        page_error: PageError,
        why: impl Into<Cow<'static, str>>,
    ) -> Response {
        let until = match page_error {
            PageError::Wait { seconds } => Some(self.context.clock_time_in(seconds)),
            PageError::NotOurForm | PageError::ForeignPage | PageError::Busy | PageError::Down => None,
        };
        let shown = ErrorPage {
            page,
            form,
            page_error,
            until,
        };
        let answer = render(StatusCode::OK, &shown);
        refused(answer, page_error, why)
    }
}

/// Adds the status and the waiting time of an error.
fn refused(mut answer: Response, page_error: PageError, why: impl Into<Cow<'static, str>>) -> Response {
    *answer.status_mut() = match page_error {
        PageError::NotOurForm => StatusCode::BAD_REQUEST,
        PageError::ForeignPage => StatusCode::FORBIDDEN,
        PageError::Wait { .. } | PageError::Busy | PageError::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    if let Some(seconds) = page_error.retry_after() {
        set_retry_after(answer.headers_mut(), seconds);
    }
    with_log_reason(answer, why)
}

/// Adds a reason for the log.
fn with_log_reason(mut answer: Response, why: impl Into<Cow<'static, str>>) -> Response {
    answer.extensions_mut().insert(AccessLogFields::refused(why));
    answer
}
