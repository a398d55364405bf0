//! What the times of a user's collections say about a query.

use std::sync::Arc;

use foxden_model::SyncTime;

use crate::command::{Cursor, Query};
use crate::page::{CollectionSummary, Page};

/// What the times of a user's collections say about a query.
pub(in crate::engine) enum Told {
    /// The answer: no object is selected.
    Empty(Page),
    /// The time of the collection.
    Time(SyncTime),
    /// Nothing: the engine must be asked.
    Nothing,
}

/// Looks at the collections, which are in the order of their names.
pub(in crate::engine) fn told(collections: &[CollectionSummary], as_of: SyncTime, query: &Query) -> Told {
    if matches!(query.cursor, Cursor::After(_)) {
        // Only the engine knows whether the token is one of its own.
        return Told::Nothing;
    }
    let empty = |modified| {
        Told::Empty(Page {
            rows: Arc::default(),
            modified,
            as_of,
            next: None,
            expiry: None,
        })
    };
    let Ok(at) = collections.binary_search_by_key(&query.collection, |collection| collection.name) else {
        return empty(None);
    };
    let modified = collections[at].modified;
    if query.selection.newer.is_some_and(|newer| modified <= newer) {
        return empty(Some(modified));
    }
    Told::Time(modified)
}
