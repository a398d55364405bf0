//! Requests a reset code, and sets a new password with a code from a mail or the operator.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use foxden_accounts::ResetRequestError;
use foxden_accounts::legacy::{self, DataLossConsent};
use foxden_accounts::security::{Event, EventKind};
use foxden_model::Escaped;

use super::errors::{FieldError, FormError, FormFailure, PageError};
use super::form::Submission;
use super::{Legacy, Page, render};
use crate::wire::captcha::{CaptchaError, Question};

#[derive(Template)]
#[template(path = "pages/legacy/ask.html")]
struct AskPage {
    page: Page,
    form_error: FormError,
    typed: String,
    question: Option<Question>,
}

#[derive(Template)]
#[template(path = "pages/legacy/asked.html")]
struct AskedPage {
    page: Page,
    typed: String,
}

#[derive(Template)]
#[template(path = "pages/legacy/reset.html")]
struct ResetPage {
    page: Page,
    form_error: FormError,
    typed: String,
    key: String,
    /// Whether data of modern browsers would become unreadable, as far as that is known.
    loses: Option<bool>,
    is_ticked: bool,
}

#[derive(Template)]
#[template(path = "pages/legacy/reset_done.html")]
struct DonePage {
    page: Page,
    loses: bool,
}

/// `GET /weave-password-reset`
pub(super) async fn form(State(legacy): State<Legacy>, submission: Submission) -> Response {
    if submission.is_empty() {
        return ask_form(&legacy, submission, None);
    }
    if !submission.has("key") && !submission.has("error") {
        return legacy.error_page(
            submission.page,
            submission.form,
            PageError::NotOurForm,
            "neither a key nor an error",
        );
    }
    // Embedded resources of foreign pages may have the URL of a link as well, and would use up tries.
    if key(&submission).is_empty() || typed(&submission).is_empty() || !submission.is_navigation {
        return reset_form(submission, None, None);
    }
    // Opening the link does not use it up. Errors of the code are shown before a password is typed.
    match check(&legacy, &submission).await {
        Ok(loses) => reset_form(submission, None, Some(loses)),
        Err(failure) => legacy.reset_again(submission, failure, None),
    }
}

/// `POST /weave-password-reset`: without a code it requests one, with a code it sets the password.
pub(super) async fn answer(State(legacy): State<Legacy>, submission: Submission) -> Response {
    if !submission.has("key") {
        return ask(&legacy, submission).await;
    }
    let checked = check(&legacy, &submission).await;
    let loses = checked.as_ref().ok().copied();
    match set_password(&legacy, &submission, checked).await {
        Ok(loses) => render(
            StatusCode::OK,
            &DonePage {
                page: submission.page,
                loses,
            },
        ),
        Err(failure) => legacy.reset_again(submission, failure, loses),
    }
}

async fn ask(legacy: &Legacy, submission: Submission) -> Response {
    if submission.has_other_than(&["username", "captcha-challenge", "captcha-response"]) {
        return legacy.error_page(
            submission.page,
            submission.form,
            PageError::NotOurForm,
            "neither a name alone nor a key",
        );
    }
    match request(legacy, &submission).await {
        Ok(()) => {
            let typed = Escaped(typed(&submission)).to_string();
            render(
                StatusCode::OK,
                &AskedPage {
                    page: submission.page,
                    typed,
                },
            )
        }
        Err(FormFailure::Field(field_error)) => ask_form(legacy, submission, Some(field_error)),
        Err(FormFailure::Page(page_error, why)) => {
            legacy.error_page(submission.page, submission.form, page_error, why)
        }
    }
}

/// Mails a reset code. The captcha is checked before the name, so that a client cannot probe many names.
async fn request(legacy: &Legacy, submission: &Submission) -> Result<(), FormFailure> {
    let name = name(submission)?;
    if let Some(captcha) = &legacy.parts.captcha {
        let (challenge, answer) = (
            submission.text("captcha-challenge"),
            submission.text("captcha-response"),
        );
        match captcha.check(challenge, answer).await {
            Ok(_) => {}
            Err(CaptchaError::Wrong(failure)) => {
                let why = failure.to_string();
                let event = Event::from_client(&submission.client_info, EventKind::CaptchaFailed)
                    .with_subject(&name)
                    .with_reason(&why);
                legacy.parts.accounts.emit(&event);
                return Err(FieldError::Question.into());
            }
            Err(CaptchaError::Unavailable(error)) => return Err(ResetRequestError::Unavailable(error).into()),
        }
    }
    Ok(legacy
        .parts
        .accounts
        .request_legacy_reset(&name, &submission.client_info)
        .await?)
}

/// Checks the code. Returns whether the reset would make stored data unreadable.
async fn check(legacy: &Legacy, submission: &Submission) -> Result<bool, FormFailure> {
    let accounts = &legacy.parts.accounts;
    Ok(accounts
        .check_legacy_reset(&name(submission)?, &key(submission), &submission.client_info)
        .await?)
}

/// Sets the password. Errors are reported in an order that clients know: name, password, code.
async fn set_password(
    legacy: &Legacy,
    submission: &Submission,
    checked: Result<bool, FormFailure>,
) -> Result<bool, FormFailure> {
    let checked = match checked {
        Err(failure) if !matches!(failure, FormFailure::Field(FieldError::WrongKey)) => return Err(failure),
        checked => checked,
    };
    let (name, password) = (name(submission)?, submission.text("password"));
    check_password(typed(submission), &name, password, submission.text("confirm"))?;
    let loses = checked?;
    let consent = match (loses, submission.has("understood")) {
        (true, false) => return Err(FieldError::NotUnderstood.into()),
        (true, true) => DataLossConsent::Given,
        (false, _) => DataLossConsent::NotAsked,
    };
    let accounts = &legacy.parts.accounts;
    let reset = accounts
        .reset_plain_password(
            &name,
            &key(submission),
            password,
            consent,
            &submission.client_info,
        )
        .await;
    match reset.map_err(FormFailure::from) {
        Ok(()) => Ok(loses),
        Err(FormFailure::Page(PageError::Down, why)) => {
            tracing::error!(why, "a new password could not be kept");
            Err(FieldError::ChangeFailed.into())
        }
        Err(failure) => Err(failure),
    }
}

fn check_password(typed: &str, name: &str, password: &str, again: &str) -> Result<(), FieldError> {
    if password.is_empty() {
        return Err(FieldError::PasswordMissing);
    }
    if password != again {
        return Err(FieldError::Differs);
    }
    if password.len() < legacy::MIN_PASSWORD_BYTES {
        let count = password.chars().count();
        return Err(FieldError::Short { count });
    }
    if legacy::is_weak(name, password) || legacy::is_weak(typed, password) {
        return Err(FieldError::OwnName);
    }
    Ok(())
}

/// The name as it was typed.
fn typed(submission: &Submission) -> &str {
    submission.text("username").trim()
}

/// The name of the account.
fn name(submission: &Submission) -> Result<String, FieldError> {
    match typed(submission) {
        "" => Err(FieldError::NameMissing),
        typed => legacy::name_of(typed).ok_or(FieldError::Unknown),
    }
}

/// The code. People type it in any case; the link has it as it is.
fn key(submission: &Submission) -> String {
    submission.text("key").trim().to_ascii_uppercase()
}

fn ask_form(legacy: &Legacy, submission: Submission, field_error: Option<FieldError>) -> Response {
    let question = legacy.parts.captcha.as_ref().map(|captcha| captcha.question());
    let typed = typed(&submission).to_owned();
    let form_error = FormError(field_error);
    let page = AskPage {
        page: submission.page,
        form_error,
        typed,
        question,
    };
    form_error.with_log_reason(render(StatusCode::OK, &page))
}

fn reset_form(submission: Submission, field_error: Option<FieldError>, loses: Option<bool>) -> Response {
    let form_error = FormError(field_error);
    let page = ResetPage {
        typed: typed(&submission).to_owned(),
        key: submission.text("key").trim().to_owned(),
        is_ticked: submission.has("understood"),
        page: submission.page,
        form_error,
        loses,
    };
    form_error.with_log_reason(render(StatusCode::OK, &page))
}

impl Legacy {
    fn reset_again(&self, submission: Submission, failure: FormFailure, loses: Option<bool>) -> Response {
        match failure {
            // The tick is missing only where it is required.
            FormFailure::Field(field_error @ FieldError::NotUnderstood) => {
                reset_form(submission, Some(field_error), Some(true))
            }
            FormFailure::Field(field_error) => reset_form(submission, Some(field_error), loses),
            FormFailure::Page(page_error, why) => {
                self.error_page(submission.page, submission.form, page_error, why)
            }
        }
    }
}
