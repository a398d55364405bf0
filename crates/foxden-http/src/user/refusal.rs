//! Why a request is not carried out, in the words of the User API.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use foxden_accounts::AccountError;

use super::answer;
use crate::wire::captcha::WrongAnswer;
use crate::wire::memory::RETRY_SECONDS;
use crate::wire::{NoBasic, Note, Site, ask_to_wait, chain};

/// Seconds after which it is worth trying again when the server was busy.
const SOON: u64 = 30;
/// Seconds after which it is worth trying again when it cannot do this at all.
const LATER: u64 = 1800;

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The request is wrong; the response code says in which way.
    BadRequest(ResponseCode),
    /// The question for people was not answered, or not well.
    WrongAnswer(WrongAnswer),
    /// No credentials that could be looked at.
    NoBasic(NoBasic),
    /// The credentials are those of somebody else than the path names.
    OtherName,
    /// Nobody has that name.
    UnknownName,
    /// No such path.
    UnknownPath,
    /// The path is known, with these methods.
    WrongMethod(&'static str),
    /// The body is larger than anybody needs.
    TooLarge,
    /// The client went away in the middle of its request.
    Broken,
    /// No memory is left for the body.
    NoMemory,
    /// Asked for under a name that is not ours.
    ForeignHost,
    /// A page from elsewhere made a browser send it.
    ForeignPage,
    /// Codes cannot be given here.
    NoCodes,
    /// The accounts refused.
    Service(AccountError),
}

/// The small number in an error's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseCode {
    /// Nothing better fits.
    Unspecified = 0,
    /// The question for people was not answered, or not well.
    WrongAnswer = 2,
    /// No account can have that name, or none has.
    BadName = 3,
    /// There is such a thing already.
    Overwrites = 4,
    /// Not JSON.
    BadJson = 6,
    /// No password.
    NoPassword = 7,
    /// Too weak a password.
    WeakPassword = 9,
    /// No code, or a wrong one.
    BadCode = 10,
    /// Not offered here.
    NotSupported = 11,
    /// No address.
    BadAddress = 12,
    /// The address does not belong to the name.
    OtherAddress = 15,
    /// More than a request may bring.
    TooMuch = 17,
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        Self::Service(error)
    }
}

impl From<NoBasic> for Refusal {
    fn from(why: NoBasic) -> Self {
        Self::NoBasic(why)
    }
}

impl From<ResponseCode> for Refusal {
    fn from(code: ResponseCode) -> Self {
        Self::BadRequest(code)
    }
}

impl Refusal {
    /// Why a code was not given or dropped: here a name that nobody has is the client's mistake, not a failed log-in.
    pub(super) fn of_reset(error: AccountError) -> Self {
        match error {
            AccountError::UnknownAccount { .. } => ResponseCode::BadName.into(),
            AccountError::Unable => Self::NoCodes,
            error => error.into(),
        }
    }

    /// Why, for the log.
    fn why(&self) -> Cow<'static, str> {
        match self {
            Self::BadRequest(code) => format!("response code {}", *code as u8).into(),
            Self::WrongAnswer(wrong) => wrong.to_string().into(),
            Self::NoBasic(why) => why.to_string().into(),
            Self::OtherName => "the credentials are those of another name than the path's".into(),
            Self::UnknownName => "no such name".into(),
            Self::UnknownPath => "no such path".into(),
            Self::WrongMethod(_) => "not with this method".into(),
            Self::TooLarge => "the body is too large".into(),
            Self::Broken => "the request ended early".into(),
            Self::NoMemory => "no memory is left for its body".into(),
            Self::ForeignHost => "asked for a host that is neither the public url's nor configured".into(),
            Self::ForeignPage => "sent by a page from elsewhere".into(),
            Self::NoCodes => "passwords are not reset here".into(),
            Self::Service(error) => chain(error).into(),
        }
    }

    fn print(&self) -> Response {
        match self {
            Self::BadRequest(code) => bad(*code),
            Self::WrongAnswer(_) => bad(ResponseCode::WrongAnswer),
            Self::NoBasic(_) | Self::OtherName => unauthorized(),
            Self::UnknownName | Self::UnknownPath => status(StatusCode::NOT_FOUND),
            Self::WrongMethod(methods) => {
                let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
                let methods = HeaderValue::from_static(methods);
                response.headers_mut().insert(ALLOW, methods);
                response
            }
            Self::NoMemory => later(u64::from(RETRY_SECONDS)),
            Self::TooLarge => number(StatusCode::PAYLOAD_TOO_LARGE, ResponseCode::TooMuch),
            Self::Broken => bad(ResponseCode::Unspecified),
            Self::ForeignHost => said(
                StatusCode::MISDIRECTED_REQUEST,
                "This server is not known by that name; public_url or other_hosts can name it",
            ),
            Self::ForeignPage => said(StatusCode::FORBIDDEN, "Pages from elsewhere may not send this"),
            Self::NoCodes => later(LATER),
            Self::Service(error) => print_error(error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.print();
        response.extensions_mut().insert(Note::refused(self.why()));
        response
    }
}

/// What a request for a foreign name is told.
pub(super) fn refuse_foreign_host(_: &Site) -> Response {
    Refusal::ForeignHost.into_response()
}

/// Only wrong credentials are called so: a client that is told so asks for the password.
fn print_error(error: &AccountError) -> Response {
    use AccountError as E;
    match error {
        E::UnknownAccount { .. }
        | E::WrongPassword { .. }
        | E::OtherSpelling { .. }
        | E::NoPassword
        | E::Disabled
        // The account went while the request was on its way.
        | E::UnknownToken => unauthorized(),
        E::Exists { .. } => bad(ResponseCode::Overwrites),
        E::WrongCode | E::ExpiredCode | E::ConsentMissing => bad(ResponseCode::BadCode),
        E::NoAddress | E::Invalid { what: "email" } => bad(ResponseCode::BadAddress),
        E::Invalid { what: "password" } => bad(ResponseCode::WeakPassword),
        E::Invalid { .. } => bad(ResponseCode::BadName),
        E::SignUpClosed | E::Unable => bad(ResponseCode::NotSupported),
        E::TooMany { retry_after } => later(*retry_after),
        E::Busy | E::Unavailable(_) => later(SOON),
        E::NoRoom => later(LATER),
        E::AddressUnverified
        | E::SessionUnverified
        | E::Replayed
        | E::UnknownDevice
        | E::OtherDevice { .. }
        | E::NoSuchCommand
        | E::UnknownClient { .. }
        | E::ScopesRefused { .. }
        | E::WrongRedirect
        | E::ChallengeMissing
        | E::UnknownGrant
        | E::OtherClientsGrant
        | E::ExpiredGrant
        | E::WrongVerifier
        | E::StaleSession { .. }
        | E::Forbidden
        | E::UnknownNode
        | E::NodeListed
        | E::Damaged(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn said(status: StatusCode, words: &'static str) -> Response {
    let mut response = answer::text(words);
    *response.status_mut() = status;
    response
}

fn unauthorized() -> Response {
    let mut response = said(StatusCode::UNAUTHORIZED, "Wrong name or password");
    let basic = HeaderValue::from_static("Basic realm=\"Sync\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, basic);
    response
}

fn bad(code: ResponseCode) -> Response {
    number(StatusCode::BAD_REQUEST, code)
}

fn number(status: StatusCode, code: ResponseCode) -> Response {
    let mut response = Response::new((code as u8).to_string().into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn later(seconds: u64) -> Response {
    let mut response = status(StatusCode::SERVICE_UNAVAILABLE);
    ask_to_wait(response.headers_mut(), seconds);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::wait::{every, wait_in};

    fn refused(error: AccountError) -> (u16, Option<u64>) {
        let response = Refusal::from(error).into_response();
        (response.status().as_u16(), wait_in(response.headers()))
    }

    /// Whoever is told that the password is wrong asks a person for it.
    #[test]
    fn what_is_our_fault_is_not_the_password_s() {
        for error in every::account_errors() {
            let wait = match &error {
                AccountError::Busy | AccountError::Unavailable(_) => Some(30),
                AccountError::NoRoom => Some(1800),
                AccountError::TooMany { .. } => Some(7),
                _ => None,
            };
            let described = format!("{error:?}");
            let (status, told) = refused(error);
            assert_eq!((told, status == 503), (wait, wait.is_some()), "{described}");
        }
        assert_eq!(refused(AccountError::Damaged("a row")), (500, None));
        assert_eq!(refused(AccountError::Disabled), (401, None));
    }

    /// U13.32: an account may have no address to write to.
    #[tokio::test]
    async fn a_code_needs_an_address() {
        let response = Refusal::of_reset(AccountError::NoAddress).into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let body = axum::body::to_bytes(response.into_body(), 9).await.unwrap();
        assert_eq!(body, "12");
    }

    #[test]
    fn codes_may_not_be_offered_at_all() {
        let response = Refusal::of_reset(AccountError::Unable).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(wait_in(response.headers()), Some(1800));
    }
}
