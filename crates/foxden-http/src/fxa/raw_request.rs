//! Requests of the account API before their sender is known, and how their body is read.

use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use axum::http::request::Parts;
use axum::http::{Method, header};
use bytes::Bytes;
use foxden_accounts::ClientInfo;
use foxden_accounts::security::EntryPoint;

use super::FxaState;
use super::credentials::Credentials;
use super::refusal::Refusal;
use crate::wire::body::{self, BadBody, MemoryFactor};
use crate::wire::json_body::BadJson;
use crate::wire::memory::{MemoryPermit, Owner};
use crate::wire::{Site, client_info};

/// A request without its body.
pub(super) struct RawRequest {
    pub(super) parts: Parts,
    pub(super) client_info: ClientInfo,
}

/// How a body is read.
#[derive(Clone, Copy)]
pub(super) struct BodyRules {
    /// The maximum size.
    pub(super) max_bytes: usize,
    /// The owner whose memory share the body uses.
    pub(super) owner: Owner,
    /// How much memory a body takes, relative to its size.
    pub(super) memory_factor: MemoryFactor,
}

impl RawRequest {
    /// Separates the body, which is not read yet.
    pub(super) fn split(request: Request, fxa: &FxaState) -> (Self, Body) {
        let client_info = client_info(&request, &fxa.site, EntryPoint::Accounts);
        let (parts, body) = request.into_parts();
        (Self { parts, client_info }, body)
    }

    /// Reads the body. Its memory is counted until the permit is dropped.
    pub(super) async fn read_body(
        &self,
        fxa: &FxaState,
        body: Body,
        rules: BodyRules,
    ) -> Result<(Bytes, Option<MemoryPermit>), Refusal> {
        let BodyRules {
            max_bytes,
            owner,
            memory_factor,
        } = rules;
        let headers = &self.parts.headers;
        Ok(body::read_whole(&fxa.memory.bodies, owner, headers, body, max_bytes, memory_factor).await?)
    }

    /// The owner of the memory where no account is authenticated.
    pub(super) fn client(&self) -> Owner {
        Owner::client(&self.parts.extensions)
    }

    /// Path and query as the client sent them.
    pub(super) fn target(&self) -> &str {
        let original = self.parts.extensions.get::<OriginalUri>();
        let uri = original.map_or(&self.parts.uri, |original| &original.0);
        uri.path_and_query().map_or("/", |target| target.as_str())
    }

    /// The content type as the client sent it.
    pub(super) fn content_type(&self) -> &str {
        let value = self.parts.headers.get(header::CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Refuses requests that a foreign page may trigger: a form, sent with a Basic password that the browser knows
    /// from a prompt. Browsers send JSON from a foreign page only with a permission that this server never gives.
    /// Browsers without that rule name the page.
    pub(super) fn refuse_foreign_page(
        &self,
        credentials: &Credentials<'_>,
        site: &Site,
    ) -> Result<(), Refusal> {
        let is_question = matches!(self.parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if is_question || credentials.is_set_by_client() {
            return Ok(());
        }
        let media_type = self.content_type().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::Invalid("content-type"));
        }
        // Firefox marks its own requests as cross-site, but sends no origin with them.
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
            BadBody::MemoryFull => Self::NoMemory,
            BadBody::Broken => Self::IncompleteBody,
        }
    }
}
