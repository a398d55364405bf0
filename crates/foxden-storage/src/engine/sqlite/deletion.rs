//! Deletions by a selection. For large collections the read pool searches the matching objects first, so that the writer thread
//! only removes them.

use std::sync::Arc;

use foxden_model::{SyncTime, UserId};
use rusqlite::Connection;

use super::queued_command::WriteCommand;
use super::select::{self, Search};
use super::user_state::UserState;
use super::write;
use super::write_tx::WriteTx;
use crate::command::{Change, Patch, Write};
use crate::engine::EngineError;
use crate::page::Written;

/// The most objects of a collection that the writer thread searches itself.
pub(super) const MAX_WRITER_SCAN: u64 = 1000;
/// How often the search is repeated because the user wrote meanwhile.
pub(super) const MAX_SEARCHES: usize = 4;

/// A deletion in the queue of the writer thread.
pub(super) struct Deletion {
    pub(super) write: Arc<Write>,
    /// The number of objects to search.
    pub(super) scanned_objects: usize,
    pub(super) found: Option<FoundRows>,
}

/// The rows that match a deletion, and the state of the user in which they were found.
pub(super) struct FoundRows {
    /// The user's highest time in that state.
    modified: SyncTime,
    /// When they were searched. Before that, objects may be live that the search has passed as expired.
    searched_at: SyncTime,
    /// When the first of them expires.
    expiry: SyncTime,
    pub(super) rows: Vec<i64>,
}

/// The number of objects that a deletion by a selection has to search.
pub(super) fn scanned_objects(write: &Write, state: &UserState) -> u64 {
    let Change::DeleteObjects {
        collection,
        selection,
        ..
    } = &write.change
    else {
        return 0;
    };
    let count = state.find(*collection).map_or(0, |(_, listed)| listed.count);
    let listed = selection.ids.as_ref().map(|ids| ids.len() as u64);
    listed.map_or(count, |ids| ids.min(count))
}

/// Finds the rows that match a deletion. `state` must be read from the same snapshot.
pub(super) fn find(
    reader: &Connection,
    state: &UserState,
    write: &Write,
    now: SyncTime,
) -> Result<FoundRows, EngineError> {
    let mut found = FoundRows {
        modified: state.modified,
        searched_at: now,
        expiry: SyncTime::from_hundredths(i64::MAX),
        rows: Vec::new(),
    };
    let Change::DeleteObjects {
        collection,
        selection,
        order,
        limit,
        ..
    } = &write.change
    else {
        return Ok(found);
    };
    if let Some((owner, _)) = state.find(*collection) {
        let search = Search {
            owner,
            selection,
            order: *order,
            now,
        };
        let (rows, expiry) = select::rows(reader, &search, *limit)?;
        found.rows = rows;
        if let Some(expiry) = expiry {
            found.expiry = expiry;
        }
    }
    Ok(found)
}

impl FoundRows {
    /// Returns whether a search would find the same rows now.
    fn holds(&self, tx: &mut WriteTx<'_>, user: UserId) -> Result<bool, EngineError> {
        let now = tx.now();
        let is_same_time = self.searched_at <= now && now < self.expiry;
        Ok(is_same_time && tx.state(user)?.modified == self.modified)
    }
}

impl WriteCommand for Deletion {
    /// `None` if the user has written since the search.
    type Answer = Option<Written>;

    fn apply(&self, tx: &mut WriteTx<'_>, user: UserId) -> Result<Option<Written>, EngineError> {
        let Some(found) = &self.found else {
            return write::write(tx, user, &self.write, None).map(Some);
        };
        if !found.holds(tx, user)? {
            return Ok(None);
        }
        write::write(tx, user, &self.write, Some(&found.rows)).map(Some)
    }

    fn patches(&self) -> &[Patch] {
        &[]
    }

    fn scanned_objects(&self) -> usize {
        self.found
            .as_ref()
            .map_or(self.scanned_objects, |found| found.rows.len())
    }

    fn bytes(&self) -> usize {
        let rows = self.found.as_ref().map_or(0, |found| found.rows.len());
        rows * size_of::<i64>()
    }
}
