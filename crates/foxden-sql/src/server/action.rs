//! What a connection is to do, and what came of it.

use sqlx::SqlStr;

use crate::{Row, Value};

/// What a connection is to do.
pub(super) enum Action {
    /// Begin a serializable transaction.
    Begin,
    Execute(SqlStr, Vec<Value>),
    /// Insert one row, and find out its number.
    Insert(SqlStr, Vec<Value>),
    Rows(SqlStr, Vec<Value>),
    /// A query outside of a transaction.
    RowsAlone(SqlStr, Vec<Value>),
    Commit,
    RollBack,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Answer {
    /// The number of rows that were found and changed.
    pub(super) changed: u64,
    /// The number of an inserted row.
    pub(super) number: i64,
    pub(super) rows: Vec<Row>,
}
