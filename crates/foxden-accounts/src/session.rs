//! Signing in, and what it gives.

use crate::{AccountError, AccountId, Accounts, AuthPw, SecretToken, SignedIn, TokenId, Visitor};

/// What a client brings to sign in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The address the password was stretched with.
    pub address: String,
    /// The proof.
    pub auth_pw: AuthPw,
    /// Whether the client asked for a key-fetch token.
    pub wants_keys: bool,
}

/// A signed-in device or page.
#[derive(Clone)]
pub struct Session {
    /// Whose it is.
    pub account: AccountId,
    /// The Hawk key.
    pub auth_key: [u8; 32],
    /// When the password was last proven, in seconds.
    pub auth_at: i64,
    /// Whether the account's address is confirmed.
    pub address_verified: bool,
    /// Whether the session itself is confirmed.
    pub session_verified: bool,
    /// The name others may know it by; opens nothing.
    pub public_id: String,
}

impl Session {
    /// Whether address and session are both confirmed.
    pub const fn is_verified(&self) -> bool {
        self.address_verified && self.session_verified
    }

    /// Refuses a session that is not confirmed.
    pub const fn require_verified(&self) -> Result<(), AccountError> {
        match (self.address_verified, self.session_verified) {
            (false, _) => Err(AccountError::AddressUnverified),
            (true, false) => Err(AccountError::SessionUnverified),
            (true, true) => Ok(()),
        }
    }
}

impl Accounts {
    /// Signs in: limits, then the account, then the spelling of the address, then the password.
    pub async fn login(&self, login: Login, visitor: &Visitor) -> Result<SignedIn, AccountError> {
        todo!()
    }

    /// Proves the password again for a session that exists.
    pub async fn reauth(
        &self,
        session: &Session,
        login: Login,
        visitor: &Visitor,
    ) -> Result<SignedIn, AccountError> {
        todo!()
    }

    /// The session with that token id, for Hawk and for `Bearer fxs_`.
    pub async fn session(&self, id: &TokenId) -> Result<Session, AccountError> {
        todo!()
    }

    /// Ends the session, its device and what it was granted.
    pub async fn end_session(&self, session: &Session) -> Result<(), AccountError> {
        todo!()
    }

    /// Ends another session of the same account, named by its token id.
    pub async fn end_other_session(&self, session: &Session, other: &TokenId) -> Result<(), AccountError> {
        todo!()
    }

    /// A new session like this one.
    pub async fn duplicate_session(
        &self,
        session: &Session,
        visitor: &Visitor,
    ) -> Result<SignedIn, AccountError> {
        todo!()
    }

    /// Refuses a nonce that this credential used within the time in which requests are accepted.
    /// `Err` is [`AccountError::Replayed`].
    pub fn accept_nonce(&self, id: &TokenId, nonce: &str) -> Result<(), AccountError> {
        todo!()
    }
}
