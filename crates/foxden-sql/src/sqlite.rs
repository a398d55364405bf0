//! SQLite, on a thread of its own: a flush to the disk never holds up the threads that serve requests.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};
use tokio::sync::{mpsc, oneshot};

use crate::value::UNTYPED_NULL;
use crate::{Migration, Row, SqlError, Value};

/// Requests that may wait for a thread.
const QUEUE: usize = 256;
/// The busy timeout, for another process that locks the file.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of attempts to enable WAL mode, and the pause between them.
const WAL_ATTEMPTS: u32 = 250;
const WAL_RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Where a database is, and how it is opened.
#[derive(Clone)]
pub(crate) enum Location {
    File(PathBuf),
    ReadOnly(PathBuf),
    Memory,
}

/// A thread with one connection. It ends when this is dropped and the queue is empty.
pub(crate) struct Worker(mpsc::Sender<Job>);

type Job = Box<dyn FnOnce(&mut Sqlite) + Send>;

/// The connection, as its thread sees it.
pub(crate) struct Sqlite {
    connection: Connection,
    /// The number of the transaction that began last.
    number: u64,
}

/// The number of a migration's transaction; all others have higher ones.
const MIGRATION: u64 = 0;

impl Location {
    pub(crate) fn read_only(self) -> Self {
        match self {
            Self::File(path) | Self::ReadOnly(path) => Self::ReadOnly(path),
            Self::Memory => Self::Memory,
        }
    }
}

impl Worker {
    pub(crate) async fn open(location: Location, name: &str) -> Result<Self, SqlError> {
        let (sender, mut queue) = mpsc::channel::<Job>(QUEUE);
        let (opened, is_open) = oneshot::channel();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || match Sqlite::open(&location) {
                Ok(mut sqlite) => {
                    // A caller that no longer waits has dropped the queue, too.
                    drop(opened.send(Ok(())));
                    while let Some(job) = queue.blocking_recv() {
                        // The caller gets no result. The next transaction rolls back one that the job left open.
                        if catch_unwind(AssertUnwindSafe(|| job(&mut sqlite))).is_err() {
                            tracing::error!("a job on the database thread panicked");
                        }
                    }
                }
                Err(error) => drop(opened.send(Err(error))),
            })
            .map_err(unavailable)?;
        is_open.await.map_err(unavailable)??;
        Ok(Self(sender))
    }

    /// Runs an action on the thread and waits for its result.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Sqlite) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        self.queue(false, action).await
    }

    /// Runs a query on the thread; it is dropped if the caller leaves before its turn.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Sqlite) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        self.queue(true, query).await
    }

    async fn queue<T: Send + 'static>(
        &self,
        is_query: bool,
        action: impl FnOnce(&mut Sqlite) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let (sender, answer) = oneshot::channel();
        let job: Job = Box::new(move |sqlite| {
            if !(is_query && sender.is_closed()) {
                // The caller may leave meanwhile.
                drop(sender.send(action(sqlite)));
            }
        });
        self.0.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SqlError::Busy,
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        answer.await.map_err(|_| gone())?
    }

    /// Returns the number of actions that wait for the thread.
    pub(crate) fn queued(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }

    /// Posts an action whose result is not awaited.
    pub(crate) fn post(&self, action: impl FnOnce(&mut Sqlite) + Send + 'static) {
        if self.0.try_send(Box::new(action)).is_err() {
            // Nothing is lost: the next transaction rolls it back.
            tracing::warn!("a transaction stays open until the next one begins");
        }
    }
}

impl Sqlite {
    fn open(location: &Location) -> Result<Self, SqlError> {
        let connection = match location {
            Location::File(path) => {
                create_private_file(path).map_err(unavailable)?;
                let connection = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE));
                connection.map_err(sql_error)?
            }
            Location::ReadOnly(path) => {
                // Not opened read-only: a reader must be able to create the shared index of the WAL.
                let connection = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE));
                let connection = connection.map_err(sql_error)?;
                connection
                    .pragma_update(None, "query_only", true)
                    .map_err(sql_error)?;
                connection
            }
            Location::Memory => Connection::open_in_memory().map_err(sql_error)?,
        };
        connection.busy_timeout(WRITE_TIMEOUT).map_err(sql_error)?;
        connection.set_prepared_statement_cache_capacity(64);
        // Small caches: the register is small, and the whole server has to fit into a few megabytes.
        enable_wal(&connection)?;
        let settings = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
            PRAGMA secure_delete = ON; PRAGMA cache_size = -256; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;
            PRAGMA journal_size_limit = 4194304;";
        connection.execute_batch(settings).map_err(sql_error)?;
        Ok(Self {
            connection,
            number: MIGRATION,
        })
    }

    pub(crate) fn migrate(&mut self, migrations: &[Migration]) -> Result<(), SqlError> {
        let known = i64::try_from(migrations.len()).map_err(unavailable)?;
        // Another process may migrate at the same time, so the version is read again under the lock of each step.
        loop {
            self.begin(MIGRATION)?;
            let outcome = self.migrate_once(migrations, known);
            match outcome {
                Ok(true) => self.commit()?,
                Ok(false) => {
                    self.roll_back();
                    return Ok(());
                }
                Err(error) => {
                    self.roll_back();
                    return Err(error);
                }
            }
        }
    }

    /// Checks that the tables are at the version of this program.
    pub(crate) fn is_up_to_date(&self, migrations: &[Migration]) -> Result<(), SqlError> {
        let known = i64::try_from(migrations.len()).map_err(unavailable)?;
        match self.version()? {
            found if found > known => Err(SqlError::Newer { found, known }),
            found if found < known => Err(SqlError::Older { found, known }),
            _ => Ok(()),
        }
    }

    fn version(&self) -> Result<i64, SqlError> {
        let version = self
            .connection
            .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        version.map_err(sql_error)
    }

    /// Runs the next migration; returns whether there was one.
    fn migrate_once(&self, migrations: &[Migration], known: i64) -> Result<bool, SqlError> {
        let found = self.version()?;
        if found > known {
            return Err(SqlError::Newer { found, known });
        }
        let next = usize::try_from(found).map_err(|_| SqlError::Mismatch)?;
        let Some(migration) = migrations.get(next) else {
            return Ok(false);
        };
        tracing::info!(migration = migration.name, "applying a migration");
        self.connection
            .execute_batch(migration.statements)
            .map_err(sql_error)?;
        self.connection
            .pragma_update(None, "user_version", found + 1)
            .map_err(sql_error)?;
        Ok(true)
    }

    /// Begins the transaction of that number; rolls back one that is still open.
    pub(crate) fn begin(&mut self, number: u64) -> Result<(), SqlError> {
        self.roll_back();
        self.number = number;
        self.connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(sql_error)
    }

    /// Refuses if the transaction of that number is no longer open: outside of it each statement would be a
    /// transaction of its own. SQLite ends a transaction itself when the disk fails.
    pub(crate) fn within(&mut self, number: u64) -> Result<&mut Self, SqlError> {
        if self.number == number && !self.connection.is_autocommit() {
            Ok(self)
        } else {
            Err(SqlError::Unavailable("the transaction has ended".into()))
        }
    }

    pub(crate) fn commit(&mut self) -> Result<(), SqlError> {
        self.connection.execute_batch("COMMIT").map_err(sql_error)
    }

    pub(crate) fn roll_back(&mut self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.connection.execute_batch("ROLLBACK") {
            tracing::error!(%error, "a transaction could not be taken back");
        }
    }

    pub(crate) fn check(&mut self) -> Result<(), SqlError> {
        self.rows("SELECT COUNT(*) FROM sqlite_schema", Vec::new())
            .map(drop)
    }

    pub(crate) fn checkpoint(&mut self) -> Result<(), SqlError> {
        let busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], busy)
            .map_err(sql_error)?;
        if busy == 0 { Ok(()) } else { Err(SqlError::Busy) }
    }

    pub(crate) fn execute(&mut self, statement: &str, values: Vec<Value>) -> Result<u64, SqlError> {
        let mut prepared = self.connection.prepare_cached(statement).map_err(sql_error)?;
        let changed = prepared.execute(params_from_iter(values)).map_err(sql_error)?;
        u64::try_from(changed).map_err(unavailable)
    }

    pub(crate) fn insert(&mut self, statement: &str, values: Vec<Value>) -> Result<i64, SqlError> {
        self.execute(statement, values)?;
        Ok(self.connection.last_insert_rowid())
    }

    pub(crate) fn rows(&mut self, statement: &str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        let mut prepared = self.connection.prepare_cached(statement).map_err(sql_error)?;
        let columns = prepared.column_count();
        let mut answer = prepared.query(params_from_iter(values)).map_err(sql_error)?;
        let mut rows = Vec::new();
        while let Some(row) = answer.next().map_err(sql_error)? {
            let values = (0..columns).map(|at| read(row.get_ref(at).map_err(sql_error)?));
            rows.push(Row(values.collect::<Result<_, _>>()?));
        }
        Ok(rows)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(None) | Self::Text(None) | Self::Blob(None) => ValueRef::Null,
            Self::Integer(Some(number)) => ValueRef::Integer(*number),
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Blob(Some(bytes)) => ValueRef::Blob(bytes),
        }))
    }
}

fn read(value: ValueRef<'_>) -> Result<Value, SqlError> {
    match value {
        ValueRef::Null => Ok(UNTYPED_NULL),
        ValueRef::Integer(number) => Ok(Value::Integer(Some(number))),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|_| SqlError::Mismatch)?;
            Ok(Value::Text(Some(text.to_owned())))
        }
        ValueRef::Blob(bytes) => Ok(Value::Blob(Some(bytes.to_vec()))),
        ValueRef::Real(_) => Err(SqlError::Mismatch),
    }
}

/// Creates the file before SQLite does, so that no other user can ever read it. The WAL takes over its permissions.
fn create_private_file(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

/// Enables WAL mode. If several processes create a file at once, SQLite does not wait for the one that enables it, so
/// it is tried again.
fn enable_wal(connection: &Connection) -> Result<(), SqlError> {
    let mut tries_left = WAL_ATTEMPTS;
    loop {
        match connection
            .execute_batch("PRAGMA journal_mode = WAL")
            .map_err(sql_error)
        {
            Err(SqlError::Busy) if tries_left > 0 => {
                tries_left -= 1;
                std::thread::sleep(WAL_RETRY_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// One thread has the connection, so SQLite need not lock it.
fn flags(mode: OpenFlags) -> OpenFlags {
    mode | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn sql_error(error: rusqlite::Error) -> SqlError {
    use rusqlite::ffi::{
        SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE,
    };
    if let Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) = error.sqlite_error_code() {
        return SqlError::Busy;
    }
    match error.sqlite_error().map(|error| error.extended_code) {
        Some(SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE) => SqlError::Conflict,
        Some(SQLITE_CONSTRAINT_FOREIGNKEY) => SqlError::ForeignKey,
        Some(_) | None => unavailable(error),
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> SqlError {
    SqlError::Unavailable(Box::new(error))
}

fn gone() -> SqlError {
    SqlError::Unavailable("the database's thread has ended".into())
}
