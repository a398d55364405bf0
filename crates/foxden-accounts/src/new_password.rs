//! A new password: its hash, and what follows from it in the register, whichever way it was set.

use foxden_sql::Tx;

use crate::address::counted;
use crate::error::NameError;
use crate::limits::RateLimitKey;
use crate::mail::Mail;
use crate::mail_limits::MailBatch;
use crate::password_hasher::{HashParams, HashRequester, PasswordHash};
use crate::register::account::{AccountRow, Verifier};
use crate::register::{account, session};
use crate::{AccountId, Accounts, AuthPw, ClientInfo, LimitError, Unavailable, WrapKb};

/// The hash of a new password, and the account's key as the client wrapped it.
pub(crate) struct NewPasswordHash {
    params: HashParams,
    pub(crate) password_hash: PasswordHash,
    wrap_kb: WrapKb,
}

impl Accounts {
    /// Hashes the password that an account sets, whose owner is proven. It counts as one of the account's sign-ins: what
    /// follows may fail, and can then be asked for again.
    pub(crate) async fn hash_new(
        &self,
        account: AccountId,
        auth_pw: &AuthPw,
        wrap_kb: WrapKb,
        client: &ClientInfo,
    ) -> Result<NewPasswordHash, LimitError> {
        let name = account.to_string();
        self.check_and_count_for(RateLimitKey::SignIn(counted(&name)), client)?;
        let params = self.new_hash_params();
        let requester = Some(HashRequester::new(&name, client));
        let hashed = self
            .0
            .password_hasher
            .hash_with(auth_pw, params, requester, |password_hash| password_hash);
        Ok(NewPasswordHash {
            params,
            password_hash: hashed.await?,
            wrap_kb,
        })
    }

    /// Stores the password of an owner who knew the one before. The key stays.
    pub(crate) async fn password_changed(
        &self,
        tx: &Tx,
        batch: &MailBatch<'_>,
        row: &mut AccountRow,
        hash: &NewPasswordHash,
        client: &ClientInfo,
    ) -> Result<(), Unavailable> {
        row.verifier_set_at = self.millis().max(row.verifier_set_at + 1);
        self.replace_password(tx, row, hash).await?;
        self.record_event(tx, row.uid, "password changed", client).await?;
        let from = client.address.to_string();
        self.notify_owner(tx, batch, row, &Mail::PasswordChanged { from })
            .await
    }

    /// Stores the password of an owner whom a code reached, and who does not know the one before. The key is a new one.
    pub(crate) async fn password_reset(
        &self,
        tx: &Tx,
        batch: &MailBatch<'_>,
        row: &mut AccountRow,
        hash: &NewPasswordHash,
        client: &ClientInfo,
    ) -> Result<(), NameError> {
        let had_password = row.verifier.is_some();
        self.renew_keys(row);
        self.confirm_address(tx, row).await?;
        self.replace_password(tx, row, hash).await?;
        self.record_event(tx, row.uid, "password reset", client).await?;
        if had_password {
            let from = client.address.to_string();
            self.notify_owner(tx, batch, row, &Mail::PasswordReset { from })
                .await?;
        }
        Ok(())
    }

    /// Sets later times, the address in use to stretch with, and that address as confirmed: the holder of a code was
    /// reached by it.
    fn renew_keys(&self, row: &mut AccountRow) {
        row.keys_changed_at = self
            .millis()
            .max(row.keys_changed_at + 1)
            .max(row.verifier_set_at + 1);
        row.verifier_set_at = row.keys_changed_at;
        row.stretched_address.clone_from(&row.address);
        row.address_verified = true;
    }

    /// Stores the new verifier and the keys wrapped with it, and ends everything that the old one had opened.
    async fn replace_password(
        &self,
        tx: &Tx,
        row: &mut AccountRow,
        hash: &NewPasswordHash,
    ) -> Result<(), Unavailable> {
        let verifier = Verifier {
            params: hash.params,
            verify_hash: hash.password_hash.verify_hash(),
            wrap_wrap_kb: hash.password_hash.wrap(&hash.wrap_kb.0),
        };
        account::set_hash(tx, row.uid, &verifier).await?;
        account::set_password_times(tx, row).await?;
        row.verifier = Some(verifier);
        session::delete_all(tx, row.uid).await?;
        self.write_change(tx, row.uid).await
    }
}
