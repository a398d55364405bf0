//! Resets that begin with eight digits: no token exists before the digits are typed.

use std::sync::Once;

use data_encoding::HEXLOWER;
use foxden_sql::Tx;

use crate::address::{Address, counted, short};
use crate::limits::RateLimitKey;
use crate::mail::{Envelope, Mail, RESET_OTP};
use crate::mail_limits::MailAllowance;
use crate::password_hasher::constant_time_eq;
use crate::password_reset::{RESET_MILLIS, ResetChannel, same_address};
use crate::register::account::AccountRow;
use crate::register::code::{CodeKind, CodeRow, TRIES};
use crate::register::event::RESET_ASKED;
use crate::register::{account, code as codes};
use crate::security::{Event, EventKind};
use crate::{AccountId, Accounts, ClientInfo, CredentialKind, PasswordError, SecretToken, Unavailable};

/// One above the greatest code, which has eight digits.
const CODES: u64 = 100_000_000;

/// The reset that the digits open. It is a reset like any other, with its code.
#[derive(Clone, Debug)]
pub struct OtpVerified {
    /// The account that is reset.
    pub account: AccountId,
    /// Names the reset.
    pub password_forgot_token: SecretToken,
    /// The code for [`Accounts::verify_reset_code`]: 32 hex digits.
    pub code: String,
    /// The address to stretch the new password with.
    pub address: String,
}

/// The result of a try of the digits.
enum Tried {
    Right(Box<OtpVerified>),
    /// Or none wait.
    Wrong,
    /// Wrong, and the digits have ended with it.
    Last,
}

impl Accounts {
    /// Creates eight digits that open a reset, and mails them. Digits that wait already stay, and their expiry does
    /// not move. An account whose address was never confirmed counts as unknown. If so many wrong digits were tried
    /// today that new ones would not have all their tries, a code that cannot be guessed is created instead;
    /// [`Accounts::verify_otp`] accepts it as well.
    pub async fn send_otp(&self, address: &str, client: &ClientInfo) -> Result<(), PasswordError> {
        let address = Address::new(address)?;
        self.check_and_count_network(RateLimitKey::CodesFrom, client)?;
        let allowance = self.charge_mail(client);
        let Some(row) = self.confirmed(&address).await? else {
            // A network without allowance for revealing answers gets the same answer for every address.
            if self
                .check_and_count_network(RateLimitKey::Enumeration, client)
                .is_err()
            {
                return Ok(self.send_decoy_otp(&address).await?);
            }
            return Err(PasswordError::UnknownAccount {
                name: address.as_str().to_owned(),
            });
        };
        let (row, allowance) = (&row, &allowance);
        let asked = self.transact(|tx| async move {
            same_address(&tx, row).await?;
            if self.0.limits.has_room(wrong_of(row.uid), TRIES, self.steady()) {
                self.make_digits(&tx, row, allowance).await?;
            } else {
                self.make_reset_code(&tx, row, allowance, ResetChannel::Digits)
                    .await?;
            }
            self.record_event(&tx, row.uid, RESET_ASKED, client).await
        });
        asked.await?;
        let requested = Event::from_client(client, EventKind::ResetRequested);
        self.emit(&requested.with_subject(&row.address).with_account(row.uid));
        Ok(())
    }

    /// Exchanges the digits for a reset and its code. A try is counted, before anything is compared, against the
    /// network of the client and against the digits. Too many tries end the digits alone: new ones can be requested
    /// at once, and the codes of other resets stay valid. A code of 32 hex digits is accepted here as well, whatever
    /// its network has tried.
    pub async fn verify_otp(
        &self,
        address: &str,
        code: &str,
        client: &ClientInfo,
    ) -> Result<OtpVerified, PasswordError> {
        let address = Address::new(address)?;
        let attempt = self.code_attempt(client);
        let wrong = Event::from_client(client, EventKind::CodeRefused).with_subject(address.as_str());
        let Some(row) = self.confirmed(&address).await? else {
            let attempt = attempt.within_allowance()?;
            self.try_decoy_digits(&address).await?;
            let wrong = wrong.with_reason("a reset code for an unknown name");
            return Err(attempt.fail(&wrong, PasswordError::WrongCode));
        };
        if let Some(verified) = self.take_code(&row, &code.to_ascii_lowercase()).await? {
            attempt.succeed();
            return Ok(verified);
        }
        let (attempt, wrong) = (attempt.within_allowance()?, wrong.with_account(row.uid));
        let tried = self.take_digits(&row, code).await?;
        if let Tried::Right(verified) = tried {
            attempt.succeed();
            return Ok(*verified);
        }
        let refusal = attempt.fail(&wrong.with_reason("wrong reset code"), PasswordError::WrongCode);
        if matches!(tried, Tried::Last) {
            self.emit(&wrong.with_reason("the reset digits ended: too many wrong ones"));
        }
        Err(refusal)
    }

    /// Consumes the code of 32 hex digits of the account, if it is this one.
    async fn take_code(&self, row: &AccountRow, code: &str) -> Result<Option<OtpVerified>, Unavailable> {
        let is_right = |waiting: Option<CodeRow>| {
            waiting.is_some_and(|waiting| constant_time_eq(waiting.code.as_bytes(), code.as_bytes()))
        };
        let (now, kind) = (self.millis(), CodeKind::Reset);
        // A wrong code must not wait for the writer.
        if !is_right(codes::get(&self.0.database, row.uid, kind, now).await?) {
            return Ok(None);
        }
        self.transact(|tx| async move {
            same_address(&tx, row).await?;
            if !is_right(codes::get(&tx, row.uid, kind, now).await?) {
                return Ok(None);
            }
            self.open_reset(&tx, row, kind).await
        })
        .await
    }

    /// Compares the eight digits of the account. A try is taken first, in the same transaction, so that concurrent
    /// tries are bounded. If no digits wait, nothing was guessed.
    async fn take_digits(&self, row: &AccountRow, digits: &str) -> Result<Tried, Unavailable> {
        let kind = CodeKind::ResetOtp;
        let waiting = codes::get(&self.0.database, row.uid, kind, self.millis());
        if waiting.await?.is_none() {
            return Ok(Tried::Wrong);
        }
        let counted = &Once::new();
        self.transact(|tx| async move {
            same_address(&tx, row).await?;
            let Some(tried) = codes::take_try(&tx, row.uid, self.millis()).await? else {
                return Ok(Tried::Wrong);
            };
            if constant_time_eq(tried.code.as_bytes(), digits.as_bytes()) {
                let verified = self.open_reset(&tx, row, kind).await?;
                return Ok(verified.map_or(Tried::Wrong, |verified| Tried::Right(Box::new(verified))));
            }
            // Before others may be made, and once however often this runs.
            counted.call_once(|| self.0.limits.count(wrong_of(row.uid), self.steady()));
            if tried.tries > 0 {
                return Ok(Tried::Wrong);
            }
            codes::delete(&tx, row.uid, kind).await?;
            Ok(Tried::Last)
        })
        .await
    }

    /// Consumes the code of that kind and opens a reset; `None` if another transaction has consumed it.
    async fn open_reset(
        &self,
        tx: &Tx,
        row: &AccountRow,
        kind: CodeKind,
    ) -> Result<Option<OtpVerified>, Unavailable> {
        if !codes::delete(tx, row.uid, kind).await? {
            return Ok(None);
        }
        // The reset has a code of its own, so that wrong codes from other clients cannot end it.
        let code = HEXLOWER.encode(&self.random::<16>());
        let data = Some(code.clone().into_bytes());
        let token = self.new_step_with(tx, row.uid, CredentialKind::PasswordForgot, RESET_MILLIS, data);
        Ok(Some(OtpVerified {
            account: row.uid,
            password_forgot_token: token.await?,
            code,
            address: row.address.clone(),
        }))
    }

    /// Creates the digits and mails them. After as many wrong tries as end some, the mail says so.
    async fn make_digits(
        &self,
        tx: &Tx,
        row: &AccountRow,
        allowance: &MailAllowance<'_>,
    ) -> Result<(), Unavailable> {
        let code = CodeRow::new(CodeKind::ResetOtp, self.new_digits(), self.millis());
        let (code, age) = self.pending_or(tx, row.uid, code).await?;
        let envelope = Envelope::to(row.uid, &row.address, RESET_OTP).until(code.expires);
        if let Ok(permit) = self.permit_mail(tx, allowance, age, envelope).await? {
            let mail = Mail::ResetOtp {
                code: code.code,
                again: self.0.limits.has_counted(wrong_of(row.uid), TRIES, self.steady()),
            };
            self.queue_mail(tx, permit, &mail).await?;
        }
        tracing::info!(account = short(&row.uid.0), "a code to reset a password waits");
        Ok(())
    }

    /// The account with that address, if its own is confirmed.
    async fn confirmed(&self, address: &Address) -> Result<Option<AccountRow>, Unavailable> {
        let row = account::by_name(&self.0.database, &address.normal()).await?;
        let Some(row) = row.filter(|row| row.address_verified) else {
            return Ok(None);
        };
        let is_theirs = self
            .may_receive_mail(&self.0.database, &row, address.as_str())
            .await?;
        Ok(is_theirs.then_some(row))
    }

    /// Eight random digits.
    fn new_digits(&self) -> String {
        // 64 random bits, so that the remainder favours none by more than one part in 10^11.
        let digits = u64::from_le_bytes(self.random()) % CODES;
        format!("{digits:08}")
    }
}

/// The counter of wrong digits of an account.
pub(crate) fn wrong_of(uid: AccountId) -> RateLimitKey {
    RateLimitKey::ResetDigits(counted(&uid.to_string()))
}
