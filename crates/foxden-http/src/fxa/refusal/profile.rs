//! The error numbers of the profile API.

use axum::http::StatusCode;
use foxden_accounts::{CredentialError, ProfileError, Unavailable};

use super::{ErrorBody, Refusal};

pub(super) fn error_body(refusal: &Refusal) -> ErrorBody {
    match refusal {
        Refusal::NoCredential(_) | Refusal::BadSignature(_) | Refusal::Skewed(_) => unauthorized(),
        Refusal::NotJson
        | Refusal::Invalid(_)
        | Refusal::Missing(_)
        | Refusal::IncompleteBody
        | Refusal::WrongResponseType
        | Refusal::UnknownGrantType => ErrorBody::bad(101, "Bad request"),
        Refusal::SecondStretching(name) => ErrorBody::second_stretching(101).with_member("validation", *name),
        Refusal::NoMemory => ErrorBody::no_memory(999),
        Refusal::TooLarge => ErrorBody::new(StatusCode::PAYLOAD_TOO_LARGE, 101, "Request body too large"),
        Refusal::UnknownPicture => ErrorBody::new(StatusCode::NOT_FOUND, 104, "No such image"),
        Refusal::UnknownPath => ErrorBody::new(StatusCode::NOT_FOUND, 999, "Not found"),
        Refusal::NotCovered => forbidden(),
        Refusal::NotSupported => ErrorBody::new(
            StatusCode::SERVICE_UNAVAILABLE,
            999,
            "This server does not offer that",
        ),
        Refusal::Gone => ErrorBody::new(StatusCode::GONE, 999, "This endpoint is no longer supported"),
        Refusal::WrongMethod => ErrorBody::wrong_method(),
        Refusal::ForeignHost => ErrorBody::foreign_host(),
        Refusal::Service(refusal) => refusal.profile.as_ref().unwrap_or(&refusal.error_body).clone(),
    }
}

pub(super) fn profile(error: &ProfileError) -> ErrorBody {
    match error {
        ProfileError::InvalidName | ProfileError::InvalidPicture => ErrorBody::bad(101, "Bad request"),
        ProfileError::AccountGone => unauthorized(),
        ProfileError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn credential(error: &CredentialError) -> ErrorBody {
    match error {
        CredentialError::Unknown => unauthorized(),
        CredentialError::Unavailable(error) => unavailable(error),
    }
}

pub(super) const fn replayed() -> ErrorBody {
    unauthorized()
}

pub(super) const fn unverified() -> ErrorBody {
    forbidden()
}

pub(super) fn unavailable(error: &Unavailable) -> ErrorBody {
    match error {
        Unavailable::Busy | Unavailable::Database(_) => ErrorBody::unavailable(999),
        Unavailable::NullCharacter => ErrorBody::bad(101, "A text of the request holds U+0000"),
        Unavailable::Damaged(_) => ErrorBody::internal(),
    }
}

const fn unauthorized() -> ErrorBody {
    ErrorBody::unauthorized(100, "Unauthorized")
}

const fn forbidden() -> ErrorBody {
    ErrorBody::new(StatusCode::FORBIDDEN, 100, "Forbidden")
}
