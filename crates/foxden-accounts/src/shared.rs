//! What several processes that serve the same people share, beside the rows of accounts: counts, what may be used once, and small
//! values of other services.
//!
//! - [`Shared`]: the trait
//! - [`SingleProcess`]: a process that shares nothing
//! - [`register`]: sharing by rows of the register

mod pack;
mod peers;
pub(crate) mod register;

use std::sync::Arc;

use async_trait::async_trait;
use foxden_model::{Counters, MemoryCounters};
use ring::digest;

use crate::Unavailable;

/// Something that may be used once: a hash of what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OnceKey(pub(crate) [u8; 16]);

/// A small value that processes share, and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedValue {
    /// What [`Shared::replace`] and [`Shared::remove`] must name.
    pub version: i64,
    /// The value.
    pub content: Vec<u8>,
}

/// What the processes that serve the same people share.
///
/// A process that is alone shares nothing and pays nothing. Callers keep what they need in their own memory, and ask others
/// besides: where a process is alone, their memory is all there is.
#[async_trait]
pub trait Shared: Send + Sync + 'static {
    /// Counters whose events the other processes hear of in the background, within about two seconds.
    fn counters(&self, memory: MemoryCounters) -> Arc<dyn Counters>;

    /// Whether there may be other processes, or there were some within so many milliseconds.
    fn had_peers(&self, within_millis: i64) -> bool;

    /// Uses something up, for so many milliseconds at least. `false`: another process has used it, or this one when it was not alone.
    async fn use_once(&self, key: OnceKey, millis: i64) -> Result<bool, Unavailable>;

    /// Makes something usable again.
    async fn release(&self, key: OnceKey) -> Result<(), Unavailable>;

    /// The value of that name, if there is one that has not expired.
    async fn value(&self, name: &str) -> Result<Option<SharedValue>, Unavailable>;

    /// Makes a value that lives for so many milliseconds. `false`: the name is taken.
    async fn create(&self, name: &str, content: &[u8], millis: i64) -> Result<bool, Unavailable>;

    /// Replaces a value that still has this version. `false`: it has another one, or is gone.
    async fn replace(&self, name: &str, version: i64, content: &[u8]) -> Result<bool, Unavailable>;

    /// Removes a value that still has this version. `false`: it has another one, or is gone.
    async fn remove(&self, name: &str, version: i64) -> Result<bool, Unavailable>;

    /// Begins to look for other processes. Before it is called, the process counts as alone.
    fn start(&self);

    /// Looks for other processes, tells them what was counted here, and hears what they counted. To be called every second.
    async fn meet(&self) -> Result<(), Unavailable>;

    /// Tells the others for the last time.
    async fn leave(&self) -> Result<(), Unavailable>;
}

/// A process that shares nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct SingleProcess;

impl OnceKey {
    /// The hash of such a thing. No two kinds have one in common.
    pub fn of(kind: &str, parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [kind.as_bytes()].iter().chain(parts) {
            // The length first, so that no other parts run together to the same bytes.
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            context.update(part);
        }
        let mut out = [0; 16];
        out.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(out)
    }
}

#[async_trait]
impl Shared for SingleProcess {
    fn counters(&self, memory: MemoryCounters) -> Arc<dyn Counters> {
        Arc::new(memory)
    }

    fn had_peers(&self, _: i64) -> bool {
        false
    }

    async fn use_once(&self, _: OnceKey, _: i64) -> Result<bool, Unavailable> {
        Ok(true)
    }

    async fn release(&self, _: OnceKey) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn value(&self, _: &str) -> Result<Option<SharedValue>, Unavailable> {
        Ok(None)
    }

    async fn create(&self, _: &str, _: &[u8], _: i64) -> Result<bool, Unavailable> {
        Ok(false)
    }

    async fn replace(&self, _: &str, _: i64, _: &[u8]) -> Result<bool, Unavailable> {
        Ok(false)
    }

    async fn remove(&self, _: &str, _: i64) -> Result<bool, Unavailable> {
        Ok(false)
    }

    fn start(&self) {}

    async fn meet(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn leave(&self) -> Result<(), Unavailable> {
        Ok(())
    }
}
