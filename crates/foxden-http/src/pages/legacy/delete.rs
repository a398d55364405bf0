//! Removes an account, for people without a browser that could do it.

use askama::Template;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use foxden_accounts::legacy;

use super::errors::{FieldError, FormError, FormFailure, PageError};
use super::form::Submission;
use super::{Legacy, Page, refused, render};
use crate::wire::remove_account;

/// The text for tools after success.
const REMOVED: &str = "Account removed.";

#[derive(Template)]
#[template(path = "pages/legacy/delete.html")]
struct DeletePage {
    page: Page,
    form_error: FormError,
    typed: String,
}

#[derive(Template)]
#[template(path = "pages/legacy/deleted.html")]
struct DeletedPage {
    page: Page,
}

/// `GET /weave-delete-account`
pub(super) async fn form(submission: Submission) -> Response {
    let (page, typed, form_error) = (submission.page, String::new(), FormError::default());
    render(
        StatusCode::OK,
        &DeletePage {
            page,
            form_error,
            typed,
        },
    )
}

/// `POST /weave-delete-account`: a page for browsers, the bare phrase for tools.
pub(super) async fn answer(State(legacy): State<Legacy>, submission: Submission) -> Response {
    let outcome = delete(&legacy, &submission).await;
    let mut answer = match outcome {
        Err(FormFailure::Page(page_error, why)) if submission.wants_page => {
            legacy.error_page(submission.page, submission.form, page_error, why)
        }
        Err(FormFailure::Page(page_error, why)) => {
            refused(plain_text(FieldError::DeletionFailed.phrase()), page_error, why)
        }
        Ok(()) if submission.wants_page => render(
            StatusCode::OK,
            &DeletedPage {
                page: submission.page,
            },
        ),
        Ok(()) => plain_text(REMOVED),
        Err(FormFailure::Field(field_error)) if submission.wants_page => form_again(submission, field_error),
        Err(FormFailure::Field(field_error)) => {
            FormError(Some(field_error)).with_log_reason(plain_text(field_error.phrase()))
        }
    };
    answer
        .headers_mut()
        .append(VARY, HeaderValue::from_static("accept"));
    answer
}

async fn delete(legacy: &Legacy, submission: &Submission) -> Result<(), FormFailure> {
    let (typed, password) = (
        submission.text("username").trim(),
        submission.text("password").to_owned(),
    );
    if typed.is_empty() || password.is_empty() {
        let (name, password) = (typed.is_empty(), password.is_empty());
        return Err(FieldError::DataMissing { name, password }.into());
    }
    let name = legacy::name_of(typed).ok_or(FieldError::BadCredentials)?;
    let parts = &legacy.parts;
    let (accounts, client_info) = (parts.accounts.clone(), submission.client_info.clone());
    let removal = async move { accounts.delete_legacy(&name, &password, &client_info).await };
    let (accounts, storage) = (parts.accounts.clone(), parts.storage.clone());
    let removed = remove_account(&parts.task_spawner, accounts, storage, removal).await;
    match removed.map_err(FormFailure::from) {
        Ok(()) => Ok(()),
        Err(FormFailure::Page(PageError::Down, why)) => {
            tracing::error!(why, "an account could not be deleted");
            Err(FieldError::DeletionFailed.into())
        }
        Err(FormFailure::Field(_)) => Err(FieldError::BadCredentials.into()),
        Err(failure) => Err(failure),
    }
}

fn form_again(submission: Submission, field_error: FieldError) -> Response {
    let (typed, form_error) = (
        submission.text("username").trim().to_owned(),
        FormError(Some(field_error)),
    );
    let page = DeletePage {
        page: submission.page,
        form_error,
        typed,
    };
    form_error.with_log_reason(render(StatusCode::OK, &page))
}

fn plain_text(text: &'static str) -> Response {
    ([(CONTENT_TYPE, "text/plain")], text).into_response()
}
