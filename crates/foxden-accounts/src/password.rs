//! Sets new passwords: by a client that knows the old one, by a reset whose code was verified, or by a link.
//! [`crate::password_reset`] has the codes of resets.

use foxden_sql::Tx;

use crate::address::normal;
use crate::invite::code_hash;
use crate::login::unchanged;
use crate::password_hasher::PasswordHash;
use crate::register::account::AccountRow;
use crate::register::{account, code as codes, session, token};
use crate::security::{Event, EventKind};
use crate::{
    Accounts, AuthPw, ClientInfo, CredentialKind, OneTimeCredential, PasswordError, SecretToken, Session,
    SignInError, SignedIn, TokenId, Unavailable, WrapKb, secret,
};

/// How long a verified old password, or a code, allows setting the new one.
pub(crate) const STEP_MILLIS: i64 = 15 * 60_000;

/// A password change that has begun.
#[derive(Clone, Debug)]
pub struct ChangeStarted {
    /// Opens `account/keys` once.
    pub key_fetch_token: SecretToken,
    /// Finishes the change.
    pub password_change_token: SecretToken,
    /// Whether the account's address is confirmed.
    pub verified: bool,
}

/// The new password's proof and the keys wrapped with it.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// The proof.
    pub auth_pw: AuthPw,
    /// The keys wrapped anew; a reset without them makes new keys.
    pub wrap_kb: Option<WrapKb>,
    /// Whether a new session is wanted, and with it perhaps a key-fetch token.
    pub then: FollowUp,
}

/// The follow-up actions after the password was set.
#[derive(Clone, Debug)]
pub enum FollowUp {
    /// Nothing.
    Nothing,
    /// A new session.
    SignIn {
        /// Whether the client asked for a key-fetch token.
        wants_keys: bool,
    },
}

/// An opened set-password link.
#[derive(Clone, Debug)]
pub struct PasswordLink {
    /// The address to stretch the new password with.
    pub address: String,
    /// Sets it, by [`Accounts::reset_password`].
    pub account_reset_token: SecretToken,
    /// Whether the account has a password already, which the new one replaces.
    pub has_password: bool,
}

impl Accounts {
    /// Proves the old password and opens the change. With a session, the address must be its account's.
    pub async fn start_password_change(
        &self,
        session: Option<&Session>,
        address: &str,
        old: &AuthPw,
        client: &ClientInfo,
    ) -> Result<ChangeStarted, SignInError> {
        if let Some(session) = session {
            session.require_verified()?;
            let named = account::by_name(&self.0.database, &normal(address)).await?;
            if named.is_none_or(|row| row.uid != session.account) {
                return Err(SignInError::UnknownAccount {
                    name: address.to_owned(),
                });
            }
        }
        let proven = self.log_in(address, old, client).await?;
        let proven = &proven;
        self.transact(|tx| async move {
            let row = unchanged(&tx, proven).await?;
            Ok(ChangeStarted {
                key_fetch_token: self.new_key_fetch(&tx, &row, &proven.password_hash).await?,
                password_change_token: self
                    .new_step(&tx, row.uid, CredentialKind::PasswordChange, STEP_MILLIS)
                    .await?,
                verified: row.address_verified,
            })
        })
        .await
    }

    /// Uses up the password-change token and sets the new password. `current` is the caller's own session, which is
    /// replaced; every other session, device and grant of the account ends. The keys stay.
    pub async fn finish_password_change(
        &self,
        credential: &OneTimeCredential,
        new: NewPassword,
        current: Option<&TokenId>,
        client: &ClientInfo,
    ) -> Result<Option<SignedIn>, PasswordError> {
        let wrap_kb = new.wrap_kb.clone().ok_or(PasswordError::KeyMissing)?;
        let hash = self.hash_new(credential.account, &new.auth_pw, wrap_kb, client);
        let hash = hash.await?;

        let batch = self.batch();
        let (batch, hash, then) = (&batch, &hash, &new.then);
        let changed = self.transact_change(|tx| async move {
            let mut row = self
                .use_step(&tx, credential, CredentialKind::PasswordChange)
                .await?;
            if let Some(current) = current {
                let found = session::get(&tx, &secret::hash(&current.0)).await?;
                found
                    .filter(|(session, _)| session.uid == row.uid)
                    .ok_or(PasswordError::UnknownToken)?;
            }
            self.password_changed(&tx, batch, &mut row, hash, client).await?;
            let signed_in = self
                .follow_up(&tx, &row, &hash.password_hash, then, client)
                .await?;
            Ok::<_, PasswordError>((row, signed_in))
        });
        let (row, signed_in) = changed.await?;
        let changed = Event::from_client(client, EventKind::PasswordChanged);
        self.emit(&changed.with_subject(&row.address).with_account(row.uid));
        Ok(signed_in)
    }

    /// Uses up the account-reset token and sets a new password. Everything signed in ends; without a wrapped key
    /// the keys are new, and with them the store.
    pub async fn reset_password(
        &self,
        credential: &OneTimeCredential,
        new: NewPassword,
        client: &ClientInfo,
    ) -> Result<Option<SignedIn>, PasswordError> {
        let wrap_kb = new.wrap_kb.clone().unwrap_or_else(|| WrapKb(self.random()));
        let hash = self.hash_new(credential.account, &new.auth_pw, wrap_kb, client);
        let hash = hash.await?;

        let batch = self.batch();
        let (batch, hash, then) = (&batch, &hash, &new.then);
        let reset = self.transact_change(|tx| async move {
            let mut row = self
                .use_step(&tx, credential, CredentialKind::AccountReset)
                .await?;
            self.password_reset(&tx, batch, &mut row, hash, client).await?;
            let signed_in = self
                .follow_up(&tx, &row, &hash.password_hash, then, client)
                .await?;
            Ok::<_, PasswordError>((row, signed_in))
        });
        let (row, signed_in) = reset.await?;
        let reset = Event::from_client(client, EventKind::PasswordReset);
        self.emit(&reset.with_subject(&row.address).with_account(row.uid));
        Ok(signed_in)
    }

    /// Uses up a set-password link.
    pub async fn open_password_link(
        &self,
        code: &str,
        client: &ClientInfo,
    ) -> Result<PasswordLink, PasswordError> {
        let attempt = self.code_attempt(client);
        let (now, code_hash) = (self.millis(), code_hash(code));
        if !codes::has_link(&self.0.database, &code_hash, now).await? {
            let wrong =
                Event::from_client(client, EventKind::CodeRefused).with_reason("no such set-password link");
            return Err(attempt.fail(&wrong, PasswordError::ExpiredCode));
        }
        attempt.succeed();
        let code_hash = &code_hash;
        self.transact(|tx| async move {
            let uid = codes::take_link(&tx, code_hash, now).await?;
            let uid = uid.ok_or(PasswordError::ExpiredCode)?;
            let row = account::by_id(&tx, uid)
                .await?
                .ok_or(PasswordError::ExpiredCode)?;
            Ok(PasswordLink {
                has_password: row.verifier.is_some(),
                address: row.address,
                account_reset_token: self
                    .new_step(&tx, uid, CredentialKind::AccountReset, STEP_MILLIS)
                    .await?,
            })
        })
        .await
    }

    /// Uses a credential up. Returns its account.
    async fn use_step(
        &self,
        tx: &Tx,
        credential: &OneTimeCredential,
        kind: CredentialKind,
    ) -> Result<AccountRow, PasswordError> {
        let row = token::take(tx, kind, &credential.id_hash, self.millis()).await?;
        let row = row.ok_or(PasswordError::UnknownToken)?;
        let account = account::by_id(tx, row.uid)
            .await?
            .ok_or(PasswordError::UnknownToken)?;
        if account.disabled {
            Err(PasswordError::Disabled)
        } else {
            Ok(account)
        }
    }

    async fn follow_up(
        &self,
        tx: &Tx,
        row: &AccountRow,
        password_hash: &PasswordHash,
        then: &FollowUp,
        client: &ClientInfo,
    ) -> Result<Option<SignedIn>, Unavailable> {
        match *then {
            FollowUp::Nothing => Ok(None),
            FollowUp::SignIn { wants_keys } => self
                .sign_in(tx, row, password_hash, wants_keys, client)
                .await
                .map(Some),
        }
    }
}
