//! Caches log-ins with plain passwords, so that not every request pays for a slow hash.
//!
//! An entry cannot be turned back into a password: its key is a keyed hash of name and password, and that key dies
//! with the process. A change of credentials is written to the register; every process reads new changes at most once
//! a second before it answers from the cache, and invalidates the accounts concerned.

mod two_generation_cache;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use foxden_model::Rng;
use ring::digest;
use two_generation_cache::TwoGenerationCache;

use crate::address::normal;
use crate::register::change::{AccountDigest, Change};
use crate::{AccountId, LegacyLoginError, LegacyStore, Unavailable};

/// How long the register's changes count as read.
const FRESH_MILLIS: i64 = 1000;
/// A proven password is remembered for so long at least, and twice as long at most.
const VERIFIED_MILLIS: i64 = 5 * 60_000;
/// That it was proven once is remembered for longer: it may be proven anew while guesses are counted. A device that
/// syncs now and then comes back in that time; changes are kept for as long as that lasts at most.
const VERIFIED_BEFORE_MILLIS: i64 = 12 * 60 * 60_000;
/// A wrong one for as long as failures are counted, so that a device which repeats it counts once.
const FAILED_MILLIS: i64 = 15 * 60_000;
/// Entries of a generation.
const MAX_VERIFIED: usize = 16_384;
const MAX_FAILED: usize = 4096;
/// Invalidated accounts that are listed.
const INVALIDATED: usize = 1024;
/// Log-ins that may wait for others.
const WAITING: usize = 2048;

/// The key of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheKey([u8; 32]);

impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Any eight bytes of a hash are as good as all.
        let [first, ..] = self.0.as_chunks().0 else { return };
        state.write_u64(u64::from_ne_bytes(*first));
    }
}

/// An account whose password was verified.
pub(crate) struct VerifiedLogin {
    pub(crate) account: AccountId,
    /// Their store for old clients, once it was asked for.
    pub(crate) store: Option<Arc<LegacyStore>>,
}

/// Why a password does not open an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginFailure {
    /// No account has that name.
    UnknownAccount,
    /// It is not that account's password.
    WrongPassword(AccountId),
    /// The password is right, and the account is disabled.
    Disabled(AccountId),
}

/// A cached log-in.
#[derive(Clone)]
pub(crate) enum CachedResult {
    Verified(Arc<VerifiedLogin>),
    Failed(LoginFailure),
}

/// How far the changes of the register were read.
#[derive(Clone, Copy)]
pub(crate) struct ReadPosition {
    /// The last change that was read; `None` before the first reading.
    pub(crate) seq: Option<i64>,
    own_changes: u64,
}

/// Changes that were read of the register.
#[derive(Clone, Copy)]
pub(crate) struct ChangePage<'a> {
    /// The number of the last one.
    pub(crate) seq: i64,
    pub(crate) changes: &'a [Change],
    /// Whether there were no more.
    pub(crate) is_last: bool,
}

/// Cache epoch at the start of a verification. Its result is cached only if the account was not invalidated since.
#[derive(Clone, Copy)]
pub(crate) struct CacheEpoch(u64);

/// The cache.
pub(crate) struct CredentialCache {
    /// Keys the hashes under which entries are found.
    secret: OnceLock<[u8; 16]>,
    state: RwLock<State>,
    /// Held by the task that reads the register's changes.
    pub(crate) reading: tokio::sync::Mutex<()>,
    flights: InFlight,
}

struct State {
    verified: TwoGenerationCache<(AccountDigest, Arc<VerifiedLogin>)>,
    /// The account of the verified login, even if the entry has expired.
    verified_before: TwoGenerationCache<AccountDigest>,
    failed: TwoGenerationCache<(Option<AccountDigest>, LoginFailure)>,
    seq: Option<i64>,
    /// When the changes were last read; `None` when they must be read again.
    read_at: Option<i64>,
    /// Counts changes made by this very process.
    own_changes: u64,
    /// Counts how often something was forgotten.
    epoch: u64,
    /// Invalidated accounts with the epoch.
    invalidated: VecDeque<(u64, AccountDigest)>,
    /// Up to this epoch the list of invalidated accounts is incomplete.
    complete_since: u64,
}

/// Log-ins in progress: those with the same name and password wait for the first.
struct InFlight {
    under_way: Mutex<HashMap<CacheKey, Arc<tokio::sync::Mutex<()>>>>,
    inside: AtomicUsize,
}

/// The place of one log-in among those with the same name and password.
pub(crate) struct SingleFlight<'a> {
    flights: &'a InFlight,
    key: CacheKey,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Default for CredentialCache {
    fn default() -> Self {
        Self {
            secret: OnceLock::new(),
            state: RwLock::new(State {
                verified: TwoGenerationCache::new(VERIFIED_MILLIS, MAX_VERIFIED),
                verified_before: TwoGenerationCache::new(VERIFIED_BEFORE_MILLIS, MAX_VERIFIED),
                failed: TwoGenerationCache::new(FAILED_MILLIS, MAX_FAILED),
                seq: None,
                read_at: None,
                own_changes: 0,
                epoch: 0,
                invalidated: VecDeque::new(),
                complete_since: 0,
            }),
            reading: tokio::sync::Mutex::new(()),
            flights: InFlight {
                under_way: Mutex::default(),
                inside: AtomicUsize::new(0),
            },
        }
    }
}

impl CredentialCache {
    /// The key of a name and a password. The name is normalized first.
    pub(crate) fn key(&self, rng: &dyn Rng, name: &str, password: &str) -> CacheKey {
        let secret = self.secret.get_or_init(|| {
            let mut bytes = [0; 16];
            rng.fill(&mut bytes);
            bytes
        });
        let name = normal(name);
        // A secret before the text makes a keyed hash as long as no hash leaves this process. For most names and passwords it
        // is one block of SHA-256, where HMAC takes three.
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(secret);
        // The length first, so that no other name and password run together to the same text.
        context.update(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        context.update(name.as_bytes());
        context.update(password.as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        CacheKey(out)
    }

    /// Looks up a log-in. `None` also if the changes of the register must be read first.
    pub(crate) fn lookup(&self, key: &CacheKey, now: i64) -> Option<CachedResult> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if !state.is_fresh(now) {
            return None;
        }
        if let Some((_, known)) = state.verified.get(key, now) {
            return Some(CachedResult::Verified(Arc::clone(known)));
        }
        state
            .failed
            .get(key, now)
            .map(|(_, wrong)| CachedResult::Failed(*wrong))
    }

    /// Returns whether this password was verified in the last half day and the account has not changed since. It
    /// opens nothing; it only says that this is no guess.
    pub(crate) fn was_verified_before(&self, key: &CacheKey, now: i64) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.verified_before.get(key, now).is_some() || state.verified.get(key, now).is_some()
    }

    /// Whether the register's changes were read a moment ago.
    pub(crate) fn is_fresh(&self, now: i64) -> bool {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_fresh(now)
    }

    /// Returns how far the changes were read.
    pub(crate) fn position(&self) -> ReadPosition {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        ReadPosition {
            seq: state.seq,
            own_changes: state.own_changes,
        }
    }

    /// Applies changes that were read from the register since that position, up to `seq`. The cache answers nothing
    /// until the last page was applied.
    pub(crate) fn apply_changes(&self, from: ReadPosition, read: ChangePage<'_>, now: i64) {
        let ChangePage {
            seq,
            changes,
            is_last,
        } = read;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let next = from.seq.map_or(seq + 1, |seq| seq + 1);
        let is_whole = changes
            .iter()
            .zip(next..)
            .all(|((found, _), expected)| *found == expected);
        match changes.iter().map(|(_, alias)| *alias).collect() {
            Some(aliases) if is_whole => state.invalidate(&aliases),
            // A missing change was purged; its account is unknown.
            Some(_) | None => state.invalidate_all(),
        }
        state.seq = Some(seq);
        // A change that this process made meanwhile may not have been read.
        state.read_at = (is_last && state.own_changes == from.own_changes).then_some(now);
    }

    /// Makes the next request ask the register first.
    pub(crate) fn mark_stale(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.own_changes += 1;
        state.read_at = None;
    }

    /// The current epoch, to be read before a verification begins.
    pub(crate) fn epoch(&self) -> CacheEpoch {
        CacheEpoch(self.state.read().unwrap_or_else(PoisonError::into_inner).epoch)
    }

    /// Caches the result of a verification that began in that epoch.
    pub(crate) fn insert(&self, key: CacheKey, since: CacheEpoch, outcome: CachedResult, now: i64) {
        let alias = outcome.account().map(AccountDigest::of);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.is_outdated(alias, since) {
            return;
        }
        match (outcome, alias) {
            (CachedResult::Verified(known), Some(alias)) => {
                state.verified_before.put(key, alias, now);
                state.verified.put(key, (alias, known), now);
            }
            (CachedResult::Failed(wrong), alias) => {
                state.verified_before.remove(&key);
                state.failed.put(key, (alias, wrong), now);
            }
            // A verified login always has an account.
            (CachedResult::Verified(_), None) => {}
        }
    }

    /// Joins the log-ins with the same name and password; [`Unavailable::Busy`] when too many wait.
    pub(crate) fn join(&self, key: CacheKey) -> Result<SingleFlight<'_>, Unavailable> {
        let flights = &self.flights;
        let mut under_way = flights.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.inside.load(Ordering::Relaxed) >= WAITING {
            return Err(Unavailable::Busy);
        }
        flights.inside.fetch_add(1, Ordering::Relaxed);
        let turn = Arc::clone(under_way.entry(key).or_default());
        drop(under_way);
        Ok(SingleFlight { flights, key, turn })
    }
}

impl State {
    fn is_fresh(&self, now: i64) -> bool {
        self.read_at.is_some_and(|read_at| now - read_at < FRESH_MILLIS)
    }

    /// Returns whether the entry would have been invalidated since that epoch.
    fn is_outdated(&self, alias: Option<AccountDigest>, since: CacheEpoch) -> bool {
        let mut missed = self
            .invalidated
            .iter()
            .rev()
            .take_while(|(epoch, _)| *epoch > since.0);
        since.0 < self.complete_since || missed.any(|(_, changed)| alias == Some(*changed))
    }

    fn invalidate(&mut self, changed: &HashSet<AccountDigest>) {
        if changed.is_empty() {
            return;
        }
        self.epoch += 1;
        self.invalidated
            .extend(changed.iter().map(|alias| (self.epoch, *alias)));
        while self.invalidated.len() > INVALIDATED {
            self.complete_since = self
                .invalidated
                .pop_front()
                .map_or(self.complete_since, |(epoch, _)| epoch);
        }
        self.verified.retain(|(alias, _)| !changed.contains(alias));
        self.verified_before.retain(|alias| !changed.contains(alias));
        self.failed
            .retain(|(alias, _)| alias.is_none_or(|alias| !changed.contains(&alias)));
    }

    fn invalidate_all(&mut self) {
        self.epoch += 1;
        self.complete_since = self.epoch;
        self.invalidated.clear();
        self.verified.retain(|_| false);
        self.verified_before.retain(|_| false);
        self.failed.retain(|_| false);
    }
}

impl CachedResult {
    fn account(&self) -> Option<AccountId> {
        match self {
            Self::Verified(known) => Some(known.account),
            Self::Failed(wrong) => wrong.account(),
        }
    }
}

impl LoginFailure {
    /// The account that owned the name.
    pub(crate) const fn account(self) -> Option<AccountId> {
        match self {
            Self::UnknownAccount => None,
            Self::WrongPassword(account) | Self::Disabled(account) => Some(account),
        }
    }

    /// The error of a log-in by that name.
    pub(crate) fn refusal(self, name: &str) -> LegacyLoginError {
        let address = name.to_owned();
        match self {
            Self::UnknownAccount => LegacyLoginError::UnknownAccount { name: address },
            Self::WrongPassword(_) => LegacyLoginError::WrongPassword { name: address },
            Self::Disabled(_) => LegacyLoginError::Disabled,
        }
    }
}

impl SingleFlight<'_> {
    /// Waits for earlier log-ins; the turn ends when the guard is dropped.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

impl Drop for SingleFlight<'_> {
    fn drop(&mut self) {
        let mut under_way = self
            .flights
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.flights.inside.fetch_sub(1, Ordering::Relaxed);
        // The map holds one and this guard the other: no one else waits.
        if Arc::strong_count(&self.turn) == 2 {
            under_way.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
