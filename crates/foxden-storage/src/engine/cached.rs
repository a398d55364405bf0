//! A cache in front of any engine, for a process that alone serves its users.

mod unknown_outcomes;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use foxden_model::{Clock, CollectionName, SyncTime, UserId};

use super::agreement::{Agreement, ROUNDS};
use super::announced::Announced;
use super::cache::{FillTicket, ObjectCache, Told, UserCache, told};
use super::{Engine, EngineError, QueuedWrites};
use crate::command::{BatchPart, Detail, Query, Write};
use crate::page::{Budget, CollectionSummary, Page, Purged, Staged, Summary, Written};
use unknown_outcomes::{Added, UnknownOutcomes};

/// How long an entry is used: counts that a purge by another process has changed are wrong no longer than this.
const ENTRY_MILLIS: i64 = 60 * 60 * 1000;
/// How long a user stays invalidated after a write with an unknown outcome. The commit of a database server may wait for minutes until a
/// standby comes back.
const UNKNOWN_MILLIS: i64 = 60 * 60 * 1000;
/// How long no entry is added after a purge with an unknown outcome, which changes counts alone.
const UNKNOWN_PURGE_MILLIS: i64 = 60 * 1000;
/// The epoch of all entries if there is no agreement.
const EPOCH_ALONE: i64 = 0;
/// How far, in seconds, *as of* stays behind the clock where other processes may come, as in their engine.
const AS_OF_SECONDS: i64 = 10;

/// An engine whose answers are cached in this process: the times of collections, and small objects that are read by their id.
///
/// The cache never compares a guard and never gives a write its time. All writes of a user must pass through one `Cached`, since
/// it does not see the writes of others. Where another process could have the same store open, an [`Agreement`] ends the use of the
/// cache before that process writes.
pub struct Cached<E> {
    engine: E,
    agreement: Option<Agreement>,
    clock: Arc<dyn Clock>,
    users: UserCache<User>,
    objects: ObjectCache<User, CollectionName>,
    announced: Announced,
    unknown: Mutex<UnknownOutcomes>,
    /// Until when no entry is added, by the steady clock: a user of whom nothing is recorded may have a write with an unknown
    /// outcome.
    no_fills_until: AtomicI64,
}

/// What was found for a user.
struct Lookup {
    /// The epoch whose entries may be read and added, if any may.
    epoch: Option<i64>,
    /// The entry, and as of when it speaks.
    entry: Option<(Arc<User>, SyncTime)>,
}

/// The cache entry of a user.
struct User {
    modified: SyncTime,
    collections: Arc<[CollectionSummary]>,
    /// The epoch of the agreement in which it was added.
    epoch: i64,
    /// When the entry ends, by the steady clock.
    ends: i64,
}

impl<E: Engine> Cached<E> {
    /// Caches about this many users of `engine`, which no other process can have open.
    pub fn new(engine: E, clock: Arc<dyn Clock>, users: usize) -> Self {
        Self {
            engine,
            agreement: None,
            clock,
            users: UserCache::new(users),
            objects: ObjectCache::new(),
            announced: Announced::nothing(),
            unknown: Mutex::default(),
            no_fills_until: AtomicI64::new(i64::MIN),
        }
    }

    /// The same for an engine that other processes could have open.
    pub fn agreed(engine: E, agreement: Agreement, clock: Arc<dyn Clock>, users: usize) -> Self {
        Self {
            agreement: Some(agreement),
            ..Self::new(engine, clock, users)
        }
    }

    /// Looks for the user's entry.
    async fn lookup(&self, user: UserId) -> Lookup {
        // Before the entry is read: a later write takes a later time, and an earlier one has invalidated the entry.
        let as_of = match &self.agreement {
            None => self.clock.now().before(),
            // Another process may write once the agreement ends, by a clock of its own.
            Some(_) => self.clock.now().plus_seconds(-AS_OF_SECONDS),
        };
        self.announced.raise(as_of);
        let now = self.clock.steady_millis();
        let entry = self.users.get(user).filter(|entry| entry.ends >= now);
        let epoch = match &self.agreement {
            None => Some(EPOCH_ALONE),
            Some(agreement) => agreement.serving().await,
        };
        let entry = entry.filter(|entry| Some(entry.epoch) == epoch);
        Lookup {
            epoch,
            entry: entry.map(|entry| {
                let as_of = as_of.max(entry.modified);
                (entry, as_of)
            }),
        }
    }

    /// Answers a query from the user's entry, where that says enough.
    fn page(&self, entry: &Arc<User>, as_of: SyncTime, query: &Query) -> Option<Page> {
        let modified = match told(&entry.collections, as_of, query) {
            Told::Empty(page) => return Some(page),
            Told::Time(modified) => modified,
            Told::Nothing => return None,
        };
        let id = query.single_object()?;
        let now = self.clock.now();
        let object = self.objects.get(entry, query.collection, id, now)?;
        Some(Page {
            rows: object.rows,
            modified: Some(modified),
            as_of,
            next: None,
            expiry: object.expiry,
        })
    }

    /// Resolves the writes with an unknown outcome that can no longer be carried out.
    fn resolve_unknown(&self) {
        let now = self.clock.steady_millis();
        let mut unknown = self.unknown();
        while let Some(user) = unknown.take_ended(now) {
            self.users.resolve(user, None);
        }
    }

    /// A ticket for an answer of the engine; `None` if the answer must not be cached.
    fn ticket(&self, user: UserId) -> Option<FillTicket> {
        // The ticket comes first: a write that ends the fills does so before it changes the segment.
        let ticket = self.users.ticket(user);
        let may_fill = self.no_fills_until.load(Ordering::SeqCst) < self.clock.steady_millis();
        may_fill.then_some(ticket)
    }

    /// Keeps the user invalidated for a while, since a write may still be carried out. If too many users are, no user's entry is
    /// added for as long.
    fn keep_invalidated(&self, user: UserId) {
        let ends = self.clock.steady_millis() + UNKNOWN_MILLIS;
        match self.unknown().add(user, ends) {
            Added::New => return,
            // An earlier write keeps the user invalidated.
            Added::Extended => {}
            Added::Full => {
                if self.end_fills(ends) {
                    tracing::warn!(
                        cause = "too many writes have no known outcome",
                        minutes = UNKNOWN_MILLIS / 60_000,
                        "the cache takes no new entries for a while"
                    );
                }
            }
        }
        self.users.resolve(user, None);
    }

    /// Adds no entry until then. Returns whether that is news: before, entries were added, or were to be after a purge.
    fn end_fills(&self, until: i64) -> bool {
        let before = self.no_fills_until.fetch_max(until, Ordering::SeqCst);
        before <= self.clock.steady_millis() + UNKNOWN_PURGE_MILLIS
    }

    fn unknown(&self) -> MutexGuard<'_, UnknownOutcomes> {
        // No code panics under this lock.
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write under way. Dropped before its outcome is known, it leaves the user invalidated for a while.
struct Invalidation<'a, E: Engine> {
    cache: &'a Cached<E>,
    user: UserId,
    is_resolved: bool,
}

impl<'a, E: Engine> Invalidation<'a, E> {
    fn begin(cache: &'a Cached<E>, user: UserId) -> Self {
        cache.users.invalidate(user);
        Self {
            cache,
            user,
            is_resolved: false,
        }
    }

    fn resolve(mut self) {
        self.is_resolved = true;
        self.cache.users.resolve(self.user, None);
    }
}

impl<E: Engine> Drop for Invalidation<'_, E> {
    fn drop(&mut self) {
        if !self.is_resolved {
            self.cache.keep_invalidated(self.user);
        }
    }
}

/// A purge under way, which may change the counts of any user. Dropped before its outcome is known, it also prevents new entries
/// for a while.
struct PendingPurge<'a, E: Engine> {
    cache: &'a Cached<E>,
    outcome: PurgeOutcome,
}

enum PurgeOutcome {
    Unknown,
    Changed,
    Unchanged,
}

impl<E: Engine> Drop for PendingPurge<'_, E> {
    fn drop(&mut self) {
        let cache = self.cache;
        match self.outcome {
            PurgeOutcome::Unchanged => return,
            PurgeOutcome::Changed => {}
            PurgeOutcome::Unknown => {
                let ends = cache.clock.steady_millis() + UNKNOWN_PURGE_MILLIS;
                cache.no_fills_until.fetch_max(ends, Ordering::SeqCst);
            }
        }
        cache.users.clear();
    }
}

#[async_trait]
impl<E: Engine> Engine for Cached<E> {
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError> {
        if detail == Detail::Full {
            return self.engine.summary(user, detail).await;
        }
        let Lookup { epoch, entry } = self.lookup(user).await;
        if let Some((entry, as_of)) = entry {
            return Ok(Summary {
                modified: entry.modified,
                as_of,
                collections: Arc::clone(&entry.collections),
            });
        }
        self.resolve_unknown();
        let ticket = self.ticket(user);
        let summary = self.engine.summary(user, detail).await?;
        if let (Some(ticket), Some(epoch)) = (ticket, epoch) {
            let entry = User {
                modified: summary.modified,
                collections: Arc::clone(&summary.collections),
                epoch,
                ends: self.clock.steady_millis() + ENTRY_MILLIS,
            };
            self.users.fill(user, ticket, Arc::new(entry));
        }
        Ok(summary)
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        let Some((entry, as_of)) = self.lookup(user).await.entry else {
            return self.engine.read(user, query).await;
        };
        if let Some(page) = self.page(&entry, as_of, query) {
            return Ok(page);
        }
        let page = self.engine.read(user, query).await?;
        // The entry says the same as before, so nothing of the user was written between.
        if query.single_object().is_some() && self.users.is_current(user, &entry) {
            self.objects
                .insert(&entry, query.collection, &page.rows, page.expiry);
        }
        Ok(page)
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        self.resolve_unknown();
        let mut write = write;
        for round in 1..=ROUNDS {
            if let Some(agreement) = &self.agreement {
                // Readers of this process are sent to the engine below, whatever the agreement is.
                write.pass = Some(agreement.pass().await?);
            }
            let pending = Invalidation::begin(self, user);
            // Only now: readers that found the entry have announced their time.
            write.not_before = write.not_before.max(self.announced.next());
            let written = self.engine.write(user, write).await;
            if !matches!(written, Err(EngineError::OutcomeUnknown(_))) {
                pending.resolve();
            }
            match (written, &self.agreement) {
                (Err(EngineError::PassEnded(again)), Some(agreement)) => {
                    write = agreement.pass_ended(round, *again);
                }
                (written, _) => return written,
            }
        }
        Err(EngineError::Busy)
    }

    // Staging changes nothing that a reader sees.
    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        self.engine.stage(user, part).await
    }

    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError> {
        let mut pending = PendingPurge {
            cache: self,
            outcome: PurgeOutcome::Unknown,
        };
        let purged = self.engine.purge(budget).await;
        pending.outcome = match &purged {
            Ok(purged) if purged.rows == 0 => PurgeOutcome::Unchanged,
            Ok(_) => PurgeOutcome::Changed,
            // It may be carried out in part, and later.
            Err(_) => PurgeOutcome::Unknown,
        };
        purged
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
        if let Some(agreement) = &self.agreement {
            agreement.close().await;
        }
        self.engine.close().await;
    }
}

#[cfg(test)]
mod tests;
