//! What an engine answers.

use std::ops::Range;
use std::sync::Arc;

use foxden_model::{CollectionName, SyncTime};

use crate::command::{BatchId, PageToken};

/// What a user keeps, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The highest time ever given to the user.
    pub modified: SyncTime,
    /// Every write of this user that is not in here has a later time.
    pub as_of: SyncTime,
    /// The collections, by name.
    pub collections: Arc<[CollectionSummary]>,
}

/// What one collection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionSummary {
    /// Its name.
    pub name: CollectionName,
    /// When it last changed.
    pub modified: SyncTime,
    /// Its objects; without [`crate::Detail::Full`] this may be stale or zero.
    pub count: u64,
    /// The bytes of their payloads; likewise.
    pub bytes: u64,
}

/// A bounded piece of a read: at most 1,000 objects or 1 MiB of payload, but at least one object.
/// With ids alone asked for, payloads are not read and do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The objects, in the order of the query.
    pub rows: Rows,
    /// When the collection last changed; `None`: there is none.
    pub modified: Option<SyncTime>,
    /// Every write of this user that is not in here has a later time.
    pub as_of: SyncTime,
    /// Where to go on, if the selection holds more objects after these, be it this page or the query's
    /// limit that ended them. With a limit of zero there is none.
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

/// One object of a page. With ids alone asked for, only `id` and `modified` mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The object's id.
    pub id: &'a str,
    /// What the client stored.
    pub payload: &'a str,
    /// When the server last changed it.
    pub modified: SyncTime,
    /// The client's ordering number.
    pub sortindex: Option<i64>,
    /// The old clients' parent.
    pub parent_id: Option<&'a str>,
    /// The old clients' predecessor.
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

    /// How many objects.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Bytes of text: ids, payloads and the old clients' two ids.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Gives back memory that was set aside for more objects.
    pub fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.heads.shrink_to_fit();
    }

    /// Bytes of memory that they take.
    pub fn held(&self) -> usize {
        self.text.capacity() + self.heads.capacity() * size_of::<Head>()
    }
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its time; of a write that changed nothing, the store's time.
    pub modified: SyncTime,
    /// Whether anything changed.
    pub changed: bool,
    /// The user's bytes of payload before it.
    pub bytes_before: u64,
    /// The user's bytes of payload after it.
    pub bytes_after: u64,
}

/// What laying a part aside gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The batch it is now in.
    pub batch: BatchId,
    /// The collection's unchanged time; zero if there is none.
    pub modified: SyncTime,
}

/// How much a purge may do before it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// At most so many rows removed.
    pub rows: u64,
    /// Nothing is removed that expires later, whatever the clock shows.
    pub until: SyncTime,
}

impl Budget {
    /// So many rows of all that has expired.
    pub const fn of(rows: u64) -> Self {
        Self {
            rows,
            until: SyncTime::from_hundredths(i64::MAX),
        }
    }
}

/// What a purge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Rows removed.
    pub rows: u64,
    /// Whether the budget ended it with work left.
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
