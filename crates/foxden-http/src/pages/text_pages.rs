//! Static pages: help, privacy, features that are not offered, unknown paths.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};

use super::page::{Page, PageContext, render};
use crate::wire::{AccessLogFields, Site};

macro_rules! text_page {
    ($(#[$doc:meta])* $handler:ident, $page:ident, $path:literal) => {
        #[derive(Template)]
        #[template(path = $path)]
        struct $page {
            page: Page,
        }

        $(#[$doc])*
        pub(super) async fn $handler(State(context): State<PageContext>, request: Request) -> Response {
            let page = context.page(&request);
            render(StatusCode::OK, &$page { page })
        }
    };
}

/// `/.well-known/change-password`: passwords are changed in the settings.
pub(super) async fn change_password() -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, "/settings")]).into_response()
}

text_page!(
    /// `/connect_another_device`
    connect_another_device,
    ConnectPage,
    "pages/connect.html"
);
text_page!(
    /// `/pair` and all paths below it: not offered.
    pair,
    PairPage,
    "pages/pair.html"
);
text_page!(
    /// `/legal/terms`
    terms,
    TermsPage,
    "pages/terms.html"
);
text_page!(
    /// `/legal/privacy`
    privacy,
    PrivacyPage,
    "pages/privacy.html"
);
text_page!(
    /// `/docs/errors`: what to do when something fails.
    errors,
    ErrorsPage,
    "pages/help.html"
);
text_page!(
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

/// Any unknown path.
pub(super) async fn not_found(State(context): State<PageContext>) -> Response {
    not_found_page(&context)
}

/// Renders the page for an unknown path.
pub(super) fn not_found_page(context: &PageContext) -> Response {
    let page = context.page_for(false);
    render(StatusCode::NOT_FOUND, &NotFoundPage { page })
}

/// Renders the page for a request to a foreign host. It loads nothing, as its assets would be refused, too.
pub(super) fn misdirected(site: &Site) -> Response {
    let origin = site.public_url.origin();
    let mut answer = render(StatusCode::MISDIRECTED_REQUEST, &MisdirectedPage { origin });
    answer.extensions_mut().insert(AccessLogFields::refused(
        "the request names a host that is not ours",
    ));
    answer
}

/// `/metrics-flow`: the browser's first-run page expects any JSON. Nothing is counted.
pub(super) async fn metrics_flow() -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, "{}").into_response()
}
