//! Client ids and preconditions.

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName};
use ring::digest;

use crate::wire::entity_tag;

const ID: HeaderName = HeaderName::from_static("x-keyexchange-id");
/// The length of an id. Clients send 256 hex digits, but any characters are valid.
pub(super) const ID_BYTES: usize = 256;

/// The hash of a client id. The id alone opens a channel, so it is not stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientId(pub(super) [u8; 32]);

/// A condition on the tag of a message, from `If-Match` or `If-None-Match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    /// Any message.
    Any,
    /// One of these tags, as in the header.
    OneOf(&'a [u8]),
}

/// The preconditions of a write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preconditions<'a> {
    pub(super) if_match: Option<Condition<'a>>,
    pub(super) if_none_match: Option<Condition<'a>>,
}

impl<'a> Preconditions<'a> {
    pub(super) fn read(headers: &'a HeaderMap) -> Self {
        Self {
            if_match: Condition::read(headers, &IF_MATCH),
            if_none_match: Condition::read(headers, &IF_NONE_MATCH),
        }
    }
}

impl ClientId {
    /// Reads the client id. A request has exactly one, of the right length.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(ID).iter();
        let id = values.next().filter(|id| id.len() == ID_BYTES)?;
        if values.next().is_some() {
            return None;
        }
        let hash = digest::digest(&digest::SHA256, id.as_bytes());
        hash.as_ref().try_into().ok().map(Self)
    }
}

impl<'a> Condition<'a> {
    /// Reads a header. An empty value is no condition.
    pub(super) fn read(headers: &'a HeaderMap, name: &HeaderName) -> Option<Self> {
        let value = headers.get(name)?.as_bytes().trim_ascii();
        match value {
            b"" => None,
            b"*" => Some(Self::Any),
            tags => Some(Self::OneOf(tags)),
        }
    }

    /// Returns whether the condition names this tag. A wrong 412 would end the client's pairing.
    pub(super) fn names(self, tag: &str) -> bool {
        matches!(self, Self::OneOf(tags) if entity_tag::is_named(tags, tag))
    }
}
