//! How a request is read: who asks, its body within bounds, what is asked. A body is read once its sender is known.

use axum::extract::{FromRequest, Request};
use foxden_accounts::Visitor;

use super::FxaState;
use super::caller::Caller;
use super::credential::Presented;
use super::incoming::{Incoming, Taking};
use super::refusal::Refusal;
use crate::wire::body::{Unfolds, announced_length};
use crate::wire::json_body::JsonBody;
use crate::wire::memory::{Owner, Place};
use crate::wire::percent;

/// The largest body, but for devices.
const BODY: usize = 16 * 1024;
/// The largest body where devices send their commands.
const DEVICE_BODY: usize = 64 * 1024;

/// A request, read and checked: a body that is no JSON object or a caller that is not `By` ends it.
pub(super) struct Ask<By> {
    /// Who asks.
    pub(super) by: By,
    /// From where.
    pub(super) visitor: Visitor,
    /// The members of the body.
    pub(super) body: JsonBody,
    /// The query, undecoded.
    query: String,
    /// What the body takes of memory.
    _place: Option<Place>,
}

impl<By: Caller> FromRequest<FxaState> for Ask<By> {
    type Rejection = Refusal;

    async fn from_request(request: Request, fxa: &FxaState) -> Result<Self, Refusal> {
        let most = if request.uri().path().starts_with("/v1/account/device") {
            DEVICE_BODY
        } else {
            BODY
        };
        let (incoming, body) = Incoming::split(request, fxa);
        let presented = Presented::read(&incoming.parts.headers);
        incoming.refuse_foreign_page(&presented, &fxa.site)?;
        announced_length(&incoming.parts.headers, &body, most)?;
        let by = By::identify(fxa, &incoming, &presented).await?;
        let (account, payer) = (by.account(), by.payer());
        let taking = Taking {
            most,
            owner: payer.map_or(incoming.client(), Owner::Account),
            unfolds: Unfolds::Json,
        };
        let (body, place) = incoming.take(fxa, body, taking).await?;
        if account.is_some() {
            presented.vouch_for(fxa, &incoming, payer, &body)?;
        }
        let members = JsonBody::parse_or_empty(&body)?;
        if let Some(place) = &place {
            // The body itself goes, its members stay.
            place.set(members.weight());
        }
        let query = incoming.parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self {
            by,
            visitor: incoming.visitor,
            body: members,
            query,
            _place: place,
        })
    }
}

impl<By> Ask<By> {
    /// One parameter of the query. Only plain values are asked for, so nothing is decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        percent::parameter(&self.query, name)
    }

    /// A number in the query.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let parse = |text: &str| text.parse().map_err(|_| Refusal::Invalid(name));
        self.parameter(name).map(parse).transpose()
    }

    /// Whether the client asked for a key-fetch token.
    pub(super) fn wants_keys(&self) -> bool {
        self.parameter("keys")
            .is_some_and(|flag| flag.eq_ignore_ascii_case("true"))
    }
}

#[cfg(test)]
mod tests;
