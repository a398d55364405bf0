//! Resets of forgotten passwords: a code is mailed, or shown by the operator, and verified.

use data_encoding::HEXLOWER;
use foxden_sql::Tx;

use crate::address::{Address, normal, short};
use crate::limits::RateLimitKey;
use crate::mail::{Envelope, Mail, RESET_CODE};
use crate::mail_limits::{MailAllowance, MailOutcome};
use crate::password::STEP_MILLIS;
use crate::password_hasher::constant_time_eq;
use crate::register::account::AccountRow;
use crate::register::code::{CodeKind, CodeRow};
use crate::register::event::RESET_ASKED;
use crate::register::token::TokenRow;
use crate::register::{account, code as codes, token};
use crate::security::{Event, EventKind};
use crate::{
    AccountId, Accounts, ClientInfo, CredentialKind, OneTimeCredential, PasswordError, SecretToken,
    Unavailable, secret,
};

/// How long a reset waits for its code.
pub(crate) const RESET_MILLIS: i64 = 3_600_000;
/// Resets of an account that wait for a code and were begun by a request, which strangers may send. A reset that a
/// mail opens is not counted, so that the reset of the owner goes on.
pub(crate) const BEGUN: u32 = 1000;
/// Marks a reset that a mail opens: it has no code of its own.
const MAILED: &[u8] = b"";
/// How often a code may be tried within one reset.
pub(crate) const RESET_TRIES: u64 = 3;

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

/// The state of a reset that waits for its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetStatus {
    /// Seconds it waits.
    pub ttl: u64,
    /// Attempts left.
    pub tries: u64,
}

/// The form of the reset code that the requesting client accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResetChannel {
    /// The code, or the link that has it.
    Link,
    /// Eight digits, of which too many were tried in vain; it takes the code instead.
    Digits,
}

impl ResetStarted {
    pub(crate) const fn new(password_forgot_token: SecretToken) -> Self {
        Self {
            password_forgot_token,
            ttl: RESET_MILLIS.unsigned_abs() / 1000,
            tries: RESET_TRIES,
        }
    }
}

impl Accounts {
    /// Creates a reset code, for delivery by mail or by the operator.
    pub async fn start_reset(
        &self,
        address: &str,
        client: &ClientInfo,
    ) -> Result<ResetStarted, PasswordError> {
        let address = Address::new(address)?;
        self.check_and_count_network(RateLimitKey::CodesFrom, client)?;
        let allowance = self.charge_mail(client);
        let row = match self.to_be_reset(&address).await {
            Err(told @ (PasswordError::UnknownAccount { .. } | PasswordError::OtherSpelling { .. })) => {
                self.reveal_unknown(told, client)?;
                return Ok(self.begin_decoy_reset(&address).await?);
            }
            row => row?,
        };
        let (row, allowance) = (&row, &allowance);
        let begun = self.transact(|tx| async move {
            same_address(&tx, row).await?;
            self.make_reset_code(&tx, row, allowance, ResetChannel::Link)
                .await?;
            token::trim_begun(&tx, row.uid, BEGUN - 1).await?;
            let token = self.new_step(&tx, row.uid, CredentialKind::PasswordForgot, RESET_MILLIS);
            let token = token.await?;
            self.record_event(&tx, row.uid, RESET_ASKED, client).await?;
            Ok::<_, Unavailable>(token)
        });
        let password_forgot_token = begun.await?;
        let requested = Event::from_client(client, EventKind::ResetRequested);
        self.emit(&requested.with_subject(&row.address).with_account(row.uid));
        Ok(ResetStarted::new(password_forgot_token))
    }

    /// The account whose password is reset by a mail to that address, spelled as its owner does.
    async fn to_be_reset(&self, address: &Address) -> Result<AccountRow, PasswordError> {
        let row = account::by_name(&self.0.database, &address.normal()).await?;
        // An earlier address must not reveal the one in use.
        let row = row.filter(|row| normal(&row.address) == address.normal());
        let unknown = || PasswordError::UnknownAccount {
            name: address.as_str().to_owned(),
        };
        let row = row.ok_or_else(unknown)?;
        let may_write = self.may_receive_mail(&self.0.database, &row, address.as_str());
        if !may_write.await? {
            return Err(unknown());
        }
        // The new password will be stretched with the address as it is given here.
        if row.address != address.as_str() {
            return Err(PasswordError::OtherSpelling { address: row.address });
        }
        Ok(row)
    }

    /// Refuses a reset for an unknown address, unless the network has used up its allowance of answers that reveal
    /// which accounts exist.
    fn reveal_unknown(&self, told: PasswordError, client: &ClientInfo) -> Result<(), PasswordError> {
        let may_tell = self
            .check_and_count_network(RateLimitKey::Enumeration, client)
            .is_ok()
            || matches!(told, PasswordError::OtherSpelling { .. })
                && self
                    .check_and_count_network(RateLimitKey::Spelling, client)
                    .is_ok();
        if may_tell { Err(told) } else { Ok(()) }
    }

    /// Mails the code again. A client that was reached by a mail is told if no more is written. Other clients began
    /// the reset themselves, for any address, and are only told that their network asked for too many.
    pub async fn resend_reset_code(
        &self,
        credential: &OneTimeCredential,
        client: &ClientInfo,
    ) -> Result<ResetStatus, PasswordError> {
        self.check_and_count_network(RateLimitKey::CodesFrom, client)?;
        let reset = self.waiting_reset(credential).await?;
        let status = self.status_of(&reset);
        let row = account::by_id(&self.0.database, credential.account).await?;
        let allowance = self.charge_mail(client);
        if reset.is_decoy {
            self.write_decoy(credential).await?;
            allowance.require()?;
            return Ok(status);
        }
        let (row, allowance) = (&row.ok_or(PasswordError::UnknownToken)?, &allowance);
        let mailed = self.transact(|tx| async move {
            same_address(&tx, row).await?;
            let mailed = self
                .make_reset_code(&tx, row, allowance, ResetChannel::Link)
                .await?;
            self.record_event(&tx, row.uid, RESET_ASKED, client).await?;
            Ok::<_, Unavailable>(mailed)
        });
        let mailed = mailed.await?;
        let requested = Event::from_client(client, EventKind::ResetRequested);
        self.emit(&requested.with_subject(&row.address).with_account(row.uid));
        match reset.data {
            Some(_) => mailed.require()?,
            None => allowance.require()?,
        }
        Ok(status)
    }

    /// Returns the state of the reset.
    pub async fn reset_status(&self, credential: &OneTimeCredential) -> Result<ResetStatus, PasswordError> {
        Ok(self.status_of(&self.waiting_reset(credential).await?))
    }

    async fn waiting_reset(&self, credential: &OneTimeCredential) -> Result<TokenRow, PasswordError> {
        let (kind, now) = (CredentialKind::PasswordForgot, self.millis());
        let row = token::get(&self.0.database, kind, &credential.id_hash, now).await?;
        row.ok_or(PasswordError::UnknownToken)
    }

    fn status_of(&self, reset: &TokenRow) -> ResetStatus {
        ResetStatus {
            ttl: u64::try_from((reset.expires - self.millis()) / 1000).unwrap_or(0),
            tries: reset.tries,
        }
    }

    /// Trades the code for the token that resets the password. Wrong ones are counted against the reset that they are
    /// tried in, which only its holder can name, and against the client's network. The code lives on.
    pub async fn verify_reset_code(
        &self,
        credential: &OneTimeCredential,
        code: &str,
        client: &ClientInfo,
    ) -> Result<SecretToken, PasswordError> {
        self.waiting_reset(credential).await?;
        let attempt = self.code_attempt(client);
        let code = code.trim().as_bytes();
        let tried = self.transact(|tx| async move { self.try_reset_code(&tx, credential, code).await });
        match tried.await? {
            Ok(reset) => {
                attempt.succeed();
                Ok(reset)
            }
            Err(row) => {
                let wrong = Event::from_client(client, EventKind::CodeRefused);
                let wrong = if row.is_decoy {
                    wrong.with_reason("a reset code for an unknown name")
                } else {
                    wrong.with_account(row.uid).with_reason("wrong reset code")
                };
                Err(attempt.fail(&wrong, PasswordError::WrongCode))
            }
        }
    }

    /// Takes a try of the reset, and uses reset and code up where the code is right; the reset where it is wrong.
    async fn try_reset_code(
        &self,
        tx: &Tx,
        credential: &OneTimeCredential,
        code: &[u8],
    ) -> Result<Result<SecretToken, TokenRow>, PasswordError> {
        let now = self.millis();
        let row = token::get(tx, CredentialKind::PasswordForgot, &credential.id_hash, now).await?;
        let row = row.ok_or(PasswordError::UnknownToken)?;
        if !token::take_try_of(tx, &row).await? {
            return Err(PasswordError::UnknownToken);
        }
        let waiting = codes::get(tx, row.uid, CodeKind::Reset, now).await?;
        let own = row.data.as_ref().filter(|own| own.as_slice() != MAILED);
        let is_right = match own {
            Some(own) => constant_time_eq(own, code),
            None => waiting.is_some_and(|waiting| constant_time_eq(waiting.code.as_bytes(), code)),
        };
        if !is_right {
            token::end_spent(tx, &row).await?;
            return Ok(Err(row));
        }
        let had_code = codes::delete(tx, row.uid, CodeKind::Reset).await?;
        if !token::delete(tx, &row.id_hash).await? || (own.is_none() && !had_code) {
            return Err(PasswordError::UnknownToken);
        }
        let reset = self.new_step(tx, row.uid, CredentialKind::AccountReset, STEP_MILLIS);
        Ok(Ok(reset.await?))
    }

    /// Creates a reset code and mails it to the owner. A code that waits already stays, so that asking again cannot
    /// invalidate it.
    pub(crate) async fn make_reset_code(
        &self,
        tx: &Tx,
        account: &AccountRow,
        allowance: &MailAllowance<'_>,
        asked: ResetChannel,
    ) -> Result<MailOutcome, Unavailable> {
        let new = HEXLOWER.encode(&self.random::<16>());
        let code = CodeRow::new(CodeKind::Reset, new, self.millis());
        let (code, age) = self.pending_or(tx, account.uid, code).await?;
        let envelope = Envelope::to(account.uid, &account.address, RESET_CODE).until(code.expires);
        let mailed = match self.permit_mail(tx, allowance, age, envelope).await? {
            Ok(permit) => {
                // The link in the mail opens a reset of its own: the page that asked may be on another device.
                let token = self.new_step_with(
                    tx,
                    account.uid,
                    CredentialKind::PasswordForgot,
                    RESET_MILLIS,
                    Some(MAILED.to_vec()),
                );
                let mail = Mail::ResetCode {
                    code: code.code,
                    token: token.await?.to_hex(),
                    instead_of_digits: asked == ResetChannel::Digits,
                };
                self.queue_mail(tx, permit, &mail).await?
            }
            Err(mailed) => mailed,
        };
        tracing::info!(
            account = short(&account.uid.0),
            "a code to reset a password waits"
        );
        Ok(mailed)
    }

    /// Creates a credential for the next step.
    pub(crate) async fn new_step(
        &self,
        tx: &Tx,
        uid: AccountId,
        kind: CredentialKind,
        life: i64,
    ) -> Result<SecretToken, Unavailable> {
        self.new_step_with(tx, uid, kind, life, None).await
    }

    /// The same, with data for that step.
    pub(crate) async fn new_step_with(
        &self,
        tx: &Tx,
        uid: AccountId,
        kind: CredentialKind,
        life: i64,
        data: Option<Vec<u8>>,
    ) -> Result<SecretToken, Unavailable> {
        let (token, secrets) = self.new_secrets(kind);
        let row = TokenRow {
            id_hash: secret::hash(&secrets.id.0),
            kind,
            auth_key: secrets.auth_key,
            uid,
            is_decoy: false,
            data,
            tries: RESET_TRIES,
            expires: self.millis() + life,
        };
        token::insert(tx, row).await?;
        Ok(token)
    }
}

/// Fails if the address of the account has changed since it was read: a code would go to the old address.
pub(crate) async fn same_address(tx: &Tx, row: &AccountRow) -> Result<(), Unavailable> {
    let found = account::by_id(tx, row.uid).await?;
    if found.is_some_and(|found| found.address == row.address) {
        Ok(())
    } else {
        Err(Unavailable::Busy)
    }
}
