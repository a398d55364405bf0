//! Refusals in the format of the tokenserver.
//!
//! The protocol's errors for removed kinds of credentials (assertions) are not used: such a credential has an
//! unknown scheme.

use std::borrow::Cow;

use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use foxden_accounts::{StateFault, TokenError, Unavailable};
use serde_json::json;

use crate::wire::{AccessLogFields, chain, print_json, set_retry_after};

/// Seconds after which a client may try again.
const BUSY_SECONDS: u64 = 30;
/// Seconds after which a client may try again whose node is out of service.
const DOWN_SECONDS: u64 = 1800;

/// Why no token is issued.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The application is not Sync.
    OtherApplication,
    /// This version of Sync has no tokens.
    OtherVersion(String),
    /// `X-Client-State`, or the client state in the key id, is invalid.
    BadClientState,
    /// There are no credentials.
    NoCredential,
    /// The scheme of the credentials is unknown.
    OtherScheme,
    /// No `X-KeyID`.
    NoKeyId,
    /// `X-KeyID` is not ASCII.
    UnreadableKeyId,
    /// `X-KeyID` is not a number and a client state.
    MalformedKeyId,
    /// `X-Client-State` differs from the client state in the key id.
    OtherClientState,
    /// The path does not allow the method.
    WrongMethod,
    /// The accounts refused the request.
    Service(TokenError),
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::Service(error)
    }
}

/// The error body.
struct ErrorBody<'a> {
    code: StatusCode,
    status: &'static str,
    location: &'static str,
    name: &'a str,
    description: Cow<'static, str>,
}

impl<'a> ErrorBody<'a> {
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

    fn located(self, location: &'static str, name: &'a str) -> Self {
        Self {
            location,
            name,
            ..self
        }
    }
}

impl Refusal {
    fn error_body(&self) -> ErrorBody<'_> {
        match self {
            Self::OtherApplication => {
                ErrorBody::new(StatusCode::NOT_FOUND, "error", "Unsupported application")
                    .located("url", "application")
            }
            Self::OtherVersion(version) => {
                ErrorBody::new(StatusCode::NOT_FOUND, "error", "Unsupported application version")
                    .located("url", version)
            }
            Self::BadClientState => {
                ErrorBody::new(StatusCode::BAD_REQUEST, "error", "Invalid client state value")
                    .located("header", "X-Client-State")
            }
            Self::NoCredential => ErrorBody::unauthorized("error"),
            Self::OtherScheme => ErrorBody::new(StatusCode::UNAUTHORIZED, "error", "Unsupported"),
            Self::NoKeyId => ErrorBody::new(
                StatusCode::UNAUTHORIZED,
                "invalid-key-id",
                "Missing X-KeyID header",
            )
            .located("header", ""),
            Self::UnreadableKeyId => ErrorBody::new(
                StatusCode::UNAUTHORIZED,
                "invalid-key-id",
                "Invalid X-KeyID header",
            )
            .located("header", ""),
            Self::MalformedKeyId => ErrorBody::unauthorized("invalid-credentials"),
            Self::OtherClientState => ErrorBody::unauthorized("invalid-client-state"),
            Self::WrongMethod => {
                ErrorBody::new(StatusCode::METHOD_NOT_ALLOWED, "error", "Method not allowed")
            }
            Self::Service(error) => body_of(error),
        }
    }

    /// Returns whether credentials were presented and are invalid.
    pub(super) const fn refuses_credentials(&self) -> bool {
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

    /// Returns the reason, for the log.
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

fn body_of(error: &TokenError) -> ErrorBody<'static> {
    match error {
        TokenError::InvalidCredentials => ErrorBody::unauthorized("invalid-credentials"),
        TokenError::InvalidGeneration => ErrorBody::unauthorized("invalid-generation"),
        TokenError::InvalidKeysChangedAt => ErrorBody::unauthorized("invalid-keysChangedAt"),
        TokenError::InvalidClientState(fault) => ErrorBody::new(
            StatusCode::UNAUTHORIZED,
            "invalid-client-state",
            description_of(*fault),
        )
        .located("header", "X-Client-State"),
        TokenError::NewUsersDisabled => ErrorBody::new(
            StatusCode::FORBIDDEN,
            "new-users-disabled",
            "New users are not allowed",
        ),
        TokenError::TooManyKeyChanges { .. } => ErrorBody::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "error",
            "The keys changed too often, try again later",
        ),
        TokenError::NoCapacity => ErrorBody::internal(StatusCode::SERVICE_UNAVAILABLE),
        TokenError::NoNode | TokenError::Unavailable(Unavailable::Damaged(_)) => {
            ErrorBody::internal(StatusCode::INTERNAL_SERVER_ERROR)
        }
        TokenError::Unavailable(Unavailable::NullCharacter) => ErrorBody::new(
            StatusCode::BAD_REQUEST,
            "error",
            "A text of the request holds U+0000",
        ),
        // The credentials are not refused: a client would throw away good ones.
        TokenError::VerifierUnreachable
        | TokenError::NodeDown { .. }
        | TokenError::Unavailable(Unavailable::Busy | Unavailable::Database(_)) => ErrorBody::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "error",
            "Resource is not available",
        ),
    }
}

const fn description_of(fault: StateFault) -> &'static str {
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
        let error_body = self.error_body();
        let body = json!({
            "status": error_body.status,
            "errors": [{
                "location": error_body.location, "name": error_body.name, "description": error_body.description,
            }],
        });
        let mut response = print_json(error_body.code, &body);
        let headers = response.headers_mut();
        if matches!(self, Self::OtherScheme) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if error_body.code == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = match &self {
                Self::Service(TokenError::TooManyKeyChanges { retry_after }) => *retry_after,
                Self::Service(TokenError::NodeDown { .. }) => DOWN_SECONDS,
                _ => BUSY_SECONDS,
            };
            set_retry_after(headers, seconds);
        }
        response
            .extensions_mut()
            .insert(AccessLogFields::refused(self.why()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::retry_after::retry_after_in;

    /// A16.42, E8, E21: only bad credentials are reported as such.
    #[test]
    fn server_errors_are_not_blamed_on_the_credential() {
        let unavailable = TokenError::Unavailable(Unavailable::Busy);
        for (error, code, retry) in [
            (unavailable, 503, Some(30)),
            (TokenError::VerifierUnreachable, 503, Some(30)),
            (TokenError::NoCapacity, 503, Some(30)),
            (TokenError::TooManyKeyChanges { retry_after: 7 }, 503, Some(7)),
            (TokenError::NodeDown { node: String::new() }, 503, Some(1800)),
            (TokenError::NoNode, 500, None),
            (TokenError::InvalidCredentials, 401, None),
            (TokenError::InvalidGeneration, 401, None),
            (TokenError::InvalidKeysChangedAt, 401, None),
            (TokenError::InvalidClientState(StateFault::Empty), 401, None),
            (TokenError::NewUsersDisabled, 403, None),
            (TokenError::Unavailable(Unavailable::NullCharacter), 400, None),
            (TokenError::Unavailable(Unavailable::Damaged("a row")), 500, None),
        ] {
            let response = Refusal::from(error).into_response();
            assert_eq!(response.status(), code);
            assert_eq!(retry_after_in(response.headers()), retry, "{code}");
        }
    }

    /// E16 to E18: clients and tests compare these texts.
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
            let error_body = refusal.error_body();
            assert_eq!(
                error_body.description,
                format!("Unacceptable client-state value {text}")
            );
            assert_eq!(
                (error_body.location, error_body.name),
                ("header", "X-Client-State")
            );
        }
    }
}
