//! Another password: changed by whoever knows the old one, or reset with a code.

use crate::{
    AccountError, Accounts, AuthPw, SecretToken, Session, SignedIn, Ticket, TokenId, Visitor, WrapKb,
};

/// What the start of a password change gives.
#[derive(Clone, Debug)]
pub struct ChangeStarted {
    /// Opens `account/keys` once.
    pub key_fetch_token: SecretToken,
    /// Finishes the change.
    pub password_change_token: SecretToken,
    /// Whether the account's address is confirmed.
    pub verified: bool,
}

/// The new password's proof and the keys wrapped with it.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// The proof.
    pub auth_pw: AuthPw,
    /// The keys wrapped anew; a reset without them makes new keys.
    pub wrap_kb: Option<WrapKb>,
    /// Whether a new session is wanted, and with it perhaps a key-fetch token.
    pub then: Then,
}

/// What follows a new password.
#[derive(Clone, Debug)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// A new session.
    SignIn {
        /// Whether the client asked for a key-fetch token.
        wants_keys: bool,
    },
}

/// A reset that waits for its code.
#[derive(Clone, Debug)]
pub struct ResetStarted {
    /// Names the reset.
    pub password_forgot_token: SecretToken,
    /// Seconds it waits.
    pub ttl: u64,
    /// Attempts left.
    pub tries: u64,
}

/// How a reset that waits stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetStatus {
    /// Seconds it waits.
    pub ttl: u64,
    /// Attempts left.
    pub tries: u64,
}

/// What a set-password link opens.
#[derive(Clone, Debug)]
pub struct PasswordLink {
    /// The address to stretch the new password with.
    pub address: String,
    /// Sets it, by [`Accounts::reset_password`].
    pub account_reset_token: SecretToken,
}

impl Accounts {
    /// Proves the old password and opens the change. With a session, the address must be its account's.
    pub async fn start_password_change(
        &self,
        session: Option<&Session>,
        address: &str,
        old: &AuthPw,
        visitor: &Visitor,
    ) -> Result<ChangeStarted, AccountError> {
        todo!()
    }

    /// Uses up the password-change token and sets the new password. `current` is the caller's own session, which is
    /// replaced; every other session, device and grant of the account ends. The keys stay.
    pub async fn finish_password_change(
        &self,
        ticket: &Ticket,
        new: NewPassword,
        current: Option<&TokenId>,
        visitor: &Visitor,
    ) -> Result<Option<SignedIn>, AccountError> {
        todo!()
    }

    /// Makes a reset code wait for whoever delivers it.
    pub async fn forgot_password(
        &self,
        address: &str,
        visitor: &Visitor,
    ) -> Result<ResetStarted, AccountError> {
        todo!()
    }

    /// Makes the code wait once more.
    pub async fn forgot_again(
        &self,
        ticket: &Ticket,
        visitor: &Visitor,
    ) -> Result<ResetStatus, AccountError> {
        todo!()
    }

    /// How the reset stands.
    pub async fn forgot_status(&self, ticket: &Ticket) -> Result<ResetStatus, AccountError> {
        todo!()
    }

    /// Trades the code for the token that resets the password.
    pub async fn verify_reset_code(&self, ticket: &Ticket, code: &str) -> Result<SecretToken, AccountError> {
        todo!()
    }

    /// Uses up the account-reset token and sets a new password. Everything signed in ends; without a wrapped key
    /// the keys are new, and with them the store.
    pub async fn reset_password(
        &self,
        ticket: &Ticket,
        new: NewPassword,
        visitor: &Visitor,
    ) -> Result<Option<SignedIn>, AccountError> {
        todo!()
    }

    /// Uses up a set-password link.
    pub async fn open_password_link(
        &self,
        code: &str,
        visitor: &Visitor,
    ) -> Result<PasswordLink, AccountError> {
        todo!()
    }
}
