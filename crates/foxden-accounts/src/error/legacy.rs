//! Why a request of an old client was not carried out.

use super::{TooMany, Unavailable};

/// Why a plain password was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum LegacyLoginError {
    /// No account has that name.
    #[error("no such account")]
    UnknownAccount {
        /// The name as the client sent it.
        name: String,
    },
    /// The password is not that account's.
    #[error("the password is wrong")]
    WrongPassword {
        /// The name as the client sent it.
        name: String,
    },
    /// The operator switched the account off.
    #[error("the account is switched off")]
    Disabled,
    /// Wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why the store of an old client was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// The password was not accepted.
    #[error(transparent)]
    Login(#[from] LegacyLoginError),
    /// Try again later: no node has room for another store.
    #[error("no node has room")]
    NoCapacity,
}

/// Why an account was not created with a plain password.
#[derive(Debug, thiserror::Error)]
pub enum LegacySignUpError {
    /// The name or the address is taken.
    #[error("the account exists")]
    Exists,
    /// Strangers may not sign up here.
    #[error("sign-up is closed")]
    Closed,
    /// Choose another address.
    #[error("invalid address")]
    InvalidAddress,
    /// Choose another name.
    #[error("invalid name")]
    InvalidName,
    /// Choose another password.
    #[error("the password is too weak")]
    WeakPassword,
    /// Wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why the owner of a plain password changed neither it nor the address.
#[derive(Debug, thiserror::Error)]
pub enum LegacyChangeError {
    /// The present password was not accepted, or a limit is reached.
    #[error(transparent)]
    Login(#[from] LegacyLoginError),
    /// Choose another password.
    #[error("the password is too weak")]
    WeakPassword,
    /// Choose another address.
    #[error("invalid address")]
    InvalidAddress,
    /// Another account has the address.
    #[error("the account exists")]
    Exists,
}

/// Why no reset code was made for an old client.
#[derive(Debug, thiserror::Error)]
pub enum ResetRequestError {
    /// No account has that name, or none that may be written to by it.
    #[error("no such account")]
    UnknownAccount {
        /// The name as the client sent it.
        name: String,
    },
    /// The account has no address to write to.
    #[error("the account has no address")]
    NoAddress,
    /// Wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a plain password was not reset with a code.
#[derive(Debug, thiserror::Error)]
pub enum LegacyResetError {
    /// No account has that name.
    #[error("no such account")]
    UnknownAccount {
        /// The name as the client sent it.
        name: String,
    },
    /// Choose another password.
    #[error("the password is too weak")]
    WeakPassword,
    /// The code is wrong.
    #[error("the code is wrong")]
    WrongCode,
    /// The operator switched the account off.
    #[error("the account is switched off")]
    Disabled,
    /// Ask first: what current browsers stored would become unreadable.
    #[error("no consent that data of current browsers becomes unreadable")]
    ConsentMissing,
    /// Another account has confirmed the address.
    #[error("the account exists")]
    Exists,
    /// Wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
