//! The pages that old clients open: ask for a new password, set it, delete the account.
//!
//! They are plain forms, without script and without cookies, and work in browsers that are years behind. The
//! password travels with them, as it does with everything that such clients send.
//!
//! - [`form`]: what somebody sent, and who
//! - [`fault`]: what can be wrong with it, in words that clients look for
//! - [`reset`]: asking for a code, and a new password for one
//! - [`delete`]: the end of an account

mod delete;
mod fault;
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

use super::page::{House, Page, show};
use super::plain;
use crate::wire::captcha::Captcha;
use crate::wire::{Memory, Note, ToTheEnd, ask_to_wait};
use fault::Trouble;
use form::Form;

/// As strict as that of other pages, and no script.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'";
/// The address of the reset page holds the code, so only the name of the server may go along with a request.
/// With nothing at all browsers would not say either that a form comes from here, and `localhost` would be refused.
const REFERRER: &str = "no-referrer, strict-origin";

/// What the pages for old clients need.
#[derive(Clone)]
pub struct LegacyPages {
    /// The accounts.
    pub accounts: Accounts,
    /// The storage of this process, if it serves any: it empties a closed account's stores at once.
    pub storage: Option<Storage>,
    /// Room for bodies, shared with all other surfaces.
    pub memory: Arc<Memory>,
    /// Asks who wants a reset, if the operator wants that.
    pub captcha: Option<Arc<Captcha>>,
    /// Carries out what must not stop halfway when its client hangs up.
    pub to_the_end: ToTheEnd,
    /// Where two such browsers meet to hand over their key, if this server has such a place.
    pub meeting_place: Option<String>,
}

/// What handlers here share.
#[derive(Clone)]
struct Legacy {
    house: House,
    parts: Arc<LegacyPages>,
}

#[derive(Template)]
#[template(path = "pages/legacy/trouble.html")]
struct TroublePage {
    page: Page,
    form: Form,
    trouble: Trouble,
    /// When the next try is heard.
    until: Option<String>,
}

/// The templates of the routes here.
pub(super) const TEMPLATES: [&str; 3] = ["/weave-password-reset", "/weave-delete-account", "/media/{name}"];

/// The routes, wherever the public address has them: clients look below the address they were given.
pub(super) fn router(house: &House, parts: LegacyPages) -> Router {
    let legacy = Legacy {
        house: house.clone(),
        parts: Arc::new(parts),
    };
    let path = house.site().public_url.path();
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

/// `/media/<file>`: what pages show, under names that do not change.
async fn media(State(legacy): State<Legacy>, Path(name): Path<String>, asked: HeaderMap) -> Response {
    match legacy.house.assets().answer_by_name(&name, &asked) {
        Some(file) => file,
        None => plain::nothing_here(&legacy.house),
    }
}

async fn add_headers(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static(REFERRER));
    answer
}

impl Legacy {
    /// The page that says why there is no form.
    fn trouble(
        &self,
        page: Page,
        form: Form,
        trouble: Trouble,
        why: impl Into<Cow<'static, str>>,
    ) -> Response {
        let until = match trouble {
            Trouble::Wait { seconds } => Some(self.house.clock_time_in(seconds)),
            Trouble::NotOurForm | Trouble::ForeignPage | Trouble::Busy | Trouble::Down => None,
        };
        let shown = TroublePage {
            page,
            form,
            trouble,
            until,
        };
        let answer = show(StatusCode::OK, &shown);
        refused(answer, trouble, why)
    }
}

/// The answer with the status and the waiting time that belong to a trouble.
fn refused(mut answer: Response, trouble: Trouble, why: impl Into<Cow<'static, str>>) -> Response {
    *answer.status_mut() = match trouble {
        Trouble::NotOurForm => StatusCode::BAD_REQUEST,
        Trouble::ForeignPage => StatusCode::FORBIDDEN,
        Trouble::Wait { .. } | Trouble::Busy | Trouble::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    if let Some(seconds) = trouble.retry_after() {
        ask_to_wait(answer.headers_mut(), seconds);
    }
    noted(answer, why)
}

/// The answer with a reason for the log.
fn noted(mut answer: Response, why: impl Into<Cow<'static, str>>) -> Response {
    answer.extensions_mut().insert(Note::refused(why));
    answer
}
