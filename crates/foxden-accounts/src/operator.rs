//! What the operator may do with other people's accounts. The operator's password is never asked: whoever can call
//! this owns the files.

use foxden_model::UserId;

use crate::{AccountError, AccountId, Accounts, Removed, Role};

/// An account as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSummary {
    /// The account.
    pub account: AccountId,
    /// The address in use.
    pub address: String,
    /// Whether the address is confirmed.
    pub address_verified: bool,
    /// Whether a password was set.
    pub has_password: bool,
    /// What it may do.
    pub role: Role,
    /// Whether it is switched off.
    pub is_disabled: bool,
    /// In milliseconds.
    pub created_at: i64,
    /// The last use of any session, in milliseconds.
    pub last_used: Option<i64>,
    /// Sessions that exist.
    pub sessions: u64,
    /// Devices that exist.
    pub devices: u64,
    /// Its stores that are in use.
    pub stores: Vec<UserId>,
}

/// A code that waits to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingCode {
    /// What it is for.
    pub purpose: CodePurpose,
    /// The code.
    pub code: String,
    /// When it ends, in milliseconds.
    pub expires: i64,
}

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePurpose {
    /// Confirms the address: six digits.
    ConfirmAddress,
    /// Resets the password: 32 hex digits.
    ResetPassword,
}

/// Something that happened to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityEvent {
    /// In milliseconds.
    pub time: i64,
    /// What, in the register's words.
    pub kind: String,
    /// From where.
    pub address: String,
}

impl Accounts {
    /// Accounts in the order of their ids after `after`, at most `limit`.
    pub async fn list_accounts(
        &self,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountSummary>, AccountError> {
        todo!()
    }

    /// The account with that name: an address, another name, or the id.
    pub async fn show_account(&self, name: &str) -> Result<Option<AccountSummary>, AccountError> {
        todo!()
    }

    /// Creates an account without a password and gives the code of its set-password link.
    pub async fn add_account(&self, address: &str, role: Role) -> Result<String, AccountError> {
        todo!()
    }

    /// The code of a single-use link with which the owner sets a password; good for a day.
    pub async fn password_link(&self, name: &str) -> Result<String, AccountError> {
        todo!()
    }

    /// Removes the account and everything that hangs on it.
    pub async fn remove_account(&self, name: &str) -> Result<Removed, AccountError> {
        todo!()
    }

    /// Changes what the account may do.
    pub async fn set_role(&self, name: &str, role: Role) -> Result<(), AccountError> {
        todo!()
    }

    /// Switches the account off, which ends everything signed in, or on again.
    pub async fn set_disabled(&self, name: &str, is_disabled: bool) -> Result<(), AccountError> {
        todo!()
    }

    /// Confirms the address without a code.
    pub async fn approve(&self, name: &str) -> Result<(), AccountError> {
        todo!()
    }

    /// The codes that wait for the account's owner.
    pub async fn waiting_codes(&self, name: &str) -> Result<Vec<WaitingCode>, AccountError> {
        todo!()
    }

    /// What happened to the account, newest first.
    pub async fn security_events(&self, account: AccountId) -> Result<Vec<SecurityEvent>, AccountError> {
        todo!()
    }

    /// How many accounts there are.
    pub async fn count_accounts(&self) -> Result<u64, AccountError> {
        todo!()
    }
}
