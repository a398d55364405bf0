//! Users' objects: the rules they are kept by and the engines that keep them.
//!
//! - [`storage`]: [`Storage`], what every surface calls
//! - [`limits`]: the greatest sizes a client may send
//! - [`command`]: what can be asked of an engine, free of any protocol version
//! - [`page`]: what a read answers
//! - [`engine`]: the [`Engine`] trait and every engine
//! - `conformance` (feature of that name): the promises of an engine as tests

pub mod command;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod engine;
pub mod limits;
pub mod page;
pub mod storage;

pub use command::{
    BatchId, BatchPart, Change, Cursor, Detail, Field, Fields, Guard, Order, PageToken, Patch, Query,
    Selection, Target, Ttl, Write,
};
pub use engine::{
    BadStoreUrl, Cached, Engine, EngineError, Excess, MemoryEngine, OpenError, OpenOptions, SqliteEngine,
    SqliteOptions, StoreUrl, open,
};
pub use limits::{BadLimits, Limits};
pub use page::{Budget, CollectionSummary, Page, Purged, Row, Rows, Staged, Summary, Written};
pub use storage::{Storage, StorageError};
