//! How a request is read: its body within bounds, who asks, with which credentials.

use axum::extract::{Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use bytes::Bytes;
use foxden_accounts::Visitor;
use foxden_accounts::security::Door;
use serde::Deserialize;

use super::UserState;
use super::refusal::Refusal;
use super::target::{Place, Target};
use crate::wire::body::{self, BadBody, Unfolds};
use crate::wire::memory::{self, Owner};
use crate::wire::{Basic, visitor};

/// The largest body, in bytes. A password that fits in is one that Basic can carry afterwards.
const BODY: usize = 4 * 1024;

/// A request, read.
pub(super) struct Ask {
    pub(super) parts: Parts,
    /// The account acted on, in lower case.
    pub(super) name: String,
    /// The body as text.
    pub(super) body: String,
    pub(super) visitor: Visitor,
    /// What the body takes of memory.
    _room: Option<memory::Place>,
}

/// What a form sends for the question that a person answers.
#[derive(Default, Deserialize)]
pub(super) struct Response {
    #[serde(rename = "captcha-challenge", default)]
    pub(super) challenge: String,
    #[serde(rename = "captcha-response", default)]
    pub(super) answer: String,
}

impl Ask {
    /// Reads the request for that target. What means nothing by its body is not read: whoever sends it is not known yet.
    pub(super) async fn read(request: Request, user: &UserState, target: &Target) -> Result<Self, Refusal> {
        // A browser may know the password from a prompt of its own, and send it along unasked. To ask for a code is a
        // change, too: it writes a letter.
        let is_change = matches!(*request.method(), Method::POST | Method::PUT | Method::DELETE);
        if (is_change || target.place == Place::Reset) && user.site.is_sent_by_page(request.headers()) {
            return Err(Refusal::ForeignPage);
        }
        let visitor = visitor(&request, &user.site, Door::UserApi);
        let (parts, body) = request.into_parts();
        let (body, room) = if has_body(&parts.method, target.place) {
            let owner = Owner::client(&parts.extensions);
            let bodies = &user.memory.bodies;
            body::take(bodies, owner, &parts.headers, body, BODY, Unfolds::Json).await?
        } else {
            (Bytes::new(), None)
        };
        Ok(Self {
            body: text(body.into()),
            parts,
            name: target.name.clone(),
            visitor,
            _room: room,
        })
    }

    /// The password that came with the account's own name.
    pub(super) fn password(&self) -> Result<String, Refusal> {
        let basic = Basic::read(&self.parts.headers)?;
        if basic.is_for(&self.name) {
            Ok(basic.password)
        } else {
            Err(Refusal::OtherName)
        }
    }

    /// What the query holds for the question that a person answers.
    pub(super) fn response(&self) -> Response {
        match Query::try_from_uri(&self.parts.uri) {
            Ok(Query(response)) => response,
            // What cannot be read was not answered.
            Err(_) => Response::default(),
        }
    }

    /// A header, if it is there.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        self.parts.headers.get(name).map(HeaderValue::as_bytes)
    }
}

/// Whether a request with this method means something by its body there.
fn has_body(method: &Method, place: Place) -> bool {
    matches!(
        (method, place),
        (&Method::PUT, Place::Account) | (&Method::POST, Place::Password | Place::Email)
    )
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

/// Most clients send UTF-8; some send each character of a text as one byte, which is ISO-8859-1.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}
