//! Another password with a code, for doors that see the plain one.

use foxden_sql::{Fetch, Tx};

use super::Consent;
use super::rules::is_weak;
use crate::address::{normal, short};
use crate::limits::Counted;
use crate::mail::{Envelope, Letter, PLAIN_RESET};
use crate::register::account::AccountRow;
use crate::register::code::{CodeKind, CodeRow};
use crate::register::event::RESET_ASKED;
use crate::register::{account, code as codes, store};
use crate::security::{Event, What};
use crate::verifier::{Applicant, same};
use crate::{AccountId, Accounts, LegacyResetError, ResetRequestError, Unavailable, Visitor, WrapKb};

const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const GROUPS: usize = 4;
const GROUP: usize = 4;

impl Accounts {
    /// Whether a code could be made for whoever is called that: refuses as [`Accounts::request_plain_reset`] does.
    pub async fn may_request_plain_reset(
        &self,
        name: &str,
        visitor: &Visitor,
    ) -> Result<(), ResetRequestError> {
        self.with_address(name, visitor).await.map(drop)
    }

    /// Makes a code wait that resets the password: for whoever delivers letters, or for the operator. One that waits
    /// already stays, and its end is not put off.
    ///
    /// Strangers may ask for it: whatever they ask, the code is the same and does, so that nobody is kept from it. Only
    /// the letters that bring it have an end, of which nothing is said.
    pub async fn request_plain_reset(&self, name: &str, visitor: &Visitor) -> Result<(), ResetRequestError> {
        self.spend_visitor(Counted::CodesFrom, visitor)?;
        let postage = self.pay(visitor);
        let row = self.with_address(name, visitor).await?;
        let (row, postage) = (&row, &postage);
        let asked = self.transact(|tx| async move {
            let code = CodeRow::new(CodeKind::PlainReset, self.new_reset_code(), self.millis());
            let (code, age) = self.kept_or(&tx, row.uid, code).await?;
            let envelope = Envelope::to(row.uid, &row.address, PLAIN_RESET).until(code.expires);
            if let Ok(franked) = self.frank(&tx, postage, age, envelope).await? {
                let letter = Letter::PlainReset {
                    name: normal(name),
                    code: code.code,
                };
                self.post(&tx, franked, &letter).await?;
            }
            self.note(&tx, row.uid, RESET_ASKED, visitor).await
        });
        asked.await?;
        tracing::info!(account = short(&row.uid.0), "a code to reset a password waits");
        let asked = Event::by(visitor, What::ResetAsked);
        self.tell(&asked.about(name).of(row.uid));
        Ok(())
    }

    /// Drops the code that waits, if one does.
    pub async fn drop_plain_reset(&self, account: AccountId) -> Result<(), Unavailable> {
        self.transact(|tx| async move {
            codes::delete(&tx, account, CodeKind::PlainReset).await?;
            Ok(())
        })
        .await
    }

    /// Checks a code without using it up; says whether what browsers of today stored would become unreadable.
    pub async fn check_plain_reset(
        &self,
        name: &str,
        code: &str,
        visitor: &Visitor,
    ) -> Result<bool, LegacyResetError> {
        let row = self.holds_code(name, code, visitor).await?;
        Ok(self.loses_modern_data(&self.0.database, &row).await?)
    }

    /// Uses the code up and sets another password, and with it a new key. Everything signed in ends.
    pub async fn reset_plain(
        &self,
        name: &str,
        code: &str,
        new: &str,
        consent: Consent,
        visitor: &Visitor,
    ) -> Result<(), LegacyResetError> {
        if is_weak(name, new) {
            return Err(LegacyResetError::WeakPassword);
        }
        let row = self.holds_code(name, code, visitor).await?;
        if row.disabled {
            return Err(LegacyResetError::Disabled);
        }
        if !consent.covers(self.loses_modern_data(&self.0.database, &row).await?) {
            return Err(LegacyResetError::ConsentMissing);
        }
        let applicant = Some(Applicant::new(name, visitor));
        let fresh = self.0.verifiers.stretch(&row.address, new, applicant).await?;
        let wrap_kb = WrapKb(self.random());
        let hash = self.hash_new(row.uid, &fresh.auth_pw, wrap_kb, visitor).await?;

        let letters = self.letters();
        let (looked_at, letters, hash) = (&row, &letters, &hash);
        let reset = self.transact_change(|tx| async move {
            let mut row = self.use_code(&tx, looked_at, code).await?;
            // A browser may have got its first store since.
            if !consent.covers(self.loses_modern_data(&tx, &row).await?) {
                return Err(LegacyResetError::ConsentMissing);
            }
            self.password_reset(&tx, letters, &mut row, hash, visitor).await?;
            Ok::<_, LegacyResetError>(row)
        });
        let row = reset.await?;
        let reset = Event::by(visitor, What::PasswordReset);
        self.tell(&reset.about(&row.address).of(row.uid));
        Ok(())
    }

    /// Uses the code up and gives the account as it is now; refused where one of them has changed since it was looked at.
    async fn use_code(
        &self,
        tx: &Tx,
        looked_at: &AccountRow,
        code: &str,
    ) -> Result<AccountRow, LegacyResetError> {
        let (uid, kind) = (looked_at.uid, CodeKind::PlainReset);
        let waiting = codes::get(tx, uid, kind, self.millis()).await?;
        let is_same = waiting.is_some_and(|waiting| same(waiting.code.as_bytes(), code.as_bytes()));
        let row = account::by_id(tx, uid).await?;
        let row = row.filter(|row| is_same && !row.disabled && row.address == looked_at.address);
        let row = row.ok_or(LegacyResetError::WrongCode)?;
        if codes::delete(tx, uid, kind).await? {
            Ok(row)
        } else {
            Err(LegacyResetError::WrongCode)
        }
    }

    /// Whether a new key would make something unreadable: a browser of today asked for its store with the present one.
    async fn loses_modern_data(&self, from: &impl Fetch, row: &AccountRow) -> Result<bool, Unavailable> {
        let email = self.store_name(row.uid);
        let service = self.0.settings.service;
        Ok(store::was_keyed(from, service, &email, row.keys_changed_at).await?)
    }

    async fn with_address(&self, name: &str, visitor: &Visitor) -> Result<AccountRow, ResetRequestError> {
        let unknown = || ResetRequestError::UnknownAccount {
            name: name.to_owned(),
        };
        let row = self.named_plain(name, visitor).await?.ok_or_else(unknown)?;
        if row.address.is_empty() {
            return Err(ResetRequestError::NoAddress);
        }
        if !self.may_be_written_to(&self.0.database, &row, name).await? {
            return Err(unknown());
        }
        Ok(row)
    }

    /// The account, if the code is the one that waits for it. Wrong ones, and codes for names that nobody has, are
    /// counted against the visitor's network; the right one passes whatever that network has tried.
    async fn holds_code(
        &self,
        name: &str,
        code: &str,
        visitor: &Visitor,
    ) -> Result<AccountRow, LegacyResetError> {
        let guess = self.guess(visitor);
        let waiting = match account::by_name(&self.0.database, &normal(name)).await? {
            Some(row) if is_code(code) => {
                let now = self.millis();
                let waiting = codes::get(&self.0.database, row.uid, CodeKind::PlainReset, now).await?;
                waiting.map(|waiting| (row, waiting))
            }
            Some(_) | None => None,
        };
        if let Some((row, waiting)) = waiting
            && same(waiting.code.as_bytes(), code.as_bytes())
        {
            guess.was_right();
            return Ok(row);
        }
        // What is answered from here on may tell who is here.
        let wrong = Event::by(visitor, What::CodeRefused).about(name);
        if let Some(row) = self.named_plain(name, visitor).await? {
            let wrong = wrong.of(row.uid).because("wrong reset code");
            return Err(guess.refuse(&wrong, LegacyResetError::WrongCode));
        }
        let wrong = wrong.because("a reset code for an unknown name");
        let unknown = LegacyResetError::UnknownAccount {
            name: name.to_owned(),
        };
        Err(guess.refuse(&wrong, unknown))
    }

    fn new_reset_code(&self) -> String {
        let group = || (0..GROUP).map(|_| self.random_letter()).collect::<String>();
        let groups: Vec<String> = (0..GROUPS).map(|_| group()).collect();
        groups.join("-")
    }

    /// One of the letters, each as likely as any other.
    fn random_letter(&self) -> char {
        loop {
            let [byte] = self.random::<1>();
            // 252 is the last multiple of 36 in a byte.
            if byte < 252 {
                return char::from(LETTERS[usize::from(byte) % LETTERS.len()]);
            }
        }
    }
}

/// Whether it looks like a code; nothing is looked up for what does not.
fn is_code(code: &str) -> bool {
    let mut groups = code.split('-');
    let is_group = |group: &str| group.len() == GROUP && group.bytes().all(|byte| LETTERS.contains(&byte));
    groups
        .by_ref()
        .take(GROUPS)
        .filter(|group| is_group(group))
        .count()
        == GROUPS
        && groups.next().is_none()
}
