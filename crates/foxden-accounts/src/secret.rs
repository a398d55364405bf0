//! What follows from a secret token: its id, its Hawk key, its bundle key.

use crate::{SecretToken, TokenId};

/// What a credential is for. Kinds are separate: an id of one is unknown as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everything a signed-in device or page does.
    Session,
    /// `account/keys`, once.
    KeyFetch,
    /// The end of a password change, once.
    PasswordChange,
    /// The codes of a reset.
    PasswordForgot,
    /// The reset itself, once.
    AccountReset,
}

/// What follows from a token.
pub struct Secrets {
    /// Its name in requests.
    pub id: TokenId,
    /// The Hawk key.
    pub auth_key: [u8; 32],
    /// What bundles are encrypted with.
    pub bundle_key: [u8; 32],
}
