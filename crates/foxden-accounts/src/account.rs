//! Accounts: made, looked up, shown, removed.

use crate::{AccountError, AccountId, Accounts, AuthPw, Kind, SecretToken, Session, Visitor, WrapKb};
use foxden_model::UserId;

/// What a client brings to create an account.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The address as its owner spells it.
    pub address: String,
    /// The proof that is stored, slowly hashed.
    pub auth_pw: AuthPw,
    /// The code of an invitation.
    pub invite: Option<String>,
    /// Whether the client asked for a key-fetch token.
    pub wants_keys: bool,
}

/// What an account's owner gets when signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The account.
    pub account: AccountId,
    /// The new session's token; none when an existing session was confirmed again.
    pub session_token: Option<SecretToken>,
    /// Opens `account/keys` once; given when keys were asked for.
    pub key_fetch_token: Option<SecretToken>,
    /// When the password was last proven, in seconds.
    pub auth_at: i64,
    /// Whether the address is confirmed.
    pub address_verified: bool,
    /// Whether the session is confirmed.
    pub session_verified: bool,
}

/// Whether the address and what hangs on it are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressStatus {
    /// Somebody has it; always so where sign-up needs an invitation, to tell strangers nothing.
    pub exists: bool,
    /// That account has a password.
    pub has_password: bool,
}

/// What went with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its stores, to be refused at once and emptied by the chore.
    pub stores: Vec<UserId>,
}

impl SignedIn {
    /// Whether address and session are both confirmed.
    pub const fn is_verified(&self) -> bool {
        self.address_verified && self.session_verified
    }
}

impl Accounts {
    /// Whether somebody has the address.
    pub async fn address_status(
        &self,
        address: &str,
        visitor: &Visitor,
    ) -> Result<AddressStatus, AccountError> {
        todo!()
    }

    /// Whether the account exists.
    pub async fn account_exists(&self, account: AccountId) -> Result<bool, AccountError> {
        todo!()
    }

    /// Creates an account, by the sign-up policy or an invitation, and signs its owner in.
    pub async fn create(&self, new: NewAccount, visitor: &Visitor) -> Result<SignedIn, AccountError> {
        todo!()
    }

    /// Removes the session's account and everything that hangs on it, once the password is proven.
    /// `session` is left out by clients that have none; then the password alone decides.
    pub async fn destroy(
        &self,
        session: Option<&Session>,
        address: &str,
        auth_pw: &AuthPw,
        visitor: &Visitor,
    ) -> Result<Removed, AccountError> {
        todo!()
    }

    /// Uses up a key-fetch token and gives the wrapped keys, 192 hex digits.
    /// The token is gone whatever the answer.
    pub async fn fetch_keys(&self, ticket: &Ticket) -> Result<String, AccountError> {
        todo!()
    }

    /// The credential of that kind and id, for the check of a Hawk signature. Sessions have
    /// [`Accounts::session`].
    pub async fn ticket(&self, kind: Kind, id: &crate::TokenId) -> Result<Ticket, AccountError> {
        todo!()
    }
}

/// A one-time credential that was presented.
#[derive(Clone)]
pub struct Ticket {
    /// What it is for.
    pub kind: Kind,
    /// Whose it is.
    pub account: AccountId,
    /// The Hawk key.
    pub auth_key: [u8; 32],
    pub(crate) id_hash: String,
}
