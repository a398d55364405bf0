//! How answers and refusals of the key exchange are printed. Clients look at little more than the status.

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::channel::{ChannelError, ReadMessage};
use super::message_memory::MessageMemoryError;
use super::name::ChannelName;
use crate::wire::{AccessLogFields, set_retry_after};

const CHANNEL: HeaderName = HeaderName::from_static("x-keyexchange-channel");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Seconds after which a channel or memory may be free again.
const RETRY_SECONDS: u32 = 30;

/// A successful answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// The key exchange works.
    Running,
    /// A new channel.
    Opened(ChannelName),
    /// The message, and its tag once there is one.
    Message { bytes: Bytes, tag: Option<Box<str>> },
    /// The client has the current message already.
    Unchanged { tag: Box<str> },
    /// The message was stored.
    Stored { tag: Box<str> },
    /// Success without content.
    Done,
}

impl From<ReadMessage> for Answer {
    fn from(read: ReadMessage) -> Self {
        match read {
            ReadMessage::Message { bytes, tag } => Self::Message { bytes, tag },
            ReadMessage::Unchanged { tag } => Self::Unchanged { tag },
        }
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The network exceeded its limit of requests.
    Blocked,
    /// A page in a browser triggered the request.
    ForeignPage,
    /// No such path, or no such method on a channel.
    UnknownPath,
    /// The path takes only these methods.
    WrongMethod(&'static str),
    /// The client id is missing or invalid.
    InvalidClientId,
    /// Two other clients use the channel. It has ended.
    ThirdClient,
    /// The channel does not exist or has ended.
    NoSuchChannel,
    /// The channel holds another message than the preconditions name. The tag is that of the message sent.
    PreconditionFailed { tag: Box<str> },
    /// The message is too large.
    TooLarge,
    /// The body ended early.
    IncompleteBody,
    /// The client is already sending a message to this channel.
    UploadInProgress,
    /// The messages of the network take all the memory that one network may.
    NetworkMemoryFull,
    /// The messages of all networks take all the memory.
    MemoryFull,
    /// All channels are in use.
    AllChannelsInUse,
    /// The channels of all processes cannot be reached.
    Unavailable,
    /// The network opened too many channels.
    TooManyChannels { retry_after: u32 },
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let empty = Bytes::from_static(b"\"\"");
        match self {
            Self::Running => print(
                StatusCode::OK,
                TEXT,
                Bytes::from_static(b"The key exchange works.\n"),
            ),
            Self::Opened(name) => {
                let body = format!("\"{}\"", name.as_str());
                let mut response = print(StatusCode::OK, JSON, body.into());
                if let Ok(name) = HeaderValue::from_str(name.as_str()) {
                    response.headers_mut().insert(CHANNEL, name);
                }
                response
            }
            Self::Message { bytes, tag } => tagged(print(StatusCode::OK, JSON, bytes), tag.as_deref()),
            Self::Unchanged { tag } => {
                let mut response = print(StatusCode::NOT_MODIFIED, JSON, Bytes::new());
                response.headers_mut().remove(CONTENT_TYPE);
                // Two devices poll each second.
                response.extensions_mut().insert(AccessLogFields::routine());
                tagged(response, Some(&tag))
            }
            Self::Stored { tag } => tagged(print(StatusCode::OK, JSON, empty), Some(&tag)),
            Self::Done => print(StatusCode::OK, JSON, empty),
        }
    }
}

impl From<ChannelError> for Refusal {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::InvalidClientId => Self::InvalidClientId,
            ChannelError::ThirdClient => Self::ThirdClient,
            ChannelError::NotFound => Self::NoSuchChannel,
            ChannelError::PreconditionFailed { tag } => Self::PreconditionFailed { tag },
            ChannelError::UploadInProgress => Self::UploadInProgress,
            ChannelError::NetworkLimit => Self::TooManyChannels {
                retry_after: RETRY_SECONDS,
            },
            ChannelError::Full => Self::AllChannelsInUse,
            ChannelError::Unavailable => Self::Unavailable,
        }
    }
}

impl From<MessageMemoryError> for Refusal {
    fn from(error: MessageMemoryError) -> Self {
        match error {
            MessageMemoryError::NetworkLimit => Self::NetworkMemoryFull,
            MessageMemoryError::Full => Self::MemoryFull,
        }
    }
}

impl Refusal {
    /// Returns the limit that the network itself has reached, if that is the reason.
    pub(super) const fn reached_limit(&self) -> Option<&'static str> {
        match self {
            Self::Blocked => Some("requests to pair"),
            Self::NetworkMemoryFull => Some("memory for messages of pairing"),
            Self::TooManyChannels { .. } => Some("channels to pair"),
            _ => None,
        }
    }

    /// Returns the status and the reason, for the client and the log.
    const fn status_and_reason(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Blocked => (StatusCode::FORBIDDEN, "this network asked too often"),
            Self::ForeignPage => (StatusCode::FORBIDDEN, "pages may not send this"),
            Self::UnknownPath => (StatusCode::NOT_FOUND, "there is nothing here"),
            Self::WrongMethod(_) => (StatusCode::METHOD_NOT_ALLOWED, "not with this method"),
            Self::InvalidClientId => (
                StatusCode::BAD_REQUEST,
                "the client id is missing or not 256 characters long",
            ),
            Self::ThirdClient => (StatusCode::BAD_REQUEST, "two other clients meet here"),
            Self::NoSuchChannel => (StatusCode::NOT_FOUND, "there is no such channel"),
            Self::PreconditionFailed { .. } => (StatusCode::PRECONDITION_FAILED, "another message is there"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the message is too large"),
            Self::IncompleteBody => (StatusCode::BAD_REQUEST, "the message did not arrive whole"),
            Self::UploadInProgress => (
                StatusCode::SERVICE_UNAVAILABLE,
                "another message of this client is on its way",
            ),
            Self::NetworkMemoryFull => (
                StatusCode::SERVICE_UNAVAILABLE,
                "this network has no room left for messages",
            ),
            Self::MemoryFull => (StatusCode::SERVICE_UNAVAILABLE, "there is no room for messages"),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the channels cannot be reached at the moment",
            ),
            Self::AllChannelsInUse => (StatusCode::SERVICE_UNAVAILABLE, "no channel is free"),
            Self::TooManyChannels { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "this network opened too many channels",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, why) = self.status_and_reason();
        let mut response = print(status, TEXT, Bytes::from_static(why.as_bytes()));
        response.extensions_mut().insert(AccessLogFields::refused(why));
        let headers = response.headers_mut();
        match self {
            Self::WrongMethod(allowed) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::UploadInProgress
            | Self::NetworkMemoryFull
            | Self::MemoryFull
            | Self::AllChannelsInUse
            | Self::Unavailable => {
                set_retry_after(headers, RETRY_SECONDS);
            }
            Self::TooManyChannels { retry_after } => {
                set_retry_after(headers, retry_after);
            }
            Self::PreconditionFailed { tag } => response = tagged(response, Some(&tag)),
            Self::Blocked
            | Self::ForeignPage
            | Self::UnknownPath
            | Self::InvalidClientId
            | Self::ThirdClient
            | Self::NoSuchChannel
            | Self::TooLarge
            | Self::IncompleteBody => {}
        }
        response
    }
}

/// A response that is not cached and whose type is not guessed.
fn print(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn tagged(mut response: Response, tag: Option<&str>) -> Response {
    let tag = tag.and_then(|tag| HeaderValue::try_from(format!("\"{tag}\"")).ok());
    if let Some(tag) = tag {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::retry_after::retry_after_in;

    #[test]
    fn temporary_errors_have_a_retry_after() {
        for (refusal, wait) in [
            (Refusal::UploadInProgress, Some(30)),
            (Refusal::NetworkMemoryFull, Some(30)),
            (Refusal::MemoryFull, Some(30)),
            (Refusal::AllChannelsInUse, Some(30)),
            (Refusal::Unavailable, Some(30)),
            (Refusal::TooManyChannels { retry_after: 360 }, Some(360)),
            (Refusal::Blocked, None),
            (Refusal::ForeignPage, None),
            (Refusal::UnknownPath, None),
            (Refusal::WrongMethod("GET"), None),
            (Refusal::InvalidClientId, None),
            (Refusal::ThirdClient, None),
            (Refusal::NoSuchChannel, None),
            (Refusal::PreconditionFailed { tag: "t".into() }, None),
            (Refusal::TooLarge, None),
            (Refusal::IncompleteBody, None),
        ] {
            let described = format!("{refusal:?}");
            let response = refusal.into_response();
            let is_later = response.status() == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(
                (retry_after_in(response.headers()), is_later),
                (wait, wait.is_some()),
                "{described}"
            );
        }
    }
}
