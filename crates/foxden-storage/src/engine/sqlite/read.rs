//! Reading a page, within one snapshot.

use foxden_model::{ObjectId, SyncTime};
use rusqlite::Connection;

use super::fault::Damaged;
use super::select::{IDS, Leg, Place, Search, WHOLE};
use crate::command::{Cursor, Fields, Order, PageToken, Query};
use crate::engine::{EngineError, PAGE_BYTES, PAGE_OBJECTS};
use crate::page::{Row, Rows};

/// A page under construction.
struct Page {
    order: Order,
    rows: Rows,
    most: usize,
    bytes: usize,
    last: Option<Place>,
    has_more: bool,
    expiry: Option<SyncTime>,
}

/// What a query found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) rows: Rows,
    /// Where to go on.
    pub(super) next: Option<PageToken>,
    /// When the object ends, if one was asked for by its id.
    pub(super) expiry: Option<SyncTime>,
}

/// Where a query begins: objects to leave out, and the place to begin after.
pub(super) struct Begin {
    pub(super) skip: u64,
    after: Option<Place>,
}

impl Begin {
    pub(super) fn of(query: &Query) -> Result<Self, EngineError> {
        let (skip, after) = match &query.cursor {
            Cursor::Start => (0, None),
            Cursor::Skip(skip) => (*skip, None),
            Cursor::After(token) => (0, Some(Place::read(token, query.order)?)),
        };
        Ok(Self { skip, after })
    }
}

/// The objects of a page.
pub(super) fn page(
    connection: &Connection,
    owner: i64,
    query: &Query,
    begin: &Begin,
    now: SyncTime,
) -> Result<Found, EngineError> {
    let asked = usize::try_from(query.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let mut page = Page {
        order: query.order,
        rows: Rows::default(),
        most: asked.min(PAGE_OBJECTS),
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
                let places = sorted(connection, &search, begin, page.most)?;
                page.fetch(connection, query.fields, &places)?;
            }
            (Some(ids), _) if ids.len() == 1 && begin.skip == 0 && begin.after.is_none() => {
                page.single(connection, &search, query.fields, &ids[0])?;
            }
            (Some(_), _) => {
                let places = listed(connection, &search, begin)?;
                page.fetch(connection, query.fields, &places)?;
            }
        }
    }
    let next = page.last.filter(|_| page.has_more).map(Place::token);
    Ok(Found {
        rows: page.rows,
        next,
        expiry: page.expiry,
    })
}

impl Page {
    /// Reads objects straight along the index by time.
    fn stream(
        &mut self,
        connection: &Connection,
        search: &Search<'_>,
        fields: Fields,
        begin: &Begin,
    ) -> Result<(), EngineError> {
        for leg in legs(begin) {
            let (skip, limit) = window(begin, self.most + 1 - self.rows.len());
            let mut statement = search.walk(connection, columns(fields), leg, skip, limit)?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                if !self.push(row, fields)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads one object by its id, in one statement: what is asked most of all.
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

    /// Reads the objects of places that are in order already.
    fn fetch(
        &mut self,
        connection: &Connection,
        fields: Fields,
        places: &[Place],
    ) -> Result<(), EngineError> {
        let sql = match fields {
            Fields::Ids => "select row, modified, sortindex, id from object where row = ?1",
            Fields::Whole => {
                "select row, modified, sortindex, id, parent_id, predecessor_id, payload
                 from object where row = ?1"
            }
        };
        let mut statement = connection.prepare_cached(sql)?;
        for place in places {
            let mut rows = statement.query([place.row])?;
            let row = rows.next()?.ok_or(Damaged("the index of objects"))?;
            if !self.push(row, fields)? {
                break;
            }
        }
        Ok(())
    }

    /// Adds an object; `false`: there was no room for it.
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
        if self.rows.len() == self.most || (bytes > PAGE_BYTES && !self.rows.is_empty()) {
            self.has_more = true;
            return Ok(false);
        }
        self.bytes = bytes;
        self.rows.push(object);
        self.last = Some(Place::of(self.order, row.get(0)?, modified, sortindex));
        Ok(true)
    }
}

const fn columns(fields: Fields) -> &'static str {
    match fields {
        Fields::Ids => IDS,
        Fields::Whole => WHOLE,
    }
}

/// The walks that lead from a place to the end of the order.
fn legs(begin: &Begin) -> impl Iterator<Item = Leg> + use<> {
    let legs = match begin.after {
        None => [Some(Leg::Whole), None],
        // Two walks, each along one stretch of an index: a batch gives thousands of objects one time.
        Some(place) => [Some(Leg::Ties(place)), Some(Leg::Beyond(place))],
    };
    legs.into_iter().flatten()
}

fn window(begin: &Begin, most: usize) -> (i64, i64) {
    let skip = i64::try_from(begin.skip).unwrap_or(i64::MAX);
    (skip, i64::try_from(most).unwrap_or(i64::MAX))
}

/// The places of a page sorted by sortindex, and one more. Payloads stay out of the sorting.
fn sorted(
    connection: &Connection,
    search: &Search<'_>,
    begin: &Begin,
    most: usize,
) -> rusqlite::Result<Vec<Place>> {
    let mut places = Vec::new();
    for leg in legs(begin) {
        let (skip, limit) = window(begin, most + 1 - places.len());
        let mut statement = search.walk(connection, super::select::THIN, leg, skip, limit)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            places.push(Place::of(search.order, row.get(0)?, row.get(1)?, row.get(2)?));
        }
    }
    Ok(places)
}

/// The places of objects listed by id, from where the query begins.
fn listed(connection: &Connection, search: &Search<'_>, begin: &Begin) -> rusqlite::Result<Vec<Place>> {
    let mut places = search.by_id(connection)?;
    if let Some(after) = begin.after {
        places.retain(|place| place.cmp_in(search.order, after).is_gt());
    }
    let skip = usize::try_from(begin.skip).unwrap_or(usize::MAX);
    Ok(places.into_iter().skip(skip).collect())
}
