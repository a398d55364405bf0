//! The state of one user besides the objects: times, collections and open batches.

use foxden_model::{CollectionName, SyncTime};

use super::connection::Row;
use super::fault::Fault;
use crate::command::BatchId;
use crate::engine::usage::Usage;
use crate::engine::{Corrupt, EngineError, MAX_COLLECTIONS};
use crate::page::CollectionSummary;

/// A user's state. It is the current one as long as the user's row has its mark.
#[derive(Clone, Debug)]
pub(super) struct UserState {
    pub(super) modified: SyncTime,
    pub(super) is_closed: bool,
    /// The random number of the last change of anything that is the user's.
    pub(super) mark: i64,
    pub(super) next_number: i64,
    /// The collections, by name.
    pub(super) collections: Vec<Collection>,
    /// The batches that were not committed or dropped, in the order they were opened. Some may have expired.
    pub(super) batches: Vec<Batch>,
}

/// One collection, and the number of its objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Collection {
    pub(super) number: i64,
    pub(super) listed: CollectionSummary,
}

/// One batch.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) number: i64,
    pub(super) name: BatchId,
    pub(super) collection: CollectionName,
    pub(super) opened: SyncTime,
    pub(super) parts: i64,
    pub(super) usage: Usage,
    pub(super) mark: i64,
}

impl UserState {
    /// Reads the answers of the statements in [`super::transaction`]; `None` if the user has no row.
    pub(super) fn read(answers: &[Vec<Row>]) -> Result<Option<Self>, Fault> {
        let [.., users, collections, batches] = answers else {
            return Err(Corrupt("the answer about a user").into());
        };
        let Some(user) = users.first() else {
            return Ok(None);
        };
        Ok(Some(Self {
            modified: SyncTime::from_hundredths(user.int(0)?),
            is_closed: user.int(1)? != 0,
            mark: user.int(2)?,
            next_number: user.int(3)?,
            collections: collections
                .iter()
                .map(|row| Collection::read(row, 0))
                .collect::<Result<_, _>>()?,
            batches: batches.iter().map(Batch::read).collect::<Result<_, _>>()?,
        }))
    }

    /// The mark in the answers that end with the user's row; `None` if the user has no row.
    pub(super) fn mark(answers: &[Vec<Row>]) -> Result<Option<i64>, Fault> {
        let user = answers.last().and_then(|users| users.first());
        user.map(|user| user.int(2)).transpose()
    }

    /// Where a collection is, or where it belongs.
    pub(super) fn position(&self, name: CollectionName) -> Result<usize, usize> {
        self.collections
            .binary_search_by_key(&name, |collection| collection.listed.name)
    }

    pub(super) fn get(&self, name: CollectionName) -> Option<&Collection> {
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

    /// Takes the number of a new collection or batch.
    pub(super) const fn take_number(&mut self) -> i64 {
        self.next_number += 1;
        self.next_number - 1
    }

    pub(super) fn check_collection_limit(&self) -> Result<(), EngineError> {
        if self.collections.len() >= MAX_COLLECTIONS {
            return Err(EngineError::TooManyCollections);
        }
        Ok(())
    }
}

impl Collection {
    /// Reads number, name, time, objects and bytes from five columns.
    pub(super) fn read(row: &Row, first: usize) -> Result<Self, Fault> {
        Ok(Self {
            number: row.int(first)?,
            listed: CollectionSummary {
                name: collection_name(row.text(first + 1)?)?,
                modified: SyncTime::from_hundredths(row.int(first + 2)?),
                count: row.count(first + 3)?,
                bytes: row.count(first + 4)?,
            },
        })
    }

    /// Adds changes of its objects to count and bytes.
    pub(super) const fn adjust(&mut self, objects: i64, bytes: i64) {
        self.listed.count = self.listed.count.saturating_add_signed(objects);
        self.listed.bytes = self.listed.bytes.saturating_add_signed(bytes);
    }
}

impl Batch {
    fn read(row: &Row) -> Result<Self, Fault> {
        Ok(Self {
            number: row.int(0)?,
            name: BatchId(row.text(1)?.into()),
            collection: collection_name(row.text(2)?)?,
            opened: SyncTime::from_hundredths(row.int(3)?),
            parts: row.int(4)?,
            usage: Usage {
                objects: row.count(5)?,
                bytes: row.count(6)?,
            },
            mark: row.int(7)?,
        })
    }
}

fn collection_name(name: &str) -> Result<CollectionName, Fault> {
    CollectionName::new(name).map_err(|_| Corrupt("a collection's name").into())
}
