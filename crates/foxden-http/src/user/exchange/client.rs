//! Who a client says it is, and what it demands of the message that is there.

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName};
use ring::digest;

use crate::wire::entity_tag;

const ID: HeaderName = HeaderName::from_static("x-keyexchange-id");
/// How long an id is. Clients send 256 hex digits; what they are made of is theirs.
pub(super) const ID_BYTES: usize = 256;

/// A client's id, hashed: the id is all that opens a channel, so it is not kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientId([u8; 32]);

/// What a client says of the message that it knows, from `If-Match` or `If-None-Match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    /// Any.
    Any,
    /// One of these, as the header has them.
    OneOf(&'a [u8]),
}

/// What a client demands of the message that it replaces.
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
    /// The one id of the right length that a request brings.
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
    /// What that header demands. One without a value demands nothing.
    pub(super) fn read(headers: &'a HeaderMap, name: &HeaderName) -> Option<Self> {
        let value = headers.get(name)?.as_bytes().trim_ascii();
        match value {
            b"" => None,
            b"*" => Some(Self::Any),
            tags => Some(Self::OneOf(tags)),
        }
    }

    /// Whether this tag is named. A 412 that the client did not earn ends its pairing.
    pub(super) fn names(self, tag: &str) -> bool {
        matches!(self, Self::OneOf(tags) if entity_tag::is_named(tags, tag))
    }
}
