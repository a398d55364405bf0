//! Resetting a plain password with a code.

use foxden_sql::{Fetch, Tx};

use super::DataLossConsent;
use super::rules::is_weak;
use crate::address::{normal, short};
use crate::limits::RateLimitKey;
use crate::mail::{Envelope, LEGACY_RESET, Mail};
use crate::password_hasher::{HashRequester, constant_time_eq};
use crate::register::account::AccountRow;
use crate::register::code::{CodeKind, CodeRow};
use crate::register::event::RESET_ASKED;
use crate::register::{account, code as codes, store};
use crate::security::{Event, EventKind};
use crate::{AccountId, Accounts, ClientInfo, LegacyResetError, ResetRequestError, Unavailable, WrapKb};

const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const GROUPS: usize = 4;
const GROUP: usize = 4;

impl Accounts {
    /// Checks whether a reset code could be created for that name: refuses as [`Accounts::request_legacy_reset`]
    /// does.
    pub async fn may_request_legacy_reset(
        &self,
        name: &str,
        client: &ClientInfo,
    ) -> Result<(), ResetRequestError> {
        self.with_address(name, client).await.map(drop)
    }

    /// Creates a code that resets the password, for delivery by mail or by the operator. A code that waits already
    /// stays, and its expiry does not move.
    ///
    /// Strangers may ask for codes. The code is always the same and stays valid, so they cannot keep the owner from
    /// it. Only the number of mails is limited, which the answer does not reveal.
    pub async fn request_legacy_reset(
        &self,
        name: &str,
        client: &ClientInfo,
    ) -> Result<(), ResetRequestError> {
        self.check_and_count_network(RateLimitKey::CodesFrom, client)?;
        let allowance = self.charge_mail(client);
        let row = self.with_address(name, client).await?;
        let (row, allowance) = (&row, &allowance);
        let asked = self.transact(|tx| async move {
            let code = CodeRow::new(CodeKind::LegacyReset, self.new_reset_code(), self.millis());
            let (code, age) = self.pending_or(&tx, row.uid, code).await?;
            let envelope = Envelope::to(row.uid, &row.address, LEGACY_RESET).until(code.expires);
            if let Ok(permit) = self.permit_mail(&tx, allowance, age, envelope).await? {
                let mail = Mail::LegacyReset {
                    name: normal(name),
                    code: code.code,
                };
                self.queue_mail(&tx, permit, &mail).await?;
            }
            self.record_event(&tx, row.uid, RESET_ASKED, client).await
        });
        asked.await?;
        tracing::info!(account = short(&row.uid.0), "a code to reset a password waits");
        let requested = Event::from_client(client, EventKind::ResetRequested);
        self.emit(&requested.with_subject(name).with_account(row.uid));
        Ok(())
    }

    /// Deletes the pending code, if there is one.
    pub async fn cancel_legacy_reset(&self, account: AccountId) -> Result<(), Unavailable> {
        self.transact(|tx| async move {
            codes::delete(&tx, account, CodeKind::LegacyReset).await?;
            Ok(())
        })
        .await
    }

    /// Checks a code without consuming it; returns whether data of current browsers would become unreadable.
    pub async fn check_legacy_reset(
        &self,
        name: &str,
        code: &str,
        client: &ClientInfo,
    ) -> Result<bool, LegacyResetError> {
        let row = self.holds_code(name, code, client).await?;
        Ok(self.loses_browser_data(&self.0.database, &row).await?)
    }

    /// Uses the code up and sets another password, and with it a new key. Everything signed in ends.
    pub async fn reset_plain_password(
        &self,
        name: &str,
        code: &str,
        new: &str,
        consent: DataLossConsent,
        client: &ClientInfo,
    ) -> Result<(), LegacyResetError> {
        if is_weak(name, new) {
            return Err(LegacyResetError::WeakPassword);
        }
        let row = self.holds_code(name, code, client).await?;
        if row.disabled {
            return Err(LegacyResetError::Disabled);
        }
        if !consent.covers(self.loses_browser_data(&self.0.database, &row).await?) {
            return Err(LegacyResetError::ConsentMissing);
        }
        let requester = Some(HashRequester::new(name, client));
        let fresh = self
            .0
            .password_hasher
            .stretch(&row.address, new, requester)
            .await?;
        let wrap_kb = WrapKb(self.random());
        let hash = self.hash_new(row.uid, &fresh.auth_pw, wrap_kb, client).await?;

        let batch = self.batch();
        let (looked_at, batch, hash) = (&row, &batch, &hash);
        let reset = self.transact_change(|tx| async move {
            let mut row = self.use_code(&tx, looked_at, code).await?;
            // A browser may have got its first store since.
            if !consent.covers(self.loses_browser_data(&tx, &row).await?) {
                return Err(LegacyResetError::ConsentMissing);
            }
            self.password_reset(&tx, batch, &mut row, hash, client).await?;
            Ok::<_, LegacyResetError>(row)
        });
        let row = reset.await?;
        let reset = Event::from_client(client, EventKind::PasswordReset);
        self.emit(&reset.with_subject(&row.address).with_account(row.uid));
        Ok(())
    }

    /// Uses the code up and gives the account as it is now; refused where one of them has changed since it was looked at.
    async fn use_code(
        &self,
        tx: &Tx,
        looked_at: &AccountRow,
        code: &str,
    ) -> Result<AccountRow, LegacyResetError> {
        let (uid, kind) = (looked_at.uid, CodeKind::LegacyReset);
        let waiting = codes::get(tx, uid, kind, self.millis()).await?;
        let is_same =
            waiting.is_some_and(|waiting| constant_time_eq(waiting.code.as_bytes(), code.as_bytes()));
        let row = account::by_id(tx, uid).await?;
        let row = row.filter(|row| is_same && !row.disabled && row.address == looked_at.address);
        let row = row.ok_or(LegacyResetError::WrongCode)?;
        if codes::delete(tx, uid, kind).await? {
            Ok(row)
        } else {
            Err(LegacyResetError::WrongCode)
        }
    }

    /// Returns whether a new key would make data unreadable: a current browser has a store with the present one.
    async fn loses_browser_data(&self, from: &impl Fetch, row: &AccountRow) -> Result<bool, Unavailable> {
        let email = self.store_name(row.uid);
        let service = self.0.settings.sync_service_id;
        Ok(store::has_store_keyed_since(from, service, &email, row.keys_changed_at).await?)
    }

    async fn with_address(&self, name: &str, client: &ClientInfo) -> Result<AccountRow, ResetRequestError> {
        let unknown = || ResetRequestError::UnknownAccount {
            name: name.to_owned(),
        };
        let row = self.find_named(name, client).await?.ok_or_else(unknown)?;
        if row.address.is_empty() {
            return Err(ResetRequestError::NoAddress);
        }
        if !self.may_receive_mail(&self.0.database, &row, name).await? {
            return Err(unknown());
        }
        Ok(row)
    }

    /// Returns the account if this is its code. Wrong codes, and codes for unknown names, count against the client's
    /// network; the right code passes whatever that network has tried.
    async fn holds_code(
        &self,
        name: &str,
        code: &str,
        client: &ClientInfo,
    ) -> Result<AccountRow, LegacyResetError> {
        let attempt = self.code_attempt(client);
        let waiting = match account::by_name(&self.0.database, &normal(name)).await? {
            Some(row) if is_code(code) => {
                let now = self.millis();
                let waiting = codes::get(&self.0.database, row.uid, CodeKind::LegacyReset, now).await?;
                waiting.map(|waiting| (row, waiting))
            }
            Some(_) | None => None,
        };
        if let Some((row, waiting)) = waiting
            && constant_time_eq(waiting.code.as_bytes(), code.as_bytes())
        {
            attempt.succeed();
            return Ok(row);
        }
        // From here on the answer may reveal which accounts exist.
        let wrong = Event::from_client(client, EventKind::CodeRefused).with_subject(name);
        if let Some(row) = self.find_named(name, client).await? {
            let wrong = wrong.with_account(row.uid).with_reason("wrong reset code");
            return Err(attempt.fail(&wrong, LegacyResetError::WrongCode));
        }
        let wrong = wrong.with_reason("a reset code for an unknown name");
        let unknown = LegacyResetError::UnknownAccount {
            name: name.to_owned(),
        };
        Err(attempt.fail(&wrong, unknown))
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

/// Returns whether it has the form of a code; nothing is looked up for other text.
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
