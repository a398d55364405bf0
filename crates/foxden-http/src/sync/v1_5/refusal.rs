//! Why a request is refused, in the words of Sync 1.5.

use axum::http::StatusCode;
use foxden_model::SyncTime;
use foxden_storage::{EngineError, StorageError};

use crate::sync::body::BadBody;
use crate::sync::reply::{BUSY_SECONDS, Format, Reply, ResponseCode, UNAVAILABLE_SECONDS};
use crate::wire::chain;
use crate::wire::memory::{MemoryFull, RETRY_SECONDS};

/// Why a request is refused.
#[derive(Debug)]
pub(in crate::sync) enum Refusal {
    /// The credentials do not open this store. The reason is only logged.
    Unauthorized { why: String },
    /// The request is invalid; the response code says why.
    BadRequest(ResponseCode),
    /// No such path, object or uid.
    NotFound,
    /// The path does not allow the method.
    MethodNotAllowed,
    /// The client accepts none of the formats.
    NotAcceptable,
    /// The media type of the body is unknown.
    UnsupportedMediaType,
    /// The body cannot be read.
    Body(BadBody),
    /// The client has the current version already.
    NotModified { modified: SyncTime },
    /// The user's responses in transit take all the memory they may.
    MemoryFull,
    /// The precondition failed.
    Stale { modified: SyncTime },
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
            Self::Storage(StorageError::Engine(EngineError::OverQuota { .. }))
        )
    }

    /// Builds the response.
    pub(in crate::sync) fn into_reply(self) -> Reply {
        use ResponseCode::{TooMuch, Unspecified};
        match self {
            Self::Unauthorized { why } => unauthorized(why),
            Self::BadRequest(code) => refused(StatusCode::BAD_REQUEST, code),
            Self::NotFound => refused(StatusCode::NOT_FOUND, Unspecified),
            Self::MethodNotAllowed => refused(StatusCode::METHOD_NOT_ALLOWED, Unspecified),
            Self::NotAcceptable => refused(StatusCode::NOT_ACCEPTABLE, Unspecified),
            Self::UnsupportedMediaType | Self::Body(BadBody::UnknownCoding) => {
                refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, Unspecified)
            }
            Self::Body(BadBody::TooLarge) => refused(StatusCode::PAYLOAD_TOO_LARGE, TooMuch),
            Self::Body(BadBody::Broken | BadBody::WastefulGzip) => {
                refused(StatusCode::BAD_REQUEST, Unspecified)
            }
            Self::Body(BadBody::MemoryFull) => Reply {
                why: Some("no memory is left for another body".to_owned()),
                ..later(BUSY_SECONDS)
            },
            Self::NotModified { modified } => Reply {
                status: StatusCode::NOT_MODIFIED,
                modified: Some(modified),
                ..Reply::new(Format::Json, Vec::new())
            },
            Self::MemoryFull => Reply {
                why: Some("no memory is left for another answer".to_owned()),
                ..later(RETRY_SECONDS)
            },
            Self::Stale { modified } => stale(modified),
            Self::Down { seconds } => Reply {
                why: Some("the node is in maintenance or marked as down".to_owned()),
                ..later(seconds)
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

impl From<BadBody> for Refusal {
    fn from(error: BadBody) -> Self {
        Self::Body(error)
    }
}

fn storage(error: &StorageError) -> Reply {
    use EngineError as E;
    use ResponseCode::{BadCollection, OverQuota, TooMuch, Unspecified};
    let why = Some(chain(error));
    let StorageError::Engine(engine) = error;
    match engine {
        E::Closed => unauthorized(chain(error)),
        E::Stale { modified } => stale(*modified),
        E::OverQuota { .. } => Reply {
            why,
            ..refused(StatusCode::FORBIDDEN, OverQuota)
        },
        // A part that is too large is answered object by object; only a commit can end here.
        E::TooLarge(_) => refused(StatusCode::BAD_REQUEST, TooMuch),
        E::NoSuchBatch | E::BadCursor => refused(StatusCode::BAD_REQUEST, Unspecified),
        E::TooManyCollections => refused(StatusCode::BAD_REQUEST, BadCollection),
        E::Busy | E::PassEnded(_) => Reply {
            why,
            ..later(BUSY_SECONDS)
        },
        E::Unavailable(_) | E::OutcomeUnknown(_) => Reply {
            why,
            ..later(UNAVAILABLE_SECONDS)
        },
    }
}

fn stale(modified: SyncTime) -> Reply {
    Reply {
        modified: Some(modified),
        ..refused(StatusCode::PRECONDITION_FAILED, ResponseCode::Unspecified)
    }
}

fn unauthorized(why: String) -> Reply {
    Reply {
        challenge: Some("Hawk"),
        why: Some(why),
        ..refused(StatusCode::UNAUTHORIZED, ResponseCode::Unspecified)
    }
}

fn refused(status: StatusCode, code: ResponseCode) -> Reply {
    let body = (code as u8).to_string().into_bytes();
    Reply {
        status,
        ..Reply::new(Format::Json, body)
    }
}

fn later(seconds: u32) -> Reply {
    Reply {
        retry_after: Some(seconds),
        ..refused(StatusCode::SERVICE_UNAVAILABLE, ResponseCode::Unspecified)
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

    /// V7.14, D3.66: browsers read `Retry-After` on 503 alone.
    #[test]
    fn a_time_to_wait_stands_on_503_and_nowhere_else() {
        for error in all_errors::storage_errors() {
            let wait = match &error {
                StorageError::Engine(EngineError::Busy | EngineError::PassEnded(_)) => Some(10),
                StorageError::Engine(EngineError::Unavailable(_) | EngineError::OutcomeUnknown(_)) => {
                    Some(60)
                }
                StorageError::Engine(_) => None,
            };
            let described = format!("{error:?}");
            let (status, waits) = status_and_wait(error.into());
            assert_eq!((waits, status == 503), (wait, wait.is_some()), "{described}");
        }
        for (refusal, expected) in [
            (Refusal::Down { seconds: 1800 }, (503, Some(1800))),
            (Refusal::Body(BadBody::MemoryFull), (503, Some(10))),
            (Refusal::Body(BadBody::TooLarge), (413, None)),
            (Refusal::Body(BadBody::UnknownCoding), (415, None)),
            (Refusal::Unauthorized { why: String::new() }, (401, None)),
            (Refusal::MethodNotAllowed, (405, None)),
        ] {
            let described = format!("{refusal:?}");
            assert_eq!(status_and_wait(refusal), expected, "{described}");
        }
    }
}
