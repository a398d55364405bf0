//! Users' objects: limits, quota and the storage engines.
//!
//! - [`storage`]: [`Storage`], the service that all surfaces call
//! - [`limits`]: the limits of requests
//! - [`command`]: the commands of an engine, independent of protocol versions
//! - [`page`]: the answers of an engine
//! - [`engine`]: the [`Engine`] trait and every engine
//! - [`moving`]: moving users from one store to another
//! - `conformance` (behind a feature of that name): the promises of an engine as tests

pub mod command;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod engine;
pub mod limits;
pub mod moving;
pub mod page;
pub mod pass;
pub mod storage;

pub use command::{
    BatchId, BatchPart, Change, Cursor, Detail, Field, Fields, Guard, Order, PageToken, Patch, Query,
    Selection, Target, Ttl, Write,
};
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub use engine::SqlEngine;
pub use engine::{
    Agreement, BadCacheUrl, BadStoreUrl, BatchLimit, CacheAddress, CacheFault, CacheLook, CacheTimes,
    CacheUrl, Cached, Engine, EngineError, MemoryEngine, MoveSide, OpenError, OpenOptions, QueuedWrites,
    SharedCached, SqliteEngine, SqliteOptions, StoreUrl, Uncached, inspect, inspect_cache, inspect_files,
    moved_away, open, open_movable,
};
pub use limits::{BadLimits, Limits};
pub use page::{Budget, CollectionSummary, Page, Purged, Row, Rows, Staged, Summary, Written};
pub use pass::Pass;
pub use storage::{Storage, StorageError};
