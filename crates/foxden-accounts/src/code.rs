//! Codes that confirm an address.

use data_encoding::HEXLOWER;
use foxden_sql::Tx;

use crate::address::{counted, short};
use crate::limits::RateLimitKey;
use crate::mail::{CONFIRM_ADDRESS, Envelope, Mail};
use crate::mail_limits::{Age, MailAllowance, MailOutcome};
use crate::password_hasher::constant_time_eq;
use crate::register::account::AccountRow;
use crate::register::code::{CodeKind, CodeRow};
use crate::register::{account, code as codes};
use crate::security::{Event, EventKind};
use crate::{AccountId, Accounts, ClientInfo, ConfirmError, Session, Unavailable};

impl Accounts {
    /// Confirms the address of a session with its six digits. A client that signed up with a foreign address could
    /// guess them, so wrong ones are counted for the account, and for the address whatever the account. The link in
    /// the mail stays valid.
    pub async fn verify_session(
        &self,
        session: &Session,
        code: &str,
        client: &ClientInfo,
    ) -> Result<(), ConfirmError> {
        if session.address_verified && session.session_verified {
            return Ok(());
        }
        let row = account::by_id(&self.0.database, session.account).await?;
        let row = row.ok_or(ConfirmError::SessionEnded)?;
        let (tried_at, tries) = (self.steady(), digits_of(&row));
        let [of_account, for_address] = tries;
        self.check_and_count_for(of_account, client)?;
        self.check_and_count_for(for_address, client).inspect_err(|_| {
            // Nothing is compared, so nothing was tried.
            self.0.limits.refund(of_account, tried_at, self.steady());
        })?;
        if self.confirm(session.account, CodeKind::Address, code).await? {
            for tried in tries {
                self.0.limits.refund(tried, tried_at, self.steady());
            }
            return Ok(());
        }
        self.emit(&wrong_code(session.account, client));
        Err(ConfirmError::ExpiredCode)
    }

    /// Confirms an address with the 32 hex digits of a link. They cannot be guessed; wrong ones count against the
    /// network of the client alone.
    pub async fn verify_address(
        &self,
        account: AccountId,
        code: &str,
        client: &ClientInfo,
    ) -> Result<(), ConfirmError> {
        let attempt = self.code_attempt(client);
        if self.confirm(account, CodeKind::Link, code).await? {
            attempt.succeed();
            return Ok(());
        }
        let wrong = wrong_code(account, client);
        Err(attempt.fail(&wrong, ConfirmError::WrongCode))
    }

    /// Mails the code for the address of the session again; a confirmed address needs none.
    pub async fn resend_code(&self, session: &Session, client: &ClientInfo) -> Result<(), ConfirmError> {
        let row = account::by_id(&self.0.database, session.account)
            .await?
            .ok_or(ConfirmError::SessionEnded)?;
        if row.address_verified {
            return Ok(());
        }
        self.require_unowned(&self.0.database, &row).await?;
        self.check_and_count_network(RateLimitKey::CodesFrom, client)?;
        let allowance = self.charge_mail(client);
        let (row, allowance) = (&row, &allowance);
        let mailed = self.transact(|tx| async move {
            let mailed = self.make_codes(&tx, row, allowance).await?;
            self.record_event(&tx, row.uid, "code asked for", client).await?;
            Ok::<_, Unavailable>(mailed)
        });
        Ok(mailed.await?.require()?)
    }

    /// Creates the codes that confirm the address, and mails them. Codes that wait already stay, since they may have
    /// been delivered by other means.
    pub(crate) async fn make_codes(
        &self,
        tx: &Tx,
        account: &AccountRow,
        allowance: &MailAllowance<'_>,
    ) -> Result<MailOutcome, Unavailable> {
        let digits = u32::from_le_bytes(self.random()) % 1_000_000;
        let now = self.millis();
        let code = CodeRow::new(CodeKind::Address, format!("{digits:06}"), now);
        let (code, age) = self.pending_or(tx, account.uid, code).await?;
        let link = CodeRow::new(CodeKind::Link, HEXLOWER.encode(&self.random::<16>()), now);
        let (link, _) = self.pending_or(tx, account.uid, link).await?;
        let envelope = Envelope::to(account.uid, &account.address, CONFIRM_ADDRESS);
        let envelope = envelope.until(code.expires.min(link.expires));
        let mailed = match self.permit_mail(tx, allowance, age, envelope).await? {
            Ok(permit) => {
                let mail = Mail::ConfirmAddress {
                    code: code.code,
                    link_code: link.code,
                };
                self.queue_mail(tx, permit, &mail).await?
            }
            Err(mailed) => mailed,
        };
        tracing::info!(
            account = short(&account.uid.0),
            "a code to confirm an address waits"
        );
        Ok(mailed)
    }

    /// Returns the pending code of that kind; else stores the new one.
    pub(crate) async fn pending_or(
        &self,
        tx: &Tx,
        uid: AccountId,
        new: CodeRow,
    ) -> Result<(CodeRow, Age), Unavailable> {
        if let Some(waiting) = codes::get(tx, uid, new.kind, self.millis()).await? {
            return Ok((waiting, Age::Waiting));
        }
        codes::put(tx, uid, &new).await?;
        Ok((new, Age::Fresh))
    }

    /// Confirms the address if the code is right.
    async fn confirm(&self, uid: AccountId, kind: CodeKind, code: &str) -> Result<bool, ConfirmError> {
        let is_right = |waiting: Option<CodeRow>| {
            waiting.is_some_and(|waiting| constant_time_eq(waiting.code.as_bytes(), code.trim().as_bytes()))
        };
        let now = self.millis();
        // A wrong code must not wait for the writer.
        if !is_right(codes::get(&self.0.database, uid, kind, now).await?) {
            return Ok(false);
        }
        self.transact_change(|tx| async move {
            let is_right = is_right(codes::get(&tx, uid, kind, now).await?);
            // Another transaction may have used it up.
            if !is_right || !codes::delete(&tx, uid, kind).await? {
                return Ok(false);
            }
            let account = account::by_id(&tx, uid).await?;
            let mut account = account.ok_or(ConfirmError::SessionEnded)?;
            self.confirm_address(&tx, &mut account).await?;
            codes::delete(&tx, uid, CodeKind::Address).await?;
            codes::delete(&tx, uid, CodeKind::Link).await?;
            Ok(true)
        })
        .await
    }
}

/// The counters of wrong digits for the address of an account.
fn digits_of(row: &AccountRow) -> [RateLimitKey; 2] {
    [
        RateLimitKey::DigitsOf(counted(&row.uid.to_string())),
        RateLimitKey::DigitsFor(counted(&row.address)),
    ]
}

fn wrong_code(account: AccountId, client: &ClientInfo) -> Event<'static> {
    let wrong = Event::from_client(client, EventKind::CodeRefused).with_account(account);
    wrong.with_reason("wrong code to confirm an address")
}
