//! Statements of a [`crate::Database`] in MariaDB and MySQL.

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::query::Query;
use sqlx::{Column, Executor, MySql, MySqlConnection, Row as _, SqlStr, Type, TypeInfo, ValueRef};

use crate::server::action::{Action, Answer};
use crate::value::UNTYPED_NULL;
use crate::{Row, Value};

/// The isolation is that of the next transaction alone.
const BEGIN: &str = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION";

pub(in crate::server) async fn run(
    connection: &mut MySqlConnection,
    action: Action,
) -> Result<Answer, sqlx::Error> {
    match action {
        Action::Begin => plain(connection, BEGIN).await,
        Action::Commit => plain(connection, "COMMIT").await,
        Action::RollBack => plain(connection, "ROLLBACK").await,
        Action::Execute(text, values) | Action::Insert(text, values) => {
            let done = connection.execute(bound(text, values)).await?;
            Ok(Answer {
                // The driver asks for the rows that were found, changed or not.
                changed: done.rows_affected(),
                number: i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX),
                ..Answer::default()
            })
        }
        Action::Rows(text, values) | Action::RowsAlone(text, values) => {
            let rows = connection.fetch_all(bound(text, values)).await?;
            let rows = rows.iter().map(read).collect::<Result<_, _>>()?;
            Ok(Answer {
                rows,
                ..Answer::default()
            })
        }
    }
}

async fn plain(connection: &mut MySqlConnection, text: &'static str) -> Result<Answer, sqlx::Error> {
    sqlx::raw_sql(text).execute(connection).await?;
    Ok(Answer::default())
}

fn bound(text: SqlStr, values: Vec<Value>) -> Query<'static, MySql, MySqlArguments> {
    let mut query = sqlx::query(text);
    for value in values {
        query = match value {
            Value::Integer(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Blob(bytes) => query.bind(bytes),
        };
    }
    query
}

fn read(row: &MySqlRow) -> Result<Row, sqlx::Error> {
    let columns = row.columns().iter();
    columns
        .map(|column| read_column(row, column.ordinal()))
        .collect::<Result<_, _>>()
        .map(Row)
}

fn read_column(row: &MySqlRow, at: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(UNTYPED_NULL);
    }
    let kind = raw.type_info();
    let name = kind.name();
    if name == "DECIMAL" {
        // Sums of integers are decimal numbers here, and travel as text.
        let text: String = row.try_get_unchecked(at)?;
        let number = text
            .parse()
            .map_err(|_| sqlx::Error::Decode("a sum is not a whole number".into()))?;
        return Ok(Value::Integer(Some(number)));
    }
    if name.ends_with("UNSIGNED") {
        let number: u64 = row.try_get(at)?;
        return Ok(Value::Integer(i64::try_from(number).ok()));
    }
    if name == "BOOLEAN" || name.ends_with("INT") {
        return Ok(Value::Integer(row.try_get(at)?));
    }
    if <String as Type<MySql>>::compatible(&kind) {
        return Ok(Value::Text(row.try_get(at)?));
    }
    Ok(Value::Blob(row.try_get(at)?))
}
