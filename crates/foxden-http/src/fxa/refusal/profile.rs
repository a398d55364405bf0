//! The numbers of the profile API, which has few.

use axum::http::StatusCode;
use foxden_accounts::AccountError;

use super::{LATER, Refusal, SOON, Wait, Words};

pub(super) fn words(refusal: &Refusal) -> Words {
    match refusal {
        Refusal::NoCredential(_) | Refusal::BadSignature(_) | Refusal::Skewed(_) => {
            Words::unauthorized(100, "Unauthorized")
        }
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
        Refusal::Off => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            999,
            "This server does not offer that",
        ),
        Refusal::Retired => Words::new(StatusCode::GONE, 999, "This endpoint is no longer supported"),
        Refusal::WrongMethod => Words::wrong_method(),
        Refusal::ForeignHost => Words::foreign_host(),
        Refusal::Service(error) => words_of(error),
    }
}

fn words_of(error: &AccountError) -> Words {
    use AccountError as E;
    match error {
        E::UnknownToken | E::Replayed => Words::unauthorized(100, "Unauthorized"),
        E::Forbidden | E::AddressUnverified | E::SessionUnverified | E::Disabled => {
            Words::new(StatusCode::FORBIDDEN, 100, "Forbidden")
        }
        E::Exists { .. }
        | E::UnknownAccount { .. }
        | E::WrongPassword { .. }
        | E::OtherSpelling { .. }
        | E::NoPassword
        | E::WrongCode
        | E::NoAddress
        | E::ConsentMissing
        | E::UnknownNode
        | E::NodeListed
        | E::ExpiredCode
        | E::Invalid { .. }
        | E::SignUpClosed
        | E::UnknownDevice
        | E::OtherDevice { .. }
        | E::NoSuchCommand
        | E::UnknownClient { .. }
        | E::ScopesRefused { .. }
        | E::WrongRedirect
        | E::ChallengeMissing
        | E::UnknownGrant
        | E::OtherClientsGrant
        | E::ExpiredGrant
        | E::WrongVerifier
        | E::StaleSession { .. } => Words::bad(101, "Bad request"),
        E::TooMany { retry_after } => Words::new(StatusCode::TOO_MANY_REQUESTS, 999, "Too many attempts")
            .after(Wait::Call(*retry_after)),
        E::Unable => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            999,
            "This server does not offer that",
        ),
        E::NoRoom => {
            Words::new(StatusCode::SERVICE_UNAVAILABLE, 999, "Service unavailable").after(Wait::Call(LATER))
        }
        E::Busy | E::Unavailable(_) => {
            Words::new(StatusCode::SERVICE_UNAVAILABLE, 999, "Service unavailable").after(Wait::Browser(SOON))
        }
        E::Damaged(_) => Words::new(StatusCode::INTERNAL_SERVER_ERROR, 999, "Internal error"),
    }
}
