//! The numbers of the account API.

use axum::http::StatusCode;
use foxden_accounts::AccountError;

use super::{LATER, Refusal, SOON, Wait, Words};

pub(super) fn words(refusal: &Refusal) -> Words {
    match refusal {
        Refusal::NotJson => Words::bad(106, "The body is not JSON"),
        Refusal::Invalid(name) => {
            Words::bad(107, "Invalid parameter in request body").with("validation", *name)
        }
        Refusal::Missing(name) => Words::bad(108, "Missing parameter in request body").with("param", *name),
        Refusal::SecondStretching(name) => Words::second_stretching(107).with("validation", *name),
        Refusal::NoMemory => Words::no_memory(201),
        Refusal::TooLarge => Words::new(StatusCode::PAYLOAD_TOO_LARGE, 113, "Request body too large"),
        Refusal::Broken => Words::bad(107, "The request ended early").with("validation", "body"),
        Refusal::NoCredential(_) => Words::unauthorized(110, "Invalid or missing authentication token"),
        Refusal::BadSignature(_) => Words::unauthorized(109, "Invalid request signature"),
        Refusal::Skewed(now) => {
            Words::unauthorized(111, "Invalid timestamp in request signature").with("serverTime", *now)
        }
        Refusal::WrongResponseType => Words::bad(168, "Incorrect response type"),
        Refusal::UnknownGrantType => {
            Words::bad(107, "Invalid parameter in request body").with("validation", "grant_type")
        }
        Refusal::NoImage | Refusal::UnknownPath => Words::new(StatusCode::NOT_FOUND, 999, "Not found"),
        Refusal::Off => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            202,
            "This server does not offer that",
        ),
        Refusal::Retired => Words::new(StatusCode::GONE, 116, "This endpoint is no longer supported"),
        Refusal::WrongMethod => Words::wrong_method(),
        Refusal::ForeignHost => Words::foreign_host(),
        Refusal::Service(error) => words_of(error),
    }
}

fn words_of(error: &AccountError) -> Words {
    use AccountError as E;
    match error {
        E::Exists { address: None } => Words::bad(101, "Account already exists"),
        E::Exists {
            address: Some(address),
        } => Words::bad(101, "Account already exists").with("email", address.as_str()),
        E::UnknownAccount { address } => Words::bad(102, "Unknown account").with("email", address.as_str()),
        E::WrongPassword { address } => Words::bad(103, "Incorrect password").with("email", address.as_str()),
        E::OtherSpelling { address } => {
            Words::bad(120, "Incorrect spelling of the address").with("email", address.as_str())
        }
        E::NoPassword => Words::bad(206, "No password is set yet"),
        E::Disabled => Words::bad(125, "The account is blocked"),
        E::AddressUnverified => Words::bad(104, "Unverified account"),
        E::SessionUnverified => Words::bad(138, "Unverified session"),
        E::WrongCode => Words::bad(105, "Invalid verification code"),
        E::ExpiredCode => Words::bad(183, "Invalid or expired code"),
        E::Invalid { what } => Words::bad(107, "Invalid parameter in request body").with("validation", *what),
        E::UnknownToken => Words::unauthorized(110, "Invalid or missing authentication token"),
        E::Replayed => Words::unauthorized(115, "Invalid nonce in request signature"),
        E::TooMany { retry_after } => Words::new(StatusCode::TOO_MANY_REQUESTS, 114, "Too many attempts")
            .after(Wait::Call(*retry_after)),
        E::SignUpClosed => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            202,
            "Sign-up is closed here, or needs an invitation",
        ),
        E::UnknownDevice => Words::bad(123, "Unknown device"),
        E::OtherDevice { device } => {
            Words::bad(124, "The session has another device").with("deviceId", device.to_string())
        }
        E::NoSuchCommand => Words::bad(157, "The device does not know that command"),
        E::UnknownClient { client } => Words::bad(162, "Unknown client_id").with("clientId", client.as_str()),
        E::ScopesRefused { scopes } => {
            Words::bad(163, "Requested scopes are not allowed").with("invalidScopes", scopes.as_str())
        }
        E::WrongRedirect => Words::bad(167, "Incorrect redirect_uri"),
        E::ChallengeMissing => Words::bad(169, "A public client must prove who asked, with S256"),
        E::UnknownGrant => Words::bad(172, "Unknown authorization code"),
        E::OtherClientsGrant => Words::bad(173, "Mismatched authorization code"),
        E::ExpiredGrant => Words::bad(174, "Expired authorization code"),
        E::WrongVerifier => Words::bad(175, "Incorrect code_verifier"),
        E::StaleSession { auth_at } => Words::bad(164, "Stale auth timestamp").with("authAt", *auth_at),
        E::Forbidden => Words::new(StatusCode::FORBIDDEN, 163, "The token does not cover this"),
        E::NoAddress | E::ConsentMissing | E::UnknownNode | E::NodeListed => {
            Words::bad(107, "Invalid parameter in request body")
        }
        E::Unable => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            202,
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
