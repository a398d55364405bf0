//! The captcha, where the operator has switched it on.

use askama::Template;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use foxden_accounts::security::{Event, EventKind};

use super::UserState;
use super::api_request::{self, ApiRequest};
use super::refusal::Refusal;
use crate::wire::captcha::{CaptchaError, CaptchaPass, Question};

/// The page loads its style sheet alone. Clients show it in a frame, so framing is allowed.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'none'; base-uri 'none'";

#[derive(Template)]
#[template(path = "user/captcha.html")]
struct QuestionPage<'a> {
    question: Question,
    /// The path of the public address.
    base: &'a str,
}

/// `GET /misc/1.0/captcha_html`. Clients leave the captcha out when this is not found.
pub(super) fn question(user: &UserState) -> Result<Response, Refusal> {
    let captcha = user.captcha.as_ref().ok_or(Refusal::UnknownPath)?;
    let page = QuestionPage {
        question: captcha.question(),
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

/// `GET /misc/1.0/captcha.css`: the style sheet of that page.
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

/// Checks the client's answer, where one is needed.
pub(super) async fn check(
    user: &UserState,
    request: &ApiRequest,
    response: &api_request::Response,
) -> Result<Option<CaptchaPass>, Refusal> {
    let Some(captcha) = &user.captcha else {
        return Ok(None);
    };
    match captcha.check(&response.challenge, &response.answer).await {
        Ok(pass) => Ok(Some(pass)),
        Err(CaptchaError::Wrong(wrong)) => {
            let event = Event::from_client(&request.client_info, EventKind::CaptchaFailed);
            user.accounts
                .emit(&event.with_subject(&request.name).with_reason(&wrong.to_string()));
            Err(Refusal::WrongAnswer(wrong))
        }
        Err(CaptchaError::Unavailable(error)) => Err(error.into()),
    }
}

/// Makes an answer valid again after the request failed for another reason: clients keep showing the same question.
pub(super) async fn restore(user: &UserState, pass: Option<CaptchaPass>) {
    if let (Some(captcha), Some(pass)) = (&user.captcha, pass) {
        captcha.restore(&pass).await;
    }
}
