//! A database, its transactions, and the questions both answer.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::asker::{Lines, Places};
use crate::sqlite::{Place, Sqlite, Worker};
use crate::{Migration, Row, SqlError, Value};

/// Transactions that may wait for their turn; a further one is told that the database is busy.
const WAITING: usize = 256;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open database. Cheap to clone; it is closed when the last clone is dropped.
#[derive(Clone)]
pub struct Database(Arc<Inside>);

struct Inside {
    writer: Worker,
    /// Absent for a database in memory, whose questions wait their turn like everything else.
    reader: Option<Worker>,
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Those who want to write, and those who want to read: the latter never wait for the former.
    writers: Arc<Lines>,
    readers: Arc<Lines>,
}

/// A transaction. Nothing of it is seen by others before [`Tx::commit`]; dropping it takes everything back.
///
/// At most one is open at a time, so it must not wait for anything slow, least of all for another one.
pub struct Tx {
    database: Database,
    _turn: Turn,
}

/// The turn to write, and the places of whoever has it.
struct Turn {
    _permit: OwnedSemaphorePermit,
    _places: Places,
}

/// What can be asked, inside a transaction or outside.
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
    /// Opens the database at that place, a file's path or `sqlite:` and a path, makes it if it is not there, and
    /// brings its tables up to date. The file is its owner's alone.
    pub async fn open(place: &str, migrations: &'static [Migration]) -> Result<Self, SqlError> {
        let path = match place.split_once(':') {
            Some(("sqlite", path)) => path.trim_start_matches("//"),
            Some((engine, rest)) if rest.starts_with("//") => {
                return Err(SqlError::UnknownEngine(format!("{engine}:")));
            }
            _ => place,
        };
        let place = Place::File(Path::new(path).to_owned());
        let writer = Worker::open(place.clone(), "register").await?;
        writer.call(move |sqlite| sqlite.migrate(migrations)).await?;
        let reader = Worker::open(place.read_only(), "register-read").await?;
        Ok(Self::new(writer, Some(reader)))
    }

    /// Opens a database that another program keeps, only to look at it: nothing in it can be changed, and its tables must
    /// be the ones that this program knows.
    pub async fn look(path: &Path, migrations: &'static [Migration]) -> Result<Self, SqlError> {
        let looking = Worker::open(Place::ReadOnly(path.to_owned()), "register").await?;
        looking
            .call(move |sqlite| sqlite.is_up_to_date(migrations))
            .await?;
        Ok(Self::new(looking, None))
    }

    /// An empty database that lives as long as its last clone.
    pub async fn in_memory(migrations: &'static [Migration]) -> Result<Self, SqlError> {
        let writer = Worker::open(Place::Memory, "register").await?;
        writer.call(move |sqlite| sqlite.migrate(migrations)).await?;
        Ok(Self::new(writer, None))
    }

    /// Begins a transaction, once those before it have ended.
    pub async fn begin(&self) -> Result<Tx, SqlError> {
        // Made before it begins, so that giving up on the answer takes the beginning back.
        let tx = Tx {
            _turn: self.turn().await?,
            database: self.clone(),
        };
        tx.database.0.writer.call(Sqlite::begin).await?;
        Ok(tx)
    }

    /// Whether it answers out of its tables: a question about nothing never looks at the file.
    pub async fn check(&self) -> Result<(), SqlError> {
        let question = "SELECT COUNT(*) FROM sqlite_schema";
        self.fetch_all(question, Vec::new()).await.map(drop)
    }

    /// Writes the log back into the file, where it holds no deleted row any longer, and empties it.
    pub async fn checkpoint(&self) -> Result<(), SqlError> {
        let _turn = self.turn().await?;
        self.0.writer.call(Sqlite::checkpoint).await
    }

    fn new(writer: Worker, reader: Option<Worker>) -> Self {
        Self(Arc::new(Inside {
            writer,
            reader,
            turn: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            writers: Arc::default(),
            readers: Arc::default(),
        }))
    }

    async fn turn(&self) -> Result<Turn, SqlError> {
        let places = self.0.writers.enter().await?;
        let _place = Waiting::join(&self.0.waiting)?;
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.0.turn).acquire_owned()).await;
        let permit = turn.map_err(|_| SqlError::Busy)?;
        Ok(Turn {
            _permit: permit.map_err(|closed| SqlError::Unavailable(Box::new(closed)))?,
            _places: places,
        })
    }
}

impl Fetch for Database {
    async fn fetch_all(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        if let Some(reader) = &self.0.reader {
            let places = self.0.readers.enter().await?;
            // The places are taken until the thread is done with the question, even if its asker leaves.
            let question = move |sqlite: &mut Sqlite| {
                let _places = places;
                sqlite.rows(statement, values)
            };
            return reader.ask(question).await;
        }
        let _turn = self.turn().await?;
        self.0
            .writer
            .call(move |sqlite| sqlite.rows(statement, values))
            .await
    }
}

impl Tx {
    /// Carries out a statement and says how many rows it changed.
    pub async fn execute(&self, statement: &'static str, values: Vec<Value>) -> Result<u64, SqlError> {
        let writer = &self.database.0.writer;
        writer.call(move |sqlite| sqlite.execute(statement, values)).await
    }

    /// Inserts one row and gives the number it got.
    pub async fn insert(&self, statement: &'static str, values: Vec<Value>) -> Result<i64, SqlError> {
        let writer = &self.database.0.writer;
        writer.call(move |sqlite| sqlite.insert(statement, values)).await
    }

    /// Makes everything last: it is on the disk when this returns.
    pub async fn commit(self) -> Result<(), SqlError> {
        self.database.0.writer.call(Sqlite::commit).await
    }
}

impl Fetch for Tx {
    async fn fetch_all(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        let writer = &self.database.0.writer;
        writer.call(move |sqlite| sqlite.rows(statement, values)).await
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        // After a commit there is nothing to take back, and the worker knows it. The permit is given back after
        // this, so the next transaction begins behind it.
        self.database.0.writer.post(Sqlite::roll_back);
    }
}

/// One place among those who wait.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Result<Self, SqlError> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) < WAITING {
            Ok(waiting)
        } else {
            Err(SqlError::Busy)
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
