//! An engine that lets other tasks run before and after each step, as one on a network does.

use async_trait::async_trait;
use foxden_model::{Rng, SeededRng, UserId};
use foxden_storage::{
    BatchPart, Budget, Detail, Engine, EngineError, Page, Purged, Query, QueuedWrites, Staged, Summary,
    Write, Written,
};

pub(crate) struct Slow<E> {
    engine: E,
    rng: SeededRng,
}

impl<E> Slow<E> {
    pub(crate) const fn new(engine: E) -> Self {
        Self {
            engine,
            rng: SeededRng::new(1),
        }
    }

    async fn pause(&self) {
        let mut times = [0];
        self.rng.fill(&mut times);
        for _ in 0..times[0] % 8 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets others run before and after a step.
    async fn delayed<T>(&self, step: impl Future<Output = T>) -> T {
        self.pause().await;
        let answer = step.await;
        self.pause().await;
        answer
    }
}

#[async_trait]
impl<E: Engine> Engine for Slow<E> {
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError> {
        self.delayed(self.engine.summary(user, detail)).await
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        self.delayed(self.engine.read(user, query)).await
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        self.delayed(self.engine.write(user, write)).await
    }

    async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, EngineError> {
        self.delayed(self.engine.stage(user, part)).await
    }

    async fn purge(&self, budget: Budget) -> Result<Purged, EngineError> {
        self.delayed(self.engine.purge(budget)).await
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        self.delayed(self.engine.users(after, limit)).await
    }

    async fn check(&self) -> Result<(), EngineError> {
        self.engine.check().await
    }

    fn queued_writes(&self) -> QueuedWrites {
        self.engine.queued_writes()
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}
