//! The question that a person answers, where the server asks one.

use askama::Template;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use foxden_accounts::security::{Event, What};

use super::UserState;
use super::ask::{self, Ask};
use super::refusal::Refusal;
use crate::wire::captcha::{Pass, Question};

/// Nothing from elsewhere, nothing inline. Clients show the page in a frame, so it may stand in one.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'none'; base-uri 'none'";

#[derive(Template)]
#[template(path = "user/captcha.html")]
struct QuestionPage<'a> {
    question: Question,
    /// What the paths of this surface begin with, as clients see them.
    base: &'a str,
}

/// `GET /misc/1.0/captcha_html`. Clients leave the question out when this is not found.
pub(super) fn question(user: &UserState) -> Result<Response, Refusal> {
    let captcha = user.captcha.as_ref().ok_or(Refusal::UnknownPath)?;
    let page = QuestionPage {
        question: captcha.ask(),
        base: user.site.public_url.path(),
    };
    let mut response = match page.render() {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page with the question could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// `GET /misc/1.0/captcha.css`: how that page looks.
pub(super) fn style(user: &UserState) -> Result<Response, Refusal> {
    if user.captcha.is_none() {
        return Err(Refusal::UnknownPath);
    }
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    Ok((headers, include_str!("../../assets/captcha.css")).into_response())
}

/// Checks the answer, where one is needed.
pub(super) fn check(user: &UserState, ask: &Ask, response: &ask::Response) -> Result<Option<Pass>, Refusal> {
    let Some(captcha) = &user.captcha else {
        return Ok(None);
    };
    let pass = captcha.check(&response.challenge, &response.answer);
    pass.map(Some).map_err(|wrong| {
        let event = Event::by(&ask.visitor, What::CaptchaFailed);
        user.accounts
            .tell(&event.about(&ask.name).because(&wrong.to_string()));
        Refusal::WrongAnswer(wrong)
    })
}

/// Lets the same answer be given again: what it stood guard over failed for another reason, and clients keep showing the
/// question that they have.
pub(super) fn give_back(user: &UserState, pass: Option<Pass>) {
    if let (Some(captcha), Some(pass)) = (&user.captcha, pass) {
        captcha.give_back(&pass);
    }
}
