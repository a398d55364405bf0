//! Which objects a selection means, and in which order: the statements behind reads and deletions.
//!
//! Ties are broken by the row number, which the index by time contains anyway.

use std::cmp::Ordering;

use foxden_model::SyncTime;
use rusqlite::{CachedStatement, Connection};

use crate::command::{Order, PageToken, Selection};
use crate::engine::EngineError;

/// The id of a file: its `application_id`. It is 0 unless objects were moved to the file: they have other row numbers there than before.
pub(super) type FileId = i32;
/// What stands between a row number and the id of its file.
const FILE: char = '@';

/// The position of an object in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeysetPosition {
    pub(super) key: Option<i64>,
    pub(super) row: i64,
}

/// A range of an order, contiguous in an index.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeysetRange {
    /// The whole order.
    Whole,
    /// Objects with the same key, after this row.
    Ties(KeysetPosition),
    /// Objects with later keys.
    Beyond(KeysetPosition),
}

/// Columns of the statements.
pub(super) const THIN: &str = "row, modified, sortindex";
pub(super) const ENDS: &str = "row, expiry";
pub(super) const IDS: &str = "row, modified, sortindex, id";
pub(super) const WHOLE: &str = "row, modified, sortindex, id, parent_id, predecessor_id, payload";

/// A selection of one collection's objects at one moment.
pub(super) struct Search<'a> {
    pub(super) owner: i64,
    pub(super) selection: &'a Selection,
    pub(super) order: Order,
    pub(super) now: SyncTime,
}

impl KeysetPosition {
    pub(super) const fn of(order: Order, row: i64, modified: i64, sortindex: Option<i64>) -> Self {
        let key = match order {
            Order::Newest | Order::Oldest => Some(modified),
            Order::Index => sortindex,
        };
        Self { key, row }
    }

    pub(super) fn read(token: &PageToken, order: Order, file: FileId) -> Result<Self, EngineError> {
        let row = match token.tie.split_once(FILE) {
            None if file == 0 => token.tie.parse::<i64>(),
            Some((row, of)) if of.parse::<FileId>() == Ok(file) => row.parse(),
            _ => return Err(EngineError::BadCursor),
        };
        let row = row.map_err(|_| EngineError::BadCursor)?;
        if token.key.is_none() && order != Order::Index {
            return Err(EngineError::BadCursor);
        }
        Ok(Self { key: token.key, row })
    }

    pub(super) fn token(self, file: FileId) -> PageToken {
        let tie = match file {
            0 => self.row.to_string(),
            _ => format!("{}{FILE}{file}", self.row),
        };
        PageToken {
            key: self.key,
            tie: tie.into(),
        }
    }

    pub(super) fn cmp_in(self, order: Order, other: Self) -> Ordering {
        let rising = (self.key, self.row).cmp(&(other.key, other.row));
        match order {
            Order::Oldest => rising,
            // `None` is less than any sortindex, and so comes last.
            Order::Newest | Order::Index => rising.reverse(),
        }
    }
}

impl Search<'_> {
    /// Prepares a walk over so many objects, after skipping some. Not for selections by id.
    pub(super) fn walk<'c>(
        &self,
        connection: &'c Connection,
        columns: &str,
        range: KeysetRange,
        skip: i64,
        limit: i64,
    ) -> rusqlite::Result<CachedStatement<'c>> {
        let mut statement = connection.prepare_cached(&self.sql(columns, range))?;
        let (after, before) = self.times();
        let selection = self.selection;
        statement.raw_bind_parameter(1, self.owner)?;
        statement.raw_bind_parameter(2, self.now.hundredths())?;
        statement.raw_bind_parameter(3, after)?;
        statement.raw_bind_parameter(4, before)?;
        statement.raw_bind_parameter(5, selection.index_above)?;
        statement.raw_bind_parameter(6, selection.index_below)?;
        statement.raw_bind_parameter(7, selection.parent_id.as_deref())?;
        statement.raw_bind_parameter(8, selection.predecessor_id.as_deref())?;
        if let KeysetRange::Ties(position) | KeysetRange::Beyond(position) = range {
            statement.raw_bind_parameter(9, position.key)?;
            statement.raw_bind_parameter(10, position.row)?;
        }
        statement.raw_bind_parameter(11, limit)?;
        statement.raw_bind_parameter(12, skip)?;
        Ok(statement)
    }

    pub(super) fn sql(&self, columns: &str, range: KeysetRange) -> String {
        let mut sql = format!(
            "select {columns} from object where owner = ?1 and (expiry is null or expiry > ?2)
             and modified > ?3 and modified < ?4"
        );
        let selection = self.selection;
        for (is_asked, condition) in [
            (selection.index_above.is_some(), " and sortindex > ?5"),
            (selection.index_below.is_some(), " and sortindex < ?6"),
            (selection.parent_id.is_some(), " and parent_id = ?7"),
            (selection.predecessor_id.is_some(), " and predecessor_id = ?8"),
        ] {
            if is_asked {
                sql.push_str(condition);
            }
        }
        sql.push_str(match (range, self.order) {
            (KeysetRange::Whole, _) => "",
            (KeysetRange::Ties(_), Order::Newest) => " and modified = ?9 and row < ?10",
            (KeysetRange::Ties(_), Order::Oldest) => " and modified = ?9 and row > ?10",
            (KeysetRange::Ties(_), Order::Index) => " and sortindex is ?9 and row < ?10",
            (KeysetRange::Beyond(_), Order::Newest) => " and modified < ?9",
            (KeysetRange::Beyond(_), Order::Oldest) => " and modified > ?9",
            (KeysetRange::Beyond(_), Order::Index) => {
                " and ?9 is not null and (sortindex < ?9 or sortindex is null)"
            }
        });
        sql.push_str(match (range, self.order) {
            (KeysetRange::Ties(_), Order::Oldest) => " order by row",
            (KeysetRange::Ties(_), Order::Newest | Order::Index) => " order by row desc",
            (_, Order::Newest) => " order by modified desc, row desc",
            (_, Order::Oldest) => " order by modified, row",
            (_, Order::Index) => " order by sortindex desc nulls last, row desc",
        });
        // Always present, so that all statements have the same twelve parameters.
        sql.push_str(" limit ?11 offset ?12");
        sql
    }

    /// The exclusive bounds of `modified`.
    fn times(&self) -> (i64, i64) {
        let selection = self.selection;
        let after = selection.newer.map_or(i64::MIN, SyncTime::hundredths);
        let older = selection.older.map_or(i64::MAX, SyncTime::hundredths);
        let until = selection.until.map_or(i64::MAX, |time| time.next().hundredths());
        (after, older.min(until))
    }

    /// The positions of the objects with the selected ids, sorted.
    pub(super) fn by_id(&self, connection: &Connection) -> rusqlite::Result<Vec<KeysetPosition>> {
        let mut find = connection.prepare_cached(
            "select row, modified, sortindex, id, parent_id, predecessor_id from object
             where owner = ?1 and id = ?2 and (expiry is null or expiry > ?3)",
        )?;
        let mut positions = Vec::new();
        for id in self.selection.ids.iter().flatten() {
            let mut rows = find.query((self.owner, id.as_str(), self.now.hundredths()))?;
            if let Some(row) = rows.next()?
                && self.matches(row)?
            {
                positions.push(KeysetPosition::of(
                    self.order,
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                ));
            }
        }
        positions.sort_unstable_by(|a, b| a.cmp_in(self.order, *b));
        // The list may contain an id twice.
        positions.dedup();
        Ok(positions)
    }

    /// Returns whether a row matches the selection. Its first columns are those of
    /// [`WHOLE`], without the payload.
    pub(super) fn matches(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<bool> {
        let selection = self.selection;
        let (modified, sortindex): (i64, Option<i64>) = (row.get(1)?, row.get(2)?);
        let (after, before) = self.times();
        let above = |limit| sortindex.is_some_and(|index| index > limit);
        let below = |limit| sortindex.is_some_and(|index| index < limit);
        let same = |column, wanted: &Option<String>| -> rusqlite::Result<bool> {
            let Some(wanted) = wanted else { return Ok(true) };
            Ok(row.get_ref(column)?.as_str_or_null()? == Some(wanted.as_str()))
        };
        Ok(after < modified
            && modified < before
            && selection.index_above.is_none_or(above)
            && selection.index_below.is_none_or(below)
            && same(4, &selection.parent_id)?
            && same(5, &selection.predecessor_id)?)
    }
}

/// The first `limit` selected rows in the order of the search, and when the first of them expires.
pub(super) fn rows(
    connection: &Connection,
    search: &Search<'_>,
    limit: Option<u64>,
) -> rusqlite::Result<(Vec<i64>, Option<SyncTime>)> {
    let limit = limit.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    if search.selection.ids.is_some() {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut positions = search.by_id(connection)?;
        positions.truncate(most);
        let mut expires = connection.prepare_cached("select expiry from object where row = ?1")?;
        let mut first = None;
        for position in &positions {
            let expiry: Option<i64> = expires.query_row([position.row], |row| row.get(0))?;
            first = first.into_iter().chain(expiry).min();
        }
        let rows = positions.into_iter().map(|position| position.row).collect();
        return Ok((rows, first.map(SyncTime::from_hundredths)));
    }
    let mut statement = search.walk(connection, ENDS, KeysetRange::Whole, 0, limit)?;
    let mut rows = statement.raw_query();
    let (mut found, mut first) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        found.push(row.get(0)?);
        let expiry: Option<i64> = row.get(1)?;
        first = first.into_iter().chain(expiry).min();
    }
    Ok((found, first.map(SyncTime::from_hundredths)))
}
