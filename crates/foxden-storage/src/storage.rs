//! What every surface calls: limits, quota and the users that are closed stand here, before any engine.

use std::sync::Arc;

use foxden_model::{SyncTime, UserId};

use crate::command::{BatchPart, Detail, Query, Write};
use crate::engine::{Engine, EngineError, Excess};
use crate::page::{Budget, Page, Purged, Staged, Summary, Written};

/// The greatest sizes a client may send; told to clients by `info/configuration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub max_request_bytes: u64,
    /// Bytes of one payload.
    pub max_record_payload_bytes: u64,
    /// Objects in one request.
    pub max_post_records: u64,
    /// Bytes of payload in one request.
    pub max_post_bytes: u64,
    /// Objects in one batch.
    pub max_total_records: u64,
    /// Bytes of payload in one batch.
    pub max_total_bytes: u64,
    /// Whether uploads in several requests are offered.
    pub batches: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_bytes: 2_625_536,
            max_record_payload_bytes: 2_621_440,
            max_post_records: 100,
            max_post_bytes: 2_621_440,
            max_total_records: 10_000,
            max_total_bytes: 262_144_000,
            batches: true,
        }
    }
}

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
    /// The guard did not hold; nothing changed.
    #[error("changed at {modified}, after the client last read it")]
    Stale {
        /// The target's time.
        modified: SyncTime,
    },
    /// The user's account is closed; nothing of it is served any more.
    #[error("the user is closed")]
    Closed,
    /// The user's space is full.
    #[error("{used} bytes used, {quota} allowed")]
    OverQuota {
        /// Bytes of payload before the write.
        used: u64,
        /// Bytes allowed.
        quota: u64,
    },
    /// No open batch of that name, user and collection.
    #[error("no such batch")]
    NoSuchBatch,
    /// The batch would hold too much; it stays as it was.
    #[error("the batch would hold too many {0}")]
    TooLarge(Excess),
    /// The user owns as many collections as one may.
    #[error("a user may own at most 100 collections")]
    TooManyCollections,
    /// The page token is not one of ours.
    #[error("the page token is not one of ours")]
    BadCursor,
    /// Others write; try again in a moment.
    #[error("too many writers at once")]
    Busy,
    /// The engine cannot be reached, or cannot tell what it did.
    #[error("the storage engine cannot be reached")]
    Unavailable(#[source] EngineError),
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

    /// Makes a change, under the user's quota.
    pub async fn write(&self, user: UserId, write: Write) -> Result<Written, StorageError> {
        let write = Write {
            quota: self.quota,
            ..write
        };
        Ok(self.engine.write(user, write).await?)
    }

    /// Lays a part of a batch aside.
    pub async fn stage(&self, user: UserId, part: BatchPart) -> Result<Staged, StorageError> {
        Ok(self.engine.stage(user, part).await?)
    }

    /// Removes what has expired, until the budget is spent.
    pub async fn purge(&self, budget: Budget) -> Result<Purged, StorageError> {
        Ok(self.engine.purge(budget).await?)
    }

    /// Whether objects can be read and written right now.
    pub async fn check(&self) -> Result<(), StorageError> {
        Ok(self.engine.check().await?)
    }
}

impl From<EngineError> for StorageError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Stale { modified } => Self::Stale { modified },
            EngineError::OverQuota { used, quota } => Self::OverQuota { used, quota },
            EngineError::NoSuchBatch => Self::NoSuchBatch,
            EngineError::TooLarge(excess) => Self::TooLarge(excess),
            EngineError::TooManyCollections => Self::TooManyCollections,
            EngineError::BadCursor => Self::BadCursor,
            EngineError::Busy => Self::Busy,
            EngineError::Unavailable(_) => Self::Unavailable(error),
        }
    }
}
