//! Codes that confirm an address.

use data_encoding::HEXLOWER;
use foxden_sql::Tx;

use crate::address::{Address, short};
use crate::limits::Counted;
use crate::outbox::{Envelope, Letter};
use crate::register::account::AccountRow;
use crate::register::code::{CodeKind, CodeRow};
use crate::register::{account, code as codes};
use crate::security::{Event, What};
use crate::verifier::same;
use crate::{AccountError, AccountId, Accounts, Session, Visitor};

impl Accounts {
    /// Confirms the session's address with its six digits.
    pub async fn verify_session(
        &self,
        session: &Session,
        code: &str,
        visitor: &Visitor,
    ) -> Result<(), AccountError> {
        if session.address_verified && session.session_verified {
            return Ok(());
        }
        if self.confirm(session.account, CodeKind::Address, code).await? {
            return Ok(());
        }
        self.tell(&wrong_code(session.account, visitor));
        Err(AccountError::ExpiredCode)
    }

    /// Confirms an address with the 32 hex digits of a link. Strangers may try some: they cannot be guessed, and wrong
    /// ones are counted against the visitor's network alone.
    pub async fn verify_address(
        &self,
        account: AccountId,
        code: &str,
        visitor: &Visitor,
    ) -> Result<(), AccountError> {
        if self.confirm(account, CodeKind::Link, code).await? {
            return Ok(());
        }
        let wrong = wrong_code(account, visitor);
        Err(self.refuse_code(visitor, &wrong, AccountError::WrongCode))
    }

    /// Makes a code wait for the session's address; a confirmed one needs none.
    pub async fn resend_code(&self, session: &Session, visitor: &Visitor) -> Result<(), AccountError> {
        let row = account::by_id(&self.0.database, session.account)
            .await?
            .ok_or(AccountError::UnknownToken)?;
        if row.address_verified {
            return Ok(());
        }
        self.require_unowned(&self.0.database, &row).await?;
        let address = Address::new(&row.address)?;
        self.0
            .limits
            .spend(Counted::Code(address.counted()), self.steady())?;
        let tx = self.0.database.begin().await?;
        self.make_codes(&tx, &row).await?;
        self.note(&tx, row.uid, "code asked for", visitor).await?;
        Ok(tx.commit().await?)
    }

    /// Makes codes wait that confirm the address, and writes its owner a letter. Codes that wait already stay, as
    /// somebody may have been told them.
    pub(crate) async fn make_codes(&self, tx: &Tx, account: &AccountRow) -> Result<(), AccountError> {
        let digits = u32::from_le_bytes(self.random()) % 1_000_000;
        let now = self.millis();
        let code = CodeRow::new(CodeKind::Address, format!("{digits:06}"), now);
        let code = self.kept_or(tx, account.uid, code).await?;
        let link = CodeRow::new(CodeKind::Link, HEXLOWER.encode(&self.random::<16>()), now);
        let link = self.kept_or(tx, account.uid, link).await?;
        let envelope = Envelope::to(account.uid, &account.address).until(code.expires.min(link.expires));
        let letter = Letter::ConfirmAddress {
            code: code.code,
            link_code: link.code,
        };
        self.post(tx, envelope, &letter).await?;
        tracing::info!(
            account = short(&account.uid.0),
            "a code to confirm an address waits"
        );
        Ok(())
    }

    /// The code of that kind which waits already; else the new one, which waits from now on.
    pub(crate) async fn kept_or(
        &self,
        tx: &Tx,
        uid: AccountId,
        new: CodeRow,
    ) -> Result<CodeRow, AccountError> {
        if let Some(waiting) = codes::get(tx, uid, new.kind, self.millis()).await? {
            return Ok(waiting);
        }
        codes::put(tx, uid, &new).await?;
        Ok(new)
    }

    /// Confirms the address if the code is right; wrong digits cost a try.
    async fn confirm(&self, uid: AccountId, kind: CodeKind, code: &str) -> Result<bool, AccountError> {
        let is_right = |waiting: Option<CodeRow>| {
            waiting.is_some_and(|waiting| same(waiting.code.as_bytes(), code.trim().as_bytes()))
        };
        let now = self.millis();
        // A stranger's wrong link waits for no writer.
        if kind == CodeKind::Link && !is_right(codes::get(&self.0.database, uid, kind, now).await?) {
            return Ok(false);
        }
        let tx = self.0.database.begin().await?;
        let is_right = is_right(codes::get(&tx, uid, kind, now).await?);
        // Told once the transaction has ended.
        let _confirmed;
        if is_right {
            let mut account = account::by_id(&tx, uid)
                .await?
                .ok_or(AccountError::UnknownToken)?;
            _confirmed = self.confirm_address(&tx, &mut account).await?;
            codes::delete(&tx, uid, CodeKind::Address).await?;
            codes::delete(&tx, uid, CodeKind::Link).await?;
        } else {
            codes::spend_try(&tx, uid, kind).await?;
        }
        tx.commit().await?;
        Ok(is_right)
    }
}

fn wrong_code(account: AccountId, visitor: &Visitor) -> Event<'static> {
    let wrong = Event::by(visitor, What::CodeRefused).of(account);
    wrong.because("wrong code to confirm an address")
}
