//! `storage.cache`: which cache stands in front of an engine.

use std::str::FromStr;
use std::sync::Arc;

use foxden_model::Clock;

use super::StoreUrl;
use super::shared::{CacheAddress, CacheFault, CacheLook, cache_server};

/// Which cache stands in front of an engine on a database server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheUrl {
    /// None.
    #[default]
    None,
    /// One in the memory of the process, which alone serves the store.
    Local,
    /// One that processes share.
    Shared(CacheAddress),
}

/// Why a text does not name a cache, or not one for this store.
#[derive(Debug, thiserror::Error)]
pub enum BadCacheUrl {
    /// The text is none of the forms.
    #[error("it must be none, local, redis://HOST or memcache://HOST")]
    Unknown,
    /// The address is wrong.
    #[error("{0}")]
    Address(String),
    /// The engine has a cache of its own.
    #[error("{0} needs no cache in front of it: leave it out, or write none")]
    NotNeeded(&'static str),
}

impl CacheUrl {
    /// Refuses a cache in front of an engine that needs none.
    pub const fn check(&self, store: &StoreUrl) -> Result<(), BadCacheUrl> {
        match self {
            Self::None => Ok(()),
            Self::Local | Self::Shared(_) if store.server().is_some() => Ok(()),
            Self::Local | Self::Shared(_) => Err(BadCacheUrl::NotNeeded(store.engine())),
        }
    }
}

/// Connects to a cache that processes share, and stores nothing that lasts.
pub async fn inspect_cache(address: &CacheAddress, clock: Arc<dyn Clock>) -> Result<CacheLook, CacheFault> {
    let address = address.with_password().await.map_err(CacheFault::Away)?;
    cache_server(&address, clock).look().await
}

impl FromStr for CacheUrl {
    type Err = BadCacheUrl;

    fn from_str(text: &str) -> Result<Self, BadCacheUrl> {
        match text {
            "none" => Ok(Self::None),
            "local" => Ok(Self::Local),
            other => match CacheAddress::parse(other) {
                Some(address) => address.map(Self::Shared).map_err(BadCacheUrl::Address),
                None => Err(BadCacheUrl::Unknown),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_engines_on_servers_have_a_cache_in_front() {
        let caches: [CacheUrl; 2] = ["local", "redis://cache"].map(|cache| cache.parse().unwrap());
        for (store, refusal) in [
            ("postgres://ann@host/sync", None),
            ("mysql://ann@host/sync", None),
            (
                "sqlite:",
                Some("sqlite needs no cache in front of it: leave it out, or write none"),
            ),
            (
                "memory:",
                Some("memory needs no cache in front of it: leave it out, or write none"),
            ),
        ] {
            let store: StoreUrl = store.parse().unwrap();
            for cache in &caches {
                let checked = cache.check(&store).map_err(|error| error.to_string());
                assert_eq!(checked.err().as_deref(), refusal);
            }
            assert!(CacheUrl::None.check(&store).is_ok());
        }
    }
}
