//! Verifying a plain password, and opening the store of old clients.

use std::future::Future;
use std::sync::Arc;

use foxden_sql::{QueryOrigin, SqlError, Tx};

use super::LegacyStore;
use crate::address::normal;
use crate::credential_cache::{CacheEpoch, CacheKey, CachedResult, ChangePage, LoginFailure, VerifiedLogin};
use crate::limits::RateLimitKey;
use crate::login::VerifiedPassword;
use crate::login_attempt::AttemptKeys;
use crate::register::account;
use crate::register::change;
use crate::rejected_passwords::Disclosure;
use crate::security::{Event, EventKind};
use crate::stretch::Stretched;
use crate::{
    AccountId, Accounts, ClientInfo, LegacyLoginError, LimitError, OpenStoreError, SignUp, Unavailable,
};

/// A verified plain password, with its stretched form.
pub(super) struct VerifiedPlainPassword {
    pub(super) proven: VerifiedPassword,
    pub(super) stretched: Stretched,
}

impl Accounts {
    /// Returns the store if name and password were verified a while ago. Neither reads the register nor hashes; on
    /// `None` call [`Accounts::open_store`].
    pub fn cached_store(&self, name: &str, password: &str) -> Option<Arc<LegacyStore>> {
        let key = self.cache_key(name, password);
        match self.0.credential_cache.lookup(&key, self.steady())? {
            CachedResult::Verified(known) => known.store.clone(),
            CachedResult::Failed(_) => None,
        }
    }

    /// Verifies the password and returns the store for old clients, created if there is none.
    pub async fn open_store(
        &self,
        name: &str,
        password: &str,
        client: &ClientInfo,
    ) -> Result<Arc<LegacyStore>, OpenStoreError> {
        let (known, since) = self.verified_login(name, password, client).await?;
        if let Some(store) = &known.store {
            return Ok(Arc::clone(store));
        }
        let store = self
            .legacy_store(known.account)
            .await
            .map_err(|error| error.of(name))?;
        let known = Arc::new(VerifiedLogin {
            account: known.account,
            store: Some(Arc::clone(&store)),
        });
        let key = self.cache_key(name, password);
        self.0
            .credential_cache
            .insert(key, since, CachedResult::Verified(known), self.steady());
        Ok(store)
    }

    /// Verifies the password and returns its account.
    pub async fn verify_plain_password(
        &self,
        name: &str,
        password: &str,
        client: &ClientInfo,
    ) -> Result<AccountId, LegacyLoginError> {
        let (known, _) = self.verified_login(name, password, client).await?;
        Ok(known.account)
    }

    /// Returns whether a name is taken; by a disabled account, too.
    pub async fn name_exists(&self, name: &str) -> Result<bool, Unavailable> {
        Ok(self.name_owner(&self.0.database, name).await?.is_some())
    }

    /// Answers an unknown client whether the name is taken. Unless sign-up is open, the answer is yes for every name, so that it
    /// reveals nothing.
    pub async fn is_name_taken(&self, name: &str, client: &ClientInfo) -> Result<bool, LimitError> {
        if self.sign_up_policy(client) != SignUp::Open {
            return Ok(true);
        }
        self.check_and_count_network(RateLimitKey::Enumeration, client)?;
        Ok(self.name_exists(name).await?)
    }

    /// Verifies the password, whatever the cache holds. A password that was verified a while ago passes although
    /// failures are counted.
    pub(super) async fn verify_uncached(
        &self,
        name: &str,
        password: &str,
        client: &ClientInfo,
    ) -> Result<VerifiedPlainPassword, LegacyLoginError> {
        let key = self.cache_key(name, password);
        if let Some(CachedResult::Failed(wrong)) = self.cached_result(&key, name).await?.0 {
            return Err(self.refuse(wrong, name, client));
        }
        let flight = self.0.credential_cache.join(key)?;
        let _turn = flight.turn().await;
        if let Some(CachedResult::Failed(wrong)) = self.cached_result(&key, name).await?.0 {
            return Err(self.refuse(wrong, name, client));
        }
        self.verify_in_register(key, name, password, client).await
    }

    /// Runs a transaction that changes credentials or stores: see [`Accounts::transact`]. Afterwards this process
    /// reads the changes before it answers from the cache again.
    pub(crate) async fn transact_change<T, E, F, W>(&self, work: F) -> Result<T, E>
    where
        E: From<SqlError>,
        F: Fn(Tx) -> W,
        W: Future<Output = Result<T, E>>,
    {
        let _changed = self.change_guard();
        self.transact(work).await
    }

    /// A guard to hold during a transaction that changes credentials or stores.
    pub(crate) const fn change_guard(&self) -> ChangeGuard<'_> {
        ChangeGuard(self)
    }

    /// Records, in the transaction of the change, that credentials or stores of the account change.
    pub(crate) async fn write_change(&self, tx: &Tx, uid: AccountId) -> Result<(), Unavailable> {
        Ok(change::insert(tx, uid, self.millis()).await?)
    }

    /// Returns the account of name and password, from the cache if possible, and the epoch from which the result may
    /// be cached. Concurrent requests with the same name and password wait for the first.
    async fn verified_login(
        &self,
        name: &str,
        password: &str,
        client: &ClientInfo,
    ) -> Result<(Arc<VerifiedLogin>, CacheEpoch), LegacyLoginError> {
        let key = self.cache_key(name, password);
        if let (Some(cached), since) = self.cached_result(&key, name).await? {
            return Ok((self.outcome(cached, name, client)?, since));
        }
        let flight = self.0.credential_cache.join(key)?;
        let _turn = flight.turn().await;
        let (cached, since) = self.cached_result(&key, name).await?;
        if let Some(cached) = cached {
            return Ok((self.outcome(cached, name, client)?, since));
        }
        let VerifiedPlainPassword { proven, stretched } =
            self.verify_in_register(key, name, password, client).await?;
        self.store_rehashed(&proven, &stretched.auth_pw).await?;
        let known = Arc::new(VerifiedLogin {
            account: proven.row.uid,
            store: None,
        });
        Ok((known, since))
    }

    /// Looks up a log-in, with the epoch before the look-up. Before a cached failure is used, all pending credential
    /// changes are read: another process may since have created that name or set that password, and a 401 makes old
    /// clients prompt the user. The name must also still belong to the same account.
    async fn cached_result(
        &self,
        key: &CacheKey,
        name: &str,
    ) -> Result<(Option<CachedResult>, CacheEpoch), Unavailable> {
        self.read_changes().await?;
        let (since, cached) = (
            self.0.credential_cache.epoch(),
            self.0.credential_cache.lookup(key, self.steady()),
        );
        if !matches!(cached, Some(CachedResult::Failed(_))) {
            return Ok((cached, since));
        }
        let reading = self.0.credential_cache.reading.lock().await;
        // Others wait for this, so it is not queued for the origin of this request.
        while QueryOrigin::unscoped(self.read_some_changes()).await? {}
        drop(reading);
        let (since, cached) = (
            self.0.credential_cache.epoch(),
            self.0.credential_cache.lookup(key, self.steady()),
        );
        let Some(CachedResult::Failed(wrong)) = cached else {
            return Ok((cached, since));
        };
        let owner = account::by_name(&self.0.database, &normal(name)).await?;
        let is_theirs = owner.map(|row| row.uid) == wrong.account();
        Ok((is_theirs.then_some(CachedResult::Failed(wrong)), since))
    }

    /// Reads new changes from the register, unless that was done a moment ago.
    async fn read_changes(&self) -> Result<(), Unavailable> {
        let cache = &self.0.credential_cache;
        if cache.is_fresh(self.steady()) {
            return Ok(());
        }
        let _reading = cache.reading.lock().await;
        while !cache.is_fresh(self.steady()) && QueryOrigin::unscoped(self.read_some_changes()).await? {}
        Ok(())
    }

    /// Reads a page of changes. Returns whether there may be more.
    async fn read_some_changes(&self) -> Result<bool, Unavailable> {
        let cache = &self.0.credential_cache;
        // Taken before the query, so that changes made meanwhile count as unread.
        let (position, now) = (cache.position(), self.steady());
        let Some(seq) = position.seq else {
            let last = change::last(&self.0.database).await?;
            let none = ChangePage {
                seq: last,
                changes: &[],
                is_last: true,
            };
            cache.apply_changes(position, none, now);
            return Ok(false);
        };
        let changes = change::after(&self.0.database, seq).await?;
        let is_last = changes.len() < change::PAGE;
        let read = ChangePage {
            seq: changes.last().map_or(seq, |(last, _)| *last),
            changes: &changes,
            is_last,
        };
        cache.apply_changes(position, read, now);
        Ok(!is_last)
    }

    /// Verifies a plain password: limits, then the account, then the password. The result is cached. A password that
    /// was verified recently is no guess and passes the limits; otherwise an attacker could lock out the devices of the
    /// owner.
    async fn verify_in_register(
        &self,
        key: CacheKey,
        name: &str,
        password: &str,
        client: &ClientInfo,
    ) -> Result<VerifiedPlainPassword, LegacyLoginError> {
        let since = self.0.credential_cache.epoch();
        let row = account::by_name(&self.0.database, &normal(name)).await?;
        let salt = row.as_ref().map_or(name, |row| &row.stretched_address);
        let tries = AttemptKeys::new(name, row.as_ref().map(|row| row.uid), client);
        let attempt = if self.0.credential_cache.was_verified_before(&key, self.steady()) {
            self.free_attempt(tries)
        } else {
            let locked = Event::from_client(client, EventKind::LoginLocked).with_subject(name);
            self.attempt(tries).inspect_err(|_| self.emit(&locked))?
        };
        let stretched = self
            .0
            .password_hasher
            .stretch(salt, password, Some(tries.requester()))
            .await?;
        let account = row.as_ref().map(|row| (row.uid, row.disabled));
        let uid = account.map(|(uid, _)| uid);
        let (by, from) = (normal(name), client.network());
        let rejected_key = self
            .0
            .rejected_passwords
            .key(row.as_ref(), &by, &stretched.auth_pw, from);
        let accounts = self.clone();
        // Cached on the thread that hashes: a client that disconnected asks again.
        let remember = move |is_right: bool| {
            let outcome = CachedResult::from_attempt(account, is_right);
            accounts
                .0
                .credential_cache
                .insert(key, since, outcome, accounts.steady());
            if !is_right {
                accounts
                    .0
                    .rejected_passwords
                    .insert(rejected_key, Disclosure::None);
            }
        };
        if self.0.rejected_passwords.contains(rejected_key) {
            remember(false);
            let wrong = uid.map_or(LoginFailure::UnknownAccount, LoginFailure::WrongPassword);
            return Err(self.refuse(wrong, name, client));
        }
        let verified = self.verify_password(attempt, row, &stretched.auth_pw, remember);
        match verified.await? {
            Ok(proven) => Ok(VerifiedPlainPassword { proven, stretched }),
            Err(wrong) => Err(self.refuse(wrong, name, client)),
        }
    }

    fn outcome(
        &self,
        cached: CachedResult,
        name: &str,
        client: &ClientInfo,
    ) -> Result<Arc<VerifiedLogin>, LegacyLoginError> {
        match cached {
            CachedResult::Verified(known) => Ok(known),
            CachedResult::Failed(wrong) => Err(self.refuse(wrong, name, client)),
        }
    }

    /// Emits a failed log-in and returns its error.
    fn refuse(&self, wrong: LoginFailure, name: &str, client: &ClientInfo) -> LegacyLoginError {
        self.emit(&wrong.event(client, name));
        wrong.refusal(name)
    }

    fn cache_key(&self, name: &str, password: &str) -> CacheKey {
        self.0.credential_cache.key(&*self.0.rng, name, password)
    }
}

/// A transaction that changes credentials. When the guard is dropped, the transaction has ended. It may have been
/// committed even if the request was cancelled.
#[must_use = "dropping the guard marks the cache as stale, so it must live until the transaction has ended"]
pub(crate) struct ChangeGuard<'a>(&'a Accounts);

impl Drop for ChangeGuard<'_> {
    fn drop(&mut self) {
        self.0.0.credential_cache.mark_stale();
    }
}

impl CachedResult {
    /// The result of a log-in, as it is cached.
    fn from_attempt(account: Option<(AccountId, bool)>, is_right: bool) -> Self {
        match account {
            None => Self::Failed(LoginFailure::UnknownAccount),
            Some((account, _)) if !is_right => Self::Failed(LoginFailure::WrongPassword(account)),
            Some((account, true)) => Self::Failed(LoginFailure::Disabled(account)),
            Some((account, false)) => Self::Verified(Arc::new(VerifiedLogin { account, store: None })),
        }
    }
}

impl LoginFailure {
    const fn event<'a>(self, client: &ClientInfo, name: &'a str) -> Event<'a> {
        let event = Event::from_client(client, EventKind::LoginFailed).with_subject(name);
        match self {
            Self::UnknownAccount => event.with_reason("unknown name"),
            Self::WrongPassword(account) => event.with_account(account).with_reason("wrong password"),
            Self::Disabled(account) => event.with_account(account).with_reason("switched off"),
        }
    }
}
