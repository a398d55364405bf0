//! The service that all surfaces call: it applies limits and quota before an engine is called.

use std::sync::Arc;

use foxden_model::UserId;

use crate::command::{BatchPart, Change, Detail, Query, Write};
use crate::engine::{Engine, EngineError, QueuedWrites, Usage};
use crate::limits::Limits;
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

/// Users' objects, by the rules of this server.
#[derive(Clone)]
pub struct Storage {
    engine: Arc<dyn Engine>,
    limits: Limits,
    quota: Option<u64>,
}

/// Why a storage request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The engine refused the request or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Storage {
    /// Objects kept by `engine`, within `limits` and so many bytes for each user.
    pub fn new(engine: Arc<dyn Engine>, limits: Limits, quota: Option<u64>) -> Self {
        Self {
            engine,
            limits,
            quota,
        }
    }

    /// The greatest sizes a client may send.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The bytes of payload a user may keep; `None`: any.
    pub const fn quota(&self) -> Option<u64> {
        self.quota
    }

    /// When each collection last changed and, if asked for, how much it holds.
    pub async fn summary(&self, user: UserId, detail: Detail) -> Result<Summary, StorageError> {
        Ok(self.engine.summary(user, detail).await?)
    }

    /// One bounded page of objects.
    pub async fn read(&self, user: UserId, query: &Query) -> Result<Page, StorageError> {
        Ok(self.engine.read(user, query).await?)
    }

    /// The bytes that these other stores of the same account use of its quota, counted as in their own; zero without a quota.
    /// Their open batches do not count.
    pub async fn taken_by(&self, siblings: &[UserId]) -> Result<u64, StorageError> {
        if self.quota.is_none() {
            return Ok(0);
        }
        let mut taken = 0u64;
        for user in siblings {
            // This may include expired objects, which the chores remove soon.
            let summary = match self.engine.summary(*user, Detail::Times).await {
                Err(EngineError::Closed) => continue,
                summary => summary?,
            };
            taken = taken.saturating_add(usage(&summary).counted_bytes());
        }
        Ok(taken)
    }

    /// Returns whether a store with this summary is full, if other stores of its account use `taken` bytes of the quota.
    pub fn is_full(&self, summary: &Summary, taken: u64) -> bool {
        let quota = self.quota.map(|quota| quota.saturating_sub(taken));
        usage(summary).fills(quota)
    }

    /// Makes a change, under the quota that the user shares with the account's other stores, `siblings`. The bytes in the
    /// answer are those of all of them.
    pub async fn write(
        &self,
        user: UserId,
        siblings: &[UserId],
        write: Write,
    ) -> Result<Written, StorageError> {
        let taken = self.taken_by(siblings).await?;
        let write = Write {
            quota: self.quota.map(|quota| quota.saturating_sub(taken)),
            ..write
        };
        let written = self.engine.write(user, write).await?;
        Ok(Written {
            bytes_before: written.bytes_before + taken,
            bytes_after: written.bytes_after + taken,
            ..written
        })
    }

    /// Adds a part to a batch, under the same quota and the limit of open batches.
    pub async fn stage(
        &self,
        user: UserId,
        siblings: &[UserId],
        part: BatchPart,
    ) -> Result<Staged, StorageError> {
        let taken = self.taken_by(siblings).await?;
        let part = BatchPart {
            max_open_bytes: self.limits.max_open_bytes,
            quota: self.quota.map(|quota| quota.saturating_sub(taken)),
            ..part
        };
        Ok(self.engine.stage(user, part).await?)
    }

    /// Empties the user's store and closes it permanently: all processes refuse the user from then on, with any token.
    pub async fn close(&self, user: UserId) -> Result<(), StorageError> {
        self.engine.write(user, Write::new(Change::Close)).await?;
        Ok(())
    }

    /// Refuses a closed user, for callers that have to wait for the body of a request.
    pub async fn admit(&self, user: UserId) -> Result<(), StorageError> {
        self.engine.summary(user, Detail::Times).await?;
        Ok(())
    }

    /// Removes expired and deleted data, until the budget is spent.
    pub async fn purge(&self, budget: Budget) -> Result<Purged, StorageError> {
        Ok(self.engine.purge(budget).await?)
    }

    /// Checks whether objects can be read and written right now.
    pub async fn check(&self) -> Result<(), StorageError> {
        Ok(self.engine.check().await?)
    }

    /// The writes that wait in this process.
    pub fn queued_writes(&self) -> QueuedWrites {
        self.engine.queued_writes()
    }

    /// Closes the engine; to be called after the last request.
    pub async fn close_engine(&self) {
        self.engine.close().await;
    }
}

/// The usage of a store with this summary.
fn usage(summary: &Summary) -> Usage {
    let each = summary.collections.iter().map(|listed| Usage {
        objects: listed.count,
        bytes: listed.bytes,
    });
    each.sum()
}

#[cfg(test)]
mod tests;
