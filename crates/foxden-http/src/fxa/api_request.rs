//! Reads requests: the caller, the body within bounds, the query. The body is read after the caller is identified.

use axum::extract::{FromRequest, Request};
use foxden_accounts::ClientInfo;

use super::FxaState;
use super::caller::Caller;
use super::credentials::Credentials;
use super::raw_request::{BodyRules, RawRequest};
use super::refusal::Refusal;
use crate::wire::body::{MemoryFactor, announced_length};
use crate::wire::json_body::JsonBody;
use crate::wire::memory::{MemoryPermit, Owner};
use crate::wire::percent;

/// Maximum size of a body, except for devices.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// Maximum size of a body in which devices send commands.
const MAX_DEVICE_BODY_BYTES: usize = 64 * 1024;

/// A parsed request. A body that is no JSON object, or a caller that is not `C`, is refused.
pub(super) struct ApiRequest<C> {
    /// The authenticated caller.
    pub(super) caller: C,
    /// The client.
    pub(super) client_info: ClientInfo,
    /// The members of the body.
    pub(super) body: JsonBody,
    /// The query, undecoded.
    query: String,
    /// The memory that the body takes.
    _permit: Option<MemoryPermit>,
}

impl<C: Caller> FromRequest<FxaState> for ApiRequest<C> {
    type Rejection = Refusal;

    async fn from_request(request: Request, fxa: &FxaState) -> Result<Self, Refusal> {
        let max_bytes = if request.uri().path().starts_with("/v1/account/device") {
            MAX_DEVICE_BODY_BYTES
        } else {
            MAX_BODY_BYTES
        };
        let (raw, body) = RawRequest::split(request, fxa);
        let credentials = Credentials::read(&raw.parts.headers);
        raw.refuse_foreign_page(&credentials, &fxa.site)?;
        announced_length(&raw.parts.headers, &body, max_bytes)?;
        let caller = C::identify(fxa, &raw, &credentials).await?;
        let (account, payer) = (caller.account(), caller.payer());
        let rules = BodyRules {
            max_bytes,
            owner: payer.map_or(raw.client(), Owner::Account),
            memory_factor: MemoryFactor::ParsedJson,
        };
        let (body, permit) = raw.read_body(fxa, body, rules).await?;
        if account.is_some() {
            credentials.verify_body(fxa, &raw, payer, &body).await?;
        }
        let members = JsonBody::parse_or_empty(&body)?;
        if let Some(permit) = &permit {
            // The body is dropped, its members stay.
            permit.set(members.weight());
        }
        let query = raw.parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self {
            caller,
            client_info: raw.client_info,
            body: members,
            query,
            _permit: permit,
        })
    }
}

impl<C> ApiRequest<C> {
    /// Returns a parameter of the query, undecoded: all parameters are plain values.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        percent::parameter(&self.query, name)
    }

    /// Returns a number in the query.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let parse = |text: &str| text.parse().map_err(|_| Refusal::Invalid(name));
        self.parameter(name).map(parse).transpose()
    }

    /// Returns whether the client asks for a key-fetch token.
    pub(super) fn wants_keys(&self) -> bool {
        self.parameter("keys")
            .is_some_and(|flag| flag.eq_ignore_ascii_case("true"))
    }
}

#[cfg(test)]
mod tests;
