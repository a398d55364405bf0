//! Objects in memory: the reference that every other engine is compared with.
//!
//! It is written to be obviously right rather than quick: what a user holds is derived from the objects
//! each time somebody asks. Nothing survives the process.

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
use super::{Engine, EngineError};
use crate::command::{BatchPart, Detail, Query, Write};
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

/// Users' objects in the memory of this process.
pub struct MemoryEngine {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    stores: RwLock<HashMap<UserId, Arc<Mutex<Store>>>>,
    announced: Announced,
}

/// When something happens to one user.
#[derive(Clone, Copy)]
struct Moment {
    /// What the clock shows; expiry counts by it unless it is far behind.
    now: SyncTime,
    /// The time a write gets.
    next: SyncTime,
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

    /// Lets `look` see a user's store; a user never heard of has an empty one.
    fn look<T>(
        &self,
        user: UserId,
        look: impl FnOnce(&Store, Seen) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let stores = self.stores.read().map_err(broken)?;
        let Some(store) = stores.get(&user).cloned() else {
            let empty = Store::default();
            // Still under the lock: a first write of this user takes its time only afterwards.
            return look(&empty, self.seen(&empty));
        };
        drop(stores);
        let store = lock(&store)?;
        if store.is_closed {
            return Err(EngineError::Closed);
        }
        look(&store, self.seen(&store))
    }

    /// Lets `change` alter a user's store, alone.
    fn change<T>(
        &self,
        user: UserId,
        change: impl FnOnce(&mut Store, Moment) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let store = self.store_of(user)?;
        let mut store = lock(&store)?;
        let now = self.clock.now();
        let next = now.max(store.highest().next()).max(self.announced.next());
        change(&mut store, Moment { now, next })
    }

    fn store_of(&self, user: UserId) -> Result<Arc<Mutex<Store>>, EngineError> {
        if let Some(store) = self.stores.read().map_err(broken)?.get(&user) {
            return Ok(Arc::clone(store));
        }
        let mut stores = self.stores.write().map_err(broken)?;
        Ok(Arc::clone(stores.entry(user).or_default()))
    }

    /// When a read speaks. Call it under the lock that keeps this user's writers away.
    fn seen(&self, store: &Store) -> Seen {
        let now = self.clock.now();
        self.announced.raise(now.before());
        Seen {
            now,
            as_of: now.before().max(store.highest()),
        }
    }
}

/// When a read speaks, and as of when.
#[derive(Clone, Copy)]
struct Seen {
    now: SyncTime,
    as_of: SyncTime,
}

#[async_trait]
impl Engine for MemoryEngine {
    // A summary without counts is no cheaper here, so both say everything.
    async fn summary(&self, user: UserId, _detail: Detail) -> Result<Summary, EngineError> {
        self.look(user, |store, seen| Ok(store.summary(seen)))
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        self.look(user, |store, seen| store.read(query, seen))
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        self.change(user, |store, moment| {
            let next = moment.next.max(write.not_before);
            store.write(write, Moment { next, ..moment })
        })
    }

    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        self.change(user, |store, moment| store.stage(part, moment.now, &*self.rng))
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

    // Nothing is open and nothing runs.
    async fn close(&self) {}
}

fn lock(store: &Mutex<Store>) -> Result<MutexGuard<'_, Store>, EngineError> {
    store.lock().map_err(broken)
}

/// What a panic under a lock leaves behind may be half a write: it is not served.
fn broken<T>(_poisoned: PoisonError<T>) -> EngineError {
    EngineError::Unavailable("a panic interrupted a change".into())
}
