//! Decoy resets: the answer for an address without an account, once a network has used up its allowance of answers that
//! reveal which accounts exist.
//!
//! A decoy is a row like a real reset, so that every later request about it (status, wrong codes, another mail, digits)
//! gets the same answer after the same time, from any process and after a restart. Its code is never right, and no mail
//! is written.

use std::sync::Once;

use ring::hmac;

use crate::address::Address;
use crate::otp::wrong_of;
use crate::password_reset::{BEGUN, RESET_MILLIS, RESET_TRIES};
use crate::register::code::{CodeKind, CodeRow, TRIES};
use crate::register::decoy_reset;
use crate::register::token::TokenRow;
use crate::{AccountId, Accounts, CredentialKind, OneTimeCredential, ResetStarted, Unavailable, secret};

/// Statements that create a code and record the request.
const CODE: u32 = 3;
/// Statements that queue its mail.
const LETTER: u32 = 6;

impl Accounts {
    /// Begins a decoy reset.
    pub(crate) async fn begin_decoy_reset(&self, address: &Address) -> Result<ResetStarted, Unavailable> {
        let (password_forgot_token, secrets) = self.new_secrets(CredentialKind::PasswordForgot);
        let row = &TokenRow {
            id_hash: secret::hash(&secrets.id.0),
            kind: CredentialKind::PasswordForgot,
            auth_key: secrets.auth_key,
            uid: self.decoy_account(address),
            is_decoy: true,
            data: None,
            tries: RESET_TRIES,
            expires: self.millis() + RESET_MILLIS,
        };
        let begun = self.transact(|tx| async move {
            decoy_reset::insert(&tx, row, BEGUN).await?;
            Ok::<_, Unavailable>(decoy_reset::write(&tx, &row.id_hash, self.writes()).await?)
        });
        begun.await?;
        Ok(ResetStarted::new(password_forgot_token))
    }

    /// Writes as much as another mail takes.
    pub(crate) async fn write_decoy(&self, credential: &OneTimeCredential) -> Result<(), Unavailable> {
        self.transact(
            |tx| async move { Ok(decoy_reset::write(&tx, &credential.id_hash, self.writes()).await?) },
        )
        .await
    }

    /// Creates digits; after too many wrong ones today, the code that replaces them.
    pub(crate) async fn send_decoy_otp(&self, address: &Address) -> Result<(), Unavailable> {
        let uid = self.decoy_account(address);
        let kind = if self.0.limits.has_room(wrong_of(uid), TRIES, self.steady()) {
            CodeKind::ResetOtp
        } else {
            CodeKind::Reset
        };
        let now = self.millis();
        let code = &CodeRow::new(kind, String::new(), now);
        self.transact(|tx| async move {
            let id_hash = decoy_reset::keep_code(&tx, uid, code, now).await?;
            Ok(decoy_reset::write(&tx, &id_hash, self.writes()).await?)
        })
        .await
    }

    /// Takes a try of the digits, if any wait. They are always wrong.
    pub(crate) async fn try_decoy_digits(&self, address: &Address) -> Result<(), Unavailable> {
        let (uid, kind, now) = (self.decoy_account(address), CodeKind::ResetOtp, self.millis());
        if decoy_reset::code(&self.0.database, uid, kind, now)
            .await?
            .is_none()
        {
            return Ok(());
        }
        let counted = &Once::new();
        self.transact(|tx| async move {
            if decoy_reset::take_try(&tx, uid, kind, now).await? {
                // Before others may be made, and once however often this runs.
                counted.call_once(|| self.0.limits.count(wrong_of(uid), self.steady()));
            }
            Ok(())
        })
        .await
    }

    /// The number of statements for a requested code.
    fn writes(&self) -> u32 {
        if self.0.options.sends_mail {
            CODE + LETTER
        } else {
            CODE
        }
    }

    /// The account id that a decoy for this address has: always the same, and the address cannot be derived from it.
    fn decoy_account(&self, address: &Address) -> AccountId {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0.options.metrics_secret);
        let text = format!("decoy {}", address.normal());
        let hash = hmac::sign(&key, text.as_bytes());
        AccountId(std::array::from_fn(|at| hash.as_ref()[at]))
    }
}
