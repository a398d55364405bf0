//! How the errors of helpers become those of services.

use foxden_sql::SqlError;

use super::{
    ConfirmError, CredentialError, DeviceError, FirstStoreError, InvalidAddress, KeyFetchError,
    LegacyChangeError, LegacyLoginError, LegacyResetError, LegacySignUpError, LimitError, NameError,
    NodeError, OAuthError, OpenError, OpenStoreError, OperatorError, PasswordError, ProfileError,
    ResetRequestError, SignInError, SignUpError, StaleLogin, TooMany, Unavailable,
};

impl From<SqlError> for Unavailable {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Busy => Self::Busy,
            SqlError::NullCharacter => Self::NullCharacter,
            other => Self::Database(other),
        }
    }
}

/// Turns the errors of helpers into those of services.
macro_rules! from {
    ($($From:ty => $($To:ident)+: |$error:ident| $into:expr;)+) => {
        $(from!(@each $From => [$($To)+] |$error| $into);)+
    };
    (@each $From:ty => [$($To:ident)+] |$error:ident| $into:expr) => {
        $(impl From<$From> for $To {
            fn from($error: $From) -> Self {
                $into
            }
        })+
    };
}

from! {
    SqlError => LimitError SignUpError LegacySignUpError ResetRequestError OperatorError NodeError NameError StaleLogin
        OpenError:
        |error| Self::Unavailable(error.into());
    // The account was removed while the request was on its way.
    SqlError => LegacyLoginError LegacyResetError: |error| match error {
        SqlError::ForeignKey => Self::UnknownAccount { name: String::new() },
        other => Self::Unavailable(other.into()),
    };
    SqlError => FirstStoreError: |error| match error {
        SqlError::ForeignKey => Self::AccountGone,
        other => Self::Unavailable(other.into()),
    };
    SqlError => LegacyChangeError OpenStoreError: |error| Self::Login(error.into());
    TooMany => LegacyChangeError: |error| Self::Login(error.into());
    Unavailable => LegacyChangeError OpenStoreError: |error| Self::Login(error.into());
    Unavailable => NameError StaleLogin FirstStoreError: |error| Self::Unavailable(error);
    InvalidAddress => SignUpError SignInError PasswordError LegacySignUpError LegacyChangeError OperatorError:
        |_error| Self::InvalidAddress;
}

/// Says what has ended where the row that a statement refers to is gone.
macro_rules! from_sql {
    ($($To:ident: $orphan:ident;)+) => {
        $(impl From<Unavailable> for $To {
            fn from(error: Unavailable) -> Self {
                match error {
                    Unavailable::Database(SqlError::ForeignKey) => Self::$orphan,
                    other => Self::Unavailable(other),
                }
            }
        }

        impl From<SqlError> for $To {
            fn from(error: SqlError) -> Self {
                Unavailable::from(error).into()
            }
        })+
    };
}

from_sql! {
    CredentialError: Unknown;
    KeyFetchError: UnknownToken;
    SignInError: SessionEnded;
    ConfirmError: SessionEnded;
    PasswordError: UnknownToken;
    DeviceError: SessionEnded;
    OAuthError: UnknownToken;
    ProfileError: AccountGone;
}

macro_rules! from_name_error {
    ($($To:ident: $taken:expr;)+) => {
        $(impl From<NameError> for $To {
            fn from(error: NameError) -> Self {
                match error {
                    NameError::Taken => $taken,
                    NameError::Unavailable(error) => error.into(),
                }
            }
        })+
    };
}

from_name_error! {
    SignUpError: Self::Exists { address: None };
    ConfirmError: Self::Exists;
    PasswordError: Self::Exists;
    LegacySignUpError: Self::Exists;
    LegacyChangeError: Self::Exists;
    LegacyResetError: Self::Exists;
    OperatorError: Self::Exists;
}

macro_rules! from_limit_error {
    ($($To:ident)+) => {
        $(impl From<LimitError> for $To {
            fn from(error: LimitError) -> Self {
                match error {
                    LimitError::TooMany(error) => error.into(),
                    LimitError::Unavailable(error) => error.into(),
                }
            }
        })+
    };
}

from_limit_error!(SignInError PasswordError LegacyChangeError LegacyResetError ResetRequestError);

impl From<StaleLogin> for SignInError {
    fn from(error: StaleLogin) -> Self {
        match error {
            StaleLogin::Outdated(name) => Self::WrongPassword { name },
            StaleLogin::Unavailable(error) => error.into(),
        }
    }
}

impl From<StaleLogin> for LegacyLoginError {
    fn from(error: StaleLogin) -> Self {
        match error {
            StaleLogin::Outdated(name) => Self::WrongPassword { name },
            StaleLogin::Unavailable(error) => error.into(),
        }
    }
}

impl FirstStoreError {
    /// The error of a log-in with that name.
    pub(crate) fn of(self, name: &str) -> OpenStoreError {
        match self {
            Self::AccountGone => OpenStoreError::Login(LegacyLoginError::UnknownAccount {
                name: name.to_owned(),
            }),
            Self::NoCapacity => OpenStoreError::NoCapacity,
            Self::Unavailable(error) => error.into(),
        }
    }
}

impl From<StaleLogin> for LegacyChangeError {
    fn from(error: StaleLogin) -> Self {
        Self::Login(error.into())
    }
}

impl From<CredentialError> for OAuthError {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Unknown => Self::UnknownToken,
            CredentialError::Unavailable(error) => error.into(),
        }
    }
}
