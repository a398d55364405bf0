//! One connection to a database server, and the values that its statements take and return.

#[cfg(feature = "postgres")]
use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Either};

use foxden_sql::server::PooledConnection;
#[cfg(feature = "postgres")]
use foxden_sql::server::numbered;

use super::fault::Fault;
use crate::engine::Corrupt;

#[cfg(feature = "mysql")]
use sqlx::mysql::{MySql, MySqlArguments, MySqlRow};
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgArguments, PgRow, Postgres};

/// A connection that was taken from the pool. Dropped without [`Self::give_back`], it is closed: the server ends its
/// transaction.
pub(super) enum Connection {
    #[cfg(feature = "postgres")]
    Postgres(PooledConnection<Postgres>, Pooler),
    #[cfg(feature = "mysql")]
    Mysql(PooledConnection<MySql>),
}

/// What stands between the program and PostgreSQL.
#[cfg(feature = "postgres")]
#[derive(Clone, Debug)]
pub(super) enum Pooler {
    /// Nothing.
    None,
    /// A pooler such as pgbouncer, which gives each transaction another session. No statement may stay prepared, and none may stand
    /// outside a transaction, which this script begins: another client's answer would come back.
    BetweenTransactions(Arc<str>),
}

/// The most bytes of payload that MySQL gets as text: reading larger ones takes it longer than another round trip.
#[cfg(feature = "mysql")]
const MOST_TEXT: u64 = 256 << 10;
/// How long the answer to a statement is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

/// The dialect of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres,
    /// MySQL and MariaDB.
    #[cfg(feature = "mysql")]
    Mysql,
}

/// A value of a statement. Arrays exist in PostgreSQL alone.
pub(super) enum Arg<'a> {
    Int(Option<i64>),
    Text(&'a str),
    Bytes(Option<&'a [u8]>),
    #[cfg(feature = "postgres")]
    Ints(Vec<Option<i64>>),
    #[cfg(feature = "postgres")]
    Texts(Vec<&'a str>),
    #[cfg(feature = "postgres")]
    Blobs(Vec<Option<&'a [u8]>>),
}

/// A number that is not NULL.
pub(super) const fn int(number: i64) -> Arg<'static> {
    Arg::Int(Some(number))
}

/// A text as it is stored: as bytes.
pub(super) const fn bytes(text: Option<&str>) -> Option<&[u8]> {
    match text {
        Some(text) => Some(text.as_bytes()),
        None => None,
    }
}

/// What a statement did.
pub(super) struct Executed {
    /// The number of rows that it changed.
    pub(super) rows: u64,
    /// In MySQL the value that it gave to `LAST_INSERT_ID`, or zero.
    #[cfg_attr(not(feature = "mysql"), expect(dead_code, reason = "PostgreSQL has none"))]
    pub(super) last_insert_id: u64,
}

/// A row of an answer.
pub(super) enum Row {
    #[cfg(feature = "postgres")]
    Postgres(PgRow),
    #[cfg(feature = "mysql")]
    Mysql(MySqlRow),
}

impl Dialect {
    /// The name of the integer type in a cast.
    pub(super) const fn integer(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => "bigint",
            #[cfg(feature = "mysql")]
            Self::Mysql => "signed",
        }
    }
}

impl Connection {
    /// Returns the rows of a statement, whose placeholders are question marks.
    pub(super) async fn fetch(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Row>, Fault> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(connection, pooler) => {
                use sqlx::Executor;
                let query = sqlx::query_with(AssertSqlSafe(numbered(sql)), postgres_arguments(args)?);
                let query = query.persistent(matches!(pooler, Pooler::None));
                let rows = answered(connection.fetch_all(query)).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
            #[cfg(feature = "mysql")]
            Self::Mysql(connection) => {
                use sqlx::Executor;
                let query = sqlx::query_with(AssertSqlSafe(sql.to_owned()), mysql_arguments(args)?);
                let rows = answered(connection.fetch_all(query)).await?;
                Ok(rows.into_iter().map(Row::Mysql).collect())
            }
        }
    }

    /// Executes a statement.
    pub(super) async fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Executed, Fault> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(connection, pooler) => {
                use sqlx::Executor;
                let query = sqlx::query_with(AssertSqlSafe(numbered(sql)), postgres_arguments(args)?);
                let query = query.persistent(matches!(pooler, Pooler::None));
                let executed = answered(connection.execute(query)).await?;
                Ok(Executed {
                    rows: executed.rows_affected(),
                    last_insert_id: 0,
                })
            }
            #[cfg(feature = "mysql")]
            Self::Mysql(connection) => {
                use sqlx::Executor;
                let query = sqlx::query_with(AssertSqlSafe(sql.to_owned()), mysql_arguments(args)?);
                let executed = answered(connection.execute(query)).await?;
                Ok(Executed {
                    rows: executed.rows_affected(),
                    last_insert_id: executed.last_insert_id(),
                })
            }
        }
    }

    /// Sends several statements without values at once, and returns the rows of each.
    pub(super) async fn script(&mut self, sql: String) -> Result<Vec<Vec<Row>>, Fault> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(connection, _) => answered(answers(&mut **connection, sql, Row::Postgres)).await,
            #[cfg(feature = "mysql")]
            Self::Mysql(connection) => answered(answers(&mut **connection, sql, Row::Mysql)).await,
        }
    }

    /// The dialect of the server.
    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(..) => Dialect::Postgres,
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => Dialect::Mysql,
        }
    }

    /// Whether a plain write of so many bytes can be one round trip: behind a pooler it would need a transaction nevertheless.
    #[cfg_attr(
        not(feature = "mysql"),
        expect(unused_variables, reason = "only texts are limited")
    )]
    pub(super) const fn writes_at_once(&self, bytes: u64) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_, pooler) => matches!(pooler, Pooler::None),
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => bytes <= MOST_TEXT,
        }
    }

    /// The script that begins a transaction.
    pub(super) fn begin_text(&self) -> &str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_, Pooler::BetweenTransactions(begin)) => begin,
            _ => "BEGIN",
        }
    }

    /// Begins what belongs to no transaction; behind a pooler that is one nevertheless.
    pub(super) async fn begin_alone(&mut self) -> Result<(), Fault> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_, Pooler::BetweenTransactions(begin)) => {
                let begin = begin.to_string();
                self.script(begin).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Ends what [`Self::begin_alone`] began, and returns the connection to the pool.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_mut, reason = "only PostgreSQL has a pooler")
    )]
    pub(super) async fn end_alone(mut self) -> Result<(), Fault> {
        match &self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_, Pooler::BetweenTransactions(_)) => {
                self.script("COMMIT".to_owned()).await?;
            }
            _ => {}
        }
        self.give_back();
        Ok(())
    }

    /// Returns the connection to the pool. It must have no open transaction.
    pub(super) fn give_back(self) {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(connection, _) => connection.give_back(),
            #[cfg(feature = "mysql")]
            Self::Mysql(connection) => connection.give_back(),
        }
    }
}

/// Waits for an answer of the server, but not for long: after a cut in the network none comes. The server itself gives up earlier.
async fn answered<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Fault> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
    }
}

async fn answers<'c, C, DB>(
    connection: C,
    sql: String,
    row: impl Fn(DB::Row) -> Row,
) -> Result<Vec<Vec<Row>>, sqlx::Error>
where
    DB: sqlx::Database,
    C: sqlx::Executor<'c, Database = DB>,
{
    let mut stream = connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql)));
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    while let Some(answer) = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
        match answer? {
            Either::Left(_end) => all.push(std::mem::take(&mut rows)),
            Either::Right(found) => rows.push(row(found)),
        }
    }
    Ok(all)
}

#[cfg(feature = "postgres")]
fn postgres_arguments(args: &[Arg<'_>]) -> Result<PgArguments, Fault> {
    use sqlx::Arguments;
    let mut arguments = PgArguments::default();
    for arg in args {
        let added = match arg {
            Arg::Int(number) => arguments.add(number),
            Arg::Text(text) => arguments.add(text),
            Arg::Bytes(bytes) => arguments.add(bytes),
            Arg::Ints(numbers) => arguments.add(numbers),
            Arg::Texts(texts) => arguments.add(texts),
            Arg::Blobs(blobs) => arguments.add(blobs),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

#[cfg(feature = "mysql")]
fn mysql_arguments(args: &[Arg<'_>]) -> Result<MySqlArguments, Fault> {
    use sqlx::Arguments;
    let mut arguments = MySqlArguments::default();
    for arg in args {
        let added = match arg {
            Arg::Int(number) => arguments.add(number),
            Arg::Text(text) => arguments.add(text),
            Arg::Bytes(bytes) => arguments.add(bytes),
            #[cfg(feature = "postgres")]
            Arg::Ints(_) | Arg::Texts(_) | Arg::Blobs(_) => Err("MySQL has no arrays".into()),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

macro_rules! column {
    ($row:expr, $at:expr) => {
        match $row {
            #[cfg(feature = "postgres")]
            Row::Postgres(row) => sqlx::Row::try_get(row, $at),
            #[cfg(feature = "mysql")]
            Row::Mysql(row) => sqlx::Row::try_get(row, $at),
        }
    };
}

impl Row {
    /// A number, or NULL.
    pub(super) fn number(&self, at: usize) -> Result<Option<i64>, Fault> {
        Ok(column!(self, at)?)
    }

    /// A number that is not NULL.
    pub(super) fn int(&self, at: usize) -> Result<i64, Fault> {
        Ok(column!(self, at)?)
    }

    /// A count or a size.
    pub(super) fn count(&self, at: usize) -> Result<u64, Fault> {
        Ok(self.int(at)?.max(0).cast_unsigned())
    }

    /// Bytes, or NULL.
    pub(super) fn bytes(&self, at: usize) -> Result<Option<&[u8]>, Fault> {
        Ok(column!(self, at)?)
    }

    /// A text that is stored as bytes, or NULL.
    pub(super) fn blob_text(&self, at: usize) -> Result<Option<&str>, Fault> {
        let text = self.bytes(at)?.map(std::str::from_utf8).transpose();
        text.map_err(|_| Corrupt("a text of an object").into())
    }

    /// A text of a key: in MySQL these are stored as bytes.
    pub(super) fn text(&self, at: usize) -> Result<&str, Fault> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => Ok(sqlx::Row::try_get(row, at)?),
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => Ok(self.blob_text(at)?.unwrap_or_default()),
        }
    }
}
