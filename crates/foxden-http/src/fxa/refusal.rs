//! Every refusal in the words of the account protocol, which has three tables of numbers: one for accounts,
//! one for OAuth on paths of its own, one for profiles. Each has a file of its own below.

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

use crate::wire::memory::{NoRoom, RETRY_SECONDS};
use crate::wire::{Note, Site, ask_to_wait, chain, print_json};

/// Why a request was not carried out.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// The body is not JSON.
    NotJson,
    /// A parameter is not acceptable.
    Invalid(&'static str),
    /// A parameter is not there.
    Missing(&'static str),
    /// A member of key-stretching version 2, which is not offered.
    SecondStretching(&'static str),
    /// The body is larger than anybody needs.
    TooLarge,
    /// The client went away in the middle of its request.
    Broken,
    /// No memory is left for the body or the answer.
    NoMemory,
    /// No credential of the needed kind, or one that is unknown; the text is for the log.
    NoCredential(&'static str),
    /// Signed, but not like this.
    BadSignature(&'static str),
    /// Signed at a time too far from ours, which is given in seconds.
    Skewed(i64),
    /// Only codes are given, no tokens in the address.
    WrongResponseType,
    /// A grant that is not offered.
    UnknownGrantType,
    /// The picture is not there.
    NoImage,
    /// The access token does not cover this.
    NotCovered,
    /// This server does not offer it.
    Off,
    /// Nobody offers it any more.
    Retired,
    /// No such path.
    UnknownPath,
    /// The path is known, not with this method.
    WrongMethod,
    /// Asked for under a name that is not ours.
    ForeignHost,
    /// The accounts refused.
    Service(Arc<Refused>),
}

/// An error of the accounts in the numbers of the tables whose paths can meet it.
#[derive(Debug)]
pub(super) struct Refused {
    /// For the log.
    why: String,
    /// In the table of the paths that are this service's own.
    words: Words,
    /// In the OAuth API's table, if that differs.
    oauth: Option<Words>,
    /// In the profile API's table, if that differs.
    profile: Option<Words>,
}

/// Says each error in its own table and in those others that can meet it.
macro_rules! service {
    ($($Error:ty: $words:expr $(, oauth: $oauth:expr)? $(, profile: $profile:expr)?;)+) => {
        $(impl From<$Error> for Refusal {
            fn from(error: $Error) -> Self {
                Self::Service(Arc::new(Refused {
                    why: chain(&error),
                    words: ($words)(&error),
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

impl From<NoRoom> for Refusal {
    fn from(_: NoRoom) -> Self {
        Self::NoMemory
    }
}

/// A refusal in the numbers of one table.
#[derive(Clone, Debug)]
struct Words {
    status: StatusCode,
    errno: u16,
    message: &'static str,
    extra: Option<(&'static str, Value)>,
    wait: Option<Wait>,
}

/// How many seconds the client is asked to wait, and before what.
#[derive(Clone, Copy, Debug)]
enum Wait {
    /// Before it repeats this call.
    Call(u64),
    /// Before any call. The answer says so in a member, `retryAfter`, and a browser that reads it makes no account call
    /// at all until then: its tokens run out and it syncs no more. So this is for a server that could not answer any
    /// other call either, and is short.
    Browser(u64),
}

/// Seconds after which it is worth trying again when the server was busy.
const SOON: u64 = 30;

impl Words {
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

    /// The caller holds its share, so other calls of the same browser may well be answered.
    const fn no_memory(errno: u16) -> Self {
        let mut words = Self::new(StatusCode::SERVICE_UNAVAILABLE, errno, "Service unavailable");
        words.wait = Some(Wait::Call(RETRY_SECONDS as u64));
        words
    }

    /// A database that is down could answer no other call either.
    fn unavailable(errno: u16) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, errno, "Service unavailable").after(Wait::Browser(SOON))
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

    fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.extra = Some((name, value.into()));
        self
    }

    fn after(mut self, wait: Wait) -> Self {
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
            ask_to_wait(response.headers_mut(), seconds);
        }
        response
    }
}

impl Refusal {
    /// Why, for the log.
    fn why(&self) -> Cow<'static, str> {
        match self {
            Self::NotJson => "the body is not json".into(),
            Self::Invalid(name) => format!("invalid {name}").into(),
            Self::Missing(name) => format!("no {name}").into(),
            Self::SecondStretching(name) => format!("{name}, of key-stretching version 2").into(),
            Self::TooLarge => "the body is too large".into(),
            Self::Broken => "the request ended early".into(),
            Self::NoMemory => "no memory is left for its body or its answer".into(),
            Self::NoCredential(why) | Self::BadSignature(why) => (*why).into(),
            Self::Skewed(_) => "signed at a time more than a minute from ours".into(),
            Self::WrongResponseType => "only response_type=code is offered".into(),
            Self::UnknownGrantType => "no such grant type".into(),
            Self::NoImage => "no such picture".into(),
            Self::NotCovered => "the access token does not cover this".into(),
            Self::Off => "not offered here".into(),
            Self::Retired => "retired".into(),
            Self::UnknownPath => "no such path".into(),
            Self::WrongMethod => "not with this method".into(),
            Self::ForeignHost => "asked for a host that is neither the public url's nor configured".into(),
            Self::Service(refused) => refused.why.clone().into(),
        }
    }
}

impl IntoResponse for Refusal {
    /// Speaks the account API's words, and leaves the refusal itself for a layer that speaks others.
    fn into_response(self) -> Response {
        let mut response = auth::words(&self).into_response();
        response.extensions_mut().insert(Note::refused(self.why()));
        response.extensions_mut().insert(self);
        response
    }
}

/// Says the refusals of the OAuth API's own paths in its own numbers.
pub(super) async fn speak_oauth(request: Request, next: Next) -> Response {
    respeak(next.run(request).await, oauth::words)
}

/// Says the refusals of the profile API in its own numbers.
pub(super) async fn speak_profile(request: Request, next: Next) -> Response {
    respeak(next.run(request).await, profile::words)
}

/// Says in each refusal of the account API where its number is explained.
pub(super) async fn explain(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else {
        return response;
    };
    let info = format!("{}/docs/errors", site.public_url.origin());
    *response.body_mut() = auth::words(&refusal).print(Some(info)).into_body();
    response.headers_mut().remove(CONTENT_LENGTH);
    response
}

/// What a request for a foreign name is told.
pub(super) fn refuse_foreign_host(_: &Site) -> Response {
    Refusal::ForeignHost.into_response()
}

fn respeak(mut response: Response, words: fn(&Refusal) -> Words) -> Response {
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else {
        return response;
    };
    let mut said = words(&refusal).into_response();
    said.extensions_mut().insert(Note::refused(refusal.why()));
    said
}
