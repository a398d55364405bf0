//! Epochs: the names of their keys, and how they begin.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use foxden_model::UserId;

use super::bars::{BarList, LISTS};
use super::server::{CacheFault, CacheRead, CacheServer};
use crate::command::Query;
use crate::engine::agreement::EpochServer;

/// How long a list of bars lasts after its last change; memcached takes no more than thirty days.
pub(super) const LIST_TTL: Duration = Duration::from_secs(29 * 24 * 60 * 60);
/// How many objects of a user are cached: of those that share a place, one is.
const OBJECTS: u64 = 32;

/// The names of the keys of an epoch. Releases that store other values must have other names.
#[derive(Clone, Copy)]
pub(super) struct EpochKeys(pub(super) i64);

impl EpochKeys {
    pub(super) fn list(self, number: u64) -> String {
        format!("foxden1:{:x}:b{number}", self.0)
    }

    pub(super) fn list_of(self, user: UserId) -> String {
        self.list(BarList::number_of(user))
    }

    pub(super) fn lists(self) -> Vec<String> {
        (0..LISTS).map(|number| self.list(number)).collect()
    }

    pub(super) fn user(self, user: UserId) -> String {
        format!("foxden1:{:x}:u{:x}", self.0, user.0)
    }

    /// `None` if the query asks for more than one object.
    pub(super) fn object(self, user: UserId, query: &Query) -> Option<String> {
        let id = query.single_object()?;
        let name = query
            .collection
            .as_str()
            .bytes()
            .chain([b'/'])
            .chain(id.as_str().bytes());
        Some(self.object_at(user, hash(name) % OBJECTS))
    }

    /// All keys of objects of a user.
    pub(super) fn objects(self, user: UserId) -> Vec<String> {
        (0..OBJECTS).map(|at| self.object_at(user, at)).collect()
    }

    fn object_at(self, user: UserId, at: u64) -> String {
        format!("foxden1:{:x}:o{:x}:{at}", self.0, user.0)
    }
}

/// A hash that all processes share (FNV-1a). Two names may have the same.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Begins epochs with empty lists of bars.
pub(super) struct Epochs {
    server: Arc<dyn CacheServer>,
    /// The epoch that this process tried to begin last.
    last: Mutex<Option<i64>>,
}

impl Epochs {
    pub(super) fn new(server: Arc<dyn CacheServer>) -> Self {
        Self {
            server,
            last: Mutex::default(),
        }
    }

    async fn begin(&self, epoch: i64) -> Result<(), CacheFault> {
        let keys = EpochKeys(epoch);
        let run = self.server.run().await?;
        // Nothing in the last one counts any more, also if it was never announced. What cannot be removed takes room until it ends by
        // itself.
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(epoch);
        if let Some(last) = last {
            drop(self.server.remove(&run, &EpochKeys(last).lists()).await);
        }
        let lists = (0..LISTS).map(|number| (keys.list(number), BarList::empty(number, &run).write()));
        let lists: Vec<_> = lists.collect();
        self.server.store(&run, &lists, LIST_TTL).await?;
        self.try_what_writers_do(keys).await
    }

    /// A server may let a user read and store, and forbid the rest.
    async fn try_what_writers_do(&self, keys: EpochKeys) -> Result<(), CacheFault> {
        let (list, key) = (keys.list(0), keys.user(UserId(0)));
        let got = self.server.get(CacheRead::list(&list)).await?;
        let found = got.list.ok_or(CacheFault::Lost)?;
        let value = found.value.clone();
        let replaced = self
            .server
            .replace(&got.run, &list, &found, value, LIST_TTL, Some(&key));
        match replaced.await? {
            Some(_) => Ok(()),
            None => Err(CacheFault::Away("it does not replace a value".to_owned())),
        }
    }
}

#[async_trait]
impl EpochServer for Epochs {
    async fn begin(&self, epoch: i64) -> Result<(), String> {
        let begun = Self::begin(self, epoch).await;
        begun.map_err(|fault| format!("{}: {fault}", self.server.place()))
    }
}
