//! A cache that processes share, in front of any engine: Redis, Valkey or memcached.
//!
//! A user's entry holds the times of the user's collections. Objects that are read by their id have keys of their own, and hold while
//! the entry has the version in which they were read.
//!
//! 1. A write bars the entry before it asks the engine: it adds its bar to a list, then removes the entry. After the write it takes the
//!    bar off. A writer that died leaves its bar, and the next write of the user takes it off once it is old.
//! 2. A read that finds no entry claims it, then looks at the bars, then asks the engine; it fills the entry if it still finds the claim.
//!    A read that finds a bar of its user fills nothing. So a fill of what was read before a write finds no claim: that was removed with
//!    the entry, or was made after the bar.
//! 3. Each list of bars names the run of the server in which the epoch began. A process that finds no list, or another run, talks to
//!    another server, or to one that has lost bars: nothing in it counts, and the [`Agreement`] ends the epoch. So it does if a writer
//!    cannot bar its entry.
//!
//! The cache never compares a guard, never gives a write its time, and holds nothing that the engine has not told.

mod address;
mod barring;
mod bars;
mod entry;
mod epoch;
mod health;
mod memcached;
mod pipeline;
mod redis;
mod server;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use foxden_model::{Clock, Rng, SeededRng, SyncTime, UserId};

use self::barring::BarFault;
use self::bars::{BarList, SeenBars};
use self::entry::{SharedObject, UserTimes, UserValue};
use self::epoch::{EpochKeys, Epochs};
use self::health::CacheHealth;
use super::agreement::{Agreement, CacheControl, CacheKind, CacheTimes, ROUNDS};
use super::announced::Announced;
use super::cache::{Told, told};
use super::{Engine, EngineError, QueuedWrites};
use crate::command::{BatchPart, Change, Detail, Query, Write};
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

pub use address::CacheAddress;
pub use server::{CacheFault, CacheLook, CacheRead, CacheServer, Found, Got};

/// How long an entry is used: counts that a purge has changed are wrong no longer than this.
const ENTRY_TTL: Duration = Duration::from_secs(60 * 60);
/// How long a claim lasts.
const CLAIM_TTL: Duration = Duration::from_secs(60);
/// How often a process has the server count all lists as used.
const TOUCH_MILLIS: i64 = 60_000;
/// How far, in seconds, *as of* stays behind the clock, as in the engines.
const AS_OF_SECONDS: i64 = 10;

/// An engine behind a cache that processes share.
pub struct SharedCached<E> {
    engine: E,
    server: Arc<dyn CacheServer>,
    agreement: Agreement,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    /// Numbers that no other claim has, of whatever process.
    unique: SeededRng,
    announced: Announced,
    seen_bars: SeenBars,
    /// When this process last had the server count all lists as used.
    touched: AtomicI64,
    /// How long a writer tries to bar an entry.
    bar_limit: Duration,
    health: CacheHealth,
}

/// A client of the server at an address whose password is known.
pub fn cache_server(address: &CacheAddress, clock: Arc<dyn Clock>) -> Arc<dyn CacheServer> {
    match address.kind() {
        CacheKind::Memcached => Arc::new(memcached::Memcached::new(address, clock)),
        CacheKind::None | CacheKind::Local | CacheKind::Redis => {
            Arc::new(redis::Redis::new(address.clone(), clock))
        }
    }
}

/// What was found for a user whom no write bars, in an epoch that was in use then.
struct Lookup {
    keys: EpochKeys,
    user: UserId,
    got: Got,
    value: Option<UserValue>,
}

impl<E: Engine> SharedCached<E> {
    /// Puts a cache in front of an engine whose processes agree by this row.
    pub fn new(
        engine: E,
        kind: CacheKind,
        server: Arc<dyn CacheServer>,
        control: Arc<dyn CacheControl>,
        times: CacheTimes,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let epochs = Arc::new(Epochs::new(Arc::clone(&server)));
        let mut begin = [0; 8];
        rng.fill(&mut begin);
        let unique = SeededRng::new(u64::from_le_bytes(begin));
        let agreement =
            Agreement::of_shared_cache(control, kind, epochs, times, Arc::clone(&clock), Arc::clone(&rng));
        Self {
            engine,
            server,
            agreement,
            clock,
            rng,
            unique,
            announced: Announced::nothing(),
            seen_bars: SeenBars::default(),
            touched: AtomicI64::new(i64::MIN / 2),
            bar_limit: times.bar_limit,
            health: CacheHealth::default(),
        }
    }

    /// The time until which all writes are visible, by the clock alone. To be called before the reader looks.
    fn horizon(&self) -> SyncTime {
        let horizon = self.clock.now().plus_seconds(-AS_OF_SECONDS);
        self.announced.raise(horizon);
        horizon
    }

    /// Looks for a user's entry. With a query it looks for its object as well, and else it claims an entry that is absent.
    async fn look(&self, user: UserId, query: Option<&Query>) -> Option<Lookup> {
        let epoch = self.agreement.serving().await?;
        let keys = EpochKeys(epoch);
        let (list, key) = (keys.list_of(user), keys.user(user));
        let object = query.and_then(|query| keys.object(user, query));
        let claim = query.is_none().then(|| UserValue::claim(self.unique()));
        let read = CacheRead {
            list: &list,
            key: Some(&key),
            object: object.as_deref(),
            claim: claim.as_deref().map(|claim| (claim, CLAIM_TTL)),
        };
        let (got, _, bars) = self.noted(self.ask(user, read).await, epoch).await?;
        // What was found counts if the epoch is still the one in use.
        if self.agreement.serving().await != Some(epoch) || bars.bars_user(user) {
            return None;
        }
        self.touch_lists(keys, &got.run).await;
        let value = got.value.as_ref();
        let value = value.map(|found| UserValue::read(&found.value, user));
        Some(Lookup {
            keys,
            user,
            got,
            value,
        })
    }

    /// Has the server count all lists as used now and then, also those of users who do nothing: with a list the cache is lost.
    async fn touch_lists(&self, keys: EpochKeys, run: &Arc<str>) {
        let (now, last) = (self.clock.steady_millis(), self.touched.load(Ordering::SeqCst));
        let is_due = now - last >= TOUCH_MILLIS;
        let exchanged = || {
            self.touched
                .compare_exchange(last, now, Ordering::SeqCst, Ordering::SeqCst)
        };
        if is_due && exchanged().is_ok() {
            let touched = self.server.touch(run, &keys.lists()).await;
            self.noted(touched, keys.0).await;
        }
    }

    /// Asks the cache, and reads the list with the user's bars.
    async fn ask(&self, user: UserId, read: CacheRead<'_>) -> Result<(Got, Found, BarList), CacheFault> {
        let mut got = self.server.get(read).await?;
        let found = got.list.take().ok_or(CacheFault::Lost)?;
        let bars = BarList::read(&found.value).ok_or(CacheFault::Lost)?;
        let is_it = bars.number == BarList::number_of(user);
        if !is_it || !self.server.is_same_run(&bars.run, &got.run) {
            return Err(CacheFault::Lost);
        }
        Ok((got, found, bars))
    }

    /// The answer of the cache; notes whether it can be reached.
    async fn noted<T>(&self, answer: Result<T, CacheFault>, epoch: i64) -> Option<T> {
        let (place, now) = (self.server.place(), self.clock.steady_millis());
        match answer {
            Ok(answer) => {
                self.health.answered(place, now);
                Some(answer)
            }
            Err(CacheFault::Away(cause)) => {
                self.health.failed(place, &cause, now);
                None
            }
            Err(CacheFault::Lost) => {
                let cause = format!("{place}: {}", CacheFault::Lost);
                // If it fails, the next one finds the same: a bar is lost only with its list.
                drop(self.agreement.cannot_bar(epoch, &cause).await);
                None
            }
        }
    }

    async fn fill(&self, lookup: &Lookup, summary: &Summary) {
        let Some(claim) = &lookup.got.value else { return };
        let times = UserTimes {
            version: self.random(),
            modified: summary.modified,
            collections: Arc::clone(&summary.collections),
        };
        let (key, run) = (lookup.keys.user(lookup.user), &lookup.got.run);
        let value = times.write(lookup.user);
        let filled = self.server.fill(run, &key, claim, &value, ENTRY_TTL).await;
        self.noted(filled, lookup.keys.0).await;
    }

    /// A random number of the operating system: the state of a process that is taken back with its machine would give it again, and an
    /// object of before would have the version of an entry of today.
    fn random(&self) -> u64 {
        let mut random = [0; 8];
        self.rng.fill(&mut random);
        u64::from_le_bytes(random)
    }

    /// A number that is drawn once, for what lasts a moment: no lookup asks the operating system for it. All processes go along the same
    /// sequence, in which each of the 2⁶⁴ numbers comes once, and each begins at a random place. Two that have drawn a million million
    /// numbers each have one in common with a chance of one in nine million. Numbers that are random one by one would not be as unique:
    /// some thousands of so many would agree.
    fn unique(&self) -> u64 {
        let mut unique = [0; 8];
        self.unique.fill(&mut unique);
        u64::from_le_bytes(unique)
    }
}

#[async_trait]
impl<E: Engine> Engine for SharedCached<E> {
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError> {
        if detail == Detail::Full {
            return self.engine.summary(user, detail).await;
        }
        let horizon = self.horizon();
        let Some(lookup) = self.look(user, None).await else {
            return self.engine.summary(user, detail).await;
        };
        match &lookup.value {
            Some(UserValue::Times(times)) => Ok(Summary {
                modified: times.modified,
                as_of: times.modified.max(horizon),
                collections: Arc::clone(&times.collections),
            }),
            Some(UserValue::Claim) => {
                let summary = self.engine.summary(user, detail).await?;
                self.fill(&lookup, &summary).await;
                Ok(summary)
            }
            Some(UserValue::Unknown) | None => self.engine.summary(user, detail).await,
        }
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        // The times of the collections answer nothing else.
        if query.single_object().is_none() && query.selection.newer.is_none() {
            return self.engine.read(user, query).await;
        }
        let horizon = self.horizon();
        let lookup = self.look(user, Some(query)).await;
        let Some((lookup, times)) = lookup.as_ref().and_then(Lookup::with_times) else {
            return self.engine.read(user, query).await;
        };
        let as_of = times.modified.max(horizon);
        let modified = match told(&times.collections, as_of, query) {
            Told::Empty(page) => return Ok(page),
            Told::Time(modified) => modified,
            Told::Nothing => return self.engine.read(user, query).await,
        };
        if let Some(object) = lookup.object(times, query, self.clock.now()) {
            return Ok(Page {
                rows: Arc::new(object.rows),
                modified: Some(modified),
                as_of,
                next: None,
                expiry: object.expiry,
            });
        }
        let page = self.engine.read(user, query).await?;
        if let Some(key) = lookup.keys.object(user, query)
            && let Some(value) = SharedObject::write(user, times.version, query, &page.rows, page.expiry)
        {
            // If a write came between, the entry with this version is gone for ever.
            let put = self.server.put(&lookup.got.run, &key, &value, ENTRY_TTL).await;
            self.noted(put, lookup.keys.0).await;
        }
        Ok(page)
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        let is_all = matches!(write.change, Change::DeleteAll | Change::Close);
        let mut write = write;
        for round in 1..=ROUNDS {
            let pass = self.agreement.pass().await?;
            let barred = match pass.bar() {
                None => None,
                Some(epoch) => match self.bar(epoch, user).await {
                    Ok(barred) => Some(barred),
                    Err(BarFault::Busy) => return Err(EngineError::Busy),
                    Err(BarFault::Cache(fault)) => {
                        let cause = format!("{}: {fault}", self.server.place());
                        self.agreement.cannot_bar(epoch, &cause).await?;
                        continue;
                    }
                },
            };
            write.pass = Some(pass);
            // Only now: readers that found the entry have announced their time.
            write.not_before = write.not_before.max(self.announced.next());
            let written = self.engine.write(user, write).await;
            if let Some(barred) = barred {
                self.ended(barred, &written, is_all).await;
            }
            match written {
                Err(EngineError::PassEnded(again)) => write = self.agreement.pass_ended(round, *again),
                written => return written,
            }
        }
        Err(EngineError::Busy)
    }

    // Staging changes nothing that a reader sees.
    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        self.engine.stage(user, part).await
    }

    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError> {
        self.engine.purge(budget).await
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        self.engine.users(after, limit).await
    }

    async fn check(&self) -> Result<(), EngineError> {
        self.engine.check().await
    }

    fn queued_writes(&self) -> QueuedWrites {
        self.engine.queued_writes()
    }

    async fn close(&self) {
        self.agreement.close().await;
        self.engine.close().await;
    }
}

impl Lookup {
    fn with_times(&self) -> Option<(&Self, &UserTimes)> {
        match &self.value {
            Some(UserValue::Times(times)) => Some((self, times)),
            Some(UserValue::Claim | UserValue::Unknown) | None => None,
        }
    }

    /// The object that the query asks for, if it was read in the state of the entry and has not expired.
    fn object(&self, times: &UserTimes, query: &Query, now: SyncTime) -> Option<SharedObject> {
        let bytes = self.got.object.as_deref()?;
        let object = SharedObject::read(bytes, self.user, times.version, query)?;
        object.expiry.is_none_or(|expiry| now < expiry).then_some(object)
    }
}
