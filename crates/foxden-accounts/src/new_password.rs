//! A new password: its hash, and what follows from it in the register, whichever way it was set.

use foxden_sql::Tx;

use crate::address::counted;
use crate::error::NameError;
use crate::limits::Counted;
use crate::mail::Letter;
use crate::mail_limits::Letters;
use crate::register::account::{AccountRow, Verifier};
use crate::register::{account, session};
use crate::verifier::{Applicant, Proof, Recipe};
use crate::{AccountId, Accounts, AuthPw, LimitError, Unavailable, Visitor, WrapKb};

/// The hash of a new password, and the account's key as the client wrapped it.
pub(crate) struct NewHash {
    recipe: Recipe,
    pub(crate) proof: Proof,
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
        visitor: &Visitor,
    ) -> Result<NewHash, LimitError> {
        let name = account.to_string();
        self.spend_for(Counted::SignIn(counted(&name)), visitor)?;
        let recipe = self.new_recipe();
        let applicant = Some(Applicant::new(&name, visitor));
        let hashed = self
            .0
            .verifiers
            .hash_then(auth_pw, recipe, applicant, |proof| proof);
        Ok(NewHash {
            recipe,
            proof: hashed.await?,
            wrap_kb,
        })
    }

    /// Stores the password of an owner who knew the one before. The key stays.
    pub(crate) async fn password_changed(
        &self,
        tx: &Tx,
        letters: &Letters<'_>,
        row: &mut AccountRow,
        hash: &NewHash,
        visitor: &Visitor,
    ) -> Result<(), Unavailable> {
        row.verifier_set_at = self.millis().max(row.verifier_set_at + 1);
        self.replace_password(tx, row, hash).await?;
        self.note(tx, row.uid, "password changed", visitor).await?;
        let from = visitor.address.to_string();
        self.tell_owner(tx, letters, row, &Letter::PasswordChanged { from })
            .await
    }

    /// Stores the password of an owner whom a code reached, and who does not know the one before. The key is a new one.
    pub(crate) async fn password_reset(
        &self,
        tx: &Tx,
        letters: &Letters<'_>,
        row: &mut AccountRow,
        hash: &NewHash,
        visitor: &Visitor,
    ) -> Result<(), NameError> {
        let had_password = row.verifier.is_some();
        self.renew_keys(row);
        self.confirm_address(tx, row).await?;
        self.replace_password(tx, row, hash).await?;
        self.note(tx, row.uid, "password reset", visitor).await?;
        if had_password {
            let from = visitor.address.to_string();
            self.tell_owner(tx, letters, row, &Letter::PasswordReset { from })
                .await?;
        }
        Ok(())
    }

    /// The key is to be a new one: later times, the address in use to stretch with, and confirmed, since whoever holds a
    /// code was reached by it.
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
        hash: &NewHash,
    ) -> Result<(), Unavailable> {
        let verifier = Verifier {
            recipe: hash.recipe,
            verify_hash: hash.proof.verify_hash(),
            wrap_wrap_kb: hash.proof.wrap(&hash.wrap_kb.0),
        };
        account::set_hash(tx, row.uid, &verifier).await?;
        account::set_password_times(tx, row).await?;
        row.verifier = Some(verifier);
        session::delete_all(tx, row.uid).await?;
        self.write_change(tx, row.uid).await
    }
}
