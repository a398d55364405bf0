//! Invitations: codes that let one person create an account.

use crate::{AccountError, AccountId, Accounts};

/// What an account may do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Use it.
    Member,
    /// Look after the server too.
    Admin,
}

/// An invitation, without its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// A number to speak of it.
    pub id: i64,
    /// What the account will be.
    pub role: Role,
    /// For whom it is meant; a note for the operator.
    pub note: String,
    /// In milliseconds.
    pub created_at: i64,
    /// In milliseconds.
    pub expires: i64,
    /// Whether it dies with the first account.
    pub is_first: bool,
    /// The account it became.
    pub used_by: Option<AccountId>,
}

impl Accounts {
    /// Makes an invitation and gives its code: single use, `seconds` long (`None`: seven days).
    pub async fn invite(&self, role: Role, note: &str, seconds: Option<u64>) -> Result<String, AccountError> {
        todo!()
    }

    /// The code of an invitation for the first account, an administrator's: good for an hour, until the first account is
    /// there. A new one replaces the one before; `None` once there is an account.
    pub async fn first_invitation(&self) -> Result<Option<String>, AccountError> {
        todo!()
    }

    /// Whether an invitation's code would be taken.
    pub async fn is_invited(&self, code: &str) -> Result<bool, AccountError> {
        todo!()
    }

    /// All invitations, newest first.
    pub async fn invitations(&self) -> Result<Vec<Invitation>, AccountError> {
        todo!()
    }

    /// Takes an invitation back; says whether it was there.
    pub async fn revoke_invitation(&self, id: i64) -> Result<bool, AccountError> {
        todo!()
    }
}
