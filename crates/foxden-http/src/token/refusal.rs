//! Every refusal in the tokenserver's words.
//!
//! What the protocol knows of credentials of retired kinds (assertions) has no words here: such a credential
//! is of an unknown scheme.

use std::borrow::Cow;

use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use foxden_accounts::{StateFault, TokenError, Unavailable};
use serde_json::json;

use crate::wire::{Note, ask_to_wait, chain, print_json};

/// Seconds after which it is worth trying again.
const SOON: u64 = 30;

/// Why no token was issued.
#[derive(Debug)]
pub(super) enum Refusal {
    /// An application that is not Sync.
    OtherApplication,
    /// A version of Sync that takes no tokens.
    OtherVersion(String),
    /// `X-Client-State`, or the client state in the key id, is none.
    BadClientState,
    /// No credential at all.
    NoCredential,
    /// A credential of a scheme that is not taken.
    OtherScheme,
    /// No `X-KeyID`.
    NoKeyId,
    /// `X-KeyID` holds what no header should.
    UnreadableKeyId,
    /// `X-KeyID` is not a number and a client state.
    MalformedKeyId,
    /// `X-Client-State` differs from the client state in the key id.
    OtherClientState,
    /// The path is known, not with this method.
    WrongMethod,
    /// The accounts refused.
    Service(TokenError),
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::Service(error)
    }
}

/// A refusal as it goes over the wire.
struct Words<'a> {
    code: StatusCode,
    status: &'static str,
    location: &'static str,
    name: &'a str,
    description: Cow<'static, str>,
}

impl<'a> Words<'a> {
    fn new(code: StatusCode, status: &'static str, description: &'static str) -> Self {
        Self {
            code,
            status,
            location: "body",
            name: "",
            description: description.into(),
        }
    }

    fn unauthorized(status: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, status, "Unauthorized")
    }

    fn internal(code: StatusCode) -> Self {
        Self {
            location: "internal",
            ..Self::new(code, "internal-error", "Server error")
        }
    }

    fn about(self, location: &'static str, name: &'a str) -> Self {
        Self {
            location,
            name,
            ..self
        }
    }
}

impl Refusal {
    fn words(&self) -> Words<'_> {
        match self {
            Self::OtherApplication => Words::new(StatusCode::NOT_FOUND, "error", "Unsupported application")
                .about("url", "application"),
            Self::OtherVersion(version) => {
                Words::new(StatusCode::NOT_FOUND, "error", "Unsupported application version")
                    .about("url", version)
            }
            Self::BadClientState => {
                Words::new(StatusCode::BAD_REQUEST, "error", "Invalid client state value")
                    .about("header", "X-Client-State")
            }
            Self::NoCredential => Words::unauthorized("error"),
            Self::OtherScheme => Words::new(StatusCode::UNAUTHORIZED, "error", "Unsupported"),
            Self::NoKeyId => Words::new(
                StatusCode::UNAUTHORIZED,
                "invalid-key-id",
                "Missing X-KeyID header",
            )
            .about("header", ""),
            Self::UnreadableKeyId => Words::new(
                StatusCode::UNAUTHORIZED,
                "invalid-key-id",
                "Invalid X-KeyID header",
            )
            .about("header", ""),
            Self::MalformedKeyId => Words::unauthorized("invalid-credentials"),
            Self::OtherClientState => Words::unauthorized("invalid-client-state"),
            Self::WrongMethod => Words::new(StatusCode::METHOD_NOT_ALLOWED, "error", "Method not allowed"),
            Self::Service(error) => words_of(error),
        }
    }

    /// Whether a credential was presented and is not good.
    pub(super) const fn is_of_a_credential(&self) -> bool {
        matches!(
            self,
            Self::Service(
                TokenError::InvalidCredentials
                    | TokenError::InvalidGeneration
                    | TokenError::InvalidKeysChangedAt
                    | TokenError::InvalidClientState(_)
            )
        )
    }

    /// Why, for the log.
    pub(super) fn why(&self) -> Cow<'static, str> {
        match self {
            Self::OtherApplication | Self::OtherVersion(_) => "only sync 1.5 is served".into(),
            Self::BadClientState => "the client state is malformed".into(),
            Self::NoCredential => "no credential".into(),
            Self::OtherScheme => "the credential is not a bearer token".into(),
            Self::NoKeyId => "no x-keyid".into(),
            Self::UnreadableKeyId | Self::MalformedKeyId => "x-keyid is malformed".into(),
            Self::OtherClientState => "x-client-state differs from x-keyid".into(),
            Self::WrongMethod => "not with this method".into(),
            Self::Service(error) => chain(error).into(),
        }
    }
}

fn words_of(error: &TokenError) -> Words<'static> {
    match error {
        TokenError::InvalidCredentials => Words::unauthorized("invalid-credentials"),
        TokenError::InvalidGeneration => Words::unauthorized("invalid-generation"),
        TokenError::InvalidKeysChangedAt => Words::unauthorized("invalid-keysChangedAt"),
        TokenError::InvalidClientState(fault) => Words::new(
            StatusCode::UNAUTHORIZED,
            "invalid-client-state",
            words_of_fault(*fault),
        )
        .about("header", "X-Client-State"),
        TokenError::NewUsersDisabled => Words::new(
            StatusCode::FORBIDDEN,
            "new-users-disabled",
            "New users are not allowed",
        ),
        TokenError::TooManyKeyChanges { .. } => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "error",
            "The keys changed too often, try again later",
        ),
        TokenError::NoRoom => Words::internal(StatusCode::SERVICE_UNAVAILABLE),
        TokenError::NoNode | TokenError::Unavailable(Unavailable::Damaged(_)) => {
            Words::internal(StatusCode::INTERNAL_SERVER_ERROR)
        }
        // Not a refused credential: a client would throw away one that is good.
        TokenError::VerifierUnreachable
        | TokenError::Unavailable(Unavailable::Busy | Unavailable::Register(_)) => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "error",
            "Resource is not available",
        ),
    }
}

const fn words_of_fault(fault: StateFault) -> &'static str {
    match fault {
        StateFault::Empty => "Unacceptable client-state value empty string",
        StateFault::Stale => "Unacceptable client-state value stale value",
        StateFault::NewWithoutGeneration => {
            "Unacceptable client-state value new value with no generation change"
        }
        StateFault::NewWithoutKeyChange => {
            "Unacceptable client-state value new value with no keys_changed_at change"
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let words = self.words();
        let body = json!({
            "status": words.status,
            "errors": [{
                "location": words.location, "name": words.name, "description": words.description,
            }],
        });
        let mut response = print_json(words.code, &body);
        let headers = response.headers_mut();
        if matches!(self, Self::OtherScheme) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if words.code == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = match &self {
                Self::Service(TokenError::TooManyKeyChanges { retry_after }) => *retry_after,
                _ => SOON,
            };
            ask_to_wait(headers, seconds);
        }
        response.extensions_mut().insert(Note::refused(self.why()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::wait::wait_in;

    /// A16.42, E8, E21: only a credential that is bad is called so.
    #[test]
    fn what_is_our_fault_is_not_the_credential_s() {
        let unavailable = TokenError::Unavailable(Unavailable::Busy);
        for (error, code, retry) in [
            (unavailable, 503, Some(30)),
            (TokenError::VerifierUnreachable, 503, Some(30)),
            (TokenError::NoRoom, 503, Some(30)),
            (TokenError::TooManyKeyChanges { retry_after: 7 }, 503, Some(7)),
            (TokenError::NoNode, 500, None),
            (TokenError::InvalidCredentials, 401, None),
            (TokenError::InvalidGeneration, 401, None),
            (TokenError::InvalidKeysChangedAt, 401, None),
            (TokenError::InvalidClientState(StateFault::Empty), 401, None),
            (TokenError::NewUsersDisabled, 403, None),
            (TokenError::Unavailable(Unavailable::Damaged("a row")), 500, None),
        ] {
            let response = Refusal::from(error).into_response();
            assert_eq!(response.status(), code);
            assert_eq!(wait_in(response.headers()), retry, "{code}");
        }
    }

    /// E16 to E18: clients and tests read these texts.
    #[test]
    fn a_client_state_is_refused_in_the_protocol_s_words() {
        for (fault, text) in [
            (StateFault::Empty, "empty string"),
            (StateFault::Stale, "stale value"),
            (
                StateFault::NewWithoutGeneration,
                "new value with no generation change",
            ),
            (
                StateFault::NewWithoutKeyChange,
                "new value with no keys_changed_at change",
            ),
        ] {
            let refusal = Refusal::from(TokenError::InvalidClientState(fault));
            let words = refusal.words();
            assert_eq!(
                words.description,
                format!("Unacceptable client-state value {text}")
            );
            assert_eq!((words.location, words.name), ("header", "X-Client-State"));
        }
    }
}
