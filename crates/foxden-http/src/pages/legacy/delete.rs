//! The end of an account, for who has no browser that could do it.

use askama::Template;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use foxden_accounts::plain;

use super::fault::{Complaint, Fault, Trouble, Wrong};
use super::form::Sent;
use super::{Legacy, Page, refused, show};
use crate::wire::remove_account;

/// What tools are told when it worked.
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
pub(super) async fn form(sent: Sent) -> Response {
    let (page, typed, complaint) = (sent.page, String::new(), Complaint::default());
    show(
        StatusCode::OK,
        &DeletePage {
            page,
            complaint,
            typed,
        },
    )
}

/// `POST /weave-delete-account`: a page for browsers, the bare phrase for tools.
pub(super) async fn answer(State(legacy): State<Legacy>, sent: Sent) -> Response {
    let outcome = delete(&legacy, &sent).await;
    let mut answer = match outcome {
        Err(Wrong::Trouble(trouble, why)) if sent.wants_page => {
            legacy.trouble(sent.page, sent.form, trouble, why)
        }
        Err(Wrong::Trouble(trouble, why)) => refused(in_words(Fault::DeletionFailed.phrase()), trouble, why),
        Ok(()) if sent.wants_page => show(StatusCode::OK, &DeletedPage { page: sent.page }),
        Ok(()) => in_words(REMOVED),
        Err(Wrong::Fault(fault)) if sent.wants_page => form_again(sent, fault),
        Err(Wrong::Fault(fault)) => Complaint(Some(fault)).note(in_words(fault.phrase())),
    };
    answer
        .headers_mut()
        .append(VARY, HeaderValue::from_static("accept"));
    answer
}

async fn delete(legacy: &Legacy, sent: &Sent) -> Result<(), Wrong> {
    let (typed, password) = (sent.text("username").trim(), sent.text("password").to_owned());
    if typed.is_empty() || password.is_empty() {
        let (name, password) = (typed.is_empty(), password.is_empty());
        return Err(Fault::DataMissing { name, password }.into());
    }
    let name = plain::name_of(typed).ok_or(Fault::BadCredentials)?;
    let parts = &legacy.parts;
    let (accounts, visitor) = (parts.accounts.clone(), sent.visitor.clone());
    let removal = async move { accounts.destroy_plain(&name, &password, &visitor).await };
    let (accounts, storage) = (parts.accounts.clone(), parts.storage.clone());
    let removed = remove_account(&parts.to_the_end, accounts, storage, removal).await;
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

fn form_again(sent: Sent, fault: Fault) -> Response {
    let (typed, complaint) = (sent.text("username").trim().to_owned(), Complaint(Some(fault)));
    let page = DeletePage {
        page: sent.page,
        complaint,
        typed,
    };
    complaint.note(show(StatusCode::OK, &page))
}

fn in_words(words: &'static str) -> Response {
    ([(CONTENT_TYPE, "text/plain")], words).into_response()
}
