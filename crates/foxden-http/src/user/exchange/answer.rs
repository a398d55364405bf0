//! How the exchange's answers and refusals are printed. Clients look at little more than the status.

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::channel::{ChannelError, ReadMessage};
use super::name::Name;
use super::room::RoomError;
use crate::wire::{Note, ask_to_wait};

const CHANNEL: HeaderName = HeaderName::from_static("x-keyexchange-channel");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Seconds after which a channel or room may be free again.
const SOON: u32 = 30;

/// What a client gets.
#[derive(Debug)]
pub(super) enum Answer {
    /// The exchange works.
    Alive,
    /// A new channel.
    Opened(Name),
    /// The message, and its tag once there is one.
    Message { bytes: Bytes, tag: Option<Box<str>> },
    /// The message is the one that the client knows.
    Unchanged { tag: Box<str> },
    /// The message was taken.
    Stored { tag: Box<str> },
    /// It was done; there is nothing to tell.
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

/// Why a client gets nothing.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The network asked for too much.
    Blocked,
    /// A page in a browser made it send this.
    ForeignPage,
    /// No such path, or no such method on a channel.
    NoSuchPlace,
    /// The path takes these methods.
    WrongMethod(&'static str),
    /// The client's id is missing or no id.
    BadId,
    /// Two others meet in that channel; it has ended.
    ThirdClient,
    /// The channel never was, or has ended.
    NoSuchChannel,
    /// Another message is there than the client takes it for. The tag is that of the message it sent.
    OtherMessage { tag: Box<str> },
    /// The message is too large.
    TooLarge,
    /// The message did not arrive whole.
    Broken,
    /// The client is sending a message to that channel already.
    UnderWay,
    /// The network's messages take up its share of the room.
    NoShare,
    /// Messages take up all the room there is.
    NoRoom,
    /// So many channels live that there is no other.
    NoChannelFree,
    /// The network opened too many channels.
    ManyChannels { retry_after: u32 },
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let nothing = Bytes::from_static(b"\"\"");
        match self {
            Self::Alive => print(
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
                // Two devices ask each second.
                response.extensions_mut().insert(Note::routine());
                tagged(response, Some(&tag))
            }
            Self::Stored { tag } => tagged(print(StatusCode::OK, JSON, nothing), Some(&tag)),
            Self::Done => print(StatusCode::OK, JSON, nothing),
        }
    }
}

impl From<ChannelError> for Refusal {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::InvalidClientId => Self::BadId,
            ChannelError::ThirdClient => Self::ThirdClient,
            ChannelError::NotFound => Self::NoSuchChannel,
            ChannelError::PreconditionFailed { tag } => Self::OtherMessage { tag },
            ChannelError::UploadInProgress => Self::UnderWay,
            ChannelError::NetworkLimit => Self::ManyChannels { retry_after: SOON },
            ChannelError::Full => Self::NoChannelFree,
        }
    }
}

impl From<RoomError> for Refusal {
    fn from(error: RoomError) -> Self {
        match error {
            RoomError::NetworkLimit => Self::NoShare,
            RoomError::Full => Self::NoRoom,
        }
    }
}

impl Refusal {
    /// What the network itself has spent, if that is why. Where others took all there is, it is none of its doing.
    pub(super) const fn spent(&self) -> Option<&'static str> {
        match self {
            Self::Blocked => Some("requests to pair"),
            Self::NoShare => Some("room for messages of pairing"),
            Self::ManyChannels { .. } => Some("channels to pair"),
            _ => None,
        }
    }

    /// The status, and why, in words for the client and the log.
    const fn words(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Blocked => (StatusCode::FORBIDDEN, "this network asked too often"),
            Self::ForeignPage => (StatusCode::FORBIDDEN, "pages may not send this"),
            Self::NoSuchPlace => (StatusCode::NOT_FOUND, "there is nothing here"),
            Self::WrongMethod(_) => (StatusCode::METHOD_NOT_ALLOWED, "not with this method"),
            Self::BadId => (
                StatusCode::BAD_REQUEST,
                "the client id is missing or not 256 characters long",
            ),
            Self::ThirdClient => (StatusCode::BAD_REQUEST, "two other clients meet here"),
            Self::NoSuchChannel => (StatusCode::NOT_FOUND, "there is no such channel"),
            Self::OtherMessage { .. } => (StatusCode::PRECONDITION_FAILED, "another message is there"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the message is too large"),
            Self::Broken => (StatusCode::BAD_REQUEST, "the message did not arrive whole"),
            Self::UnderWay => (
                StatusCode::SERVICE_UNAVAILABLE,
                "another message of this client is on its way",
            ),
            Self::NoShare => (
                StatusCode::SERVICE_UNAVAILABLE,
                "this network has no room left for messages",
            ),
            Self::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, "there is no room for messages"),
            Self::NoChannelFree => (StatusCode::SERVICE_UNAVAILABLE, "no channel is free"),
            Self::ManyChannels { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "this network opened too many channels",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, why) = self.words();
        let mut response = print(status, TEXT, Bytes::from_static(why.as_bytes()));
        response.extensions_mut().insert(Note::refused(why));
        let headers = response.headers_mut();
        match self {
            Self::WrongMethod(allowed) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::UnderWay | Self::NoShare | Self::NoRoom | Self::NoChannelFree => {
                ask_to_wait(headers, SOON);
            }
            Self::ManyChannels { retry_after } => {
                ask_to_wait(headers, retry_after);
            }
            Self::OtherMessage { tag } => response = tagged(response, Some(&tag)),
            Self::Blocked
            | Self::ForeignPage
            | Self::NoSuchPlace
            | Self::BadId
            | Self::ThirdClient
            | Self::NoSuchChannel
            | Self::TooLarge
            | Self::Broken => {}
        }
        response
    }
}

/// An answer that nobody keeps and whose type nobody guesses.
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
    use crate::wire::wait::wait_in;

    #[test]
    fn what_waiting_mends_names_a_time() {
        for (refusal, wait) in [
            (Refusal::UnderWay, Some(30)),
            (Refusal::NoShare, Some(30)),
            (Refusal::NoRoom, Some(30)),
            (Refusal::NoChannelFree, Some(30)),
            (Refusal::ManyChannels { retry_after: 360 }, Some(360)),
            (Refusal::Blocked, None),
            (Refusal::ForeignPage, None),
            (Refusal::NoSuchPlace, None),
            (Refusal::WrongMethod("GET"), None),
            (Refusal::BadId, None),
            (Refusal::ThirdClient, None),
            (Refusal::NoSuchChannel, None),
            (Refusal::OtherMessage { tag: "t".into() }, None),
            (Refusal::TooLarge, None),
            (Refusal::Broken, None),
        ] {
            let described = format!("{refusal:?}");
            let response = refusal.into_response();
            let is_later = response.status() == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(
                (wait_in(response.headers()), is_later),
                (wait, wait.is_some()),
                "{described}"
            );
        }
    }
}
