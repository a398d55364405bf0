//! Builds a page, within one snapshot.

use std::sync::Arc;

use foxden_model::{ObjectId, SyncTime};
use rusqlite::Connection;

use super::select::{FileId, IDS, KeysetPosition, KeysetRange, Search, WHOLE};
use crate::command::{Cursor, Fields, Order, PageToken, Query};
use crate::engine::{Corrupt, EngineError, MAX_PAGE_BYTES, MAX_PAGE_OBJECTS};
use crate::page::{Row, Rows};

/// A page under construction.
struct PageBuilder {
    order: Order,
    rows: Rows,
    most: usize,
    bytes: usize,
    last: Option<KeysetPosition>,
    has_more: bool,
    expiry: Option<SyncTime>,
}

/// The result of a query.
#[derive(Default)]
pub(super) struct FoundPage {
    pub(super) rows: Arc<Rows>,
    /// The token of the next page.
    pub(super) next: Option<PageToken>,
    /// When the object expires, if the query asks for one by its id.
    pub(super) expiry: Option<SyncTime>,
}

/// Where a page begins: the number of objects to skip, and the position to begin after.
pub(super) struct PageStart {
    pub(super) skip: u64,
    after: Option<KeysetPosition>,
    file: FileId,
}

impl PageStart {
    pub(super) fn of(query: &Query, file: FileId) -> Result<Self, EngineError> {
        let (skip, after) = match &query.cursor {
            Cursor::Start => (0, None),
            Cursor::Skip(skip) => (*skip, None),
            Cursor::After(token) => (0, Some(KeysetPosition::read(token, query.order, file)?)),
        };
        Ok(Self { skip, after, file })
    }
}

/// The objects of a page.
pub(super) fn page(
    connection: &Connection,
    owner: i64,
    query: &Query,
    begin: &PageStart,
    now: SyncTime,
) -> Result<FoundPage, EngineError> {
    let requested = usize::try_from(query.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let mut page = PageBuilder {
        order: query.order,
        rows: Rows::default(),
        most: requested.min(MAX_PAGE_OBJECTS),
        bytes: 0,
        last: None,
        has_more: false,
        expiry: None,
    };
    let search = Search {
        owner,
        selection: &query.selection,
        order: query.order,
        now,
    };
    if page.most > 0 {
        match (&query.selection.ids, query.order) {
            (None, Order::Newest | Order::Oldest) => page.stream(connection, &search, query.fields, begin)?,
            (None, Order::Index) => {
                let positions = sorted(connection, &search, begin, page.most)?;
                page.fetch(connection, query.fields, &positions)?;
            }
            (Some(ids), _) if ids.len() == 1 && begin.skip == 0 && begin.after.is_none() => {
                page.single(connection, &search, query.fields, &ids[0])?;
            }
            (Some(_), _) => {
                let positions = listed(connection, &search, begin)?;
                page.fetch(connection, query.fields, &positions)?;
            }
        }
    }
    page.rows.shrink_to_fit();
    let last = page.last.filter(|_| page.has_more);
    let next = last.map(|last| last.token(begin.file));
    Ok(FoundPage {
        rows: Arc::new(page.rows),
        next,
        expiry: page.expiry,
    })
}

impl PageBuilder {
    /// Reads objects in the order of the index by time.
    fn stream(
        &mut self,
        connection: &Connection,
        search: &Search<'_>,
        fields: Fields,
        begin: &PageStart,
    ) -> Result<(), EngineError> {
        for range in ranges(begin) {
            let (skip, limit) = window(begin, self.most + 1 - self.rows.len());
            let mut statement = search.walk(connection, columns(fields), range, skip, limit)?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                if !self.push(row, fields)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads one object by its id, in one statement: the most frequent query.
    fn single(
        &mut self,
        connection: &Connection,
        search: &Search<'_>,
        fields: Fields,
        id: &ObjectId,
    ) -> Result<(), EngineError> {
        let mut statement = connection.prepare_cached(
            "select row, modified, sortindex, id, parent_id, predecessor_id, payload, expiry from object
             where owner = ?1 and id = ?2 and (expiry is null or expiry > ?3)",
        )?;
        let mut rows = statement.query((search.owner, id.as_str(), search.now.hundredths()))?;
        if let Some(row) = rows.next()?
            && search.matches(row)?
        {
            let expiry: Option<i64> = row.get(7)?;
            self.expiry = expiry.map(SyncTime::from_hundredths);
            self.push(row, fields)?;
        }
        Ok(())
    }

    /// Reads the objects at these positions, which are sorted.
    fn fetch(
        &mut self,
        connection: &Connection,
        fields: Fields,
        positions: &[KeysetPosition],
    ) -> Result<(), EngineError> {
        let sql = match fields {
            Fields::Ids => "select row, modified, sortindex, id from object where row = ?1",
            Fields::Whole => {
                "select row, modified, sortindex, id, parent_id, predecessor_id, payload
                 from object where row = ?1"
            }
        };
        let mut statement = connection.prepare_cached(sql)?;
        for position in positions {
            let mut rows = statement.query([position.row])?;
            let row = rows.next()?.ok_or(Corrupt("the index of objects"))?;
            if !self.push(row, fields)? {
                break;
            }
        }
        Ok(())
    }

    /// Adds an object; returns `false` if the page is full.
    fn push(&mut self, row: &rusqlite::Row<'_>, fields: Fields) -> Result<bool, EngineError> {
        let text = |column| -> rusqlite::Result<&str> { Ok(row.get_ref(column)?.as_str()?) };
        let (modified, sortindex) = (row.get(1)?, row.get(2)?);
        let mut object = Row {
            id: text(3)?,
            payload: "",
            modified: SyncTime::from_hundredths(modified),
            sortindex: None,
            parent_id: None,
            predecessor_id: None,
        };
        if fields == Fields::Whole {
            object.sortindex = sortindex;
            object.parent_id = row.get_ref(4)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            object.predecessor_id = row.get_ref(5)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            object.payload = text(6)?;
        }
        let bytes = self.bytes + object.payload.len();
        if self.rows.len() == self.most || (bytes > MAX_PAGE_BYTES && !self.rows.is_empty()) {
            self.has_more = true;
            return Ok(false);
        }
        self.bytes = bytes;
        self.rows.push(object);
        self.last = Some(KeysetPosition::of(self.order, row.get(0)?, modified, sortindex));
        Ok(true)
    }
}

const fn columns(fields: Fields) -> &'static str {
    match fields {
        Fields::Ids => IDS,
        Fields::Whole => WHOLE,
    }
}

/// The ranges from a position to the end of the order.
fn ranges(begin: &PageStart) -> impl Iterator<Item = KeysetRange> + use<> {
    let ranges = match begin.after {
        None => [Some(KeysetRange::Whole), None],
        // Two ranges, each contiguous in an index: thousands of objects of a batch have the same time.
        Some(position) => [
            Some(KeysetRange::Ties(position)),
            Some(KeysetRange::Beyond(position)),
        ],
    };
    ranges.into_iter().flatten()
}

fn window(begin: &PageStart, most: usize) -> (i64, i64) {
    let skip = i64::try_from(begin.skip).unwrap_or(i64::MAX);
    (skip, i64::try_from(most).unwrap_or(i64::MAX))
}

/// The positions of a page sorted by sortindex, and one more. Payloads are not sorted.
fn sorted(
    connection: &Connection,
    search: &Search<'_>,
    begin: &PageStart,
    most: usize,
) -> rusqlite::Result<Vec<KeysetPosition>> {
    let mut positions = Vec::new();
    for range in ranges(begin) {
        let (skip, limit) = window(begin, most + 1 - positions.len());
        let mut statement = search.walk(connection, super::select::THIN, range, skip, limit)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            positions.push(KeysetPosition::of(
                search.order,
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
            ));
        }
    }
    Ok(positions)
}

/// The places of objects listed by id, from where the query begins.
fn listed(
    connection: &Connection,
    search: &Search<'_>,
    begin: &PageStart,
) -> rusqlite::Result<Vec<KeysetPosition>> {
    let mut positions = search.by_id(connection)?;
    if let Some(after) = begin.after {
        positions.retain(|position| position.cmp_in(search.order, after).is_gt());
    }
    let skip = usize::try_from(begin.skip).unwrap_or(usize::MAX);
    Ok(positions.into_iter().skip(skip).collect())
}
