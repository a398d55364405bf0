//! Statements of a [`crate::Database`] in PostgreSQL.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Column, Executor, PgConnection, Postgres, Row as _, SqlStr, TypeInfo, ValueRef};

use super::{Isolation, PostgresPool};
use crate::server::action::{Action, Answer};
use crate::value::UNTYPED_NULL;
use crate::{Row, Value};

pub(in crate::server) async fn run(
    pool: &PostgresPool,
    connection: &mut PgConnection,
    action: Action,
) -> Result<Answer, sqlx::Error> {
    let query = |text, values| bound(text, values, pool.is_persistent());
    match action {
        Action::Begin => begin(pool, connection, Isolation::Serializable).await,
        Action::Commit => plain(connection, "COMMIT").await,
        Action::RollBack => plain(connection, "ROLLBACK").await,
        Action::Execute(text, values) => {
            let done = connection.execute(query(text, values)).await?;
            Ok(Answer {
                changed: done.rows_affected(),
                ..Answer::default()
            })
        }
        Action::Insert(text, values) => {
            connection.execute(query(text, values)).await?;
            let last = sqlx::query("SELECT lastval()").persistent(pool.is_persistent());
            let number = connection.fetch_one(last).await?.try_get(0)?;
            Ok(Answer {
                number,
                ..Answer::default()
            })
        }
        Action::Rows(text, values) => rows(connection, query(text, values)).await,
        Action::RowsAlone(text, values) if pool.is_persistent() => {
            rows(connection, query(text, values)).await
        }
        Action::RowsAlone(text, values) => {
            begin(pool, connection, Isolation::ReadCommitted).await?;
            let answer = rows(connection, query(text, values)).await?;
            plain(connection, "COMMIT").await?;
            Ok(answer)
        }
    }
}

async fn begin(
    pool: &PostgresPool,
    connection: &mut PgConnection,
    isolation: Isolation,
) -> Result<Answer, sqlx::Error> {
    let text = sqlx::AssertSqlSafe(pool.begin_text(isolation));
    sqlx::raw_sql(text).execute(connection).await?;
    Ok(Answer::default())
}

async fn plain(connection: &mut PgConnection, text: &'static str) -> Result<Answer, sqlx::Error> {
    sqlx::raw_sql(text).execute(connection).await?;
    Ok(Answer::default())
}

async fn rows(
    connection: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
) -> Result<Answer, sqlx::Error> {
    let rows = connection.fetch_all(query).await?;
    let rows = rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Answer {
        rows,
        ..Answer::default()
    })
}

fn bound(text: SqlStr, values: Vec<Value>, is_persistent: bool) -> Query<'static, Postgres, PgArguments> {
    let mut query = sqlx::query(text).persistent(is_persistent);
    for value in values {
        query = match value {
            Value::Integer(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Blob(bytes) => query.bind(bytes),
        };
    }
    query
}

fn read(row: &PgRow) -> Result<Row, sqlx::Error> {
    let columns = row.columns().iter();
    columns
        .map(|column| read_column(row, column.ordinal()))
        .collect::<Result<_, _>>()
        .map(Row)
}

fn read_column(row: &PgRow, at: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(UNTYPED_NULL);
    }
    let kind = raw.type_info();
    Ok(match kind.name() {
        "INT8" => Value::Integer(row.try_get(at)?),
        "INT4" => Value::Integer(Some(row.try_get::<i32, _>(at)?.into())),
        "INT2" => Value::Integer(Some(row.try_get::<i16, _>(at)?.into())),
        "BOOL" => Value::Integer(Some(row.try_get::<bool, _>(at)?.into())),
        "BYTEA" => Value::Blob(row.try_get(at)?),
        _ => Value::Text(row.try_get(at)?),
    })
}
