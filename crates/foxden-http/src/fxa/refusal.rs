//! Refusals in the format of the account protocol. It has three tables of error numbers: for accounts, for OAuth on
//! its own paths, and for profiles. Each table has a file below.

mod auth;
mod oauth;
mod profile;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use foxden_accounts::{
    ConfirmError, CredentialError, DeviceError, KeyFetchError, OAuthError, PasswordError, ProfileError,
    Replayed, SignInError, SignUpError, Unavailable, Unverified,
};
use serde_json::{Map, Value};

use crate::wire::memory::{MemoryFull, RETRY_SECONDS};
use crate::wire::{AccessLogFields, Site, chain, print_json, set_retry_after};

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// The body is not JSON.
    NotJson,
    /// A parameter is invalid.
    Invalid(&'static str),
    /// A parameter is missing.
    Missing(&'static str),
    /// A member of key-stretching version 2, which is not offered.
    SecondStretching(&'static str),
    /// The body is too large.
    TooLarge,
    /// The body ended early.
    IncompleteBody,
    /// No memory is left for the body or the answer.
    NoMemory,
    /// Credentials of the required kind are missing or unknown; the text is for the log.
    NoCredential(&'static str),
    /// The signature is invalid.
    BadSignature(&'static str),
    /// The time of the signature is too far from the server's, which is given in seconds.
    Skewed(i64),
    /// Only codes are issued, no tokens in the redirect address.
    WrongResponseType,
    /// The grant type is not offered.
    UnknownGrantType,
    /// The picture does not exist.
    UnknownPicture,
    /// The access token does not cover this.
    NotCovered,
    /// The feature is not offered.
    NotSupported,
    /// The feature was removed from the protocol.
    Gone,
    /// No such path.
    UnknownPath,
    /// The path does not allow the method.
    WrongMethod,
    /// The request asks for a foreign host.
    ForeignHost,
    /// The accounts refused the request.
    Service(Arc<ServiceRefusal>),
}

/// An error of the accounts, in each table whose paths can meet it.
#[derive(Debug)]
pub(super) struct ServiceRefusal {
    /// For the log.
    why: String,
    /// In the table of this service's own paths.
    error_body: ErrorBody,
    /// In the OAuth API's table, if it differs.
    oauth: Option<ErrorBody>,
    /// In the profile API's table, if it differs.
    profile: Option<ErrorBody>,
}

/// Converts errors of services: each into its own table and into those others that can meet it.
macro_rules! service {
    ($($Error:ty: $error_body:expr $(, oauth: $oauth:expr)? $(, profile: $profile:expr)?;)+) => {
        $(impl From<$Error> for Refusal {
            fn from(error: $Error) -> Self {
                Self::Service(Arc::new(ServiceRefusal {
                    why: chain(&error),
                    error_body: ($error_body)(&error),
                    oauth: None$(.or_else(|| Some(($oauth)(&error))))?,
                    profile: None$(.or_else(|| Some(($profile)(&error))))?,
                }))
            }
        })+
    };
}

service! {
    SignUpError: auth::sign_up;
    SignInError: auth::sign_in;
    KeyFetchError: auth::key_fetch;
    ConfirmError: auth::confirm;
    PasswordError: auth::password;
    DeviceError: auth::device;
    OAuthError: auth::oauth, oauth: oauth::oauth;
    ProfileError: profile::profile;
    CredentialError: auth::credential, oauth: oauth::credential, profile: profile::credential;
    Replayed: |_: &_| auth::replayed(), oauth: |_: &_| oauth::replayed(), profile: |_: &_| profile::replayed();
    Unverified: |error: &_| auth::unverified(*error), oauth: |_: &_| oauth::unverified(), profile: |_: &_| profile::unverified();
    Unavailable: auth::unavailable, oauth: oauth::unavailable, profile: profile::unavailable;
}

impl From<MemoryFull> for Refusal {
    fn from(_: MemoryFull) -> Self {
        Self::NoMemory
    }
}

/// The error body in one of the tables.
#[derive(Clone, Debug)]
struct ErrorBody {
    status: StatusCode,
    errno: u16,
    message: &'static str,
    extra: Option<(&'static str, Value)>,
    wait: Option<Wait>,
}

/// How many seconds the client should wait, and before what.
#[derive(Clone, Copy, Debug)]
enum Wait {
    /// Before it repeats this request.
    Call(u64),
    /// Before any request. The body then has a member `retryAfter`, and a browser that reads it makes no request to
    /// the account API until then: its tokens expire and it stops syncing. So this is for a server that cannot
    /// answer any other request either, and is short.
    Browser(u64),
}

/// Seconds after which a client may try again when the server was busy.
const BUSY_SECONDS: u64 = 30;

impl ErrorBody {
    const fn new(status: StatusCode, errno: u16, message: &'static str) -> Self {
        Self {
            status,
            errno,
            message,
            extra: None,
            wait: None,
        }
    }

    const fn bad(errno: u16, message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, errno, message)
    }

    const fn unauthorized(errno: u16, message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, errno, message)
    }

    const fn second_stretching(errno: u16) -> Self {
        let message = "Key-stretching version 2 is not offered here; send the members of version 1 alone";
        Self::bad(errno, message)
    }

    /// The caller uses up its share, so other requests of the same browser may well be answered.
    const fn no_memory(errno: u16) -> Self {
        let mut error_body = Self::new(StatusCode::SERVICE_UNAVAILABLE, errno, "Service unavailable");
        error_body.wait = Some(Wait::Call(RETRY_SECONDS as u64));
        error_body
    }

    /// Without its database the server cannot answer any other request either.
    fn unavailable(errno: u16) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, errno, "Service unavailable")
            .retry_after(Wait::Browser(BUSY_SECONDS))
    }

    const fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 999, "Internal error")
    }

    const fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, 999, "Method not allowed")
    }

    const fn foreign_host() -> Self {
        let message = "This server is not known by that name; public_url or other_hosts can name it";
        Self::new(StatusCode::MISDIRECTED_REQUEST, 999, message)
    }

    fn with_member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.extra = Some((name, value.into()));
        self
    }

    fn retry_after(mut self, wait: Wait) -> Self {
        self.wait = Some(wait);
        self
    }

    fn into_response(self) -> Response {
        self.print(None)
    }

    fn print(self, info: Option<String>) -> Response {
        let mut body = Map::new();
        if let Some(info) = info {
            body.insert("info".into(), info.into());
        }
        body.insert("code".into(), self.status.as_u16().into());
        body.insert("errno".into(), self.errno.into());
        body.insert("error".into(), self.status.canonical_reason().into());
        body.insert("message".into(), self.message.into());
        if let Some((name, value)) = self.extra {
            body.insert(name.into(), value);
        }
        if let Some(Wait::Browser(seconds)) = self.wait {
            body.insert("retryAfter".into(), seconds.into());
        }
        let mut response = print_json(self.status, &Value::Object(body));
        if let Some(Wait::Call(seconds) | Wait::Browser(seconds)) = self.wait {
            set_retry_after(response.headers_mut(), seconds);
        }
        response
    }
}

impl Refusal {
    /// Returns the reason, for the log.
    fn why(&self) -> Cow<'static, str> {
        match self {
            Self::NotJson => "the body is not json".into(),
            Self::Invalid(name) => format!("invalid {name}").into(),
            Self::Missing(name) => format!("no {name}").into(),
            Self::SecondStretching(name) => format!("{name}, of key-stretching version 2").into(),
            Self::TooLarge => "the body is too large".into(),
            Self::IncompleteBody => "the request ended early".into(),
            Self::NoMemory => "no memory is left for its body or its answer".into(),
            Self::NoCredential(why) | Self::BadSignature(why) => (*why).into(),
            Self::Skewed(_) => "signed at a time more than a minute from ours".into(),
            Self::WrongResponseType => "only response_type=code is offered".into(),
            Self::UnknownGrantType => "no such grant type".into(),
            Self::UnknownPicture => "no such picture".into(),
            Self::NotCovered => "the access token does not cover this".into(),
            Self::NotSupported => "not offered here".into(),
            Self::Gone => "retired".into(),
            Self::UnknownPath => "no such path".into(),
            Self::WrongMethod => "not with this method".into(),
            Self::ForeignHost => "asked for a host that is neither the public url's nor configured".into(),
            Self::Service(refusal) => refusal.why.clone().into(),
        }
    }
}

impl IntoResponse for Refusal {
    /// Prints the account API's error, and keeps the refusal for the layers that map it.
    fn into_response(self) -> Response {
        let mut response = auth::error_body(&self).into_response();
        response
            .extensions_mut()
            .insert(AccessLogFields::refused(self.why()));
        response.extensions_mut().insert(self);
        response
    }
}

/// Maps refusals to the numbers of the OAuth API's own paths.
pub(super) async fn as_oauth_error(request: Request, next: Next) -> Response {
    remap_error(next.run(request).await, oauth::error_body)
}

/// Maps refusals to the numbers of the profile API.
pub(super) async fn as_profile_error(request: Request, next: Next) -> Response {
    remap_error(next.run(request).await, profile::error_body)
}

/// Adds a link to the page about errors to each error body of the account API.
pub(super) async fn add_error_link(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else {
        return response;
    };
    let info = format!("{}/docs/errors", site.public_url.origin());
    *response.body_mut() = auth::error_body(&refusal).print(Some(info)).into_body();
    response.headers_mut().remove(CONTENT_LENGTH);
    response
}

/// The response to a request for a foreign host.
pub(super) fn refuse_foreign_host(_: &Site) -> Response {
    Refusal::ForeignHost.into_response()
}

fn remap_error(mut response: Response, error_body: fn(&Refusal) -> ErrorBody) -> Response {
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else {
        return response;
    };
    let mut mapped = error_body(&refusal).into_response();
    mapped
        .extensions_mut()
        .insert(AccessLogFields::refused(refusal.why()));
    mapped
}
