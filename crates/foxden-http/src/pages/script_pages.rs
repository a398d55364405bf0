//! The front page, and the pages that need scripts: sign-in, settings, reset, invitation.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, USER_AGENT};
use axum::response::Response;

use super::browser::Browser;
use super::page::{Page, PageContext, ServerStatus, render};
use super::text_pages;

#[derive(Template)]
#[template(path = "pages/front.html")]
struct FrontPage {
    page: Page,
    browser: Browser,
    server_status: ServerStatus,
}

impl FrontPage {
    fn is_well(&self) -> bool {
        self.server_status.storage_answers != Some(false)
    }

    fn is_empty(&self) -> bool {
        self.server_status.has_accounts == Some(false)
    }
}

#[derive(Template)]
#[template(path = "pages/signin.html")]
struct SignInPage {
    page: Page,
}

#[derive(Template)]
#[template(path = "pages/settings.html")]
struct SettingsPage {
    page: Page,
}

#[derive(Template)]
#[template(path = "pages/reset.html")]
struct ResetPage {
    page: Page,
}

#[derive(Template)]
#[template(path = "pages/invite.html")]
struct InvitePage {
    page: Page,
}

#[derive(Template)]
#[template(path = "pages/confirm.html")]
struct ConfirmPage {
    page: Page,
}

/// `/`: where browsers begin a sign-in, and the front page for people.
pub(super) async fn root(State(context): State<PageContext>, request: Request) -> Response {
    if has_query(&request, &["context", "client_id"]) {
        return sign_in(State(context), request).await;
    }
    let user_agent = request.headers().get(USER_AGENT).map(HeaderValue::to_str);
    let page = FrontPage {
        page: context.page(&request),
        browser: Browser::from_user_agent(user_agent.and_then(Result::ok).unwrap_or_default()),
        server_status: context.server_status().await,
    };
    render(StatusCode::OK, &page)
}

/// Every path that begins a sign-in. The approval of a pairing begins alike, and is not offered.
pub(super) async fn sign_in(State(context): State<PageContext>, request: Request) -> Response {
    if has_query(&request, &["channel_id"]) {
        return text_pages::pair(State(context), request).await;
    }
    let page = context.page(&request);
    render(StatusCode::OK, &SignInPage { page })
}

/// `/settings` and all paths below it.
pub(super) async fn settings(State(context): State<PageContext>, request: Request) -> Response {
    let page = context.page(&request);
    render(StatusCode::OK, &SettingsPage { page })
}

/// `/reset_password`
pub(super) async fn reset(State(context): State<PageContext>, request: Request) -> Response {
    let page = context.page(&request);
    render(StatusCode::OK, &ResetPage { page })
}

/// `/invite`; the code is in the fragment, which browsers do not send.
pub(super) async fn invite(State(context): State<PageContext>, request: Request) -> Response {
    let page = context.page(&request);
    render(StatusCode::OK, &InvitePage { page })
}

/// `/confirm_address`; account and code are in the fragment, which browsers do not send.
pub(super) async fn confirm_address(State(context): State<PageContext>, request: Request) -> Response {
    let page = context.page(&request);
    render(StatusCode::OK, &ConfirmPage { page })
}

fn has_query(request: &Request, names: &[&str]) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .any(|name| names.contains(&name))
}
