//! The error numbers of the account API.

use axum::http::StatusCode;
use foxden_accounts::{
    ConfirmError, CredentialError, DeviceError, DeviceField, KeyFetchError, OAuthError, PasswordError,
    SignInError, SignUpError, TooMany, Unavailable, Unverified,
};

use super::{ErrorBody, Refusal, Wait};

pub(super) fn error_body(refusal: &Refusal) -> ErrorBody {
    match refusal {
        Refusal::NotJson => ErrorBody::bad(106, "The body is not JSON"),
        Refusal::Invalid(name) => {
            ErrorBody::bad(107, "Invalid parameter in request body").with_member("validation", *name)
        }
        Refusal::Missing(name) => {
            ErrorBody::bad(108, "Missing parameter in request body").with_member("param", *name)
        }
        Refusal::SecondStretching(name) => ErrorBody::second_stretching(107).with_member("validation", *name),
        Refusal::NoMemory => ErrorBody::no_memory(201),
        Refusal::TooLarge => ErrorBody::new(StatusCode::PAYLOAD_TOO_LARGE, 113, "Request body too large"),
        Refusal::IncompleteBody => {
            ErrorBody::bad(107, "The request ended early").with_member("validation", "body")
        }
        Refusal::NoCredential(_) => ErrorBody::unauthorized(110, "Invalid or missing authentication token"),
        Refusal::BadSignature(_) => ErrorBody::unauthorized(109, "Invalid request signature"),
        Refusal::Skewed(now) => ErrorBody::unauthorized(111, "Invalid timestamp in request signature")
            .with_member("serverTime", *now),
        Refusal::WrongResponseType => ErrorBody::bad(168, "Incorrect response type"),
        Refusal::UnknownGrantType => {
            ErrorBody::bad(107, "Invalid parameter in request body").with_member("validation", "grant_type")
        }
        Refusal::UnknownPicture | Refusal::UnknownPath => {
            ErrorBody::new(StatusCode::NOT_FOUND, 999, "Not found")
        }
        Refusal::NotCovered => ErrorBody::new(StatusCode::FORBIDDEN, 163, "The token does not cover this"),
        Refusal::NotSupported => ErrorBody::new(
            StatusCode::SERVICE_UNAVAILABLE,
            202,
            "This server does not offer that",
        ),
        Refusal::Gone => ErrorBody::new(StatusCode::GONE, 116, "This endpoint is no longer supported"),
        Refusal::WrongMethod => ErrorBody::wrong_method(),
        Refusal::ForeignHost => ErrorBody::foreign_host(),
        Refusal::Service(refusal) => refusal.error_body.clone(),
    }
}

pub(super) fn sign_up(error: &SignUpError) -> ErrorBody {
    match error {
        SignUpError::Exists { address: None } => exists(),
        SignUpError::Exists {
            address: Some(address),
        } => exists().with_member("email", address.as_str()),
        SignUpError::InvalidAddress => invalid("email"),
        SignUpError::UnknownInvitation => invalid("invite"),
        SignUpError::Closed => ErrorBody::new(
            StatusCode::SERVICE_UNAVAILABLE,
            202,
            "Sign-up is closed here, or needs an invitation",
        ),
        SignUpError::TooMany(error) => too_many(*error),
        SignUpError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn sign_in(error: &SignInError) -> ErrorBody {
    match error {
        SignInError::UnknownAccount { name } => unknown_account(name),
        SignInError::WrongPassword { name } => {
            ErrorBody::bad(103, "Incorrect password").with_member("email", name.as_str())
        }
        SignInError::OtherSpelling { address } => other_spelling(address),
        SignInError::NoPassword => ErrorBody::bad(206, "No password is set yet"),
        SignInError::Disabled => disabled(),
        SignInError::InvalidAddress => invalid("email"),
        SignInError::SessionEnded => unknown_token(),
        SignInError::Unverified(error) => unverified(*error),
        SignInError::TooMany(error) => too_many(*error),
        SignInError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn key_fetch(error: &KeyFetchError) -> ErrorBody {
    match error {
        KeyFetchError::UnknownToken => unknown_token(),
        KeyFetchError::AddressUnverified => unverified(Unverified::Address),
        KeyFetchError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn confirm(error: &ConfirmError) -> ErrorBody {
    match error {
        ConfirmError::SessionEnded => unknown_token(),
        ConfirmError::Exists => exists(),
        ConfirmError::WrongCode => wrong_code(),
        ConfirmError::ExpiredCode => expired_code(),
        ConfirmError::TooMany(error) => too_many(*error),
        ConfirmError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn password(error: &PasswordError) -> ErrorBody {
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

pub(super) fn device(error: &DeviceError) -> ErrorBody {
    match error {
        DeviceError::Invalid(field) => invalid(member(*field)),
        DeviceError::UnknownDevice => ErrorBody::bad(123, "Unknown device"),
        DeviceError::OtherDevice { device } => {
            ErrorBody::bad(124, "The session has another device").with_member("deviceId", device.to_string())
        }
        DeviceError::NoSuchCommand => ErrorBody::bad(157, "The device does not know that command"),
        DeviceError::SessionEnded => unknown_token(),
        DeviceError::Unverified(error) => unverified(*error),
        DeviceError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn oauth(error: &OAuthError) -> ErrorBody {
    match error {
        OAuthError::UnknownClient { client } => {
            ErrorBody::bad(162, "Unknown client_id").with_member("clientId", client.as_str())
        }
        OAuthError::ClientMissing => invalid("client_id"),
        OAuthError::InvalidScope => invalid("scope"),
        OAuthError::KeysTooLong => invalid("keys_jwe"),
        OAuthError::ScopesRefused { scopes } => ErrorBody::bad(163, "Requested scopes are not allowed")
            .with_member("invalidScopes", scopes.as_str()),
        OAuthError::WrongRedirect => ErrorBody::bad(167, "Incorrect redirect_uri"),
        OAuthError::ChallengeMissing => {
            ErrorBody::bad(169, "A public client must prove who asked, with S256")
        }
        OAuthError::UnknownGrant => ErrorBody::bad(172, "Unknown authorization code"),
        OAuthError::OtherClientsGrant => ErrorBody::bad(173, "Mismatched authorization code"),
        OAuthError::ExpiredGrant => ErrorBody::bad(174, "Expired authorization code"),
        OAuthError::WrongVerifier => ErrorBody::bad(175, "Incorrect code_verifier"),
        OAuthError::StaleSession { auth_at } => {
            ErrorBody::bad(164, "Stale auth timestamp").with_member("authAt", *auth_at)
        }
        OAuthError::UnknownToken => unknown_token(),
        OAuthError::Unverified(error) => unverified(*error),
        OAuthError::Unavailable(error) => unavailable(error),
    }
}

pub(super) fn credential(error: &CredentialError) -> ErrorBody {
    match error {
        CredentialError::Unknown => unknown_token(),
        CredentialError::Unavailable(error) => unavailable(error),
    }
}

pub(super) const fn replayed() -> ErrorBody {
    ErrorBody::unauthorized(115, "Invalid nonce in request signature")
}

pub(super) const fn unverified(error: Unverified) -> ErrorBody {
    match error {
        Unverified::Address => ErrorBody::bad(104, "Unverified account"),
        Unverified::Session => ErrorBody::bad(138, "Unverified session"),
    }
}

pub(super) fn unavailable(error: &Unavailable) -> ErrorBody {
    match error {
        Unavailable::Busy | Unavailable::Database(_) => ErrorBody::unavailable(201),
        Unavailable::NullCharacter => ErrorBody::bad(107, "A text of the request holds U+0000"),
        Unavailable::Damaged(_) => ErrorBody::internal(),
    }
}

/// The member of a request that a device's field comes from.
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

fn too_many(error: TooMany) -> ErrorBody {
    ErrorBody::new(StatusCode::TOO_MANY_REQUESTS, 114, "Too many attempts")
        .retry_after(Wait::Call(error.retry_after))
}

fn invalid(member: &'static str) -> ErrorBody {
    ErrorBody::bad(107, "Invalid parameter in request body").with_member("validation", member)
}

fn unknown_account(name: &str) -> ErrorBody {
    ErrorBody::bad(102, "Unknown account").with_member("email", name)
}

fn other_spelling(address: &str) -> ErrorBody {
    ErrorBody::bad(120, "Incorrect spelling of the address").with_member("email", address)
}

const fn exists() -> ErrorBody {
    ErrorBody::bad(101, "Account already exists")
}

const fn wrong_code() -> ErrorBody {
    ErrorBody::bad(105, "Invalid verification code")
}

const fn unknown_token() -> ErrorBody {
    ErrorBody::unauthorized(110, "Invalid or missing authentication token")
}

const fn disabled() -> ErrorBody {
    ErrorBody::bad(125, "The account is blocked")
}

const fn expired_code() -> ErrorBody {
    ErrorBody::bad(183, "Invalid or expired code")
}
