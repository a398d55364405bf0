//! The answers of an engine.

use std::ops::Range;
use std::sync::Arc;

use foxden_model::{CollectionName, SyncTime};

use crate::command::{BatchId, PageToken};

/// A user's collections and their times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The highest time of the user's writes.
    pub modified: SyncTime,
    /// Each write of this user that is not included takes a later time.
    pub as_of: SyncTime,
    /// The collections, by name.
    pub collections: Arc<[CollectionSummary]>,
}

/// One collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionSummary {
    /// Its name.
    pub name: CollectionName,
    /// When it last changed.
    pub modified: SyncTime,
    /// Its number of objects; without [`crate::Detail::Full`] it may be stale or zero.
    pub count: u64,
    /// The bytes of their payloads; the same holds for them.
    pub bytes: u64,
}

/// A bounded part of a read: at most 1,000 objects or 1 MiB of payload, but at least one object. If the query asks for ids
/// alone, payloads are not read and do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The objects, in the order of the query. Caches share them.
    pub rows: Arc<Rows>,
    /// When the collection last changed; `None` if it does not exist.
    pub modified: Option<SyncTime>,
    /// Every write of this user that is not in here has a later time.
    pub as_of: SyncTime,
    /// The token of the next page, if the selection has more objects, whether the page or the query's limit ended this one.
    /// With a limit of zero there is none.
    pub next: Option<PageToken>,
    /// When the object expires, for a query of one whole object by its id; otherwise it says nothing.
    pub expiry: Option<SyncTime>,
}

/// Objects in one buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    text: String,
    heads: Vec<Head>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    id: Range<usize>,
    payload: Range<usize>,
    parent_id: Option<Range<usize>>,
    predecessor_id: Option<Range<usize>>,
    modified: SyncTime,
    sortindex: Option<i64>,
}

/// One object of a page. If the query asks for ids alone, only `id` and `modified` are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The object's id.
    pub id: &'a str,
    /// The stored payload.
    pub payload: &'a str,
    /// When the server last changed it.
    pub modified: SyncTime,
    /// The client's ordering number.
    pub sortindex: Option<i64>,
    /// The parent, used by old clients only.
    pub parent_id: Option<&'a str>,
    /// The predecessor, used by old clients only.
    pub predecessor_id: Option<&'a str>,
}

impl Rows {
    /// Adds an object at the end.
    pub fn push(&mut self, row: Row<'_>) {
        let mut put = |text: &str| {
            let start = self.text.len();
            self.text.push_str(text);
            start..self.text.len()
        };
        let head = Head {
            id: put(row.id),
            payload: put(row.payload),
            parent_id: row.parent_id.map(&mut put),
            predecessor_id: row.predecessor_id.map(&mut put),
            modified: row.modified,
            sortindex: row.sortindex,
        };
        self.heads.push(head);
    }

    /// The objects.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.heads.iter().map(|head| Row {
            id: &self.text[head.id.clone()],
            payload: &self.text[head.payload.clone()],
            modified: head.modified,
            sortindex: head.sortindex,
            parent_id: head.parent_id.clone().map(|range| &self.text[range]),
            predecessor_id: head.predecessor_id.clone().map(|range| &self.text[range]),
        })
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Returns whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The bytes of text: ids, payloads, parents and predecessors.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Frees memory that was allocated for more objects.
    pub fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.heads.shrink_to_fit();
    }

    /// The bytes of memory that the objects take.
    pub fn held(&self) -> usize {
        self.text.capacity() + self.heads.capacity() * size_of::<Head>()
    }
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its time; the store's time if nothing changed.
    pub modified: SyncTime,
    /// Whether anything changed.
    pub changed: bool,
    /// The user's bytes of payload before it.
    pub bytes_before: u64,
    /// The user's bytes of payload after it.
    pub bytes_after: u64,
}

/// The result of staging a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The batch of the part.
    pub batch: BatchId,
    /// The collection's unchanged time; zero if there is none.
    pub modified: SyncTime,
}

/// The limits of a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The most rows to remove.
    pub rows: u64,
    /// Objects that expire later are not removed, whatever the clock shows.
    pub until: SyncTime,
}

impl Budget {
    /// A budget of this many rows, without a limit of time.
    pub const fn of(rows: u64) -> Self {
        Self {
            rows,
            until: SyncTime::from_hundredths(i64::MAX),
        }
    }
}

/// The result of a purge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Rows removed.
    pub rows: u64,
    /// Whether the budget ended the purge with work left.
    pub has_more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_pushed() {
        let nothing = Row {
            id: "a",
            payload: "",
            modified: SyncTime::ZERO,
            sortindex: None,
            parent_id: None,
            predecessor_id: None,
        };
        let all = [
            nothing,
            Row {
                id: "\u{1f98a}",
                payload: "two\0 words",
                modified: SyncTime::from_hundredths(7),
                sortindex: Some(-1),
                parent_id: Some(""),
                predecessor_id: Some("é"),
            },
            Row {
                predecessor_id: Some("q"),
                ..nothing
            },
        ];
        let mut rows = Rows::default();
        assert!(rows.is_empty());
        for row in all {
            rows.push(row);
        }
        assert_eq!(rows.iter().collect::<Vec<_>>(), all);
        assert_eq!((rows.len(), rows.bytes()), (3, 1 + 4 + 10 + 2 + 1 + 1));
    }
}
