//! The numbers of the OAuth API on the paths that are its own.

use axum::http::StatusCode;
use foxden_accounts::AccountError;

use super::{LATER, Refusal, SOON, Wait, Words};

pub(super) fn words(refusal: &Refusal) -> Words {
    match refusal {
        Refusal::NotJson => Words::bad(109, "The body is not JSON"),
        Refusal::Invalid(name) | Refusal::Missing(name) => {
            Words::bad(109, "Invalid request parameter").with("validation", *name)
        }
        Refusal::SecondStretching(name) => Words::second_stretching(109).with("validation", *name),
        Refusal::NoMemory => Words::no_memory(201),
        Refusal::TooLarge => Words::new(StatusCode::PAYLOAD_TOO_LARGE, 109, "Request body too large"),
        Refusal::Broken => Words::bad(109, "The request ended early").with("validation", "body"),
        Refusal::NoCredential(_) | Refusal::BadSignature(_) => Words::unauthorized(111, "Unauthorized"),
        Refusal::Skewed(now) => Words::unauthorized(111, "Unauthorized").with("serverTime", *now),
        Refusal::WrongResponseType => Words::bad(110, "Invalid response_type"),
        Refusal::UnknownGrantType => Words::bad(121, "Invalid grant type"),
        Refusal::NoImage | Refusal::UnknownPath => Words::new(StatusCode::NOT_FOUND, 999, "Not found"),
        Refusal::Off => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            201,
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
        E::UnknownClient { .. } => Words::bad(101, "Unknown client"),
        E::WrongRedirect => Words::bad(103, "Incorrect redirect_uri"),
        E::UnknownGrant => Words::bad(105, "Unknown code"),
        E::OtherClientsGrant => Words::bad(106, "Incorrect code"),
        E::ExpiredGrant => Words::bad(107, "Expired code"),
        E::UnknownToken => Words::bad(108, "Invalid token"),
        E::Invalid { what } => Words::bad(109, "Invalid request parameter").with("validation", *what),
        E::Replayed => Words::unauthorized(111, "Unauthorized"),
        E::ScopesRefused { scopes } => {
            Words::bad(114, "Requested scopes are not allowed").with("invalidScopes", scopes.as_str())
        }
        E::WrongVerifier => Words::bad(117, "Incorrect code_verifier"),
        E::ChallengeMissing => Words::bad(118, "PKCE parameters missing"),
        E::StaleSession { auth_at } => Words::bad(119, "Stale auth timestamp").with("authAt", *auth_at),
        E::Exists { .. }
        | E::UnknownAccount { .. }
        | E::WrongPassword { .. }
        | E::OtherSpelling { .. }
        | E::NoPassword
        | E::Disabled
        | E::AddressUnverified
        | E::SessionUnverified
        | E::WrongCode
        | E::NoAddress
        | E::ConsentMissing
        | E::UnknownNode
        | E::NodeListed
        | E::ExpiredCode
        | E::SignUpClosed
        | E::UnknownDevice
        | E::OtherDevice { .. }
        | E::NoSuchCommand
        | E::Forbidden => Words::new(StatusCode::FORBIDDEN, 112, "Forbidden"),
        E::TooMany { retry_after } => Words::new(StatusCode::TOO_MANY_REQUESTS, 201, "Too many attempts")
            .after(Wait::Call(*retry_after)),
        E::Unable => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            201,
            "This server does not offer that",
        ),
        E::NoRoom => {
            Words::new(StatusCode::SERVICE_UNAVAILABLE, 201, "Service unavailable").after(Wait::Call(LATER))
        }
        E::Busy | E::Unavailable(_) => {
            Words::new(StatusCode::SERVICE_UNAVAILABLE, 201, "Service unavailable").after(Wait::Browser(SOON))
        }
        E::Damaged(_) => Words::new(StatusCode::INTERNAL_SERVER_ERROR, 999, "Internal error"),
    }
}
