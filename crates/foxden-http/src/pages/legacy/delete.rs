//! Removes an account, for people without a browser that could do it.

use askama::Template;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use foxden_accounts::plain;

use super::fault::{Complaint, Fault, Trouble, Wrong};
use super::form::Submission;
use super::{Legacy, Page, refused, render};
use crate::wire::remove_account;

/// The text for tools after success.
const REMOVED: &str = "Account removed.";

#[derive(Template)]
#[template(path = "pages/legacy/delete.html")]
struct DeletePage {
    page: Page,
    complaint: Complaint,
    typed: String,
}

#[derive(Template)]
#[template(path = "pages/legacy/deleted.html")]
struct DeletedPage {
    page: Page,
}

/// `GET /weave-delete-account`
pub(super) async fn form(submission: Submission) -> Response {
    let (page, typed, complaint) = (submission.page, String::new(), Complaint::default());
    render(
        StatusCode::OK,
        &DeletePage {
            page,
            complaint,
            typed,
        },
    )
}

/// `POST /weave-delete-account`: a page for browsers, the bare phrase for tools.
pub(super) async fn answer(State(legacy): State<Legacy>, submission: Submission) -> Response {
    let outcome = delete(&legacy, &submission).await;
    let mut answer = match outcome {
        Err(Wrong::Trouble(trouble, why)) if submission.wants_page => {
            legacy.trouble(submission.page, submission.form, trouble, why)
        }
        Err(Wrong::Trouble(trouble, why)) => refused(in_words(Fault::DeletionFailed.phrase()), trouble, why),
        Ok(()) if submission.wants_page => render(
            StatusCode::OK,
            &DeletedPage {
                page: submission.page,
            },
        ),
        Ok(()) => in_words(REMOVED),
        Err(Wrong::Fault(fault)) if submission.wants_page => form_again(submission, fault),
        Err(Wrong::Fault(fault)) => Complaint(Some(fault)).note(in_words(fault.phrase())),
    };
    answer
        .headers_mut()
        .append(VARY, HeaderValue::from_static("accept"));
    answer
}

async fn delete(legacy: &Legacy, submission: &Submission) -> Result<(), Wrong> {
    let (typed, password) = (
        submission.text("username").trim(),
        submission.text("password").to_owned(),
    );
    if typed.is_empty() || password.is_empty() {
        let (name, password) = (typed.is_empty(), password.is_empty());
        return Err(Fault::DataMissing { name, password }.into());
    }
    let name = plain::name_of(typed).ok_or(Fault::BadCredentials)?;
    let parts = &legacy.parts;
    let (accounts, visitor) = (parts.accounts.clone(), submission.visitor.clone());
    let removal = async move { accounts.destroy_plain(&name, &password, &visitor).await };
    let (accounts, storage) = (parts.accounts.clone(), parts.storage.clone());
    let removed = remove_account(&parts.task_spawner, accounts, storage, removal).await;
    match removed.map_err(Wrong::from) {
        Ok(()) => Ok(()),
        Err(Wrong::Trouble(Trouble::Down, why)) => {
            tracing::error!(why, "an account could not be deleted");
            Err(Fault::DeletionFailed.into())
        }
        Err(Wrong::Fault(_)) => Err(Fault::BadCredentials.into()),
        Err(wrong) => Err(wrong),
    }
}

fn form_again(submission: Submission, fault: Fault) -> Response {
    let (typed, complaint) = (
        submission.text("username").trim().to_owned(),
        Complaint(Some(fault)),
    );
    let page = DeletePage {
        page: submission.page,
        complaint,
        typed,
    };
    complaint.note(render(StatusCode::OK, &page))
}

fn in_words(words: &'static str) -> Response {
    ([(CONTENT_TYPE, "text/plain")], words).into_response()
}
