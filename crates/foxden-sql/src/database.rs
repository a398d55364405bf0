//! A database, its transactions, and the queries that both answer.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::origin::{FairQueue, QueueSlots};
use crate::sqlite::{Location, Sqlite, Worker};
use crate::{Migration, Row, SqlError, Value};

/// The number of transactions that may wait; a further one fails as busy.
const WAITING: usize = 256;
/// How long a transaction waits for its turn.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// An open database. Cheap to clone; it is closed when the last clone is dropped.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
    /// Whether a dry run precedes each transaction: see [`Database::with_dry_runs`].
    has_dry_runs: bool,
}

struct Inner {
    writer: Worker,
    /// Absent for a database in memory, whose queries wait for their turn to write.
    reader: Option<Worker>,
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// The number of the last transaction; the first has 1.
    last: AtomicU64,
    /// The queues of writers and of readers: readers never wait for writers.
    writers: Arc<FairQueue>,
    readers: Arc<FairQueue>,
}

/// The numbers of transactions and queries that wait for a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepths {
    /// Transactions that wait for their turn.
    pub transactions: usize,
    /// Queries outside of transactions that wait for the thread that reads. A database without such a thread counts
    /// them as transactions.
    pub queries: usize,
}

/// A handle on the transaction that [`Database::transact`] opened. Cheap to clone. Once the transaction has ended, every
/// statement is refused.
#[derive(Clone)]
pub struct Tx {
    database: Database,
    number: u64,
}

/// An open transaction. Dropping it rolls back what was not committed.
struct Transaction {
    tx: Tx,
    _turn: Turn,
}

/// The turn to write, with the queue slots of its holder.
struct Turn {
    _permit: OwnedSemaphorePermit,
    _slots: QueueSlots,
}

/// Queries, inside a transaction or outside.
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
    /// Opens a database, given as the path of a file or as `sqlite:` and a path. Creates it if it does not exist, and
    /// migrates it. Only its owner can read the file.
    pub async fn open(location: &str, migrations: &'static [Migration]) -> Result<Self, SqlError> {
        let path = match location.split_once(':') {
            Some(("sqlite", path)) => path.trim_start_matches("//"),
            Some((engine, rest)) if rest.starts_with("//") => {
                return Err(SqlError::UnknownEngine(format!("{engine}:")));
            }
            _ => location,
        };
        let location = Location::File(Path::new(path).to_owned());
        let writer = Worker::open(location.clone(), "register").await?;
        writer.call(move |sqlite| sqlite.migrate(migrations)).await?;
        let reader = Worker::open(location.read_only(), "register-read").await?;
        Ok(Self::new(writer, Some(reader)))
    }

    /// Opens a database of another process read-only. Its tables must be at the version of this program.
    pub async fn open_read_only(path: &Path, migrations: &'static [Migration]) -> Result<Self, SqlError> {
        let worker = Worker::open(Location::ReadOnly(path.to_owned()), "register").await?;
        worker
            .call(move |sqlite| sqlite.is_up_to_date(migrations))
            .await?;
        Ok(Self::new(worker, None))
    }

    /// An empty database that lives as long as its last clone.
    pub async fn in_memory(migrations: &'static [Migration]) -> Result<Self, SqlError> {
        let writer = Worker::open(Location::Memory, "register").await?;
        writer.call(move |sqlite| sqlite.migrate(migrations)).await?;
        Ok(Self::new(writer, None))
    }

    /// Runs the work in a transaction, and commits it when the work returns `Ok`; on `Err` it is rolled back.
    ///
    /// Transactions are serializable: each sees the database as if no other ran beside it. If a database cannot keep
    /// this promise at the first attempt (a serialization failure, a deadlock), the work runs again in a new
    /// transaction, a bounded number of times. SQLite has one writer at a time, so there each runs once. The work
    /// must therefore have no effect outside its transaction, except log lines: other effects follow after `transact`
    /// has returned. Other transactions wait meanwhile, so the work must not wait for anything slow, least of all for
    /// another transaction.
    pub async fn transact<T, E, F, W>(&self, work: F) -> Result<T, E>
    where
        E: From<SqlError>,
        F: Fn(Tx) -> W,
        W: Future<Output = Result<T, E>>,
    {
        if self.has_dry_runs {
            let dry_run = self.begin().await?;
            work(dry_run.tx.clone()).await?;
        }
        let transaction = self.begin().await?;
        let value = work(transaction.tx.clone()).await?;
        transaction.commit().await?;
        Ok(value)
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

    /// Checks that tables can be read: a query without a table would not read the file.
    pub async fn check(&self) -> Result<(), SqlError> {
        self.read(Sqlite::check).await
    }

    /// Returns the numbers of transactions and queries of this process that wait.
    pub fn queue_depths(&self) -> QueueDepths {
        let inner = &self.inner;
        let queued_queries = inner.reader.as_ref().map_or(0, Worker::queued);
        QueueDepths {
            transactions: inner.waiting.load(Ordering::Relaxed) + inner.writers.waiting(),
            queries: queued_queries + inner.readers.waiting(),
        }
    }

    /// Makes deleted rows unreadable on the disk. SQLite keeps them in the WAL until that is checkpointed;
    /// [`SqlError::Busy`] if a reader still needs it.
    pub async fn wipe_deleted(&self) -> Result<(), SqlError> {
        let _turn = self.turn().await?;
        self.inner.writer.call(Sqlite::checkpoint).await
    }

    async fn begin(&self) -> Result<Transaction, SqlError> {
        let turn = self.turn().await?;
        let number = self.inner.last.fetch_add(1, Ordering::Relaxed) + 1;
        // Created before it begins, so that cancelling this future rolls it back.
        let transaction = Transaction {
            tx: Tx {
                database: self.clone(),
                number,
            },
            _turn: turn,
        };
        let writer = &self.inner.writer;
        writer.call(move |sqlite| sqlite.begin(number)).await?;
        Ok(transaction)
    }

    /// Runs a query outside of any transaction.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Sqlite) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        if let Some(reader) = &self.inner.reader {
            let slots = self.inner.readers.enter().await?;
            // The slots are held until the thread has finished the query, even if the caller has gone.
            let query = move |sqlite: &mut Sqlite| {
                let _slots = slots;
                query(sqlite)
            };
            return reader.read(query).await;
        }
        let _turn = self.turn().await?;
        self.inner.writer.call(query).await
    }

    fn new(writer: Worker, reader: Option<Worker>) -> Self {
        let inner = Inner {
            writer,
            reader,
            turn: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            writers: Arc::default(),
            readers: Arc::default(),
        };
        Self {
            inner: Arc::new(inner),
            has_dry_runs: false,
        }
    }

    async fn turn(&self) -> Result<Turn, SqlError> {
        let slots = self.inner.writers.enter().await?;
        let _waiting = WaitingGuard::join(&self.inner.waiting)?;
        let turn = tokio::time::timeout(WRITE_TIMEOUT, Arc::clone(&self.inner.turn).acquire_owned()).await;
        let permit = turn.map_err(|_| SqlError::Busy)?;
        Ok(Turn {
            _permit: permit.map_err(|closed| SqlError::Unavailable(Box::new(closed)))?,
            _slots: slots,
        })
    }
}

impl Fetch for Database {
    async fn fetch_all(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        self.read(move |sqlite| sqlite.rows(statement, values)).await
    }
}

impl Tx {
    /// Executes a statement and returns the number of changed rows.
    pub async fn execute(&self, statement: &'static str, values: Vec<Value>) -> Result<u64, SqlError> {
        self.call(move |sqlite| sqlite.execute(statement, values)).await
    }

    /// Inserts one row and returns its number.
    pub async fn insert(&self, statement: &'static str, values: Vec<Value>) -> Result<i64, SqlError> {
        self.call(move |sqlite| sqlite.insert(statement, values)).await
    }

    async fn call<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Sqlite) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let number = self.number;
        let writer = &self.database.inner.writer;
        writer
            .call(move |sqlite| sqlite.within(number).and_then(action))
            .await
    }
}

impl Fetch for Tx {
    async fn fetch_all(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        self.call(move |sqlite| sqlite.rows(statement, values)).await
    }
}

impl Transaction {
    /// Commits: everything is on the disk when this returns.
    async fn commit(self) -> Result<(), SqlError> {
        self.tx.call(Sqlite::commit).await
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // After a commit there is nothing to roll back, and the worker knows it. The turn is released after this, so
        // the next transaction begins afterwards.
        let number = self.tx.number;
        let writer = &self.tx.database.inner.writer;
        writer.post(move |sqlite| {
            if let Ok(sqlite) = sqlite.within(number) {
                sqlite.roll_back();
            }
        });
    }
}

/// One of the waiting transactions.
struct WaitingGuard<'a>(&'a AtomicUsize);

impl<'a> WaitingGuard<'a> {
    fn join(count: &'a AtomicUsize) -> Result<Self, SqlError> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) < WAITING {
            Ok(waiting)
        } else {
            Err(SqlError::Busy)
        }
    }
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
