//! The numbers of the OAuth API on the paths that are its own.

use axum::http::StatusCode;
use foxden_accounts::{CredentialError, OAuthError, Unavailable};

use super::{Refusal, Words};

pub(super) fn words(refusal: &Refusal) -> Words {
    match refusal {
        Refusal::NotJson => Words::bad(109, "The body is not JSON"),
        Refusal::Invalid(name) | Refusal::Missing(name) => invalid(name),
        Refusal::SecondStretching(name) => Words::second_stretching(109).with("validation", *name),
        Refusal::NoMemory => Words::no_memory(201),
        Refusal::TooLarge => Words::new(StatusCode::PAYLOAD_TOO_LARGE, 109, "Request body too large"),
        Refusal::Broken => Words::bad(109, "The request ended early").with("validation", "body"),
        Refusal::NoCredential(_) | Refusal::BadSignature(_) => Words::unauthorized(111, "Unauthorized"),
        Refusal::Skewed(now) => Words::unauthorized(111, "Unauthorized").with("serverTime", *now),
        Refusal::WrongResponseType => Words::bad(110, "Invalid response_type"),
        Refusal::UnknownGrantType => Words::bad(121, "Invalid grant type"),
        Refusal::NoImage | Refusal::UnknownPath => Words::new(StatusCode::NOT_FOUND, 999, "Not found"),
        Refusal::NotCovered => forbidden(),
        Refusal::Off => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            201,
            "This server does not offer that",
        ),
        Refusal::Retired => Words::new(StatusCode::GONE, 999, "This endpoint is no longer supported"),
        Refusal::WrongMethod => Words::wrong_method(),
        Refusal::ForeignHost => Words::foreign_host(),
        Refusal::Service(refused) => refused.oauth.as_ref().unwrap_or(&refused.words).clone(),
    }
}

pub(super) fn oauth(error: &OAuthError) -> Words {
    match error {
        OAuthError::UnknownClient { .. } => Words::bad(101, "Unknown client"),
        OAuthError::WrongRedirect => Words::bad(103, "Incorrect redirect_uri"),
        OAuthError::UnknownGrant => Words::bad(105, "Unknown code"),
        OAuthError::OtherClientsGrant => Words::bad(106, "Incorrect code"),
        OAuthError::ExpiredGrant => Words::bad(107, "Expired code"),
        OAuthError::UnknownToken => invalid_token(),
        OAuthError::ClientMissing => invalid("client_id"),
        OAuthError::InvalidScope => invalid("scope"),
        OAuthError::KeysTooLong => invalid("keys_jwe"),
        OAuthError::ScopesRefused { scopes } => {
            Words::bad(114, "Requested scopes are not allowed").with("invalidScopes", scopes.as_str())
        }
        OAuthError::WrongVerifier => Words::bad(117, "Incorrect code_verifier"),
        OAuthError::ChallengeMissing => Words::bad(118, "PKCE parameters missing"),
        OAuthError::StaleSession { auth_at } => {
            Words::bad(119, "Stale auth timestamp").with("authAt", *auth_at)
        }
        OAuthError::Unverified(_) => unverified(),
        OAuthError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn credential(error: &CredentialError) -> Words {
    match error {
        CredentialError::Unknown => invalid_token(),
        CredentialError::Unavailable(error) => unavailable(error),
    }
}

pub(super) const fn replayed() -> Words {
    Words::unauthorized(111, "Unauthorized")
}

pub(super) const fn unverified() -> Words {
    forbidden()
}

pub(super) fn unavailable(error: &Unavailable) -> Words {
    match error {
        Unavailable::Busy | Unavailable::Register(_) => Words::unavailable(201),
        Unavailable::Damaged(_) => Words::internal(),
    }
}

const fn invalid_token() -> Words {
    Words::bad(108, "Invalid token")
}

const fn forbidden() -> Words {
    Words::new(StatusCode::FORBIDDEN, 112, "Forbidden")
}

fn invalid(parameter: &'static str) -> Words {
    Words::bad(109, "Invalid request parameter").with("validation", parameter)
}
