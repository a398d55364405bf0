//! Refusals in the format of the User API.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use foxden_accounts::{
    LegacyChangeError, LegacyLoginError, LegacyResetError, LegacySignUpError, LimitError, ResetRequestError,
    TokenError, TooMany, Unavailable,
};

use super::answer;
use crate::wire::captcha::WrongAnswer;
use crate::wire::memory::RETRY_SECONDS;
use crate::wire::{AccessLogFields, NoBasic, Site, chain, set_retry_after};

/// Seconds after which a client may try again when the server was busy.
const BUSY_SECONDS: u64 = 30;
/// Seconds after which a client may try again when the server cannot do this at all.
const UNABLE_SECONDS: u64 = 1800;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The request is invalid; the response code says why.
    BadRequest(ResponseCode),
    /// The captcha was not answered, or wrongly.
    WrongAnswer(WrongAnswer),
    /// There are no usable credentials.
    NoBasic(NoBasic),
    /// The credentials are for another account than the path names.
    OtherName,
    /// The account does not exist.
    UnknownName,
    /// No such path.
    UnknownPath,
    /// The path allows only these methods.
    WrongMethod(&'static str),
    /// The body is too large.
    TooLarge,
    /// The body ended early.
    IncompleteBody,
    /// No memory is left for the body.
    NoMemory,
    /// The request asks for a foreign host.
    ForeignHost,
    /// A foreign page triggered the request.
    ForeignPage,
    /// Password resets are not offered.
    ResetsNotSupported,
    /// The node of the account, by its address, is out of service.
    NodeDown(Arc<str>),
    /// No account was created.
    SignUp(LegacySignUpError),
    /// The password was not accepted.
    Login(LegacyLoginError),
    /// Password or address were not changed.
    Change(LegacyChangeError),
    /// No reset code was created.
    ResetRequest(ResetRequestError),
    /// The password was not reset.
    Reset(LegacyResetError),
    /// A limit was exceeded, or the register is unavailable.
    Limit(LimitError),
}

/// The response code in the body of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseCode {
    /// No other code fits.
    Unspecified = 0,
    /// The captcha was not answered, or wrongly.
    WrongAnswer = 2,
    /// The name is invalid or unknown.
    BadName = 3,
    /// The account exists already.
    Overwrites = 4,
    /// Not JSON.
    BadJson = 6,
    /// The password is missing.
    NoPassword = 7,
    /// The password is too weak.
    WeakPassword = 9,
    /// The reset code is missing or wrong.
    BadCode = 10,
    /// The feature is not offered.
    NotSupported = 11,
    /// The address is missing or invalid.
    BadAddress = 12,
    /// The address does not belong to the name.
    OtherAddress = 15,
    /// The request is too large.
    TooMuch = 17,
}

impl From<LegacySignUpError> for Refusal {
    fn from(error: LegacySignUpError) -> Self {
        Self::SignUp(error)
    }
}

impl From<LegacyLoginError> for Refusal {
    fn from(error: LegacyLoginError) -> Self {
        Self::Login(error)
    }
}

impl From<LegacyChangeError> for Refusal {
    fn from(error: LegacyChangeError) -> Self {
        Self::Change(error)
    }
}

impl From<ResetRequestError> for Refusal {
    fn from(error: ResetRequestError) -> Self {
        Self::ResetRequest(error)
    }
}

impl From<LegacyResetError> for Refusal {
    fn from(error: LegacyResetError) -> Self {
        Self::Reset(error)
    }
}

impl From<LimitError> for Refusal {
    fn from(error: LimitError) -> Self {
        Self::Limit(error)
    }
}

impl From<TooMany> for Refusal {
    fn from(error: TooMany) -> Self {
        Self::Limit(error.into())
    }
}

impl From<Unavailable> for Refusal {
    fn from(error: Unavailable) -> Self {
        Self::Limit(error.into())
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
    /// Returns the reason, for the log.
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
            Self::IncompleteBody => "the request ended early".into(),
            Self::NoMemory => "no memory is left for its body".into(),
            Self::ForeignHost => "asked for a host that is neither the public url's nor configured".into(),
            Self::ForeignPage => "sent by a page from elsewhere".into(),
            Self::ResetsNotSupported => "passwords are not reset here".into(),
            Self::NodeDown(node) => TokenError::NodeDown {
                node: node.to_string(),
            }
            .to_string()
            .into(),
            Self::SignUp(error) => chain(error).into(),
            Self::Login(error) => chain(error).into(),
            Self::Change(error) => chain(error).into(),
            Self::ResetRequest(error) => chain(error).into(),
            Self::Reset(error) => chain(error).into(),
            Self::Limit(error) => chain(error).into(),
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
            Self::IncompleteBody => bad(ResponseCode::Unspecified),
            Self::ForeignHost => plain_text(
                StatusCode::MISDIRECTED_REQUEST,
                "This server is not known by that name; public_url or other_hosts can name it",
            ),
            Self::ForeignPage => plain_text(StatusCode::FORBIDDEN, "Pages from elsewhere may not send this"),
            Self::ResetsNotSupported | Self::NodeDown(_) => later(UNABLE_SECONDS),
            Self::SignUp(error) => sign_up(error),
            Self::Login(error) => login(error),
            Self::Change(error) => change(error),
            Self::ResetRequest(error) => reset_request(error),
            Self::Reset(error) => reset(error),
            Self::Limit(error) => limit(error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.print();
        response
            .extensions_mut()
            .insert(AccessLogFields::refused(self.why()));
        response
    }
}

/// The response to a request for a foreign host.
pub(super) fn refuse_foreign_host(_: &Site) -> Response {
    Refusal::ForeignHost.into_response()
}

fn sign_up(error: &LegacySignUpError) -> Response {
    match error {
        LegacySignUpError::Exists => bad(ResponseCode::Overwrites),
        LegacySignUpError::Closed => bad(ResponseCode::NotSupported),
        LegacySignUpError::InvalidAddress => bad(ResponseCode::BadAddress),
        LegacySignUpError::InvalidName => bad(ResponseCode::BadName),
        LegacySignUpError::WeakPassword => bad(ResponseCode::WeakPassword),
        LegacySignUpError::TooMany(error) => too_many(*error),
        LegacySignUpError::Unavailable(error) => unavailable(error),
    }
}

/// Only wrong credentials are answered by 401: clients then ask for the password.
fn login(error: &LegacyLoginError) -> Response {
    match error {
        LegacyLoginError::UnknownAccount { .. }
        | LegacyLoginError::WrongPassword { .. }
        | LegacyLoginError::Disabled => unauthorized(),
        LegacyLoginError::TooMany(error) => too_many(*error),
        LegacyLoginError::Unavailable(error) => unavailable(error),
    }
}

fn change(error: &LegacyChangeError) -> Response {
    match error {
        LegacyChangeError::Login(error) => login(error),
        LegacyChangeError::WeakPassword => bad(ResponseCode::WeakPassword),
        LegacyChangeError::InvalidAddress => bad(ResponseCode::BadAddress),
        LegacyChangeError::Exists => bad(ResponseCode::Overwrites),
    }
}

/// An unknown name is the client's mistake here, not a failed log-in.
fn reset_request(error: &ResetRequestError) -> Response {
    match error {
        ResetRequestError::UnknownAccount { .. } => bad(ResponseCode::BadName),
        ResetRequestError::NoAddress => bad(ResponseCode::BadAddress),
        ResetRequestError::TooMany(error) => too_many(*error),
        ResetRequestError::Unavailable(error) => unavailable(error),
    }
}

fn reset(error: &LegacyResetError) -> Response {
    match error {
        LegacyResetError::UnknownAccount { .. } => status(StatusCode::NOT_FOUND),
        LegacyResetError::WeakPassword => bad(ResponseCode::WeakPassword),
        LegacyResetError::WrongCode | LegacyResetError::ConsentMissing => bad(ResponseCode::BadCode),
        LegacyResetError::Disabled => unauthorized(),
        LegacyResetError::Exists => bad(ResponseCode::Overwrites),
        LegacyResetError::TooMany(error) => too_many(*error),
        LegacyResetError::Unavailable(error) => unavailable(error),
    }
}

fn limit(error: &LimitError) -> Response {
    match error {
        LimitError::TooMany(error) => too_many(*error),
        LimitError::Unavailable(error) => unavailable(error),
    }
}

fn too_many(error: TooMany) -> Response {
    later(error.retry_after)
}

fn unavailable(error: &Unavailable) -> Response {
    match error {
        Unavailable::Busy | Unavailable::Database(_) => later(BUSY_SECONDS),
        Unavailable::NullCharacter => status(StatusCode::BAD_REQUEST),
        Unavailable::Damaged(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn plain_text(status: StatusCode, words: &'static str) -> Response {
    let mut response = answer::text(words);
    *response.status_mut() = status;
    response
}

fn unauthorized() -> Response {
    let mut response = plain_text(StatusCode::UNAUTHORIZED, "Wrong name or password");
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
    set_retry_after(response.headers_mut(), seconds);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::retry_after::{all_errors, retry_after_in};

    fn refused(error: impl Into<Refusal>) -> (u16, Option<u64>) {
        let response = error.into().into_response();
        (response.status().as_u16(), retry_after_in(response.headers()))
    }

    /// Checks the waiting times of these errors, and that only status 503 has one.
    fn check<E: Into<Refusal> + std::fmt::Debug>(errors: Vec<E>, wait: impl Fn(&E) -> Option<u64>) {
        for error in errors {
            let (expected, described) = (wait(&error), format!("{error:?}"));
            let (status, seconds) = refused(error);
            assert_eq!(
                (seconds, status == 503),
                (expected, expected.is_some()),
                "{described}"
            );
        }
    }

    const fn wait_of(error: &Unavailable) -> Option<u64> {
        match error {
            Unavailable::Busy | Unavailable::Database(_) => Some(30),
            Unavailable::NullCharacter | Unavailable::Damaged(_) => None,
        }
    }

    const fn wait_of_login(error: &LegacyLoginError) -> Option<u64> {
        match error {
            LegacyLoginError::TooMany(_) => Some(7),
            LegacyLoginError::Unavailable(error) => wait_of(error),
            _ => None,
        }
    }

    /// A client asks its user for the password when it is reported as wrong.
    #[test]
    fn server_errors_are_not_blamed_on_the_password() {
        check(all_errors::legacy_sign_up_errors(), |error| match error {
            LegacySignUpError::TooMany(_) => Some(7),
            LegacySignUpError::Unavailable(error) => wait_of(error),
            _ => None,
        });
        check(all_errors::legacy_login_errors(), wait_of_login);
        check(all_errors::legacy_change_errors(), |error| match error {
            LegacyChangeError::Login(error) => wait_of_login(error),
            _ => None,
        });
        check(all_errors::reset_request_errors(), |error| match error {
            ResetRequestError::TooMany(_) => Some(7),
            ResetRequestError::Unavailable(error) => wait_of(error),
            _ => None,
        });
        check(all_errors::legacy_reset_errors(), |error| match error {
            LegacyResetError::TooMany(_) => Some(7),
            LegacyResetError::Unavailable(error) => wait_of(error),
            _ => None,
        });
        assert_eq!(refused(Unavailable::Damaged("a row")), (500, None));
        assert_eq!(refused(Unavailable::NullCharacter), (400, None));
        assert_eq!(refused(LegacyLoginError::Disabled), (401, None));
    }

    /// U13.32: an account may have no address for mail.
    #[tokio::test]
    async fn a_code_needs_an_address() {
        let response = Refusal::from(ResetRequestError::NoAddress).into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let body = axum::body::to_bytes(response.into_body(), 9).await.unwrap();
        assert_eq!(body, "12");
    }

    #[test]
    fn codes_may_not_be_offered_at_all() {
        let response = Refusal::ResetsNotSupported.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(retry_after_in(response.headers()), Some(1800));
    }
}
