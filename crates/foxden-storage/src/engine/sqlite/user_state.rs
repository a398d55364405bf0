//! The state of one user besides the objects: collections and their times.

use std::sync::Arc;

use foxden_model::{CollectionName, SyncTime, UserId};
use rusqlite::Connection;

use crate::engine::usage::Usage;
use crate::engine::{Corrupt, EngineError};
use crate::page::{CollectionSummary, Summary};

/// A user's collections in one committed state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UserState {
    /// The highest time of the user's writes.
    pub(super) modified: SyncTime,
    /// Whether the store is closed.
    pub(super) is_closed: bool,
    /// The collections, by name.
    pub(super) listed: Arc<[CollectionSummary]>,
    /// The owner of each collection's objects.
    pub(super) owners: Box<[i64]>,
}

/// The same in a transaction that changes it.
#[derive(Debug)]
pub(super) struct UserStateMut {
    pub(super) modified: SyncTime,
    pub(super) is_closed: bool,
    /// The collections, by name.
    pub(super) collections: Vec<CollectionState>,
}

/// One collection, and the owner number of its objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct CollectionState {
    pub(super) owner: i64,
    pub(super) listed: CollectionSummary,
}

impl UserState {
    /// Finds a collection: its owner and its summary.
    pub(super) fn find(&self, name: CollectionName) -> Option<(i64, &CollectionSummary)> {
        let at = self
            .listed
            .binary_search_by_key(&name, |listed| listed.name)
            .ok()?;
        Some((self.owners[at], &self.listed[at]))
    }

    /// Refuses a closed user.
    pub(super) const fn check_open(&self) -> Result<(), EngineError> {
        if self.is_closed {
            return Err(EngineError::Closed);
        }
        Ok(())
    }

    pub(super) fn summary(&self, as_of: SyncTime) -> Summary {
        Summary {
            modified: self.modified,
            as_of,
            collections: Arc::clone(&self.listed),
        }
    }

    pub(super) fn for_update(&self) -> UserStateMut {
        let pairs = self.owners.iter().zip(self.listed.iter());
        UserStateMut {
            modified: self.modified,
            is_closed: self.is_closed,
            collections: pairs
                .map(|(&owner, &listed)| CollectionState { owner, listed })
                .collect(),
        }
    }
}

impl UserStateMut {
    /// Loads the user's collections. One statement shows one state even outside a transaction.
    pub(super) fn load(connection: &Connection, user: UserId) -> Result<Self, EngineError> {
        let mut statement = connection.prepare_cached(
            "select owner, name, modified, count, bytes from collection where uid = ?1
             union all select null, '', modified, closed, 0 from store where uid = ?1",
        )?;
        let mut rows = statement.query([user.0.cast_signed()])?;
        let mut state = Self {
            modified: SyncTime::ZERO,
            is_closed: false,
            collections: Vec::new(),
        };
        while let Some(row) = rows.next()? {
            let modified = SyncTime::from_hundredths(row.get(2)?);
            state.modified = state.modified.max(modified);
            if let Some(owner) = row.get(0)? {
                let name = row
                    .get_ref(1)?
                    .as_str()
                    .map_err(|_| Corrupt("a collection's name"))?;
                let name = CollectionName::new(name).map_err(|_| Corrupt("a collection's name"))?;
                let listed = CollectionSummary {
                    name,
                    modified,
                    count: row.get::<_, i64>(3)?.max(0).cast_unsigned(),
                    bytes: row.get::<_, i64>(4)?.max(0).cast_unsigned(),
                };
                state.collections.push(CollectionState { owner, listed });
            } else {
                state.is_closed = row.get(3)?;
            }
        }
        state
            .collections
            .sort_unstable_by_key(|collection| collection.listed.name);
        Ok(state)
    }

    pub(super) fn to_shared(&self) -> UserState {
        UserState {
            modified: self.modified,
            is_closed: self.is_closed,
            listed: self
                .collections
                .iter()
                .map(|collection| collection.listed)
                .collect(),
            owners: self
                .collections
                .iter()
                .map(|collection| collection.owner)
                .collect(),
        }
    }

    /// Where a collection is, or where it belongs.
    pub(super) fn position(&self, name: CollectionName) -> Result<usize, usize> {
        self.collections
            .binary_search_by_key(&name, |collection| collection.listed.name)
    }

    pub(super) fn get(&self, name: CollectionName) -> Option<&CollectionState> {
        self.position(name).ok().map(|at| &self.collections[at])
    }

    /// The objects and bytes of all collections, including expired objects that are not removed yet.
    pub(super) fn usage(&self) -> Usage {
        let each = self.collections.iter().map(|collection| Usage {
            objects: collection.listed.count,
            bytes: collection.listed.bytes,
        });
        each.sum()
    }

    /// The bytes of all collections, including expired objects that are not removed yet.
    pub(super) fn bytes(&self) -> u64 {
        self.collections
            .iter()
            .map(|collection| collection.listed.bytes)
            .sum()
    }
}
