//! What the cache needs of a server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

/// A server that keeps values under keys for a while, and may remove them earlier.
#[async_trait]
pub trait CacheServer: Send + Sync + 'static {
    /// Where it is; shows no password.
    fn place(&self) -> &str;
    /// What it is, and what an operator should change.
    async fn look(&self) -> Result<CacheLook, CacheFault>;
    /// The run of the server that answers: one that is started again is another run.
    async fn run(&self) -> Result<Arc<str>, CacheFault>;
    /// Whether two texts name the same run.
    fn is_same_run(&self, one: &str, other: &str) -> bool;
    /// Stores values under these keys.
    async fn store(
        &self,
        run: &Arc<str>,
        values: &[(String, Vec<u8>)],
        ttl: Duration,
    ) -> Result<(), CacheFault>;
    /// Reads the object, then the value, then the list; or all in one step. With a claim, that becomes the value of a key that is absent,
    /// before the list is read.
    async fn get(&self, read: CacheRead<'_>) -> Result<Got, CacheFault>;
    /// Stores a value in place of the one that was found, unless it has changed; returns what is there now. The key `removed` is
    /// removed then.
    async fn replace(
        &self,
        run: &Arc<str>,
        key: &str,
        found: &Found,
        value: Vec<u8>,
        ttl: Duration,
        removed: Option<&str>,
    ) -> Result<Option<Found>, CacheFault>;
    /// Removes keys.
    async fn remove(&self, run: &Arc<str>, keys: &[String]) -> Result<(), CacheFault>;
    /// Stores a value in place of the one that was found, unless it has changed, without waiting for the outcome.
    async fn fill(
        &self,
        run: &Arc<str>,
        key: &str,
        found: &Found,
        value: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheFault>;
    /// Has the server count values as used, without waiting for the outcome: it removes first what was not used for long.
    async fn touch(&self, run: &Arc<str>, keys: &[String]) -> Result<(), CacheFault>;
    /// Stores a value, without waiting for the outcome.
    async fn put(&self, run: &Arc<str>, key: &str, value: &[u8], ttl: Duration) -> Result<(), CacheFault>;
}

/// What a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLook {
    /// Its name and version.
    pub server: String,
    /// What works, and what to change in it.
    pub advice: Option<(String, String)>,
}

/// The keys to read.
#[derive(Clone, Copy, Debug)]
pub struct CacheRead<'a> {
    /// The key of a list of bars.
    pub list: &'a str,
    /// The key of a user's entry.
    pub key: Option<&'a str>,
    /// The key of an object.
    pub object: Option<&'a str>,
    /// What an absent entry becomes, and for how long.
    pub claim: Option<(&'a [u8], Duration)>,
}

impl<'a> CacheRead<'a> {
    /// A list of bars alone.
    pub const fn list(list: &'a str) -> Self {
        Self {
            list,
            key: None,
            object: None,
            claim: None,
        }
    }
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Got {
    /// The list of bars.
    pub list: Option<Found>,
    /// The user's entry; a claim if that was accepted.
    pub value: Option<Found>,
    /// The object.
    pub object: Option<Vec<u8>>,
    /// The run of the server that answered.
    pub run: Arc<str>,
}

/// A value, and what tells whether it has changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: Vec<u8>,
    /// The number of its version. A server that has none compares values.
    pub number: u64,
}

/// Why a cache did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CacheFault {
    /// It cannot be reached, or refuses.
    #[error("{0}")]
    Away(String),
    /// It is another one than before, or has lost what it held.
    #[error(
        "it was restarted or emptied, has too little memory, or is another one than other processes have"
    )]
    Lost,
}
