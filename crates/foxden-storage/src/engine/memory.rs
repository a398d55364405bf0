//! Objects in memory: the reference that every other engine is compared with.
//!
//! It is meant to be obviously right rather than fast: counts are computed from the objects for each request. Nothing
//! survives the process.

mod batch;
mod deleted;
mod read;
mod stage;
mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;
use foxden_model::{Clock, Rng, SyncTime, UserId};

use self::store::Store;
use super::announced::Announced;
use super::write_time::WriteTime;
use super::{Engine, EngineError, QueuedWrites};
use crate::command::{BatchPart, Detail, Query, Write};
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

/// Users' objects in the memory of this process.
pub struct MemoryEngine {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    stores: RwLock<HashMap<UserId, Arc<Mutex<Store>>>>,
    announced: Announced,
}

impl MemoryEngine {
    /// An empty engine.
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self {
            clock,
            rng,
            stores: RwLock::default(),
            announced: Announced::nothing(),
        }
    }

    /// Runs a read on a user's store; an unknown user has an empty one.
    fn read_store<T>(
        &self,
        user: UserId,
        read_store: impl FnOnce(&Store, ReadTime) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let stores = self.stores.read().map_err(broken)?;
        let Some(store) = stores.get(&user).cloned() else {
            let empty = Store::default();
            // The lock is still held, so that the first write of this user takes its time later.
            return read_store(&empty, self.read_time(&empty));
        };
        drop(stores);
        let store = lock(&store)?;
        if store.is_closed {
            return Err(EngineError::Closed);
        }
        read_store(&store, self.read_time(&store))
    }

    /// Runs a change on a user's store, exclusively.
    fn change_store<T>(
        &self,
        user: UserId,
        change: impl FnOnce(&mut Store, WriteTime) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let store = self.store_of(user)?;
        let mut store = lock(&store)?;
        let now = self.clock.now();
        let next = now.max(store.highest().next()).max(self.announced.next());
        change(&mut store, WriteTime { now, next })
    }

    fn store_of(&self, user: UserId) -> Result<Arc<Mutex<Store>>, EngineError> {
        if let Some(store) = self.stores.read().map_err(broken)?.get(&user) {
            return Ok(Arc::clone(store));
        }
        let mut stores = self.stores.write().map_err(broken)?;
        Ok(Arc::clone(stores.entry(user).or_default()))
    }

    /// The time of a read. To be called under the lock that excludes this user's writers.
    fn read_time(&self, store: &Store) -> ReadTime {
        let now = self.clock.now();
        self.announced.raise(now.before());
        ReadTime {
            now,
            as_of: now.before().max(store.highest()),
        }
    }
}

/// The time of a read, and its *as of*.
#[derive(Clone, Copy)]
struct ReadTime {
    now: SyncTime,
    as_of: SyncTime,
}

#[async_trait]
impl Engine for MemoryEngine {
    // A summary without counts is no cheaper here, so both are complete.
    async fn summary(&self, user: UserId, _detail: Detail) -> Result<Summary, EngineError> {
        self.read_store(user, |store, time| Ok(store.summary(time)))
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        self.read_store(user, |store, time| store.read(query, time))
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        self.change_store(user, |store, time| {
            let next = time.next.max(write.not_before);
            store.write(write, WriteTime { next, ..time })
        })
    }

    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        self.change_store(user, |store, time| store.stage(part, time.now, &*self.rng))
    }

    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError> {
        let stores: Vec<_> = self.stores.read().map_err(broken)?.values().cloned().collect();
        let now = self.clock.now();
        let mut left = budget.rows;
        let mut has_more = false;
        for store in stores {
            has_more |= lock(&store)?.purge(now, budget.until, &mut left);
        }
        Ok(Purged {
            rows: budget.rows - left,
            has_more,
        })
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        let stores = self.stores.read().map_err(broken)?;
        let mut users = Vec::new();
        for (user, store) in stores.iter() {
            if after.is_none_or(|after| *user > after) && lock(store)?.highest() > SyncTime::ZERO {
                users.push(*user);
            }
        }
        users.sort_unstable();
        users.truncate(limit);
        Ok(users)
    }

    async fn check(&self) -> Result<(), EngineError> {
        self.stores.read().map(drop).map_err(broken)
    }

    fn queued_writes(&self) -> QueuedWrites {
        QueuedWrites::default()
    }

    // There is nothing to close.
    async fn close(&self) {}
}

fn lock(store: &Mutex<Store>) -> Result<MutexGuard<'_, Store>, EngineError> {
    store.lock().map_err(broken)
}

/// A panic under a lock may leave half a write, which is not served.
fn broken<T>(_poisoned: PoisonError<T>) -> EngineError {
    EngineError::Unavailable("a panic interrupted a change".into())
}
