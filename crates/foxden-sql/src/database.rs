//! A database, its transactions, and the queries that both answer.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use crate::backend::{Backend, Statements};
use crate::embedded::Embedded;
use crate::repeat::Repeats;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::server::database::ServerDatabase;
use crate::server::{ServerEngine, ServerUrl};
use crate::waiting::QueueDepths;
use crate::{Migrations, Row, SqlError, Value, value};

/// An open database. Cheap to clone; it is closed when the last clone is dropped.
#[derive(Clone)]
pub struct Database {
    backend: Arc<dyn Backend>,
    /// Whether a dry run precedes each transaction: see [`Database::with_dry_runs`].
    has_dry_runs: bool,
    repeats: Arc<Repeats>,
}

/// A handle on the transaction that [`Database::transact`] opened. Cheap to clone. Once the transaction has ended, every
/// statement is refused.
#[derive(Clone)]
pub struct Tx(Arc<dyn Statements>);

/// Queries, inside a transaction or outside. [`SqlError::NullCharacter`] if a value is a text with U+0000.
pub trait Fetch: Sync {
    /// All rows of the answer.
    fn fetch_all(
        &self,
        statement: &'static str,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Row>, SqlError>> + Send;

    /// The first row of the answer, if it has one.
    fn fetch_optional(
        &self,
        statement: &'static str,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Option<Row>, SqlError>> + Send {
        async move { Ok(self.fetch_all(statement, values).await?.into_iter().next()) }
    }
}

impl Database {
    /// Opens a database, and migrates it.
    ///
    /// It is given as the path of a file or as `sqlite:` and a path, and created if it does not exist, so that only its
    /// owner can read it; or as the URL of a database of a server: see [`crate::ServerUrl`].
    pub async fn open(location: &str, migrations: impl Into<Migrations>) -> Result<Self, SqlError> {
        let migrations = migrations.into();
        if ServerEngine::of(location).is_some() {
            let url: ServerUrl = location.parse()?;
            #[cfg(any(feature = "postgres", feature = "mysql"))]
            {
                return ServerDatabase::open(&url, migrations).await.map(Self::new);
            }
            // Such a URL is refused when it is read.
            #[cfg(not(any(feature = "postgres", feature = "mysql")))]
            return Err(SqlError::UnknownEngine(url.to_string()));
        }
        Embedded::open(file(location)?, migrations.sqlite)
            .await
            .map(Self::new)
    }

    /// Opens a database of another process to read it; a file is opened read-only. Its tables must be at the version of this
    /// program: [`SqlError::Older`] where they are to be made or migrated.
    pub async fn open_read_only(location: &str, migrations: impl Into<Migrations>) -> Result<Self, SqlError> {
        let migrations = migrations.into();
        #[cfg(any(feature = "postgres", feature = "mysql"))]
        if crate::ServerEngine::of(location).is_some() {
            let url: ServerUrl = location.parse()?;
            return ServerDatabase::open_as_it_is(&url, migrations)
                .await
                .map(Self::new);
        }
        Embedded::open_read_only(file(location)?, migrations.sqlite)
            .await
            .map(Self::new)
    }

    /// An empty database that lives as long as its last clone.
    pub async fn in_memory(migrations: impl Into<Migrations>) -> Result<Self, SqlError> {
        Embedded::in_memory(migrations.into().sqlite).await.map(Self::new)
    }

    /// Runs the work in a transaction, and commits it when the work returns `Ok`; on `Err` it is rolled back.
    ///
    /// Transactions are serializable: each sees the database as if no other ran beside it. If a database cannot keep
    /// this promise at the first attempt (a serialization failure, a deadlock), or loses the connection before the
    /// commit, the work runs again in a new transaction, a bounded number of times and within ten seconds; then it fails as
    /// [`SqlError::Busy`]. SQLite has one writer at a time, so there each runs once. The work must therefore have no
    /// effect outside its transaction, except log lines: other effects follow after `transact` has returned. Other
    /// transactions wait meanwhile, so the work must not wait for anything slow, least of all for another transaction.
    ///
    /// After an error of a statement no further statement runs in that transaction of a server, and it is not
    /// committed, whatever the work returns. [`SqlError::OutcomeUnknown`] if the connection was lost during the commit:
    /// it may have happened or not, so the work does not run again.
    pub async fn transact<T, E, F, W>(&self, work: F) -> Result<T, E>
    where
        E: From<SqlError>,
        F: Fn(Tx) -> W,
        W: Future<Output = Result<T, E>>,
    {
        if self.has_dry_runs {
            self.attempt(&work, false).await?;
        }
        self.attempt(&work, true).await
    }

    /// Runs the work until the database does not take it back, and commits or rolls back.
    async fn attempt<T, E, F, W>(&self, work: &F, is_kept: bool) -> Result<T, E>
    where
        E: From<SqlError>,
        F: Fn(Tx) -> W,
        W: Future<Output = Result<T, E>>,
    {
        // They are kept while it runs again: those who wait for that are as many as those who run.
        let _slots = self.backend.enter().await?;
        let mut attempts = self.repeats.first();
        loop {
            let transaction = match Arc::clone(&self.backend).begin().await {
                Ok(transaction) => transaction,
                Err(error) => {
                    attempts.again(error).await?;
                    continue;
                }
            };
            let result = work(Tx(transaction.statements())).await;
            match transaction.end(is_kept && result.is_ok()).await {
                Ok(()) => return result,
                Err(error @ (SqlError::Repeat(_) | SqlError::ConnectionLost(_))) => {
                    attempts.again(error).await?;
                }
                Err(error) => return Err(result.err().unwrap_or_else(|| error.into())),
            }
        }
    }

    /// The same database, for tests: it runs each work twice and rolls the first run back, which shows that the work
    /// may run again. An error of the first run is returned at once.
    #[must_use]
    pub fn with_dry_runs(self) -> Self {
        Self {
            has_dry_runs: true,
            ..self
        }
    }

    /// Checks that the database answers: in a file, that its tables can be read; at a server, that it may be written to.
    pub async fn check(&self) -> Result<(), SqlError> {
        self.backend.check().await
    }

    /// Returns the numbers of transactions and queries of this process that wait.
    pub fn queue_depths(&self) -> QueueDepths {
        self.backend.queue_depths()
    }

    /// Makes deleted rows unreadable on the disk. SQLite keeps them in the WAL until that is checkpointed;
    /// [`SqlError::Busy`] if a reader still needs it. A server cleans up by itself, in its own time.
    pub async fn wipe_deleted(&self) -> Result<(), SqlError> {
        self.backend.wipe_deleted().await
    }

    /// Closes the connections to a server; they are not to be used any more. A file is closed with the last clone.
    pub async fn close(&self) {
        self.backend.close().await;
    }

    fn new(backend: impl Backend + 'static) -> Self {
        Self {
            backend: Arc::new(backend),
            has_dry_runs: false,
            repeats: Arc::default(),
        }
    }
}

/// The file that a location names.
fn file(location: &str) -> Result<&Path, SqlError> {
    match location.split_once(':') {
        Some(("sqlite", path)) => Ok(Path::new(path.trim_start_matches("//"))),
        Some((engine, rest)) if rest.starts_with("//") => Err(SqlError::UnknownEngine(format!("{engine}:"))),
        _ => Ok(Path::new(location)),
    }
}

impl Fetch for Database {
    async fn fetch_all(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        value::check(&values)?;
        self.backend.rows(statement, values).await
    }
}

impl Tx {
    /// Executes a statement and returns the number of rows that it found and changed.
    pub async fn execute(&self, statement: &'static str, values: Vec<Value>) -> Result<u64, SqlError> {
        value::check(&values)?;
        self.0.execute(statement, values).await
    }

    /// Inserts one row and returns its number, which the database gave out.
    pub async fn insert(&self, statement: &'static str, values: Vec<Value>) -> Result<i64, SqlError> {
        value::check(&values)?;
        self.0.insert(statement, values).await
    }
}

impl Fetch for Tx {
    async fn fetch_all(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        value::check(&values)?;
        self.0.rows(statement, values).await
    }
}
