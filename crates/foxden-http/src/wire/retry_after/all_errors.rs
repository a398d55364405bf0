//! Every error of a service, for tests of waiting times.

use foxden_accounts::{
    ConfirmError, CredentialError, DeviceError, DeviceField, DeviceId, KeyFetchError, LegacyChangeError,
    LegacyLoginError, LegacyResetError, LegacySignUpError, OAuthError, OpenStoreError, PasswordError,
    ProfileError, ResetRequestError, SignInError, SignUpError, TooMany, Unavailable, Unverified,
};
use foxden_model::SyncTime;
use foxden_storage::{BatchLimit, Change, EngineError, StorageError, Write};

/// One of each variant, with those that it contains. A new variant does not compile until it is here.
macro_rules! every {
    ($name:ident: $Error:ident, $($pattern:pat => [$($error:expr),+];)+) => {
        pub(crate) fn $name() -> Vec<$Error> {
            use $Error as E;
            let _ = |error: &$Error| match error {
                $($pattern => (),)+
            };
            let mut errors = Vec::new();
            $($(errors.extend($error);)+)+
            errors
        }
    };
}

every! { sign_up_errors: SignUpError,
    E::Exists { .. } => [[E::Exists { address: None }, E::Exists { address: Some(text()) }]];
    E::InvalidAddress => [[E::InvalidAddress]];
    E::UnknownInvitation => [[E::UnknownInvitation]];
    E::Closed => [[E::Closed]];
    E::TooMany(_) => [[too_many().into()]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { sign_in_errors: SignInError,
    E::UnknownAccount { .. } => [[E::UnknownAccount { name: text() }]];
    E::WrongPassword { .. } => [[E::WrongPassword { name: text() }]];
    E::OtherSpelling { .. } => [[E::OtherSpelling { address: text() }]];
    E::NoPassword => [[E::NoPassword]];
    E::Disabled => [[E::Disabled]];
    E::InvalidAddress => [[E::InvalidAddress]];
    E::SessionEnded => [[E::SessionEnded]];
    E::Unverified(_) => [UNVERIFIED.map(E::from)];
    E::TooMany(_) => [[too_many().into()]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { key_fetch_errors: KeyFetchError,
    E::UnknownToken => [[E::UnknownToken]];
    E::AddressUnverified => [[E::AddressUnverified]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { confirm_errors: ConfirmError,
    E::SessionEnded => [[E::SessionEnded]];
    E::Exists => [[E::Exists]];
    E::WrongCode => [[E::WrongCode]];
    E::ExpiredCode => [[E::ExpiredCode]];
    E::TooMany(_) => [[too_many().into()]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { password_errors: PasswordError,
    E::UnknownAccount { .. } => [[E::UnknownAccount { name: text() }]];
    E::OtherSpelling { .. } => [[E::OtherSpelling { address: text() }]];
    E::Disabled => [[E::Disabled]];
    E::InvalidAddress => [[E::InvalidAddress]];
    E::KeyMissing => [[E::KeyMissing]];
    E::Exists => [[E::Exists]];
    E::UnknownToken => [[E::UnknownToken]];
    E::WrongCode => [[E::WrongCode]];
    E::ExpiredCode => [[E::ExpiredCode]];
    E::TooMany(_) => [[too_many().into()]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { device_errors: DeviceError,
    E::Invalid(_) => [[E::Invalid(DeviceField::Payload)]];
    E::UnknownDevice => [[E::UnknownDevice]];
    E::OtherDevice { .. } => [[E::OtherDevice { device: DeviceId([1; 16]) }]];
    E::NoSuchCommand => [[E::NoSuchCommand]];
    E::SessionEnded => [[E::SessionEnded]];
    E::Unverified(_) => [UNVERIFIED.map(E::from)];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { oauth_errors: OAuthError,
    E::UnknownClient { .. } => [[E::UnknownClient { client: text() }]];
    E::ClientMissing => [[E::ClientMissing]];
    E::InvalidScope => [[E::InvalidScope]];
    E::ScopesRefused { .. } => [[E::ScopesRefused { scopes: text() }]];
    E::KeysTooLong => [[E::KeysTooLong]];
    E::WrongRedirect => [[E::WrongRedirect]];
    E::ChallengeMissing => [[E::ChallengeMissing]];
    E::UnknownGrant => [[E::UnknownGrant]];
    E::OtherClientsGrant => [[E::OtherClientsGrant]];
    E::ExpiredGrant => [[E::ExpiredGrant]];
    E::WrongVerifier => [[E::WrongVerifier]];
    E::StaleSession { .. } => [[E::StaleSession { auth_at: 1 }]];
    E::UnknownToken => [[E::UnknownToken]];
    E::Unverified(_) => [UNVERIFIED.map(E::from)];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { profile_errors: ProfileError,
    E::InvalidName => [[E::InvalidName]];
    E::InvalidPicture => [[E::InvalidPicture]];
    E::AccountGone => [[E::AccountGone]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { credential_errors: CredentialError,
    E::Unknown => [[E::Unknown]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { legacy_login_errors: LegacyLoginError,
    E::UnknownAccount { .. } => [[E::UnknownAccount { name: text() }]];
    E::WrongPassword { .. } => [[E::WrongPassword { name: text() }]];
    E::Disabled => [[E::Disabled]];
    E::TooMany(_) => [[too_many().into()]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { open_store_errors: OpenStoreError,
    E::Login(_) => [legacy_login_errors().into_iter().map(E::from)];
    E::NoCapacity => [[E::NoCapacity]];
}

every! { legacy_sign_up_errors: LegacySignUpError,
    E::Exists => [[E::Exists]];
    E::Closed => [[E::Closed]];
    E::InvalidAddress => [[E::InvalidAddress]];
    E::InvalidName => [[E::InvalidName]];
    E::WeakPassword => [[E::WeakPassword]];
    E::TooMany(_) => [[too_many().into()]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { legacy_change_errors: LegacyChangeError,
    E::Login(_) => [legacy_login_errors().into_iter().map(E::from)];
    E::WeakPassword => [[E::WeakPassword]];
    E::InvalidAddress => [[E::InvalidAddress]];
    E::Exists => [[E::Exists]];
}

every! { reset_request_errors: ResetRequestError,
    E::UnknownAccount { .. } => [[E::UnknownAccount { name: text() }]];
    E::NoAddress => [[E::NoAddress]];
    E::TooMany(_) => [[too_many().into()]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

every! { legacy_reset_errors: LegacyResetError,
    E::UnknownAccount { .. } => [[E::UnknownAccount { name: text() }]];
    E::WeakPassword => [[E::WeakPassword]];
    E::WrongCode => [[E::WrongCode]];
    E::Disabled => [[E::Disabled]];
    E::ConsentMissing => [[E::ConsentMissing]];
    E::Exists => [[E::Exists]];
    E::TooMany(_) => [[too_many().into()]];
    E::Unavailable(_) => [unavailable().map(E::from)];
}

pub(crate) const UNVERIFIED: [Unverified; 2] = [Unverified::Address, Unverified::Session];

pub(crate) const fn unavailable() -> [Unavailable; 4] {
    [
        Unavailable::Busy,
        Unavailable::Database(foxden_sql::SqlError::Mismatch),
        Unavailable::NullCharacter,
        Unavailable::Damaged("a row"),
    ]
}

const fn too_many() -> TooMany {
    TooMany { retry_after: 7 }
}

/// The errors of storage.
pub(crate) fn storage_errors() -> Vec<StorageError> {
    let modified = SyncTime::from_millis(1000);
    let first = EngineError::Stale { modified };
    let errors = std::iter::successors(Some(first), next_engine_error);
    errors.map(StorageError::Engine).collect()
}

fn text() -> String {
    "ann@example.org".to_owned()
}

fn next_engine_error(error: &EngineError) -> Option<EngineError> {
    use EngineError as E;
    Some(match error {
        E::Stale { .. } => E::OverQuota { used: 2, quota: 1 },
        E::OverQuota { .. } => E::Closed,
        E::Closed => E::NoSuchBatch,
        E::NoSuchBatch => E::TooLarge(BatchLimit::Bytes),
        E::TooLarge(_) => E::TooManyCollections,
        E::TooManyCollections => E::BadCursor,
        E::BadCursor => E::Busy,
        E::Busy => E::PassEnded(Box::new(Write::new(Change::DeleteAll))),
        E::PassEnded(_) => E::Unavailable("the disk is gone".into()),
        E::Unavailable(_) => E::OutcomeUnknown("the disk has not answered".into()),
        E::OutcomeUnknown(_) => return None,
    })
}
