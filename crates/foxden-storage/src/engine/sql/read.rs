//! Reads: one statement each, and so one state.

use std::sync::Arc;

use foxden_model::{ObjectId, SyncTime, UserId};

use super::connection::{Arg, Connection, Dialect, Row as SqlRow};
use super::fault::Fault;
use super::select::{Search, Start, check_token, order, tie_of};
use super::state::Collection;
use crate::command::{Cursor, Detail, Fields, Order, PageToken, Query};
use crate::engine::{EngineError, MAX_PAGE_BYTES, MAX_PAGE_OBJECTS};
use crate::page::{CollectionSummary, Page, Row, Rows, Summary};

/// Returns the times of the user's collections and, if asked for, their counts.
pub(super) async fn summary(
    connection: &mut Connection,
    dialect: Dialect,
    user: UserId,
    detail: Detail,
    now: SyncTime,
) -> Result<Summary, Fault> {
    let user = user.0.cast_signed();
    let (sql, args) = match detail {
        Detail::Times => (
            "SELECT u.modified, u.closed, c.number, c.name, c.modified, c.objects, c.bytes
             FROM sync_user u LEFT JOIN sync_collection c ON c.uid = u.uid WHERE u.uid = ?"
                .to_owned(),
            vec![Arg::Int(Some(user))],
        ),
        Detail::Full => (
            format!(
                "SELECT u.modified, u.closed, c.number, c.name, c.modified,
                 c.objects - coalesce(e.objects, 0), c.bytes - coalesce(e.bytes, 0)
                 FROM sync_user u LEFT JOIN sync_collection c ON c.uid = u.uid
                 LEFT JOIN (
                     SELECT collection, count(*) AS objects, CAST(sum(size) AS {}) AS bytes FROM sync_object
                     WHERE uid = ? AND expiry <= ? GROUP BY collection
                 ) e ON e.collection = c.number
                 WHERE u.uid = ?",
                dialect.integer()
            ),
            vec![
                Arg::Int(Some(user)),
                Arg::Int(Some(now.hundredths())),
                Arg::Int(Some(user)),
            ],
        ),
    };
    let rows = connection.fetch(&sql, &args).await?;
    let mut summary = Summary {
        modified: SyncTime::ZERO,
        as_of: SyncTime::ZERO,
        collections: Arc::default(),
    };
    if let Some(row) = rows.first() {
        summary.modified = SyncTime::from_hundredths(row.int(0)?);
        check_open(row.int(1)?)?;
    }
    let mut collections: Vec<CollectionSummary> = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.number(2)?.is_some() {
            collections.push(Collection::read(row, 2)?.listed);
        }
    }
    collections.sort_unstable_by_key(|collection| collection.name);
    summary.collections = collections.into();
    Ok(summary)
}

/// Returns one page. Its *as of* is the user's highest time.
pub(super) async fn page(
    connection: &mut Connection,
    dialect: Dialect,
    user: UserId,
    query: &Query,
    now: SyncTime,
) -> Result<Page, Fault> {
    let user = user.0.cast_signed();
    if let Some(id) = query.single_object() {
        return single(connection, dialect, user, query, id, now).await;
    }
    let start = match &query.cursor {
        Cursor::Start => Start { skip: 0, after: None },
        Cursor::Skip(skip) => Start {
            skip: *skip,
            after: None,
        },
        Cursor::After(token) => {
            check_token(token, query.order)?;
            Start {
                skip: 0,
                after: Some(token),
            }
        }
    };
    let requested = usize::try_from(query.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let most = requested.min(MAX_PAGE_OBJECTS);
    let search = Search {
        name: query.collection,
        selection: &query.selection,
        order: query.order,
        now,
    };
    let (sql, args) = page_statement(dialect, user, query, &search, &start, most);
    let rows = connection.fetch(&sql, &args).await?;
    let mut page = Page {
        rows: Arc::default(),
        modified: None,
        as_of: SyncTime::ZERO,
        next: None,
        expiry: None,
    };
    let mut objects = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.int(0)? == 1 {
            objects.push(row);
            continue;
        }
        check_open(row.int(2)?)?;
        page.as_of = SyncTime::from_hundredths(row.int(1)?);
        page.modified = row.number(3)?.map(SyncTime::from_hundredths);
    }
    fill(&mut page, &objects, query, most)?;
    Ok(page)
}

/// Returns the page of one object: the most frequent query.
async fn single(
    connection: &mut Connection,
    dialect: Dialect,
    user: i64,
    query: &Query,
    id: &ObjectId,
    now: SyncTime,
) -> Result<Page, Fault> {
    let sql = match dialect {
        // The offset changes nothing but the plan: while the table is small, one that reads all keys of the user seems as good.
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            "SELECT u.modified, u.closed, c.modified, o.modified, o.sortindex, o.expiry, o.id, o.parent_id,
             o.predecessor_id, o.payload
             FROM sync_user u LEFT JOIN sync_collection c ON c.uid = u.uid AND c.name = ?
             LEFT JOIN LATERAL (
                 SELECT o.modified, o.sortindex, o.expiry, o.id, o.parent_id, o.predecessor_id, o.payload
                 FROM sync_object o WHERE o.uid = c.uid AND o.collection = c.number AND o.id = ?
                 AND (o.expiry IS NULL OR o.expiry > ?) OFFSET 0
             ) o ON true
             WHERE u.uid = ?"
        }
        #[cfg(feature = "mysql")]
        Dialect::Mysql => {
            "SELECT u.modified, u.closed, c.modified, o.modified, o.sortindex, o.expiry, o.id, o.parent_id,
             o.predecessor_id, o.payload
             FROM sync_user u LEFT JOIN sync_collection c ON c.uid = u.uid AND c.name = ?
             LEFT JOIN sync_object o ON o.uid = c.uid AND o.collection = c.number AND o.id = ?
             AND (o.expiry IS NULL OR o.expiry > ?)
             WHERE u.uid = ?"
        }
    };
    let args = [
        Arg::Text(query.collection.as_str()),
        Arg::Text(id.as_str()),
        Arg::Int(Some(now.hundredths())),
        Arg::Int(Some(user)),
    ];
    let rows = connection.fetch(sql, &args).await?;
    let mut page = Page {
        rows: Arc::default(),
        modified: None,
        as_of: SyncTime::ZERO,
        next: None,
        expiry: None,
    };
    let Some(row) = rows.first() else { return Ok(page) };
    check_open(row.int(1)?)?;
    page.as_of = SyncTime::from_hundredths(row.int(0)?);
    page.modified = row.number(2)?.map(SyncTime::from_hundredths);
    let Some(modified) = row.number(3)? else {
        return Ok(page);
    };
    let mut objects = Rows::default();
    objects.push(Row {
        id: row.text(6)?,
        payload: row.blob_text(9)?.unwrap_or_default(),
        modified: SyncTime::from_hundredths(modified),
        sortindex: row.number(4)?,
        parent_id: row.blob_text(7)?,
        predecessor_id: row.blob_text(8)?,
    });
    objects.shrink_to_fit();
    page.rows = Arc::new(objects);
    page.expiry = row.number(5)?.map(SyncTime::from_hundredths);
    Ok(page)
}

/// One statement for the times and the objects: the parts of a union see the same state. A page is bounded by the bytes before each
/// object.
fn page_statement<'a>(
    dialect: Dialect,
    user: i64,
    query: &'a Query,
    search: &'a Search<'a>,
    start: &Start<'a>,
    most: usize,
) -> (String, Vec<Arg<'a>>) {
    let integer = dialect.integer();
    let head = format!(
        "SELECT CAST(0 AS {integer}) AS kind, u.modified, u.closed, c.modified AS number, NULL AS id,
         NULL AS parent_id, NULL AS predecessor_id, NULL AS payload
         FROM sync_user u LEFT JOIN sync_collection c ON c.uid = u.uid AND c.name = ? WHERE u.uid = ?"
    );
    let mut args = vec![Arg::Text(search.name.as_str()), Arg::Int(Some(user))];
    if most == 0 {
        return (head, args);
    }
    let limit = i64::try_from(most + 1).unwrap_or(i64::MAX);
    let thin = "o.id, o.modified, o.sortindex, o.expiry";
    let by = order(search.order, "");
    let (objects, columns) = if query.fields == Fields::Ids {
        let statement = search.statement(dialect, thin, user, start, limit);
        args.extend(statement.args);
        (
            format!("({}) o", statement.sql),
            "NULL AS parent_id, NULL AS predecessor_id, NULL AS payload",
        )
    } else {
        // Only the objects that the page can hold get their payloads, by a running sum.
        let (thin_columns, payload, join) = bounded(dialect);
        let columns = format!("{thin}, o.size, {thin_columns}");
        let statement = search.statement(dialect, &columns, user, start, limit);
        let bytes = Arg::Int(Some(i64::try_from(MAX_PAGE_BYTES).unwrap_or(i64::MAX)));
        let objects = format!(
            "(SELECT w.id, w.modified, w.sortindex, w.expiry, {payload}
             FROM (SELECT t.*, sum(size) OVER (ORDER BY {by} ROWS UNBOUNDED PRECEDING) - size AS before_it
                   FROM ({}) t) w {join}) o",
            statement.sql
        );
        // The bound stands before or after the rest.
        match dialect {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                args.push(bytes);
                args.extend(statement.args);
            }
            #[cfg(feature = "mysql")]
            Dialect::Mysql => {
                args.extend(statement.args);
                args.push(bytes);
            }
        }
        (objects, "o.parent_id, o.predecessor_id, o.payload")
    };
    let by = order(search.order, "o.");
    let sql = format!(
        "{head} UNION ALL (SELECT CAST(1 AS {integer}), o.modified, o.sortindex, o.expiry, o.id, {columns}
         FROM {objects} ORDER BY {by})"
    );
    (sql, args)
}

/// The columns of the rows that are summed up besides the thin ones, the columns of the answer with the bound, and a join.
/// `PostgreSQL` carries payloads along at no cost; `MySQL` writes them to a temporary table, so they are looked up afterwards.
const fn bounded(dialect: Dialect) -> (&'static str, &'static str, &'static str) {
    match dialect {
        #[cfg(feature = "postgres")]
        Dialect::Postgres => (
            "o.parent_id, o.predecessor_id, o.payload",
            "w.parent_id, w.predecessor_id, CASE WHEN w.before_it <= ? THEN w.payload END AS payload",
            "",
        ),
        #[cfg(feature = "mysql")]
        Dialect::Mysql => (
            "o.uid, o.collection",
            "p.parent_id, p.predecessor_id, p.payload",
            "LEFT JOIN sync_object p
             ON p.uid = w.uid AND p.collection = w.collection AND p.id = w.id AND w.before_it <= ?",
        ),
    }
}

/// Puts the objects into a page, until it is full.
fn fill(page: &mut Page, objects: &[&SqlRow], query: &Query, most: usize) -> Result<(), Fault> {
    let mut rows = Rows::default();
    let mut bytes = 0;
    let mut last = None;
    for object in objects {
        let (modified, sortindex) = (object.int(1)?, object.number(2)?);
        let mut row = Row {
            id: object.text(4)?,
            payload: "",
            modified: SyncTime::from_hundredths(modified),
            sortindex: None,
            parent_id: None,
            predecessor_id: None,
        };
        let mut is_beyond = false;
        if query.fields == Fields::Whole {
            row.sortindex = sortindex;
            row.parent_id = object.blob_text(5)?;
            row.predecessor_id = object.blob_text(6)?;
            match object.blob_text(7)? {
                Some(payload) => row.payload = payload,
                None => is_beyond = true,
            }
        }
        bytes += row.payload.len();
        if is_beyond || rows.len() == most || (bytes > MAX_PAGE_BYTES && !rows.is_empty()) {
            page.next = last;
            break;
        }
        rows.push(row);
        let key = match query.order {
            Order::Newest | Order::Oldest => Some(modified),
            Order::Index => sortindex,
        };
        last = Some(PageToken {
            key,
            tie: tie_of(row.id),
        });
    }
    rows.shrink_to_fit();
    page.rows = Arc::new(rows);
    Ok(())
}

fn check_open(closed: i64) -> Result<(), EngineError> {
    if closed != 0 {
        return Err(EngineError::Closed);
    }
    Ok(())
}
