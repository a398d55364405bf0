//! The connection of the writer thread: transactions, and finding out whether one was committed.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::checkpoint::{Checkpoints, WalMonitor};
use super::errors::EngineFault;
use super::file::DataFile;
use super::open;
use super::purge;
use super::user_state::UserStateMut;
use super::write_tx::{CommitMarker, TxEffects, WriteTx};
use crate::engine::EngineError;
use crate::engine::purge_debt::{PurgeChunk, PurgeDebt};
use crate::page::Budget;

/// The one write connection of a file.
pub(super) struct WriterConnection {
    file: Arc<DataFile>,
    /// `None` after a failure, until it is opened again.
    connection: Option<Connection>,
    checkpoints: Checkpoints,
    wal: WalMonitor,
    pub(super) debt: PurgeDebt,
    /// How long to wait for the lock of another process.
    lock_timeout: Duration,
    /// Whether the last transaction failed.
    has_failed: bool,
}

/// Why a transaction was not committed, or may not have been.
pub(super) enum TxError {
    /// It was rolled back.
    RolledBack(EngineError),
    /// The commit failed.
    CommitFailed(EngineFault),
}

impl From<TxError> for EngineError {
    fn from(failed: TxError) -> Self {
        match failed {
            TxError::RolledBack(error) => error,
            TxError::CommitFailed(fault) => fault.into(),
        }
    }
}

/// Where a transaction stopped.
enum TxStop<T> {
    Before(EngineError),
    AtCommit(rusqlite::Error, T, TxEffects),
}

impl WriterConnection {
    pub(super) fn new(
        file: Arc<DataFile>,
        connection: Connection,
        checkpoints: Checkpoints,
        lock_timeout: Duration,
    ) -> rusqlite::Result<Self> {
        connection.busy_timeout(lock_timeout)?;
        Ok(Self {
            file,
            connection: Some(connection),
            checkpoints,
            wal: WalMonitor::new(lock_timeout),
            debt: PurgeDebt::none(),
            lock_timeout,
            has_failed: false,
        })
    }

    pub(super) fn number(&self) -> usize {
        self.file.number
    }

    /// Runs a transaction. After this returns, readers see its changes.
    pub(super) fn transact<T>(
        &mut self,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<T, EngineError>,
    ) -> Result<T, TxError> {
        let file = Arc::clone(&self.file);
        let connection = self.take().map_err(TxError::RolledBack)?;
        // Held until readers see the new state.
        let _pending = file.begin_writes();
        let result = match attempt(&connection, &file, change) {
            Ok((answer, effects)) => {
                self.connection = Some(connection);
                effects.publish();
                Ok(answer)
            }
            Err(TxStop::Before(error)) => {
                self.roll_back(connection);
                Err(TxError::RolledBack(error))
            }
            Err(TxStop::AtCommit(error, answer, effects)) => {
                self.roll_back(connection);
                // The old connection must be closed, so that its transaction cannot be committed any more.
                self.connection = None;
                // A WAL that cannot grow can restart after a checkpoint.
                self.checkpoints.request(&file);
                match self.was_committed(&effects.markers) {
                    Some(true) => {
                        effects.publish();
                        Ok(answer)
                    }
                    Some(false) => {
                        let code = error.sqlite_error_code();
                        Err(TxError::CommitFailed(EngineFault::NotCommitted(code)))
                    }
                    None => Err(TxError::CommitFailed(EngineFault::NotFound)),
                }
            }
        };
        self.has_failed = result.is_err();
        result
    }

    /// Purges one chunk, within the budget.
    pub(super) fn purge_chunk(&mut self, budget: Budget) -> Result<PurgeChunk, EngineError> {
        self.debt.note(budget.until, self.file.environment.now());
        Ok(self.transact(|tx| purge::purge_chunk(tx, budget))?)
    }

    /// Purges one chunk of the debt.
    pub(super) fn pay(&mut self) {
        let budget = self.debt.budget();
        // Cleared first, so that a panic does not repeat for the same debt.
        let debt = std::mem::replace(&mut self.debt, PurgeDebt::none());
        let paid = self.transact(|tx| purge::purge_chunk(tx, budget));
        self.debt = debt;
        if let Err(error) = &paid {
            let error: &dyn std::error::Error = match error {
                TxError::RolledBack(error) => error,
                TxError::CommitFailed(fault) => fault,
            };
            tracing::warn!(error, path = %self.file.path.display(), "cannot purge deleted data");
        }
        self.debt.pay(paid.ok());
    }

    /// Runs maintenance outside a transaction.
    pub(super) fn maintain<T>(
        &mut self,
        task: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, EngineError> {
        let connection = self.take()?;
        let result = task(&connection);
        self.roll_back(connection);
        Ok(result?)
    }

    /// Returns whether writes work. After a failure, only a real write can tell.
    pub(super) fn check(&mut self) -> Result<(), EngineError> {
        if self.has_failed {
            self.transact(|tx| Ok(touch(tx.connection)?))?;
            return Ok(());
        }
        self.maintain(|connection| connection.execute_batch("begin immediate; rollback"))
    }

    /// Keeps the WAL short; to be called after a transaction, when its callers have their answers.
    pub(super) fn maintain_wal(&mut self, is_idle: bool) {
        let Some(connection) = &self.connection else {
            return;
        };
        match self.wal.maintain_wal(connection, &self.file, is_idle) {
            Ok(false) => {}
            Ok(true) => self.checkpoints.request(&self.file),
            Err(error) => {
                tracing::warn!(%error, path = %self.file.path.display(), "cannot maintain the WAL");
            }
        }
    }

    fn take(&mut self) -> Result<Connection, EngineError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        Ok(open::connect_writer(&self.file.path, self.lock_timeout)?)
    }

    /// Rolls an open transaction back, and keeps the connection if that succeeds.
    fn roll_back(&mut self, connection: Connection) {
        let is_sound = connection.is_autocommit() || connection.execute_batch("rollback").is_ok();
        if is_sound {
            self.connection = Some(connection);
        }
    }

    /// Returns whether a transaction with these markers is in the file; `None` if that is unknown.
    fn was_committed(&mut self, markers: &[CommitMarker]) -> Option<bool> {
        let connection = self.take().ok()?;
        // First, so that a crash cannot restore a commit that is not visible now.
        seal(&connection).ok()?;
        let found = find_markers(&connection, markers).ok()?;
        self.connection = Some(connection);
        found
    }
}

fn attempt<T>(
    connection: &Connection,
    file: &Arc<DataFile>,
    change: impl FnOnce(&mut WriteTx<'_>) -> Result<T, EngineError>,
) -> Result<(T, TxEffects), TxStop<T>> {
    run(connection, "begin immediate").map_err(|error| TxStop::Before(error.into()))?;
    let mut tx = WriteTx::new(connection, file);
    let answer = change(&mut tx).map_err(TxStop::Before)?;
    let effects = tx.into_effects();
    match run(connection, "commit") {
        Ok(()) => Ok((answer, effects)),
        Err(error) => Err(TxStop::AtCommit(error, answer, effects)),
    }
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute(())?;
    Ok(())
}

/// Overwrites frames that a failed commit may have left in the WAL, beyond the end in the WAL index. They would be replayed
/// if the index were rebuilt after a crash. A connection that does not see them writes in their place.
pub(super) fn seal(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "begin immediate")?;
    touch(connection)?;
    run(connection, "commit")
}

/// Writes a page and changes nothing. It does not update a row to its own values: SQLite does not write pages
/// that would not change.
fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}

/// A transaction is atomic, so its first marker decides for all of it.
pub(super) fn find_markers(
    connection: &Connection,
    markers: &[CommitMarker],
) -> Result<Option<bool>, EngineError> {
    match markers.first() {
        None => Ok(None),
        Some(CommitMarker::Time(user, time)) => {
            let modified = UserStateMut::load(connection, *user)?.modified;
            // A later time is that of another transaction.
            Ok((modified <= *time).then_some(modified == *time))
        }
        Some(CommitMarker::Part(number)) => {
            let found = connection
                .query_row("select 1 from part where number = ?1", [number], |_| Ok(()))
                .optional()?;
            Ok(Some(found.is_some()))
        }
    }
}
