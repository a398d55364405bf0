//! Reads requests: the client, the credentials, and the body within bounds.

use axum::extract::{Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use bytes::Bytes;
use foxden_accounts::ClientInfo;
use foxden_accounts::security::EntryPoint;
use serde::Deserialize;

use super::UserState;
use super::refusal::Refusal;
use super::route::{Route, Target};
use crate::wire::body::{self, BadBody, MemoryFactor};
use crate::wire::memory::{self, Owner};
use crate::wire::{Basic, client_info};

/// Maximum size of a body. A password that fits in also fits in a Basic header.
const MAX_BODY_BYTES: usize = 4 * 1024;

/// A request of the User API.
pub(super) struct ApiRequest {
    pub(super) parts: Parts,
    /// The account that the path names, in lower case.
    pub(super) name: String,
    /// The body as text.
    pub(super) body: String,
    pub(super) client_info: ClientInfo,
    /// The memory that the body takes.
    _permit: Option<memory::MemoryPermit>,
}

/// A client's answer to the captcha.
#[derive(Default, Deserialize)]
pub(super) struct Response {
    #[serde(rename = "captcha-challenge", default)]
    pub(super) challenge: String,
    #[serde(rename = "captcha-response", default)]
    pub(super) answer: String,
}

impl ApiRequest {
    /// Reads a request. The body is read only where it has a meaning, as the client is not authenticated yet.
    pub(super) async fn read(request: Request, user: &UserState, target: &Target) -> Result<Self, Refusal> {
        // A browser may have the password from a prompt of its own and send it unasked. Asking for a reset code is
        // a change, too: it sends a mail.
        let is_change = matches!(*request.method(), Method::POST | Method::PUT | Method::DELETE);
        if (is_change || target.route == Route::Reset) && user.site.is_sent_by_page(request.headers()) {
            return Err(Refusal::ForeignPage);
        }
        let client_info = client_info(&request, &user.site, EntryPoint::UserApi);
        let (parts, body) = request.into_parts();
        let (body, permit) = if has_body(&parts.method, target.route) {
            let owner = Owner::client(&parts.extensions);
            let bodies = &user.memory.bodies;
            body::read_whole(
                bodies,
                owner,
                &parts.headers,
                body,
                MAX_BODY_BYTES,
                MemoryFactor::ParsedJson,
            )
            .await?
        } else {
            (Bytes::new(), None)
        };
        Ok(Self {
            body: text(body.into()),
            parts,
            name: target.name.clone(),
            client_info,
            _permit: permit,
        })
    }

    /// Returns the password, if the credentials are those of the account in the path.
    pub(super) fn password(&self) -> Result<String, Refusal> {
        let basic = Basic::read(&self.parts.headers)?;
        if basic.is_for(&self.name) {
            Ok(basic.password)
        } else {
            Err(Refusal::OtherName)
        }
    }

    /// Returns the answer to the captcha from the query.
    pub(super) fn response(&self) -> Response {
        match Query::try_from_uri(&self.parts.uri) {
            Ok(Query(response)) => response,
            // An unreadable query counts as no answer.
            Err(_) => Response::default(),
        }
    }

    /// Returns a header, if it is present.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        self.parts.headers.get(name).map(HeaderValue::as_bytes)
    }
}

/// Returns whether the body of this method has a meaning on this route.
fn has_body(method: &Method, route: Route) -> bool {
    matches!(
        (method, route),
        (&Method::PUT, Route::Account) | (&Method::POST, Route::Password | Route::Email)
    )
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

/// Most clients send UTF-8; some send each character as one byte, which is ISO-8859-1.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}
