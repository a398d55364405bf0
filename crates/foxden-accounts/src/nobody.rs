//! Resets of nobody: what a network gets that was told too much of who is here, and asks for an address that no account has.
//!
//! They are rows, as others are, so that every further question is answered alike, and takes as long, by whichever process
//! and after whichever start: status, wrong codes, another letter, digits. No code is right, and no letter is written.

use std::sync::Once;

use ring::hmac;

use crate::address::Address;
use crate::otp::wrong_of;
use crate::password::{BEGUN, RESET_MILLIS, RESET_TRIES};
use crate::register::code::{CodeKind, CodeRow, TRIES};
use crate::register::nobody;
use crate::register::token::TokenRow;
use crate::{AccountId, Accounts, Kind, ResetStarted, Ticket, Unavailable, secret};

/// Statements that make a code wait and note who asked for it.
const CODE: u32 = 3;
/// Those that write its letter.
const LETTER: u32 = 6;

impl Accounts {
    /// Begins a reset.
    pub(crate) async fn begin_reset_of_nobody(&self, address: &Address) -> Result<ResetStarted, Unavailable> {
        let (password_forgot_token, secrets) = self.new_secrets(Kind::PasswordForgot);
        let row = &TokenRow {
            id_hash: secret::hash(&secrets.id.0),
            kind: Kind::PasswordForgot,
            auth_key: secrets.auth_key,
            uid: self.nobody(address),
            is_of_nobody: true,
            data: None,
            tries: RESET_TRIES,
            expires: self.millis() + RESET_MILLIS,
        };
        let begun = self.transact(|tx| async move {
            nobody::insert(&tx, row, BEGUN).await?;
            Ok::<_, Unavailable>(nobody::write(&tx, &row.id_hash, self.writes()).await?)
        });
        begun.await?;
        Ok(ResetStarted::new(password_forgot_token))
    }

    /// Does what another letter takes.
    pub(crate) async fn write_to_nobody(&self, ticket: &Ticket) -> Result<(), Unavailable> {
        self.transact(|tx| async move { Ok(nobody::write(&tx, &ticket.id_hash, self.writes()).await?) })
            .await
    }

    /// Makes digits wait; where too many wrong ones were tried today, the code that takes their place.
    pub(crate) async fn send_otp_to_nobody(&self, address: &Address) -> Result<(), Unavailable> {
        let uid = self.nobody(address);
        let kind = if self.0.limits.has_room(wrong_of(uid), TRIES, self.steady()) {
            CodeKind::ResetOtp
        } else {
            CodeKind::Reset
        };
        let now = self.millis();
        let code = &CodeRow::new(kind, String::new(), now);
        self.transact(|tx| async move {
            let id_hash = nobody::keep_code(&tx, uid, code, now).await?;
            Ok(nobody::write(&tx, &id_hash, self.writes()).await?)
        })
        .await
    }

    /// Tries the digits that wait, if any do. They are wrong.
    pub(crate) async fn try_digits_of_nobody(&self, address: &Address) -> Result<(), Unavailable> {
        let (uid, kind, now) = (self.nobody(address), CodeKind::ResetOtp, self.millis());
        if nobody::code(&self.0.database, uid, kind, now).await?.is_none() {
            return Ok(());
        }
        let counted = &Once::new();
        self.transact(|tx| async move {
            if nobody::take_try(&tx, uid, kind, now).await? {
                // Before others may be made, and once however often this runs.
                counted.call_once(|| self.0.limits.count(wrong_of(uid), self.steady()));
            }
            Ok(())
        })
        .await
    }

    /// How many statements a code takes that is asked for.
    fn writes(&self) -> u32 {
        if self.0.options.sends_mail {
            CODE + LETTER
        } else {
            CODE
        }
    }

    /// The account that the address would have: always the same, and from it nobody finds the address.
    fn nobody(&self, address: &Address) -> AccountId {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0.options.metrics_secret);
        let text = format!("nobody {}", address.normal());
        let hash = hmac::sign(&key, text.as_bytes());
        AccountId(std::array::from_fn(|at| hash.as_ref()[at]))
    }
}
