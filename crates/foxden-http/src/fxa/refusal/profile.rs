//! The numbers of the profile API, which has few.

use axum::http::StatusCode;
use foxden_accounts::{CredentialError, ProfileError, Unavailable};

use super::{Refusal, Words};

pub(super) fn words(refusal: &Refusal) -> Words {
    match refusal {
        Refusal::NoCredential(_) | Refusal::BadSignature(_) | Refusal::Skewed(_) => unauthorized(),
        Refusal::NotJson
        | Refusal::Invalid(_)
        | Refusal::Missing(_)
        | Refusal::Broken
        | Refusal::WrongResponseType
        | Refusal::UnknownGrantType => Words::bad(101, "Bad request"),
        Refusal::SecondStretching(name) => Words::second_stretching(101).with("validation", *name),
        Refusal::NoMemory => Words::no_memory(999),
        Refusal::TooLarge => Words::new(StatusCode::PAYLOAD_TOO_LARGE, 101, "Request body too large"),
        Refusal::NoImage => Words::new(StatusCode::NOT_FOUND, 104, "No such image"),
        Refusal::UnknownPath => Words::new(StatusCode::NOT_FOUND, 999, "Not found"),
        Refusal::NotCovered => forbidden(),
        Refusal::Off => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            999,
            "This server does not offer that",
        ),
        Refusal::Retired => Words::new(StatusCode::GONE, 999, "This endpoint is no longer supported"),
        Refusal::WrongMethod => Words::wrong_method(),
        Refusal::ForeignHost => Words::foreign_host(),
        Refusal::Service(refused) => refused.profile.as_ref().unwrap_or(&refused.words).clone(),
    }
}

pub(super) fn profile(error: &ProfileError) -> Words {
    match error {
        ProfileError::InvalidName | ProfileError::InvalidPicture => Words::bad(101, "Bad request"),
        ProfileError::AccountGone => unauthorized(),
        ProfileError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn credential(error: &CredentialError) -> Words {
    match error {
        CredentialError::Unknown => unauthorized(),
        CredentialError::Unavailable(error) => unavailable(error),
    }
}

pub(super) const fn replayed() -> Words {
    unauthorized()
}

pub(super) const fn unverified() -> Words {
    forbidden()
}

pub(super) fn unavailable(error: &Unavailable) -> Words {
    match error {
        Unavailable::Busy | Unavailable::Register(_) => Words::unavailable(999),
        Unavailable::Damaged(_) => Words::internal(),
    }
}

const fn unauthorized() -> Words {
    Words::unauthorized(100, "Unauthorized")
}

const fn forbidden() -> Words {
    Words::new(StatusCode::FORBIDDEN, 100, "Forbidden")
}
