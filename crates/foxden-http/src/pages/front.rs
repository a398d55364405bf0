//! The front page, and the pages that work by script: sign-in, settings, reset, invitation.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, USER_AGENT};
use axum::response::Response;

use super::browser::Browser;
use super::page::{House, Outlook, Page, show};
use super::plain;

#[derive(Template)]
#[template(path = "pages/front.html")]
struct FrontPage {
    page: Page,
    browser: Browser,
    outlook: Outlook,
}

impl FrontPage {
    fn is_well(&self) -> bool {
        self.outlook.storage_answers != Some(false)
    }

    fn is_empty(&self) -> bool {
        self.outlook.is_inhabited == Some(false)
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

/// `/`: where browsers begin a sign-in, and what people see who type the address.
pub(super) async fn root(State(house): State<House>, request: Request) -> Response {
    if has_query(&request, &["context", "client_id"]) {
        return sign_in(State(house), request).await;
    }
    let user_agent = request.headers().get(USER_AGENT).map(HeaderValue::to_str);
    let page = FrontPage {
        page: house.page(&request),
        browser: Browser::from_user_agent(user_agent.and_then(Result::ok).unwrap_or_default()),
        outlook: house.outlook().await,
    };
    show(StatusCode::OK, &page)
}

/// Every way to begin a sign-in. An approval of pairing begins alike, and is not offered.
pub(super) async fn sign_in(State(house): State<House>, request: Request) -> Response {
    if has_query(&request, &["channel_id"]) {
        return plain::pair(State(house), request).await;
    }
    let page = house.page(&request);
    show(StatusCode::OK, &SignInPage { page })
}

/// `/settings` and all below it.
pub(super) async fn settings(State(house): State<House>, request: Request) -> Response {
    let page = house.page(&request);
    show(StatusCode::OK, &SettingsPage { page })
}

/// `/reset_password`
pub(super) async fn reset(State(house): State<House>, request: Request) -> Response {
    let page = house.page(&request);
    show(StatusCode::OK, &ResetPage { page })
}

/// `/invite`; the code stands in the fragment and never comes here.
pub(super) async fn invite(State(house): State<House>, request: Request) -> Response {
    let page = house.page(&request);
    show(StatusCode::OK, &InvitePage { page })
}

/// `/confirm_address`; account and code stand in the fragment and never come here.
pub(super) async fn confirm_address(State(house): State<House>, request: Request) -> Response {
    let page = house.page(&request);
    show(StatusCode::OK, &ConfirmPage { page })
}

fn has_query(request: &Request, names: &[&str]) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .any(|name| names.contains(&name))
}
