//! Asking for a new password, and setting it with the code that came by mail or from the operator.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use foxden_accounts::plain::{self, Consent};
use foxden_accounts::security::{Event, What};
use foxden_model::Escaped;

use super::fault::{Complaint, Fault, Trouble, Wrong};
use super::form::Sent;
use super::{Legacy, Page, show};
use crate::wire::captcha::Question;

/// The shortest password, in bytes.
const SHORTEST: usize = 8;

#[derive(Template)]
#[template(path = "pages/legacy/ask.html")]
struct AskPage {
    page: Page,
    complaint: Complaint,
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
    complaint: Complaint,
    typed: String,
    key: String,
    /// Whether what browsers of today stored would become unreadable, as far as that is known.
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
pub(super) async fn form(State(legacy): State<Legacy>, sent: Sent) -> Response {
    if sent.is_empty() {
        return ask_form(&legacy, sent, None);
    }
    if !sent.has("key") && !sent.has("error") {
        return legacy.trouble(
            sent.page,
            sent.form,
            Trouble::NotOurForm,
            "neither a key nor an error",
        );
    }
    // An image on another page has the address of a link as well, and would use up tries.
    if key(&sent).is_empty() || typed(&sent).is_empty() || !sent.is_navigation {
        return reset_form(sent, None, None);
    }
    // Opening the link does not use it up, and what is wrong with it need not wait for a password.
    match check(&legacy, &sent).await {
        Ok(loses) => reset_form(sent, None, Some(loses)),
        Err(wrong) => legacy.reset_again(sent, wrong, None),
    }
}

/// `POST /weave-password-reset`: without a code it asks for one, with a code it sets the password.
pub(super) async fn answer(State(legacy): State<Legacy>, sent: Sent) -> Response {
    if !sent.has("key") {
        return ask(&legacy, sent).await;
    }
    let checked = check(&legacy, &sent).await;
    let loses = checked.as_ref().ok().copied();
    match set_password(&legacy, &sent, checked).await {
        Ok(loses) => show(
            StatusCode::OK,
            &DonePage {
                page: sent.page,
                loses,
            },
        ),
        Err(wrong) => legacy.reset_again(sent, wrong, loses),
    }
}

async fn ask(legacy: &Legacy, sent: Sent) -> Response {
    if sent.has_other_than(&["username", "captcha-challenge", "captcha-response"]) {
        return legacy.trouble(
            sent.page,
            sent.form,
            Trouble::NotOurForm,
            "neither a name alone nor a key",
        );
    }
    match request(legacy, &sent).await {
        Ok(()) => {
            let typed = Escaped(typed(&sent)).to_string();
            show(
                StatusCode::OK,
                &AskedPage {
                    page: sent.page,
                    typed,
                },
            )
        }
        Err(Wrong::Fault(fault)) => ask_form(legacy, sent, Some(fault)),
        Err(Wrong::Trouble(trouble, why)) => legacy.trouble(sent.page, sent.form, trouble, why),
    }
}

/// Has a code made and sent. The question stands before the look at the name, so that nobody asks for many names at once.
async fn request(legacy: &Legacy, sent: &Sent) -> Result<(), Wrong> {
    let name = name(sent)?;
    if let Some(captcha) = &legacy.parts.captcha {
        let (challenge, answer) = (sent.text("captcha-challenge"), sent.text("captcha-response"));
        if let Err(wrong) = captcha.check(challenge, answer) {
            let why = wrong.to_string();
            let event = Event::by(&sent.visitor, What::CaptchaFailed)
                .about(&name)
                .because(&why);
            legacy.parts.accounts.tell(&event);
            return Err(Fault::Question.into());
        }
    }
    Ok(legacy
        .parts
        .accounts
        .request_plain_reset(&name, &sent.visitor)
        .await?)
}

/// Whether the code is right, and if so whether the reset would make stored data unreadable.
async fn check(legacy: &Legacy, sent: &Sent) -> Result<bool, Wrong> {
    let accounts = &legacy.parts.accounts;
    Ok(accounts
        .check_plain_reset(&name(sent)?, &key(sent), &sent.visitor)
        .await?)
}

/// Sets the password. What is wrong is said in an order that clients know: name, password, code.
async fn set_password(legacy: &Legacy, sent: &Sent, checked: Result<bool, Wrong>) -> Result<bool, Wrong> {
    let checked = match checked {
        Err(wrong) if !matches!(wrong, Wrong::Fault(Fault::WrongKey)) => return Err(wrong),
        checked => checked,
    };
    let (name, password) = (name(sent)?, sent.text("password"));
    check_password(typed(sent), &name, password, sent.text("confirm"))?;
    let loses = checked?;
    let consent = match (loses, sent.has("understood")) {
        (true, false) => return Err(Fault::NotUnderstood.into()),
        (true, true) => Consent::Given,
        (false, _) => Consent::NotAsked,
    };
    let accounts = &legacy.parts.accounts;
    let reset = accounts
        .reset_plain(&name, &key(sent), password, consent, &sent.visitor)
        .await;
    match reset.map_err(Wrong::from) {
        Ok(()) => Ok(loses),
        Err(Wrong::Trouble(Trouble::Down, why)) => {
            tracing::error!(why, "a new password could not be kept");
            Err(Fault::ChangeFailed.into())
        }
        Err(wrong) => Err(wrong),
    }
}

fn check_password(typed: &str, name: &str, password: &str, again: &str) -> Result<(), Fault> {
    if password.is_empty() {
        return Err(Fault::PasswordMissing);
    }
    if password != again {
        return Err(Fault::Differs);
    }
    if password.len() < SHORTEST {
        let count = password.chars().count();
        return Err(Fault::Short { count });
    }
    if plain::is_weak(name, password) || plain::is_weak(typed, password) {
        return Err(Fault::OwnName);
    }
    Ok(())
}

/// The name as it was typed.
fn typed(sent: &Sent) -> &str {
    sent.text("username").trim()
}

/// The name that accounts know.
fn name(sent: &Sent) -> Result<String, Fault> {
    match typed(sent) {
        "" => Err(Fault::NameMissing),
        typed => plain::name_of(typed).ok_or(Fault::Unknown),
    }
}

/// The code. People type it as they like; the link has it as it is.
fn key(sent: &Sent) -> String {
    sent.text("key").trim().to_ascii_uppercase()
}

fn ask_form(legacy: &Legacy, sent: Sent, fault: Option<Fault>) -> Response {
    let question = legacy.parts.captcha.as_ref().map(|captcha| captcha.question());
    let typed = typed(&sent).to_owned();
    let complaint = Complaint(fault);
    let page = AskPage {
        page: sent.page,
        complaint,
        typed,
        question,
    };
    complaint.note(show(StatusCode::OK, &page))
}

fn reset_form(sent: Sent, fault: Option<Fault>, loses: Option<bool>) -> Response {
    let complaint = Complaint(fault);
    let page = ResetPage {
        typed: typed(&sent).to_owned(),
        key: sent.text("key").trim().to_owned(),
        is_ticked: sent.has("understood"),
        page: sent.page,
        complaint,
        loses,
    };
    complaint.note(show(StatusCode::OK, &page))
}

impl Legacy {
    fn reset_again(&self, sent: Sent, wrong: Wrong, loses: Option<bool>) -> Response {
        match wrong {
            // Only who must tick can have failed to.
            Wrong::Fault(fault @ Fault::NotUnderstood) => reset_form(sent, Some(fault), Some(true)),
            Wrong::Fault(fault) => reset_form(sent, Some(fault), loses),
            Wrong::Trouble(trouble, why) => self.trouble(sent.page, sent.form, trouble, why),
        }
    }
}
