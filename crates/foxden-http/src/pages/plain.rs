//! Pages of words alone: help, privacy, what is not offered, what is not there.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};

use super::page::{House, Page, show};
use crate::wire::{Note, Site};

macro_rules! words {
    ($(#[$doc:meta])* $handler:ident, $page:ident, $path:literal) => {
        #[derive(Template)]
        #[template(path = $path)]
        struct $page {
            page: Page,
        }

        $(#[$doc])*
        pub(super) async fn $handler(State(house): State<House>, request: Request) -> Response {
            let page = house.page(&request);
            show(StatusCode::OK, &$page { page })
        }
    };
}

/// `/.well-known/change-password`: the settings are where a password is changed.
pub(super) async fn change_password() -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, "/settings")]).into_response()
}

words!(
    /// `/connect_another_device`
    connect_another_device,
    ConnectPage,
    "pages/connect.html"
);
words!(
    /// `/pair` and all below it: not offered.
    pair,
    PairPage,
    "pages/pair.html"
);
words!(
    /// `/legal/terms`
    terms,
    TermsPage,
    "pages/terms.html"
);
words!(
    /// `/legal/privacy`
    privacy,
    PrivacyPage,
    "pages/privacy.html"
);
words!(
    /// `/docs/errors`: what to do when something fails.
    errors,
    ErrorsPage,
    "pages/help.html"
);
words!(
    /// `/docs/https`: how the operator switches on encryption.
    https,
    HttpsPage,
    "pages/https.html"
);

#[derive(Template)]
#[template(path = "pages/not_found.html")]
struct NotFoundPage {
    page: Page,
}

#[derive(Template)]
#[template(path = "pages/misdirected.html")]
struct MisdirectedPage {
    origin: String,
}

/// Any path that nothing is at.
pub(super) async fn not_found(State(house): State<House>) -> Response {
    nothing_here(&house)
}

/// The page for what is not there.
pub(super) fn nothing_here(house: &House) -> Response {
    let page = house.page_for(false);
    show(StatusCode::NOT_FOUND, &NotFoundPage { page })
}

/// The page for a request that asks for a name which is not ours. It loads nothing, as nothing would come.
pub(super) fn misdirected(site: &Site) -> Response {
    let origin = site.public_url.origin();
    let mut answer = show(StatusCode::MISDIRECTED_REQUEST, &MisdirectedPage { origin });
    answer
        .extensions_mut()
        .insert(Note::refused("the request names a host that is not ours"));
    answer
}

/// `/metrics-flow`: the browser's first-run page asks, and wants any JSON. Nothing is counted.
pub(super) async fn metrics_flow() -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, "{}").into_response()
}
