//! A request of the account API before its sender is known, and how its body is taken.

use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use axum::http::request::Parts;
use axum::http::{Method, header};
use bytes::Bytes;
use foxden_accounts::Visitor;
use foxden_accounts::security::Door;

use super::FxaState;
use super::credential::Presented;
use super::refusal::Refusal;
use crate::wire::body::{self, BadBody, Unfolds};
use crate::wire::json_body::BadJson;
use crate::wire::memory::{Owner, Place};
use crate::wire::{Site, visitor};

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
    pub(super) fn refuse_foreign_page(&self, presented: &Presented<'_>, site: &Site) -> Result<(), Refusal> {
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

impl From<BadJson> for Refusal {
    fn from(error: BadJson) -> Self {
        match error {
            BadJson::NotJson => Self::NotJson,
            BadJson::NotAnObject => Self::Invalid("body"),
            BadJson::Missing(name) => Self::Missing(name),
            BadJson::Invalid(name) => Self::Invalid(name),
        }
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
