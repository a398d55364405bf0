//! The numbers of the account API.

use axum::http::StatusCode;
use foxden_accounts::{
    ConfirmError, CredentialError, DeviceError, DeviceField, KeyFetchError, OAuthError, PasswordError,
    SignInError, SignUpError, TooMany, Unavailable, Unverified,
};

use super::{Refusal, Wait, Words};

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
        Refusal::NotCovered => Words::new(StatusCode::FORBIDDEN, 163, "The token does not cover this"),
        Refusal::Off => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            202,
            "This server does not offer that",
        ),
        Refusal::Retired => Words::new(StatusCode::GONE, 116, "This endpoint is no longer supported"),
        Refusal::WrongMethod => Words::wrong_method(),
        Refusal::ForeignHost => Words::foreign_host(),
        Refusal::Service(refused) => refused.words.clone(),
    }
}

pub(super) fn sign_up(error: &SignUpError) -> Words {
    match error {
        SignUpError::Exists { address: None } => exists(),
        SignUpError::Exists {
            address: Some(address),
        } => exists().with("email", address.as_str()),
        SignUpError::InvalidAddress => invalid("email"),
        SignUpError::UnknownInvitation => invalid("invite"),
        SignUpError::Closed => Words::new(
            StatusCode::SERVICE_UNAVAILABLE,
            202,
            "Sign-up is closed here, or needs an invitation",
        ),
        SignUpError::TooMany(error) => too_many(*error),
        SignUpError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn sign_in(error: &SignInError) -> Words {
    match error {
        SignInError::UnknownAccount { name } => unknown_account(name),
        SignInError::WrongPassword { name } => {
            Words::bad(103, "Incorrect password").with("email", name.as_str())
        }
        SignInError::OtherSpelling { address } => other_spelling(address),
        SignInError::NoPassword => Words::bad(206, "No password is set yet"),
        SignInError::Disabled => disabled(),
        SignInError::InvalidAddress => invalid("email"),
        SignInError::SessionEnded => unknown_token(),
        SignInError::Unverified(error) => unverified(*error),
        SignInError::TooMany(error) => too_many(*error),
        SignInError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn key_fetch(error: &KeyFetchError) -> Words {
    match error {
        KeyFetchError::UnknownToken => unknown_token(),
        KeyFetchError::AddressUnverified => unverified(Unverified::Address),
        KeyFetchError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn confirm(error: &ConfirmError) -> Words {
    match error {
        ConfirmError::SessionEnded => unknown_token(),
        ConfirmError::Exists => exists(),
        ConfirmError::WrongCode => wrong_code(),
        ConfirmError::ExpiredCode => expired_code(),
        ConfirmError::TooMany(error) => too_many(*error),
        ConfirmError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn password(error: &PasswordError) -> Words {
    match error {
        PasswordError::UnknownAccount { name } => unknown_account(name),
        PasswordError::OtherSpelling { address } => other_spelling(address),
        PasswordError::Disabled => disabled(),
        PasswordError::InvalidAddress => invalid("email"),
        PasswordError::KeyMissing => invalid("wrapKb"),
        PasswordError::Exists => exists(),
        PasswordError::UnknownToken => unknown_token(),
        PasswordError::WrongCode => wrong_code(),
        PasswordError::ExpiredCode => expired_code(),
        PasswordError::TooMany(error) => too_many(*error),
        PasswordError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn device(error: &DeviceError) -> Words {
    match error {
        DeviceError::Invalid(field) => invalid(member(*field)),
        DeviceError::UnknownDevice => Words::bad(123, "Unknown device"),
        DeviceError::OtherDevice { device } => {
            Words::bad(124, "The session has another device").with("deviceId", device.to_string())
        }
        DeviceError::NoSuchCommand => Words::bad(157, "The device does not know that command"),
        DeviceError::SessionEnded => unknown_token(),
        DeviceError::Unverified(error) => unverified(*error),
        DeviceError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn oauth(error: &OAuthError) -> Words {
    match error {
        OAuthError::UnknownClient { client } => {
            Words::bad(162, "Unknown client_id").with("clientId", client.as_str())
        }
        OAuthError::ClientMissing => invalid("client_id"),
        OAuthError::InvalidScope => invalid("scope"),
        OAuthError::KeysTooLong => invalid("keys_jwe"),
        OAuthError::ScopesRefused { scopes } => {
            Words::bad(163, "Requested scopes are not allowed").with("invalidScopes", scopes.as_str())
        }
        OAuthError::WrongRedirect => Words::bad(167, "Incorrect redirect_uri"),
        OAuthError::ChallengeMissing => Words::bad(169, "A public client must prove who asked, with S256"),
        OAuthError::UnknownGrant => Words::bad(172, "Unknown authorization code"),
        OAuthError::OtherClientsGrant => Words::bad(173, "Mismatched authorization code"),
        OAuthError::ExpiredGrant => Words::bad(174, "Expired authorization code"),
        OAuthError::WrongVerifier => Words::bad(175, "Incorrect code_verifier"),
        OAuthError::StaleSession { auth_at } => {
            Words::bad(164, "Stale auth timestamp").with("authAt", *auth_at)
        }
        OAuthError::UnknownToken => unknown_token(),
        OAuthError::Unverified(error) => unverified(*error),
        OAuthError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn credential(error: &CredentialError) -> Words {
    match error {
        CredentialError::Unknown => unknown_token(),
        CredentialError::Unavailable(error) => unavailable(error),
    }
}

pub(super) const fn replayed() -> Words {
    Words::unauthorized(115, "Invalid nonce in request signature")
}

pub(super) const fn unverified(error: Unverified) -> Words {
    match error {
        Unverified::Address => Words::bad(104, "Unverified account"),
        Unverified::Session => Words::bad(138, "Unverified session"),
    }
}

pub(super) fn unavailable(error: &Unavailable) -> Words {
    match error {
        Unavailable::Busy | Unavailable::Register(_) => Words::unavailable(201),
        Unavailable::Damaged(_) => Words::internal(),
    }
}

/// The member of a request that a field of a device comes from.
const fn member(field: DeviceField) -> &'static str {
    match field {
        DeviceField::Name => "name",
        DeviceField::Kind => "type",
        DeviceField::Commands => "availableCommands",
        DeviceField::PushCallback => "pushCallback",
        DeviceField::PushPublicKey => "pushPublicKey",
        DeviceField::PushAuthKey => "pushAuthKey",
        DeviceField::Payload => "payload",
    }
}

fn too_many(error: TooMany) -> Words {
    Words::new(StatusCode::TOO_MANY_REQUESTS, 114, "Too many attempts").after(Wait::Call(error.retry_after))
}

fn invalid(member: &'static str) -> Words {
    Words::bad(107, "Invalid parameter in request body").with("validation", member)
}

fn unknown_account(name: &str) -> Words {
    Words::bad(102, "Unknown account").with("email", name)
}

fn other_spelling(address: &str) -> Words {
    Words::bad(120, "Incorrect spelling of the address").with("email", address)
}

const fn exists() -> Words {
    Words::bad(101, "Account already exists")
}

const fn wrong_code() -> Words {
    Words::bad(105, "Invalid verification code")
}

const fn unknown_token() -> Words {
    Words::unauthorized(110, "Invalid or missing authentication token")
}

const fn disabled() -> Words {
    Words::bad(125, "The account is blocked")
}

const fn expired_code() -> Words {
    Words::bad(183, "Invalid or expired code")
}
