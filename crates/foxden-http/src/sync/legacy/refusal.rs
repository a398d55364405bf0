//! Refusals in the format of Sync 1.x: a response code where the protocol has one, otherwise a text.

use std::borrow::Cow;

use axum::http::StatusCode;
use foxden_accounts::{LegacyLoginError, OpenStoreError, TooMany, Unavailable};
use foxden_model::SyncTime;
use foxden_storage::{EngineError, StorageError};

use crate::sync::body::BadBody;
use crate::sync::print;
use crate::sync::reply::{BUSY_SECONDS, Format, Reply, ResponseCode, UNAVAILABLE_SECONDS};
use crate::wire::chain;
use crate::wire::memory::{MemoryFull, RETRY_SECONDS};

/// Why a request is refused.
#[derive(Debug)]
pub(in crate::sync) enum Refusal {
    /// The credentials do not open this store on this node. The reason is only logged.
    Unauthorized { why: Cow<'static, str> },
    /// A foreign page triggered the request.
    ForeignPage,
    /// The accounts refused the request.
    Account(OpenStoreError),
    /// The request is invalid; the response code says why.
    Refused(ResponseCode),
    /// The request is invalid in a way without a response code.
    BadRequest(&'static str),
    /// No such path.
    NotFound,
    /// The object does not exist, as of that time.
    NoObject { as_of: SyncTime },
    /// The path does not allow the method.
    MethodNotAllowed,
    /// The body cannot be read.
    Body(BadBody),
    /// The user's responses in transit take all the memory they may.
    MemoryFull,
    /// The precondition failed.
    Stale,
    /// The node is in maintenance.
    Down { seconds: u32 },
    /// Storage failed.
    Storage(StorageError),
}

impl Refusal {
    /// Returns whether the quota is used up.
    pub(crate) const fn is_over_quota(&self) -> bool {
        matches!(
            self,
            Self::Refused(ResponseCode::OverQuota)
                | Self::Storage(StorageError::Engine(EngineError::OverQuota { .. }))
        )
    }

    /// Builds the response.
    pub(in crate::sync) fn into_reply(self) -> Reply {
        match self {
            Self::Unauthorized { why } => unauthorized(why.into_owned()),
            Self::ForeignPage => Reply {
                why: Some("a page of another site sent it".to_owned()),
                ..said(StatusCode::FORBIDDEN, "not from a page of another site")
            },
            Self::Account(error) => account(&error),
            Self::Refused(code) => refused(StatusCode::BAD_REQUEST, code),
            Self::BadRequest(text) => said(StatusCode::BAD_REQUEST, text),
            Self::NotFound => said(StatusCode::NOT_FOUND, "no such address"),
            Self::NoObject { as_of } => Reply {
                time: Some(as_of),
                ..said(StatusCode::NOT_FOUND, "no such object")
            },
            Self::MethodNotAllowed => said(StatusCode::METHOD_NOT_ALLOWED, "not with this method"),
            Self::Body(error) => body(error),
            Self::MemoryFull => Reply {
                why: Some("no memory is left for another answer".to_owned()),
                ..later(RETRY_SECONDS, "server issue: too many answers are under way")
            },
            Self::Stale => refused(StatusCode::PRECONDITION_FAILED, ResponseCode::Overwrites),
            Self::Down { seconds } => Reply {
                why: Some("the node is in maintenance or marked as down".to_owned()),
                ..later(seconds, "the node is in maintenance")
            },
            Self::Storage(error) => storage(&error),
        }
    }
}

impl From<MemoryFull> for Refusal {
    fn from(_: MemoryFull) -> Self {
        Self::MemoryFull
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<OpenStoreError> for Refusal {
    fn from(error: OpenStoreError) -> Self {
        Self::Account(error)
    }
}

impl From<BadBody> for Refusal {
    fn from(error: BadBody) -> Self {
        Self::Body(error)
    }
}

fn storage(error: &StorageError) -> Reply {
    use EngineError as E;
    let StorageError::Engine(engine) = error;
    let reply = match engine {
        E::Closed => return unauthorized(chain(error)),
        E::Stale { .. } => return Refusal::Stale.into_reply(),
        E::TooManyCollections => {
            return refused(StatusCode::BAD_REQUEST, ResponseCode::BadCollection);
        }
        E::Busy | E::PassEnded(_) => later(BUSY_SECONDS, "server issue: too many writers"),
        E::OverQuota { .. } => refused(StatusCode::BAD_REQUEST, ResponseCode::OverQuota),
        E::Unavailable(_) | E::OutcomeUnknown(_) => {
            later(UNAVAILABLE_SECONDS, "server issue: the store cannot be reached")
        }
        // This dialect sends no batches and no page tokens.
        E::NoSuchBatch | E::TooLarge(_) | E::BadCursor => broken(),
    };
    Reply {
        why: Some(chain(error)),
        ..reply
    }
}

/// Only wrong credentials are answered by 401: clients then ask for the password.
fn account(error: &OpenStoreError) -> Reply {
    use LegacyLoginError as E;
    let reply = match error {
        OpenStoreError::NoCapacity => later(UNAVAILABLE_SECONDS, "server issue: no node has room"),
        OpenStoreError::Login(E::UnknownAccount { .. } | E::WrongPassword { .. } | E::Disabled) => {
            return unauthorized(chain(error));
        }
        OpenStoreError::Login(E::TooMany(TooMany { retry_after })) => {
            let seconds = u32::try_from(*retry_after).unwrap_or(u32::MAX);
            later(seconds, "server issue: too many attempts")
        }
        OpenStoreError::Login(E::Unavailable(Unavailable::Busy)) => {
            later(BUSY_SECONDS, "server issue: too much at once")
        }
        OpenStoreError::Login(E::Unavailable(Unavailable::Database(_))) => later(
            UNAVAILABLE_SECONDS,
            "server issue: the accounts cannot be reached",
        ),
        OpenStoreError::Login(E::Unavailable(Unavailable::NullCharacter)) => {
            said(StatusCode::BAD_REQUEST, "a text of the request holds U+0000")
        }
        OpenStoreError::Login(E::Unavailable(Unavailable::Damaged(_))) => broken(),
    };
    Reply {
        why: Some(chain(error)),
        ..reply
    }
}

fn body(error: BadBody) -> Reply {
    match error {
        BadBody::TooLarge => said(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
        BadBody::UnknownCoding => said(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the coding of the body is not known",
        ),
        BadBody::Broken => said(StatusCode::BAD_REQUEST, "the body breaks off"),
        BadBody::WastefulGzip => said(
            StatusCode::BAD_REQUEST,
            "the compressed body holds too little for its size",
        ),
        BadBody::MemoryFull => Reply {
            why: Some("no memory is left for another body".to_owned()),
            ..later(BUSY_SECONDS, "server issue: too much at once")
        },
    }
}

fn unauthorized(why: String) -> Reply {
    Reply {
        challenge: Some("Basic realm=\"Sync\""),
        why: Some(why),
        ..said(StatusCode::UNAUTHORIZED, "authorization required")
    }
}

fn broken() -> Reply {
    said(StatusCode::INTERNAL_SERVER_ERROR, "application error")
}

fn refused(status: StatusCode, code: ResponseCode) -> Reply {
    let body = (code as u8).to_string().into_bytes();
    Reply {
        status,
        ..Reply::new(Format::Json, body)
    }
}

fn said(status: StatusCode, text: &str) -> Reply {
    let mut body = Vec::with_capacity(text.len() + 2);
    print::string(&mut body, text);
    Reply {
        status,
        ..Reply::new(Format::Json, body)
    }
}

fn later(seconds: u32, text: &str) -> Reply {
    Reply {
        retry_after: Some(seconds),
        ..said(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::wire::retry_after::{all_errors, retry_after_in};

    fn status_and_wait(refusal: Refusal) -> (u16, Option<u64>) {
        let response =
            refusal
                .into_reply()
                .into_response(HeaderMap::new(), SyncTime::from_millis(1000), None);
        (response.status().as_u16(), retry_after_in(response.headers()))
    }

    /// Old clients, too, read `Retry-After` on 503 alone, and do not know 429.
    #[test]
    fn a_time_to_wait_stands_on_503_and_nowhere_else() {
        let storage = all_errors::storage_errors().into_iter().map(|error| {
            let wait = match &error {
                StorageError::Engine(EngineError::Busy | EngineError::PassEnded(_)) => Some(10),
                StorageError::Engine(EngineError::Unavailable(_) | EngineError::OutcomeUnknown(_)) => {
                    Some(60)
                }
                StorageError::Engine(_) => None,
            };
            (Refusal::from(error), wait)
        });
        let accounts = all_errors::open_store_errors().into_iter().map(|error| {
            let wait = match &error {
                OpenStoreError::Login(LegacyLoginError::Unavailable(Unavailable::Busy)) => Some(10),
                OpenStoreError::Login(LegacyLoginError::Unavailable(Unavailable::Database(_)))
                | OpenStoreError::NoCapacity => Some(60),
                OpenStoreError::Login(LegacyLoginError::TooMany(_)) => Some(7),
                OpenStoreError::Login(_) => None,
            };
            (Refusal::from(error), wait)
        });
        let others = [
            (Refusal::Down { seconds: 1800 }, Some(1800)),
            (Refusal::Body(BadBody::MemoryFull), Some(10)),
            (Refusal::Body(BadBody::TooLarge), None),
            (Refusal::Stale, None),
            (Refusal::NotFound, None),
        ];
        for (refusal, wait) in storage.chain(accounts).chain(others) {
            let described = format!("{refusal:?}");
            let (status, waits) = status_and_wait(refusal);
            assert_eq!((waits, status == 503), (wait, wait.is_some()), "{described}");
        }
    }
}
