//! Deletions by a selection. What is meant is found by the threads for long reads where there is much to look at, so
//! that the writing thread has no more to do than to remove it.

use std::sync::Arc;

use foxden_model::{SyncTime, UserId};
use rusqlite::Connection;

use super::known::Known;
use super::select::{self, Search};
use super::step::Command;
use super::work::Work;
use super::write;
use crate::command::{Change, Patch, Write};
use crate::engine::EngineError;
use crate::page::Written;

/// Objects of a collection at which the writing thread itself looks.
pub(super) const FEW: u64 = 1000;
/// How often the objects are looked for anew because the user wrote meanwhile.
pub(super) const LOOKS: usize = 4;

/// A deletion on its way through the writing thread.
pub(super) struct Deletion {
    pub(super) write: Arc<Write>,
    /// The objects to look at.
    pub(super) looks_at: usize,
    pub(super) found: Option<Found>,
}

/// What was found for a deletion, and in which state of the user.
pub(super) struct Found {
    /// The user's highest time.
    modified: SyncTime,
    /// When the first of them expires.
    expiry: SyncTime,
    pub(super) rows: Vec<i64>,
}

/// The objects to look at for a deletion by a selection.
pub(super) fn looks_at(write: &Write, known: &Known) -> u64 {
    let Change::DeleteObjects {
        collection,
        selection,
        ..
    } = &write.change
    else {
        return 0;
    };
    let count = known.find(*collection).map_or(0, |(_, listed)| listed.count);
    let listed = selection.ids.as_ref().map(|ids| ids.len() as u64);
    listed.map_or(count, |ids| ids.min(count))
}

/// Finds what a deletion means. The reader shows one state of the file, from which `known` was read.
pub(super) fn find(
    reader: &Connection,
    known: &Known,
    write: &Write,
    now: SyncTime,
) -> Result<Found, EngineError> {
    let mut found = Found {
        modified: known.modified,
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
    if let Some((owner, _)) = known.find(*collection) {
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

impl Found {
    /// Whether the writing thread would find the same now.
    fn holds(&self, work: &mut Work<'_>, user: UserId) -> Result<bool, EngineError> {
        let now = work.now();
        Ok(now < self.expiry && work.draft(user)?.modified == self.modified)
    }
}

impl Command for Deletion {
    /// Nothing where the user's objects are no longer those that were looked at.
    type Answer = Option<Written>;

    fn apply(&self, work: &mut Work<'_>, user: UserId) -> Result<Option<Written>, EngineError> {
        let Some(found) = &self.found else {
            return write::write(work, user, &self.write, None).map(Some);
        };
        if !found.holds(work, user)? {
            return Ok(None);
        }
        write::write(work, user, &self.write, Some(&found.rows)).map(Some)
    }

    fn patches(&self) -> &[Patch] {
        &[]
    }

    fn looks_at(&self) -> usize {
        self.found
            .as_ref()
            .map_or(self.looks_at, |found| found.rows.len())
    }

    fn bytes(&self) -> usize {
        let rows = self.found.as_ref().map_or(0, |found| found.rows.len());
        rows * size_of::<i64>()
    }
}
