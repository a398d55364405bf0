//! PostgreSQL: its connections and their options.

mod checks;
mod migrate;
pub(super) mod statements;

use sqlx::postgres::{PgConnectOptions, PgSslMode, Postgres};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::pool::{Options, PooledConnection, ServerPool, connect, in_time};
use super::url::{ServerAddress, ServerUrl, TlsMode};
use crate::erased::Erased;
use crate::{Migration, SqlError};

/// The options of each session. A write must not land long after its time was given, so nothing runs or idles for longer.
///
/// Each query has an index. A table that was small when its statistics were made would be read as a whole for each object until the next
/// time, and the price that forbids it would set off the compiler.
const SESSION: [(&str, &str); 7] = [
    ("statement_timeout", "8000"),
    ("idle_in_transaction_session_timeout", "3500"),
    ("lock_timeout", "5000"),
    ("client_min_messages", "warning"),
    ("default_transaction_isolation", "read committed"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];

/// The bytes of a name that the server keeps.
const MAX_NAME_BYTES: usize = 63;

/// How a transaction is kept apart from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Each statement sees what was committed before it.
    ReadCommitted,
    /// All statements read one snapshot; none may write.
    Snapshot,
    /// As if no other transaction ran beside it.
    Serializable,
}

/// Connections of a PostgreSQL database.
pub struct PostgresPool {
    pool: ServerPool<Postgres>,
    version: String,
    has_pooler: bool,
    /// What begins a transaction, for each isolation in its order.
    begin: [String; 3],
}

impl PostgresPool {
    /// Opens connections of a database, and checks that this program can work with it. `role` is what they are for; the
    /// server lists it. [`SqlError::Unsuitable`] says what is wrong, and what to do.
    pub fn open<'a>(url: &'a ServerUrl, role: &'static str) -> Erased<'a, Self> {
        Box::pin(async move {
            let options = options(url, role).await?;
            let connected = connect::<Postgres>(&options).await;
            let mut connection = connected.map_err(|error| checks::refusal(&error, url))?;
            let version = checks::check(&mut connection, url).await?;
            // Nothing depends on how it ends.
            drop(connection.close().await);
            Ok(Self {
                pool: ServerPool::new(options, None, url),
                version,
                has_pooler: url.has_pooler,
                begin: [
                    "BEGIN ISOLATION LEVEL READ COMMITTED",
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                    "BEGIN ISOLATION LEVEL SERIALIZABLE",
                ]
                .map(|begin| begin_text(begin, url)),
            })
        })
    }

    /// A connection. [`SqlError::Busy`] if all stay in use, [`SqlError::Unavailable`] at once while the server is known
    /// to be down.
    ///
    /// A connection on which an error occurred, or whose query was dropped, should be rolled back or closed before it
    /// returns to the pool.
    pub fn acquire(&self) -> Erased<'_, PooledConnection<Postgres>> {
        Box::pin(self.pool.acquire())
    }

    /// Begins a transaction. Where a pooler stands before the server, it sets the session options, too.
    pub async fn begin(&self, connection: &mut PgConnection, isolation: Isolation) -> Result<(), SqlError> {
        let text = AssertSqlSafe(self.begin_text(isolation));
        let begun = sqlx::raw_sql(text).execute(connection).await;
        begun.map(drop).map_err(|error| self.fault(error))
    }

    /// The script that begins a transaction, to be sent together with its first statements.
    pub fn begin_text(&self, isolation: Isolation) -> &str {
        &self.begin[isolation as usize]
    }

    /// Whether statements may stay prepared: to be given to `persistent` of each query. Behind a pooler they may not, and
    /// each has to stand inside a transaction.
    pub const fn is_persistent(&self) -> bool {
        !self.has_pooler
    }

    /// What an error of a statement means. A lost connection is taken note of.
    pub fn fault(&self, error: sqlx::Error) -> SqlError {
        self.pool.fault(error)
    }

    /// What an error of a commit means: [`SqlError::OutcomeUnknown`] unless the server says that it was taken back.
    pub fn commit_fault(&self, error: sqlx::Error) -> SqlError {
        self.pool.commit_fault(error)
    }

    /// Whether the server answers and may be written to.
    pub fn check(&self) -> Erased<'_, ()> {
        Box::pin(async move {
            let mut connection = self.acquire().await?;
            match in_time(checks::is_writable(&mut connection)).await {
                Ok(true) => {
                    connection.give_back();
                    Ok(())
                }
                Ok(false) => Err(checks::read_only()),
                Err(error) => Err(self.fault(error)),
            }
        })
    }

    /// Applies the migrations that are missing, each in a transaction. `table` keeps the version. Two processes may do so
    /// at once.
    pub fn migrate<'a>(&'a self, table: &'static str, migrations: &'a [Migration]) -> Erased<'a, ()> {
        Box::pin(async move {
            let mut connection = self.pool.connect().await?;
            let migrated = migrate::migrate(self, &mut connection, table, migrations).await;
            // It rolls back what was not committed.
            drop(connection.close().await);
            migrated
        })
    }

    /// The server's name and version.
    pub(super) fn server(&self) -> String {
        // A name of its packager follows.
        let number = self.version.split(' ').next().unwrap_or_default();
        format!("PostgreSQL {number}")
    }

    /// The version of the tables, 0 before there are any. Changes nothing.
    pub(super) async fn tables_version(&self, table: &'static str) -> Result<i64, SqlError> {
        let mut connection = self.pool.connect().await?;
        let found = migrate::found(self, &mut connection, table).await;
        drop(connection.close().await);
        found
    }

    /// Closes all connections. Those in use are closed once they are given back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn options(url: &ServerUrl, role: &str) -> Result<Options<Postgres>, SqlError> {
    let password = url.read_password().await?.unwrap_or_default();
    let mut options = PgConnectOptions::new_without_pgpass()
        .username(&url.user)
        // Without one in the URL it is empty: none is taken from the environment.
        .password(&password)
        .database(&url.database)
        .application_name(&session_name(url, role))
        .disable_statement_logging();
    options = match &url.address {
        ServerAddress::Tcp(host, port) => options.host(host).port(*port).ssl_mode(tls(url.tls)),
        ServerAddress::Socket(folder, port) => {
            options.socket(folder).port(*port).ssl_mode(PgSslMode::Disable)
        }
    };
    if let Some(certificate) = url.find_root_certificate().await? {
        options = options.ssl_root_cert(certificate);
    }
    if url.has_pooler {
        // A pooler refuses parameters that it does not know, and gives statements to other sessions.
        return Ok(options.extra_float_digits(None).statement_cache_capacity(0));
    }
    Ok(options.options(session(url)))
}

/// The name of a session, which the server lists: what it is for and, if the URL names one, its schema.
pub fn session_name(url: &ServerUrl, role: &str) -> String {
    let mut name = match &url.schema {
        Some(schema) => format!("foxden {role} in {schema}"),
        None => format!("foxden {role}"),
    };
    // Longer ones are cut by the server.
    let end = (0..=MAX_NAME_BYTES.min(name.len())).rfind(|end| name.is_char_boundary(*end));
    name.truncate(end.unwrap_or(0));
    name
}

/// The options of a session, by name and value.
fn session(url: &ServerUrl) -> impl Iterator<Item = (&'static str, &str)> {
    let schema = url.schema.iter().map(|schema| ("search_path", schema.as_str()));
    let durability = url.durability.iter();
    let durability = durability.map(|durability| ("synchronous_commit", durability.as_str()));
    SESSION.into_iter().chain(schema).chain(durability)
}

/// A pooler gives each transaction another session, so the options belong to the transaction there.
fn begin_text(begin: &str, url: &ServerUrl) -> String {
    let mut text = begin.to_owned();
    if url.has_pooler {
        for (name, value) in session(url) {
            text.push_str("; SET LOCAL ");
            text.push_str(name);
            text.push_str(" = '");
            text.push_str(value);
            text.push('\'');
        }
    }
    text
}

const fn tls(mode: TlsMode) -> PgSslMode {
    match mode {
        TlsMode::Disable => PgSslMode::Disable,
        TlsMode::Prefer => PgSslMode::Prefer,
        TlsMode::Require => PgSslMode::Require,
        TlsMode::VerifyCa => PgSslMode::VerifyCa,
        TlsMode::VerifyFull => PgSslMode::VerifyFull,
    }
}
