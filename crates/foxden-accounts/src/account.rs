//! Accounts: created, looked up, removed.

use crate::address::{Address, normal, short};
use crate::limits::RateLimitKey;
use crate::password_hasher::{HashParams, HashRequester};
use crate::register::account::{AccountRow, Verifier};
use crate::register::store::ClosingStore;
use crate::register::{account, invitation, store, token};
use crate::security::{Event, EventKind};
use crate::{
    AccountId, Accounts, AuthPw, ClientInfo, CredentialError, CredentialKind, Invitation, KeyFetchError,
    Role, SecretToken, Session, SignInError, SignUp, SignUpError, Unavailable, Unverified, secret,
};
use data_encoding::HEXLOWER;
use foxden_model::UserId;
use foxden_sql::Tx;

/// A margin for the last token of a removed account: it may be signed a moment after the removal, and the clock of
/// the node may be behind.
pub(crate) const LATE_MILLIS: i64 = 5 * 60_000;

/// The parameters of a sign-up.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The address as its owner spells it.
    pub address: String,
    /// The stretched password.
    pub auth_pw: AuthPw,
    /// The code of an invitation.
    pub invite: Option<String>,
    /// Whether the client asked for a key-fetch token.
    pub wants_keys: bool,
}

/// The result of a sign-up or a sign-in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The account.
    pub account: AccountId,
    /// The new session's token; none when an existing session was confirmed again.
    pub session_token: Option<SecretToken>,
    /// Opens `account/keys` once; given when keys were asked for.
    pub key_fetch_token: Option<SecretToken>,
    /// When the password was last verified, in seconds.
    pub auth_at: i64,
    /// Whether the address is confirmed.
    pub address_verified: bool,
    /// Whether the session is confirmed.
    pub session_verified: bool,
}

/// Whether an address has an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressStatus {
    /// An account has it. Always true where sign-up needs an invitation, so that strangers learn nothing.
    pub exists: bool,
    /// That account has a password.
    pub has_password: bool,
}

/// The stores of a removed account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its stores, to be refused at once and emptied by the chore.
    pub stores: Vec<UserId>,
}

/// A credential that can be used once.
#[derive(Clone)]
pub struct OneTimeCredential {
    /// The purpose.
    pub kind: CredentialKind,
    /// The account it is for. A decoy reset names an account that does not exist.
    pub account: AccountId,
    /// The Hawk key.
    pub auth_key: [u8; 32],
    pub(crate) id_hash: String,
}

impl SignedIn {
    /// Whether address and session are both confirmed.
    pub const fn is_verified(&self) -> bool {
        self.address_verified && self.session_verified
    }
}

impl Accounts {
    /// Returns whether an account has the address, and whether it has a password.
    pub async fn address_status(
        &self,
        address: &str,
        client: &ClientInfo,
    ) -> Result<AddressStatus, SignUpError> {
        let address = Address::new(address)?;
        if self.sign_up_policy(client) != SignUp::Open {
            return Ok(AddressStatus {
                exists: true,
                has_password: true,
            });
        }
        // Over the limit every name gets the same answer, so that a user with a password can still type it.
        if self
            .check_and_count_network(RateLimitKey::Enumeration, client)
            .is_err()
        {
            return Ok(AddressStatus {
                exists: true,
                has_password: true,
            });
        }
        // A claim counts: its account may be the client's own, which signs in to it. Any other owner of the address
        // resets its password by mail, and so confirms it.
        let row = account::by_name(&self.0.database, &address.normal()).await?;
        Ok(AddressStatus {
            exists: row.is_some(),
            has_password: row.is_some_and(|row| row.verifier.is_some()),
        })
    }

    /// Whether the account exists.
    pub async fn account_exists(&self, account: AccountId) -> Result<bool, Unavailable> {
        Ok(account::by_id(&self.0.database, account).await?.is_some())
    }

    /// Creates an account, by the sign-up policy or an invitation, and signs its owner in.
    pub async fn create(&self, new: NewAccount, client: &ClientInfo) -> Result<SignedIn, SignUpError> {
        let address = Address::to_get(&new.address)?;
        let invitation = self.may_create(&new, &address, client).await?;
        let params = self.new_hash_params();
        let requester = HashRequester::new(address.as_str(), client);
        let password_hasher = &self.0.password_hasher;
        let password_hash = password_hasher
            .hash_with(&new.auth_pw, params, Some(requester), |password_hash| {
                password_hash
            })
            .await?;

        let now = self.millis().max(1);
        let is_verified = self.is_confirmed_at_once(&address, invitation.as_ref(), client);
        let role = invitation
            .as_ref()
            .map_or(Role::Member, |invitation| invitation.role);
        let mut row = self.new_row(&address, role, now);
        row.address_verified = is_verified;
        // The keys are wrapped with what only the password gives, so random bytes here are as good as wrapped ones.
        row.verifier = Some(Verifier {
            params,
            verify_hash: password_hash.verify_hash(),
            wrap_wrap_kb: self.random(),
        });

        let allowance = (!is_verified).then(|| self.charge_mail(client));
        let (row, password_hash) = (&row, &password_hash);
        let (invitation, allowance) = (invitation.as_ref(), allowance.as_ref());
        let created = self.transact_change(|tx| async move {
            self.insert_with_names(&tx, row).await?;
            if let Some(invitation) = invitation
                && invitation::mark_used(&tx, invitation.id, row.uid, now).await? == 0
            {
                return Err(SignUpError::UnknownInvitation);
            }
            invitation::delete_first(&tx).await?;
            if let Some(allowance) = allowance {
                self.make_codes(&tx, row, allowance).await?;
            }
            let signed_in = self
                .sign_in(&tx, row, password_hash, new.wants_keys, client)
                .await?;
            self.record_event(&tx, row.uid, "created", client).await?;
            self.write_change(&tx, row.uid).await?;
            Ok(signed_in)
        });
        let signed_in = created.await?;
        let created = Event::from_client(client, EventKind::AccountCreated);
        self.emit(&created.with_subject(&row.address).with_account(row.uid));
        Ok(signed_in)
    }

    /// Removes the session's account and all its rows, once the password is verified. A client without a session leaves
    /// `session` out; then the password alone decides. To be carried out by [`Accounts::complete_removal`].
    pub async fn destroy(
        &self,
        session: Option<&Session>,
        address: &str,
        auth_pw: &AuthPw,
        client: &ClientInfo,
    ) -> Result<Removed, SignInError> {
        // An address need not be confirmed to be given up.
        if session.is_some_and(|session| session.address_verified && !session.session_verified) {
            return Err(Unverified::Session.into());
        }
        let proven = self.log_in(address, auth_pw, client).await?;
        if session.is_some_and(|session| session.account != proven.row.uid) {
            return Err(SignInError::UnknownAccount {
                name: address.to_owned(),
            });
        }
        let removed = self.remove(proven.row.uid).await?;
        let deleted = Event::from_client(client, EventKind::AccountDeleted);
        self.emit(
            &deleted
                .with_subject(&proven.row.address)
                .with_account(proven.row.uid),
        );
        Ok(removed)
    }

    /// Consumes a key-fetch token and returns the wrapped keys, 192 hex digits. The token is consumed whatever the
    /// answer.
    pub async fn fetch_keys(&self, credential: &OneTimeCredential) -> Result<String, KeyFetchError> {
        let used = self.transact(|tx| async move {
            let row = token::take(&tx, CredentialKind::KeyFetch, &credential.id_hash, self.millis()).await?;
            let row = row.ok_or(KeyFetchError::UnknownToken)?;
            let account = account::by_id(&tx, row.uid).await?;
            Ok::<_, KeyFetchError>((row, account.ok_or(KeyFetchError::UnknownToken)?))
        });
        let (row, account) = used.await?;
        if !account.address_verified {
            return Err(KeyFetchError::AddressUnverified);
        }
        let bundle = row
            .data
            .ok_or(Unavailable::Damaged("a key-fetch token without its bundle"))?;
        Ok(HEXLOWER.encode(&bundle))
    }

    /// Finds the credential of that kind and id, to check a Hawk signature. Sessions have [`Accounts::session`].
    pub async fn one_time_credential(
        &self,
        kind: CredentialKind,
        id: &crate::TokenId,
    ) -> Result<OneTimeCredential, CredentialError> {
        let row = token::get(&self.0.database, kind, &secret::hash(&id.0), self.millis()).await?;
        let row = row.ok_or(CredentialError::Unknown)?;
        Ok(OneTimeCredential {
            kind,
            account: row.uid,
            auth_key: row.auth_key,
            id_hash: row.id_hash,
        })
    }

    /// Checks whether this account may be created; returns the invitation that allows it.
    async fn may_create(
        &self,
        new: &NewAccount,
        address: &Address,
        client: &ClientInfo,
    ) -> Result<Option<Invitation>, SignUpError> {
        let policy = self.sign_up_policy(client);
        let invitation = match &new.invite {
            Some(code) => Some(self.open_invitation(code, client).await?),
            None if policy == SignUp::Open => None,
            None => return Err(SignUpError::Closed),
        };
        // Where sign-up is closed only the first account is made by invitation.
        if policy == SignUp::Closed && !invitation.as_ref().is_some_and(|invitation| invitation.is_first) {
            return Err(SignUpError::Closed);
        }
        if address.is_among(&self.0.options.reserved_names) {
            return Err(SignUpError::InvalidAddress);
        }
        if invitation.is_none() {
            self.check_and_count_network(RateLimitKey::Enumeration, client)?;
        }
        if let Some(row) = self.name_owner(&self.0.database, address.as_str()).await? {
            if invitation.is_some() {
                self.check_and_count_network(RateLimitKey::Enumeration, client)?;
            }
            return Err(row.exists(address));
        }
        // An invitation is an allowance of its own: for one account.
        if invitation.is_none() {
            self.check_and_count_network(RateLimitKey::Creation, client)?;
        }
        Ok(invitation)
    }

    pub(crate) fn new_hash_params(&self) -> HashParams {
        HashParams {
            salt: self.random(),
            cost: self.0.options.cost,
        }
    }

    /// An account without a password and without a confirmed address.
    pub(crate) fn new_row(&self, address: &Address, role: Role, now: i64) -> AccountRow {
        AccountRow {
            uid: AccountId(self.random()),
            address: address.as_str().to_owned(),
            stretched_address: address.as_str().to_owned(),
            address_verified: false,
            verifier: None,
            ka: self.random(),
            created_at: now,
            verifier_set_at: now,
            keys_changed_at: now,
            profile_changed_at: now,
            locale: None,
            display_name: None,
            role,
            disabled: false,
        }
    }

    /// The key of an account's stores.
    pub(crate) fn store_name(&self, uid: AccountId) -> String {
        format!("{uid}@{}", self.issuer())
    }

    /// Removes the account with all its rows and stores in one transaction, and schedules the stores to be emptied.
    pub(crate) async fn remove(&self, uid: AccountId) -> Result<Removed, Unavailable> {
        let now = self.millis();
        let last_expiry = now + self.token_millis();
        let removed = self.transact_change(|tx| async move {
            let stores = self.close_stores(&tx, uid, last_expiry).await?;
            self.write_change(&tx, uid).await?;
            account::delete(&tx, uid).await?;
            Ok::<_, Unavailable>(Removed { stores })
        });
        let removed = removed.await?;
        tracing::info!(account = short(&uid.0), "account removed");
        Ok(removed)
    }

    /// Deletes the rows of the account's stores, and schedules the stores to be emptied.
    async fn close_stores(
        &self,
        tx: &Tx,
        uid: AccountId,
        last_expiry: i64,
    ) -> Result<Vec<UserId>, Unavailable> {
        let email = self.store_name(uid);
        let mut stores = Vec::new();
        for service in [self.0.settings.sync_service_id, self.0.settings.legacy_service_id] {
            loop {
                let page = store::of(tx, service, &email).await?;
                if page.is_empty() {
                    break;
                }
                for row in page {
                    store::delete(tx, &row).await?;
                    let closing = ClosingStore {
                        uid: row.uid,
                        nodeid: row.nodeid,
                        is_removed: true,
                        last_expiry,
                    };
                    store::close(tx, &closing).await?;
                    stores.push(row.uid);
                }
            }
        }
        Ok(stores)
    }

    /// Removes an account completely: carries out the removal, closes each of its stores, and wipes its rows off the
    /// disk. Returns the stores that `close` failed for, with the errors. The account is gone all the same, and a
    /// chore empties these stores.
    pub async fn complete_removal<R, E, C, F, Failure>(
        &self,
        removal: R,
        close: C,
    ) -> Result<Vec<(UserId, Failure)>, E>
    where
        R: Future<Output = Result<Removed, E>>,
        C: Fn(UserId) -> F,
        F: Future<Output = Result<(), Failure>>,
    {
        let removed = removal.await?;
        let mut failed = Vec::new();
        for store in removed.stores {
            if let Err(error) = close(store).await {
                failed.push((store, error));
            }
        }
        self.wipe_deleted().await;
        Ok(failed)
    }

    /// Wipes deleted rows off the disk, where the WAL holds them until it is checkpointed. This may take a while, so
    /// close the stores of a removed account first. A busy WAL is no error: a chore does it again.
    pub async fn wipe_deleted(&self) {
        if let Err(error) = self.0.database.wipe_deleted().await {
            tracing::debug!(%error, "the register's log was not written back at once");
        }
    }
}

impl AccountRow {
    /// The refusal of a sign-up with an address of this account. It reveals the stored spelling of that address,
    /// never another address.
    fn exists(self, requested: &Address) -> SignUpError {
        let own = [self.address, self.stretched_address];
        SignUpError::Exists {
            address: own.into_iter().find(|own| normal(own) == requested.normal()),
        }
    }
}
