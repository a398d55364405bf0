//! `storage.cache`: which cache stands in front of an engine.

use std::str::FromStr;

use super::StoreUrl;

/// Which cache stands in front of an engine on a database server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheUrl {
    /// None.
    #[default]
    None,
    /// One in the memory of the process, which alone serves the store.
    Local,
}

/// Why a text does not name a cache, or not one for this store.
#[derive(Debug, thiserror::Error)]
pub enum BadCacheUrl {
    /// The text is none of the forms.
    #[error("it must be none or local")]
    Unknown,
    /// The engine has a cache of its own.
    #[error("{0} needs no cache in front of it: leave it out, or write none")]
    NotNeeded(&'static str),
}

impl CacheUrl {
    /// Refuses a cache in front of an engine that needs none.
    pub const fn check(&self, store: &StoreUrl) -> Result<(), BadCacheUrl> {
        match self {
            Self::None => Ok(()),
            Self::Local if store.server().is_some() => Ok(()),
            Self::Local => Err(BadCacheUrl::NotNeeded(store.engine())),
        }
    }
}

impl FromStr for CacheUrl {
    type Err = BadCacheUrl;

    fn from_str(text: &str) -> Result<Self, BadCacheUrl> {
        match text {
            "none" => Ok(Self::None),
            "local" => Ok(Self::Local),
            _ => Err(BadCacheUrl::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_engines_on_servers_have_a_cache_in_front() {
        let local: CacheUrl = "local".parse().unwrap();
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
            let checked = local.check(&store).map_err(|error| error.to_string());
            assert_eq!(checked.err().as_deref(), refusal);
            assert!(CacheUrl::None.check(&store).is_ok());
        }
    }
}
