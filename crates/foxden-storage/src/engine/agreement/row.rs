//! What the processes of a store have agreed on: one row in its database.

use async_trait::async_trait;

use crate::engine::{Corrupt, EngineError};

/// What the processes of a store have agreed on about a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheRow {
    /// Rises with each change.
    pub version: i64,
    /// How far the agreement is.
    pub phase: Phase,
    /// A random number. Entries of another epoch are not used.
    pub epoch: i64,
    /// The kind of cache.
    pub cache: CacheKind,
}

/// How far the agreement on a cache is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// No process uses a cache.
    #[default]
    Free,
    /// A cache is announced: writers already bar its entries, or object.
    Starting,
    /// The cache may be filled and read.
    On,
    /// The cache is no longer to be used, but a process that has not looked yet may still use it.
    Paused,
}

/// Where a cache is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheKind {
    /// There is none.
    #[default]
    None,
    /// In the memory of one process.
    Local,
    /// In Redis or Valkey.
    Redis,
    /// In memcached.
    Memcached,
}

/// The row, as a look found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenRow {
    /// The row; one that is missing is like one that was never changed.
    pub row: CacheRow,
    /// The database's clock, in milliseconds since 1970.
    pub clock: i64,
}

/// Reads and changes the row of a store.
#[async_trait]
pub trait CacheControl: Send + Sync + 'static {
    /// The row as it is now.
    async fn look(&self) -> Result<SeenRow, EngineError>;
    /// Puts `next` in place of the row with this version, and returns whether it was still there. The version of `next` counts for
    /// nothing: it is the following one. After an error it may have been replaced or not.
    async fn replace(&self, version: i64, next: CacheRow) -> Result<bool, EngineError>;
}

impl Phase {
    /// The number by which a database keeps it.
    pub const fn number(self) -> i64 {
        match self {
            Self::Free => 0,
            Self::Starting => 1,
            Self::On => 2,
            Self::Paused => 3,
        }
    }
}

impl CacheKind {
    /// The number by which a database keeps it.
    pub const fn number(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Local => 1,
            Self::Redis => 2,
            Self::Memcached => 3,
        }
    }

    /// How the settings name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Local => "local",
            Self::Redis => "redis",
            Self::Memcached => "memcache",
        }
    }
}

impl CacheRow {
    /// The row with these numbers.
    pub fn of(version: i64, phase: i64, epoch: i64, cache: i64) -> Result<Self, EngineError> {
        let phase = match phase {
            0 => Phase::Free,
            1 => Phase::Starting,
            2 => Phase::On,
            3 => Phase::Paused,
            _ => return Err(Corrupt("the phase of the cache").into()),
        };
        let cache = match cache {
            0 => CacheKind::None,
            1 => CacheKind::Local,
            2 => CacheKind::Redis,
            3 => CacheKind::Memcached,
            _ => return Err(Corrupt("the kind of the cache").into()),
        };
        Ok(Self {
            version,
            phase,
            epoch,
            cache,
        })
    }
}
