//! Two engines of one store: calls go to one and to the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use foxden_model::UserId;
use foxden_storage::{
    BatchPart, Budget, Detail, Engine, EngineError, Page, Purged, Query, QueuedWrites, Staged, Summary,
    Write, Written,
};

pub(crate) struct Alternating {
    engines: [Arc<dyn Engine>; 2],
    calls: AtomicUsize,
}

impl Alternating {
    pub(crate) const fn new(engines: [Arc<dyn Engine>; 2]) -> Self {
        Self {
            engines,
            calls: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> &Arc<dyn Engine> {
        let [first, second] = &self.engines;
        match self.calls.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => first,
            _ => second,
        }
    }
}

#[async_trait]
impl Engine for Alternating {
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError> {
        self.next().summary(user, detail).await
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        self.next().read(user, query).await
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        self.next().write(user, write).await
    }

    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        self.next().stage(user, part).await
    }

    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError> {
        self.next().purge(budget).await
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        self.next().users(after, limit).await
    }

    async fn check(&self) -> Result<(), EngineError> {
        self.next().check().await
    }

    fn queued_writes(&self) -> QueuedWrites {
        self.next().queued_writes()
    }

    async fn close(&self) {
        for engine in &self.engines {
            engine.close().await;
        }
    }
}
