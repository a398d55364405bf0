//! Which objects a selection means, and in which order: the statements behind reads and deletions.
//!
//! Ties are broken by the id, which the index by time contains.

use foxden_model::{CollectionName, ObjectId, SyncTime};

use super::connection::{Arg, Dialect, int};
use super::fault::Fault;
#[cfg(feature = "mysql")]
use super::id_list::{padded, padded_ids, placeholders};
use super::statement::Statement;
use super::transaction::UserTransaction;
use crate::command::{Order, PageToken, Selection};
use crate::engine::EngineError;

/// A selection of one collection's objects at one moment.
pub(super) struct Search<'a> {
    pub(super) name: CollectionName,
    pub(super) selection: &'a Selection,
    pub(super) order: Order,
    pub(super) now: SyncTime,
}

/// Where a page begins.
pub(super) struct Start<'a> {
    pub(super) skip: u64,
    pub(super) after: Option<&'a PageToken>,
}

/// What a tie begins with. Without it the number that is the tie of SQLite would be taken for an id after a move.
const TIE: char = '=';

/// The tie of an object: its id.
pub(super) fn tie_of(id: &str) -> Box<str> {
    format!("{TIE}{id}").into()
}

/// The id of a tie.
fn id_of(tie: &str) -> &str {
    tie.strip_prefix(TIE).unwrap_or_default()
}

/// Checks a token: the tie is the id of an object.
pub(super) fn check_token(token: &PageToken, order: Order) -> Result<(), EngineError> {
    let has_key = token.key.is_some() || order == Order::Index;
    if has_key && ObjectId::new(id_of(&token.tie)).is_ok() {
        Ok(())
    } else {
        Err(EngineError::BadCursor)
    }
}

impl<'a> Search<'a> {
    /// A statement that returns these columns of the first `limit` objects of the search.
    pub(super) fn statement(
        &'a self,
        dialect: Dialect,
        columns: &str,
        user: i64,
        start: &Start<'a>,
        limit: i64,
    ) -> Statement<'a> {
        let time = |time: SyncTime| int(time.hundredths());
        let mut statement = Statement {
            sql: format!(
                "SELECT {columns} FROM sync_object o WHERE o.uid = ? AND o.collection =
                 (SELECT number FROM sync_collection WHERE uid = ? AND name = ?)
                 AND (o.expiry IS NULL OR o.expiry > ?)"
            ),
            args: vec![
                int(user),
                int(user),
                Arg::Text(self.name.as_str()),
                time(self.now),
            ],
        };
        let selection = self.selection;
        let conditions = [
            ("o.modified > ?", selection.newer.map(time)),
            ("o.modified < ?", selection.older.map(time)),
            ("o.modified <= ?", selection.until.map(time)),
            ("o.sortindex > ?", selection.index_above.map(int)),
            ("o.sortindex < ?", selection.index_below.map(int)),
            ("o.parent_id = ?", selection.parent_id.as_deref().map(text)),
            (
                "o.predecessor_id = ?",
                selection.predecessor_id.as_deref().map(text),
            ),
        ];
        for (condition, value) in conditions {
            if let Some(value) = value {
                statement.and(condition, [value]);
            }
        }
        match (&selection.ids, dialect) {
            (Some(ids), _) => statement.ids(dialect, ids),
            // The condition of the index by time.
            #[cfg(feature = "postgres")]
            (None, Dialect::Postgres) => statement.and("o.size >= 0", []),
            #[cfg(feature = "mysql")]
            (None, Dialect::Mysql) => {}
        }
        if let Some(after) = start.after {
            statement.after(dialect, self.order, after);
        }
        statement.sql.push_str(" ORDER BY ");
        statement.sql.push_str(order(self.order, "o."));
        statement.sql.push_str(" LIMIT ? OFFSET ?");
        let skip = i64::try_from(start.skip).unwrap_or(i64::MAX);
        statement.args.extend([int(limit), int(skip)]);
        statement
    }
}

impl<'a> Statement<'a> {
    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Arg<'a>>) {
        self.add(" AND ", []);
        self.add(condition, values);
    }

    fn ids(&mut self, dialect: Dialect, ids: &'a [ObjectId]) {
        if ids.is_empty() {
            self.and("1 = 0", []);
            return;
        }
        if let [id] = ids {
            self.and("o.id = ?", [Arg::Text(id.as_str())]);
            return;
        }
        let ids = ids.iter().map(ObjectId::as_str);
        match dialect {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => self.and("o.id = ANY(?)", [Arg::Texts(ids.collect())]),
            #[cfg(feature = "mysql")]
            Dialect::Mysql => {
                let condition = format!("o.id IN ({})", placeholders("?", padded(ids.len())));
                self.and(&condition, padded_ids(ids));
            }
        }
    }

    /// Continues after the last object of the page before. PostgreSQL searches an index by a comparison of rows; MySQL by the first
    /// column alone.
    fn after(&mut self, dialect: Dialect, order: Order, token: &'a PageToken) {
        let tie = Arg::Text(id_of(&token.tie));
        let again = || Arg::Text(id_of(&token.tie));
        let Some(key) = token.key else {
            self.and("o.sortindex IS NULL AND o.id < ?", [tie]);
            return;
        };
        match (order, dialect) {
            #[cfg(feature = "postgres")]
            (Order::Newest, Dialect::Postgres) => self.and("(o.modified, o.id) < (?, ?)", [int(key), tie]),
            #[cfg(feature = "postgres")]
            (Order::Oldest, Dialect::Postgres) => self.and("(o.modified, o.id) > (?, ?)", [int(key), tie]),
            #[cfg(feature = "mysql")]
            (Order::Newest, Dialect::Mysql) => self.and(
                "o.modified <= ? AND (o.modified < ? OR o.id < ?)",
                [int(key), int(key), again()],
            ),
            #[cfg(feature = "mysql")]
            (Order::Oldest, Dialect::Mysql) => self.and(
                "o.modified >= ? AND (o.modified > ? OR o.id > ?)",
                [int(key), int(key), again()],
            ),
            (Order::Index, _) => self.and(
                "(o.sortindex IS NULL OR o.sortindex < ? OR (o.sortindex = ? AND o.id < ?))",
                [int(key), int(key), again()],
            ),
        }
    }
}

/// The `ORDER BY` of an order, with a prefix for its columns.
pub(super) const fn order(order: Order, prefix: &str) -> &'static str {
    let has_prefix = !prefix.is_empty();
    match (order, has_prefix) {
        (Order::Newest, true) => "o.modified DESC, o.id DESC",
        (Order::Newest, false) => "modified DESC, id DESC",
        (Order::Oldest, true) => "o.modified, o.id",
        (Order::Oldest, false) => "modified, id",
        (Order::Index, true) => "o.sortindex IS NULL, o.sortindex DESC, o.id DESC",
        (Order::Index, false) => "sortindex IS NULL, sortindex DESC, id DESC",
    }
}

fn text(text: &str) -> Arg<'_> {
    Arg::Bytes(Some(text.as_bytes()))
}

/// The ids and sizes of the first `limit` selected objects.
pub(super) async fn rows_to_delete(
    tx: &mut UserTransaction,
    search: &Search<'_>,
    limit: Option<u64>,
) -> Result<Vec<(Box<str>, i64)>, Fault> {
    let limit = limit.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let columns = format!("o.id, CAST(o.size AS {})", tx.dialect.integer());
    let start = Start { skip: 0, after: None };
    let statement = search.statement(tx.dialect, &columns, tx.user(), &start, limit);
    let rows = tx.connection.fetch(&statement.sql, &statement.args).await?;
    rows.iter()
        .map(|row| Ok((row.text(0)?.into(), row.int(1)?)))
        .collect()
}
