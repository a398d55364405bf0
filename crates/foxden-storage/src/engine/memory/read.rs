//! Selects and sorts the objects of a query and builds its page.

use std::cmp::Ordering;
use std::sync::Arc;

use foxden_model::{Bso, ObjectId, SyncTime};

use super::ReadTime;
use super::store::{Collection, Store, is_live};
use crate::command::{Cursor, Fields, Order, PageToken, Query, Selection};
use crate::engine::{EngineError, MAX_PAGE_BYTES, MAX_PAGE_OBJECTS};
use crate::page::{Page, Row, Rows};

impl Store {
    pub(super) fn read(&self, query: &Query, time: ReadTime) -> Result<Page, EngineError> {
        let after = match &query.cursor {
            Cursor::Start | Cursor::Skip(_) => None,
            Cursor::After(token) => Some(position_of_token(token, query.order)?),
        };
        let Some(collection) = self.collections.get(&query.collection) else {
            return Ok(Page {
                rows: Arc::default(),
                modified: None,
                as_of: time.as_of,
                next: None,
                expiry: None,
            });
        };
        let mut objects = collection.selected(&query.selection, query.order, time.now);
        if let Cursor::Skip(skipped) = query.cursor {
            let skipped = usize::try_from(skipped).unwrap_or(usize::MAX).min(objects.len());
            objects.drain(..skipped);
        }
        if let Some(after) = after {
            objects.retain(|object| position(object, query.order).cmp_in(query.order, &after).is_gt());
        }
        let (rows, next) = first_page(&objects, query);
        let single = objects.first().filter(|_| query.single_object().is_some());
        Ok(Page {
            rows: Arc::new(rows),
            modified: Some(collection.modified),
            as_of: time.as_of,
            next,
            expiry: single.and_then(|object| object.expiry),
        })
    }
}

impl Collection {
    /// The selected objects that have not expired, sorted.
    pub(super) fn selected(&self, selection: &Selection, order: Order, now: SyncTime) -> Vec<&Bso> {
        let mut objects: Vec<&Bso> = match &selection.ids {
            Some(ids) => ids.iter().filter_map(|id| self.objects.get(id)).collect(),
            None => self.objects.values().collect(),
        };
        objects.retain(|object| is_live(object, now) && matches(selection, object));
        objects.sort_by(|a, b| position(a, order).cmp_in(order, &position(b, order)));
        objects.dedup_by(|a, b| a.id == b.id);
        objects
    }
}

fn matches(selection: &Selection, object: &Bso) -> bool {
    // `None` as a condition matches every object; as an object's field it matches no condition.
    let above = |limit: i64| object.sortindex.is_some_and(|index| index > limit);
    let below = |limit: i64| object.sortindex.is_some_and(|index| index < limit);
    selection.newer.is_none_or(|time| object.modified > time)
        && selection.older.is_none_or(|time| object.modified < time)
        && selection.until.is_none_or(|time| object.modified <= time)
        && selection.index_above.is_none_or(above)
        && selection.index_below.is_none_or(below)
        && (selection.parent_id.is_none() || selection.parent_id == object.parent_id)
        && (selection.predecessor_id.is_none() || selection.predecessor_id == object.predecessor_id)
}

/// The position of an object in an order.
struct KeysetPosition<'a> {
    key: Option<i64>,
    tie: &'a str,
}

impl KeysetPosition<'_> {
    fn cmp_in(&self, order: Order, other: &KeysetPosition<'_>) -> Ordering {
        let rising = self.key.cmp(&other.key);
        let by_key = match order {
            Order::Oldest => rising,
            // `None` is less than any sortindex, and so comes last.
            Order::Newest | Order::Index => rising.reverse(),
        };
        by_key.then_with(|| self.tie.cmp(other.tie))
    }
}

fn position(object: &Bso, order: Order) -> KeysetPosition<'_> {
    let key = match order {
        Order::Newest | Order::Oldest => Some(object.modified.hundredths()),
        Order::Index => object.sortindex,
    };
    KeysetPosition {
        key,
        tie: object.id.as_str(),
    }
}

fn position_of_token(token: &PageToken, order: Order) -> Result<KeysetPosition<'_>, EngineError> {
    let has_key = token.key.is_some() || order == Order::Index;
    if !has_key || ObjectId::new(token.tie.clone()).is_err() {
        return Err(EngineError::BadCursor);
    }
    Ok(KeysetPosition {
        key: token.key,
        tie: &token.tie,
    })
}

/// The objects of one page, and the token of the next one.
fn first_page(objects: &[&Bso], query: &Query) -> (Rows, Option<PageToken>) {
    let limit = usize::try_from(query.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let mut rows = Rows::default();
    let mut bytes = 0;
    for object in objects.iter().take(limit.min(MAX_PAGE_OBJECTS)) {
        let row = row(object, query.fields);
        bytes += row.payload.len();
        if bytes > MAX_PAGE_BYTES && !rows.is_empty() {
            break;
        }
        rows.push(row);
    }
    rows.shrink_to_fit();
    let last = rows.len().checked_sub(1).map(|at| objects[at]);
    let next = last.filter(|_| rows.len() < objects.len()).map(|object| {
        let position = position(object, query.order);
        PageToken {
            key: position.key,
            tie: position.tie.into(),
        }
    });
    (rows, next)
}

fn row(object: &Bso, fields: Fields) -> Row<'_> {
    match fields {
        Fields::Whole => Row {
            id: object.id.as_str(),
            payload: &object.payload,
            modified: object.modified,
            sortindex: object.sortindex,
            parent_id: object.parent_id.as_deref(),
            predecessor_id: object.predecessor_id.as_deref(),
        },
        Fields::Ids => Row {
            id: object.id.as_str(),
            payload: "",
            modified: object.modified,
            sortindex: None,
            parent_id: None,
            predecessor_id: None,
        },
    }
}
