//! A database in a file or in memory, which this process alone writes: SQLite, with a turn to write.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::backend::{Backend, Statements, Transaction};
use crate::origin::{FairQueue, QueueSlots};
use crate::sqlite::{Location, Sqlite, Worker};
use crate::waiting::{QueueDepths, WaitingGuard};
use crate::{Migration, Row, SqlError, Value};

/// How long a transaction waits for its turn.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// An open database.
pub(crate) struct Embedded {
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

/// A handle on a transaction. Once the transaction has ended, every statement is refused.
#[derive(Clone)]
struct EmbeddedTx {
    database: Arc<Embedded>,
    number: u64,
}

/// An open transaction. Dropping it rolls back what was not committed.
struct EmbeddedTransaction {
    tx: EmbeddedTx,
    _turn: Turn,
}

/// The turn to write, with the queue slots of its holder.
struct Turn {
    _permit: OwnedSemaphorePermit,
    _slots: QueueSlots,
}

impl Embedded {
    /// Opens a file, creates it if it does not exist, and migrates it.
    pub(crate) async fn open(path: &Path, migrations: &'static [Migration]) -> Result<Self, SqlError> {
        let location = Location::File(path.to_owned());
        let writer = Worker::open(location.clone(), "register").await?;
        writer.call(move |sqlite| sqlite.migrate(migrations)).await?;
        let reader = Worker::open(location.read_only(), "register-read").await?;
        Ok(Self::new(writer, Some(reader)))
    }

    pub(crate) async fn open_read_only(
        path: &Path,
        migrations: &'static [Migration],
    ) -> Result<Self, SqlError> {
        let worker = Worker::open(Location::ReadOnly(path.to_owned()), "register").await?;
        worker
            .call(move |sqlite| sqlite.is_up_to_date(migrations))
            .await?;
        Ok(Self::new(worker, None))
    }

    pub(crate) async fn in_memory(migrations: &'static [Migration]) -> Result<Self, SqlError> {
        let writer = Worker::open(Location::Memory, "register").await?;
        writer.call(move |sqlite| sqlite.migrate(migrations)).await?;
        Ok(Self::new(writer, None))
    }

    /// Runs a query outside of any transaction.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Sqlite) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        if let Some(reader) = &self.reader {
            let slots = self.readers.enter().await?;
            // The slots are held until the thread has finished the query, even if the caller has gone.
            let query = move |sqlite: &mut Sqlite| {
                let _slots = slots;
                query(sqlite)
            };
            return reader.read(query).await;
        }
        let _turn = self.turn().await?;
        self.writer.call(query).await
    }

    fn new(writer: Worker, reader: Option<Worker>) -> Self {
        Self {
            writer,
            reader,
            turn: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            writers: Arc::default(),
            readers: Arc::default(),
        }
    }

    async fn turn(&self) -> Result<Turn, SqlError> {
        let slots = self.writers.enter().await?;
        let _waiting = WaitingGuard::join(&self.waiting)?;
        let turn = tokio::time::timeout(WRITE_TIMEOUT, Arc::clone(&self.turn).acquire_owned()).await;
        let permit = turn.map_err(|_| SqlError::Busy)?;
        Ok(Turn {
            _permit: permit.map_err(|closed| SqlError::Unavailable(Box::new(closed)))?,
            _slots: slots,
        })
    }
}

#[async_trait]
impl Backend for Embedded {
    async fn check(&self) -> Result<(), SqlError> {
        self.read(Sqlite::check).await
    }

    fn queue_depths(&self) -> QueueDepths {
        let queued_queries = self.reader.as_ref().map_or(0, Worker::queued);
        QueueDepths {
            transactions: self.waiting.load(Ordering::Relaxed) + self.writers.waiting(),
            queries: queued_queries + self.readers.waiting(),
        }
    }

    async fn wipe_deleted(&self) -> Result<(), SqlError> {
        let _turn = self.turn().await?;
        self.writer.call(Sqlite::checkpoint).await
    }

    async fn close(&self) {}

    async fn enter(&self) -> Result<Option<QueueSlots>, SqlError> {
        Ok(None)
    }

    async fn begin(self: Arc<Self>) -> Result<Box<dyn Transaction>, SqlError> {
        let turn = self.turn().await?;
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        // Created before it begins, so that cancelling this future rolls it back.
        let transaction = EmbeddedTransaction {
            tx: EmbeddedTx {
                database: Arc::clone(&self),
                number,
            },
            _turn: turn,
        };
        self.writer.call(move |sqlite| sqlite.begin(number)).await?;
        Ok(Box::new(transaction))
    }

    async fn rows(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        self.read(move |sqlite| sqlite.rows(statement, values)).await
    }
}

#[async_trait]
impl Statements for EmbeddedTx {
    async fn execute(&self, statement: &'static str, values: Vec<Value>) -> Result<u64, SqlError> {
        self.call(move |sqlite| sqlite.execute(statement, values)).await
    }

    async fn insert(&self, statement: &'static str, values: Vec<Value>) -> Result<i64, SqlError> {
        self.call(move |sqlite| sqlite.insert(statement, values)).await
    }

    async fn rows(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        self.call(move |sqlite| sqlite.rows(statement, values)).await
    }
}

impl EmbeddedTx {
    async fn call<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Sqlite) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let number = self.number;
        let writer = &self.database.writer;
        writer
            .call(move |sqlite| sqlite.within(number).and_then(action))
            .await
    }
}

#[async_trait]
impl Transaction for EmbeddedTransaction {
    fn statements(&self) -> Arc<dyn Statements> {
        Arc::new(self.tx.clone())
    }

    /// After a commit everything is on the disk.
    async fn end(self: Box<Self>, is_kept: bool) -> Result<(), SqlError> {
        if is_kept {
            return self.tx.call(Sqlite::commit).await;
        }
        Ok(())
    }
}

impl Drop for EmbeddedTransaction {
    fn drop(&mut self) {
        // After a commit there is nothing to roll back, and the worker knows it. The turn is released after this, so
        // the next transaction begins afterwards.
        let number = self.tx.number;
        let writer = &self.tx.database.writer;
        writer.post(move |sqlite| {
            if let Ok(sqlite) = sqlite.within(number) {
                sqlite.roll_back();
            }
        });
    }
}
