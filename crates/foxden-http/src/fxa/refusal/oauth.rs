//! The error numbers of the OAuth API on its own paths.

use axum::http::StatusCode;
use foxden_accounts::{CredentialError, OAuthError, Unavailable};

use super::{ErrorBody, Refusal};

pub(super) fn error_body(refusal: &Refusal) -> ErrorBody {
    match refusal {
        Refusal::NotJson => ErrorBody::bad(109, "The body is not JSON"),
        Refusal::Invalid(name) | Refusal::Missing(name) => invalid(name),
        Refusal::SecondStretching(name) => ErrorBody::second_stretching(109).with_member("validation", *name),
        Refusal::NoMemory => ErrorBody::no_memory(201),
        Refusal::TooLarge => ErrorBody::new(StatusCode::PAYLOAD_TOO_LARGE, 109, "Request body too large"),
        Refusal::IncompleteBody => {
            ErrorBody::bad(109, "The request ended early").with_member("validation", "body")
        }
        Refusal::NoCredential(_) | Refusal::BadSignature(_) => ErrorBody::unauthorized(111, "Unauthorized"),
        Refusal::Skewed(now) => ErrorBody::unauthorized(111, "Unauthorized").with_member("serverTime", *now),
        Refusal::WrongResponseType => ErrorBody::bad(110, "Invalid response_type"),
        Refusal::UnknownGrantType => ErrorBody::bad(121, "Invalid grant type"),
        Refusal::UnknownPicture | Refusal::UnknownPath => {
            ErrorBody::new(StatusCode::NOT_FOUND, 999, "Not found")
        }
        Refusal::NotCovered => forbidden(),
        Refusal::NotSupported => ErrorBody::new(
            StatusCode::SERVICE_UNAVAILABLE,
            201,
            "This server does not offer that",
        ),
        Refusal::Gone => ErrorBody::new(StatusCode::GONE, 999, "This endpoint is no longer supported"),
        Refusal::WrongMethod => ErrorBody::wrong_method(),
        Refusal::ForeignHost => ErrorBody::foreign_host(),
        Refusal::Service(refusal) => refusal.oauth.as_ref().unwrap_or(&refusal.error_body).clone(),
    }
}

pub(super) fn oauth(error: &OAuthError) -> ErrorBody {
    match error {
        OAuthError::UnknownClient { .. } => ErrorBody::bad(101, "Unknown client"),
        OAuthError::WrongRedirect => ErrorBody::bad(103, "Incorrect redirect_uri"),
        OAuthError::UnknownGrant => ErrorBody::bad(105, "Unknown code"),
        OAuthError::OtherClientsGrant => ErrorBody::bad(106, "Incorrect code"),
        OAuthError::ExpiredGrant => ErrorBody::bad(107, "Expired code"),
        OAuthError::UnknownToken => invalid_token(),
        OAuthError::ClientMissing => invalid("client_id"),
        OAuthError::InvalidScope => invalid("scope"),
        OAuthError::KeysTooLong => invalid("keys_jwe"),
        OAuthError::ScopesRefused { scopes } => ErrorBody::bad(114, "Requested scopes are not allowed")
            .with_member("invalidScopes", scopes.as_str()),
        OAuthError::WrongVerifier => ErrorBody::bad(117, "Incorrect code_verifier"),
        OAuthError::ChallengeMissing => ErrorBody::bad(118, "PKCE parameters missing"),
        OAuthError::StaleSession { auth_at } => {
            ErrorBody::bad(119, "Stale auth timestamp").with_member("authAt", *auth_at)
        }
        OAuthError::Unverified(_) => unverified(),
        OAuthError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn credential(error: &CredentialError) -> ErrorBody {
    match error {
        CredentialError::Unknown => invalid_token(),
        CredentialError::Unavailable(error) => unavailable(error),
    }
}

pub(super) const fn replayed() -> ErrorBody {
    ErrorBody::unauthorized(111, "Unauthorized")
}

pub(super) const fn unverified() -> ErrorBody {
    forbidden()
}

pub(super) fn unavailable(error: &Unavailable) -> ErrorBody {
    match error {
        Unavailable::Busy | Unavailable::Database(_) => ErrorBody::unavailable(201),
        Unavailable::NullCharacter => ErrorBody::bad(109, "A text of the request holds U+0000"),
        Unavailable::Damaged(_) => ErrorBody::internal(),
    }
}

const fn invalid_token() -> ErrorBody {
    ErrorBody::bad(108, "Invalid token")
}

const fn forbidden() -> ErrorBody {
    ErrorBody::new(StatusCode::FORBIDDEN, 112, "Forbidden")
}

fn invalid(parameter: &'static str) -> ErrorBody {
    ErrorBody::bad(109, "Invalid request parameter").with_member("validation", parameter)
}
