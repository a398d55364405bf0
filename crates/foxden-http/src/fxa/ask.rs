//! How a request is read: who asks, its body within bounds, what is asked. A body is read once its sender is known.

use axum::body::Body;
use axum::extract::{FromRequest, OriginalUri, Request};
use axum::http::request::Parts;
use axum::http::{Method, header};
use bytes::Bytes;
use foxden_accounts::Visitor;
use foxden_accounts::security::Door;

use super::FxaState;
use super::caller::Caller;
use super::credential::Presented;
use super::members::Members;
use super::refusal::Refusal;
use crate::wire::body::{self, BadBody, Unfolds, announced_length};
use crate::wire::memory::{Owner, Place};
use crate::wire::{Site, visitor};

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
    pub(super) body: Members,
    /// The query, undecoded.
    query: String,
    /// What the body takes of memory.
    _place: Option<Place>,
}

/// A request as it came, without its body.
pub(super) struct Incoming {
    pub(super) parts: Parts,
    pub(super) visitor: Visitor,
}

/// How a body is taken.
#[derive(Clone, Copy)]
pub(super) struct Taking {
    /// How many bytes it may have.
    pub(super) most: usize,
    /// Whose memory it takes.
    pub(super) owner: Owner,
    /// How much of it.
    pub(super) unfolds: Unfolds,
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
        let members = Members::parse(&body)?;
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
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(given, _)| *given == name).map(|(_, value)| value)
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

impl Incoming {
    /// Lays the body aside, of which nothing is read yet.
    pub(super) fn split(request: Request, fxa: &FxaState) -> (Self, Body) {
        let visitor = visitor(&request, &fxa.site, Door::Accounts);
        let (parts, body) = request.into_parts();
        (Self { parts, visitor }, body)
    }

    /// Takes the body, counted as long as its place is kept.
    pub(super) async fn take(
        &self,
        fxa: &FxaState,
        body: Body,
        taking: Taking,
    ) -> Result<(Bytes, Option<Place>), Refusal> {
        let Taking { most, owner, unfolds } = taking;
        let headers = &self.parts.headers;
        Ok(body::take(&fxa.memory.bodies, owner, headers, body, most, unfolds).await?)
    }

    /// The one who is counted where nothing is proven.
    pub(super) fn client(&self) -> Owner {
        Owner::client(&self.parts.extensions)
    }

    /// Path and query as the client sent them.
    pub(super) fn target(&self) -> &str {
        let original = self.parts.extensions.get::<OriginalUri>();
        let uri = original.map_or(&self.parts.uri, |original| &original.0);
        uri.path_and_query().map_or("/", |target| target.as_str())
    }

    /// The content type as the client gave it.
    pub(super) fn content_type(&self) -> &str {
        let value = self.parts.headers.get(header::CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Refuses what a page from elsewhere may have made a browser send unasked: a form, with a password by Basic that the
    /// browser was once given at a prompt. JSON it sends only with a permission that is never given; browsers that did
    /// so without name the page.
    fn refuse_foreign_page(&self, presented: &Presented<'_>, site: &Site) -> Result<(), Refusal> {
        let is_question = matches!(self.parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if is_question || presented.is_put_in_by_the_client() {
            return Ok(());
        }
        let media_type = self.content_type().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::Invalid("content-type"));
        }
        // Firefox itself says that its own requests are cross-site, but of those it names no origin.
        let headers = &self.parts.headers;
        if headers.contains_key(header::ORIGIN) && site.is_sent_by_foreign_page(headers) {
            return Err(Refusal::Invalid("origin"));
        }
        Ok(())
    }
}

impl From<BadBody> for Refusal {
    fn from(error: BadBody) -> Self {
        match error {
            BadBody::TooLarge => Self::TooLarge,
            BadBody::NoRoom => Self::NoMemory,
            BadBody::Broken => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests;
