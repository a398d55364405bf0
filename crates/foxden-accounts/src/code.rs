//! Codes that confirm an address.

use crate::{AccountError, AccountId, Accounts, Session, Visitor};

impl Accounts {
    /// Confirms the session's address with its six digits.
    pub async fn verify_session(&self, session: &Session, code: &str) -> Result<(), AccountError> {
        todo!()
    }

    /// Confirms an address with the 32 hex digits of a link.
    pub async fn verify_address(&self, account: AccountId, code: &str) -> Result<(), AccountError> {
        todo!()
    }

    /// Makes a code wait for the session's address; a confirmed one needs none.
    pub async fn resend_code(&self, session: &Session, visitor: &Visitor) -> Result<(), AccountError> {
        todo!()
    }
}
