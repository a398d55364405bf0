//! A reset that begins with eight digits: no token names it before they were typed.

use data_encoding::HEXLOWER;

use crate::address::{Address, short};
use crate::limits::Counted;
use crate::outbox::{Envelope, Letter};
use crate::password::{RESET_MILLIS, same_address};
use crate::register::account::AccountRow;
use crate::register::code::{CodeKind, CodeRow};
use crate::register::{account, code as codes};
use crate::security::{Event, What};
use crate::verifier::same;
use crate::{AccountError, AccountId, Accounts, Kind, SecretToken, Visitor};

/// One above the greatest code, which has eight digits.
const CODES: u64 = 100_000_000;

/// What the digits open: a reset like any other, with its code.
#[derive(Clone, Debug)]
pub struct OtpVerified {
    /// Whose reset it is.
    pub account: AccountId,
    /// Names the reset.
    pub password_forgot_token: SecretToken,
    /// What [`Accounts::verify_reset_code`] takes: 32 hex digits.
    pub code: String,
    /// The address to stretch the new password with.
    pub address: String,
}

impl Accounts {
    /// Makes eight digits wait that open a reset, and mails them. Digits that wait already stay, and their end is not
    /// put off. An account whose address was never confirmed counts as unknown.
    pub async fn send_otp(&self, address: &str, visitor: &Visitor) -> Result<(), AccountError> {
        let address = Address::new(address)?;
        self.spend_visitor(Counted::ResetFrom, visitor)?;
        let row = self
            .confirmed(&address)
            .await?
            .ok_or_else(|| AccountError::UnknownAccount {
                address: address.as_str().to_owned(),
            })?;
        let in_use = Address::new(&row.address)?;
        let now = self.millis();
        let again = self
            .0
            .limits
            .spend(Counted::Reset(in_use.counted()), self.steady());
        let tx = self.0.database.begin().await?;
        same_address(&tx, &row).await?;
        let had_one = codes::get(&tx, row.uid, CodeKind::ResetOtp, now).await?.is_some();
        let code = CodeRow::new(CodeKind::ResetOtp, self.new_digits(), now);
        let code = self.kept_or(&tx, row.uid, code).await?;
        if again.is_ok() || !had_one {
            let envelope = Envelope::to(row.uid, &row.address).until(code.expires);
            self.post(&tx, envelope, &Letter::ResetOtp { code: code.code })
                .await?;
        }
        self.note(&tx, row.uid, "reset asked for", visitor).await?;
        tx.commit().await?;
        tracing::info!(account = short(&row.uid.0), "a code to reset a password waits");
        let asked = Event::by(visitor, What::ResetAsked);
        self.tell(&asked.about(&row.address).of(row.uid));
        Ok(())
    }

    /// Trades the digits for a reset and its code. Wrong ones are counted against the visitor's network, against the
    /// account, and against the digits themselves; there are too few of them for anything else. Where no digits wait,
    /// nothing is guessed, and the account's owner keeps all tries.
    pub async fn verify_otp(
        &self,
        address: &str,
        code: &str,
        visitor: &Visitor,
    ) -> Result<OtpVerified, AccountError> {
        let address = Address::new(address)?;
        self.check_guesses(visitor)?;
        let wrong = Event::by(visitor, What::CodeRefused).about(address.as_str());
        let Some(row) = self.confirmed(&address).await? else {
            self.count_guess(visitor, &wrong.because("a reset code for an unknown name"));
            return Err(AccountError::WrongCode);
        };
        let (now, guesses) = (self.millis(), Counted::Otp(Address::new(&row.address)?.counted()));
        self.0.limits.check(guesses, self.steady())?;
        let tx = self.0.database.begin().await?;
        let waiting = codes::get(&tx, row.uid, CodeKind::ResetOtp, now).await?;
        let is_right = waiting
            .as_ref()
            .is_some_and(|waiting| same(waiting.code.as_bytes(), code.as_bytes()));
        if !is_right {
            if waiting.is_some() {
                codes::spend_try(&tx, row.uid, CodeKind::ResetOtp).await?;
                self.0.limits.count(guesses, self.steady());
            }
            tx.commit().await?;
            self.count_guess(visitor, &wrong.of(row.uid).because("wrong reset code"));
            return Err(AccountError::WrongCode);
        }
        codes::delete(&tx, row.uid, CodeKind::ResetOtp).await?;
        // The reset has a code of its own, so that nobody else's wrong ones can end it.
        let code = HEXLOWER.encode(&self.random::<16>());
        let data = Some(code.clone().into_bytes());
        let token = self.new_step_with(&tx, row.uid, Kind::PasswordForgot, RESET_MILLIS, data);
        let password_forgot_token = token.await?;
        tx.commit().await?;
        Ok(OtpVerified {
            account: row.uid,
            password_forgot_token,
            code,
            address: row.address,
        })
    }

    /// The account with that address, if its own is confirmed.
    async fn confirmed(&self, address: &Address) -> Result<Option<AccountRow>, AccountError> {
        let row = account::by_name(&self.0.database, &address.normal()).await?;
        let Some(row) = row.filter(|row| row.address_verified) else {
            return Ok(None);
        };
        let is_theirs = self
            .may_be_written_to(&self.0.database, &row, address.as_str())
            .await?;
        Ok(is_theirs.then_some(row))
    }

    /// Eight digits, any as likely as any other.
    fn new_digits(&self) -> String {
        // 64 random bits, so that the remainder favours none by more than one part in 10^11.
        let digits = u64::from_le_bytes(self.random()) % CODES;
        format!("{digits:08}")
    }
}
