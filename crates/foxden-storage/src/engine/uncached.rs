//! An engine without a cache, beside processes that may have one.

use async_trait::async_trait;
use foxden_model::UserId;

use super::agreement::{Agreement, ROUNDS};
use super::{Engine, EngineError, QueuedWrites};
use crate::command::{BatchPart, Detail, Query, Write};
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

/// An engine that reads from no cache, and ends the use of any cache before it writes.
pub struct Uncached<E> {
    engine: E,
    agreement: Agreement,
}

impl<E: Engine> Uncached<E> {
    /// The engine, as a part of the agreement.
    pub const fn new(engine: E, agreement: Agreement) -> Self {
        Self { engine, agreement }
    }
}

#[async_trait]
impl<E: Engine> Engine for Uncached<E> {
    async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, EngineError> {
        self.engine.summary(user, detail).await
    }

    async fn read(&self, user: UserId, query: &Query) -> Result<Page, EngineError> {
        self.engine.read(user, query).await
    }

    async fn write(&self, user: UserId, write: Write) -> Result<Written, EngineError> {
        let mut write = write;
        for round in 1..=ROUNDS {
            // Without a cache there are no entries to bar.
            write.pass = Some(self.agreement.pass().await?);
            match self.engine.write(user, write).await {
                Err(EngineError::PassEnded(again)) => write = self.agreement.pass_ended(round, *again),
                written => return written,
            }
        }
        Err(EngineError::Busy)
    }

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
        self.engine.close().await;
    }
}
