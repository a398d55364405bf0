//! What is known of one user besides the objects: the collections and their times.

use std::sync::Arc;

use foxden_model::{CollectionName, SyncTime, UserId};
use rusqlite::Connection;

use super::fault::Damaged;
use crate::engine::EngineError;
use crate::engine::held::Held;
use crate::page::{CollectionSummary, Summary};

/// A user's collections as of one committed state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The highest time ever given to the user.
    pub(super) modified: SyncTime,
    /// Whether the store is closed for good.
    pub(super) is_closed: bool,
    /// The collections, by name.
    pub(super) listed: Arc<[CollectionSummary]>,
    /// The owner of each collection's objects.
    pub(super) owners: Box<[i64]>,
}

/// The same while it is being changed.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) modified: SyncTime,
    pub(super) is_closed: bool,
    /// The collections, by name.
    pub(super) entries: Vec<Entry>,
}

/// One collection and whose objects it shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) owner: i64,
    pub(super) listed: CollectionSummary,
}

impl Known {
    /// Finds a collection: its owner and what it holds.
    pub(super) fn find(&self, name: CollectionName) -> Option<(i64, &CollectionSummary)> {
        let at = self
            .listed
            .binary_search_by_key(&name, |listed| listed.name)
            .ok()?;
        Some((self.owners[at], &self.listed[at]))
    }

    /// Refuses a user whose store is closed.
    pub(super) const fn admit(&self) -> Result<(), EngineError> {
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

    pub(super) fn draft(&self) -> Draft {
        let pairs = self.owners.iter().zip(self.listed.iter());
        Draft {
            modified: self.modified,
            is_closed: self.is_closed,
            entries: pairs.map(|(&owner, &listed)| Entry { owner, listed }).collect(),
        }
    }
}

impl Draft {
    /// Reads the user's collections. One statement, so it is one state even outside a transaction.
    pub(super) fn load(connection: &Connection, user: UserId) -> Result<Self, EngineError> {
        let mut statement = connection.prepare_cached(
            "select owner, name, modified, count, bytes from collection where uid = ?1
             union all select null, '', modified, closed, 0 from store where uid = ?1",
        )?;
        let mut rows = statement.query([user.0.cast_signed()])?;
        let mut draft = Self {
            modified: SyncTime::ZERO,
            is_closed: false,
            entries: Vec::new(),
        };
        while let Some(row) = rows.next()? {
            let modified = SyncTime::from_hundredths(row.get(2)?);
            draft.modified = draft.modified.max(modified);
            if let Some(owner) = row.get(0)? {
                let name = row
                    .get_ref(1)?
                    .as_str()
                    .map_err(|_| Damaged("a collection's name"))?;
                let name = CollectionName::new(name).map_err(|_| Damaged("a collection's name"))?;
                let listed = CollectionSummary {
                    name,
                    modified,
                    count: row.get::<_, i64>(3)?.max(0).cast_unsigned(),
                    bytes: row.get::<_, i64>(4)?.max(0).cast_unsigned(),
                };
                draft.entries.push(Entry { owner, listed });
            } else {
                draft.is_closed = row.get(3)?;
            }
        }
        draft.entries.sort_unstable_by_key(|entry| entry.listed.name);
        Ok(draft)
    }

    pub(super) fn freeze(&self) -> Known {
        Known {
            modified: self.modified,
            is_closed: self.is_closed,
            listed: self.entries.iter().map(|entry| entry.listed).collect(),
            owners: self.entries.iter().map(|entry| entry.owner).collect(),
        }
    }

    /// Where a collection is, or where it belongs.
    pub(super) fn position(&self, name: CollectionName) -> Result<usize, usize> {
        self.entries
            .binary_search_by_key(&name, |entry| entry.listed.name)
    }

    pub(super) fn get(&self, name: CollectionName) -> Option<&Entry> {
        self.position(name).ok().map(|at| &self.entries[at])
    }

    /// The objects of all collections and their bytes, what has expired but lies there still among them.
    pub(super) fn held(&self) -> Held {
        let each = self.entries.iter().map(|entry| Held {
            objects: entry.listed.count,
            bytes: entry.listed.bytes,
        });
        each.sum()
    }

    /// The bytes of all collections, what has expired but lies there still among them.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.listed.bytes).sum()
    }
}
