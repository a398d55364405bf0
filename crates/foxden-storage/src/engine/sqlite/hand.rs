//! The writing thread's hold on its file: transactions, and finding out how one ended.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::checkpoint::{Checkpoints, LogWatch};
use super::debt::Debt;
use super::fault::Trouble;
use super::file::DataFile;
use super::known::Draft;
use super::open;
use super::purge::{self, Bite};
use super::work::{Outcome, Trace, Work};
use crate::engine::EngineError;
use crate::page::Budget;

/// The one writing connection of a file.
pub(super) struct Hand {
    file: Arc<DataFile>,
    /// None after a failure, until it is opened again.
    connection: Option<Connection>,
    checkpoints: Checkpoints,
    log: LogWatch,
    pub(super) debt: Debt,
    /// How long the lock of a foreign process is waited for.
    lock_patience: Duration,
    /// Whether the last transaction failed for want of disk or file.
    is_troubled: bool,
}

/// Why a transaction came to nothing, or may have.
pub(super) enum Failed {
    /// Nothing of it happened.
    Undone(EngineError),
    /// It failed while it was being committed.
    Unsettled(Trouble),
}

impl From<Failed> for EngineError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Undone(error) => error,
            Failed::Unsettled(trouble) => trouble.into(),
        }
    }
}

/// Where a transaction stopped.
enum Stop<T> {
    Before(EngineError),
    AtCommit(rusqlite::Error, T, Outcome),
}

impl Hand {
    pub(super) fn new(
        file: Arc<DataFile>,
        connection: Connection,
        checkpoints: Checkpoints,
        lock_patience: Duration,
    ) -> rusqlite::Result<Self> {
        connection.busy_timeout(lock_patience)?;
        Ok(Self {
            file,
            connection: Some(connection),
            checkpoints,
            log: LogWatch::new(lock_patience),
            debt: Debt::none(),
            lock_patience,
            is_troubled: false,
        })
    }

    pub(super) fn number(&self) -> usize {
        self.file.number
    }

    /// Carries changes out as one transaction. Once this returns, readers know of them.
    pub(super) fn transact<T>(
        &mut self,
        change: impl FnOnce(&mut Work<'_>) -> Result<T, EngineError>,
    ) -> Result<T, Failed> {
        let file = Arc::clone(&self.file);
        let connection = self.take().map_err(Failed::Undone)?;
        // Held until readers know the new state.
        let _pending = file.begin_writes();
        let result = match attempt(&connection, &file, change) {
            Ok((answer, outcome)) => {
                self.connection = Some(connection);
                outcome.publish(&file.users);
                Ok(answer)
            }
            Err(Stop::Before(error)) => {
                self.roll_back(connection);
                Err(Failed::Undone(error))
            }
            Err(Stop::AtCommit(error, answer, outcome)) => {
                self.roll_back(connection);
                // The old connection must be gone: nothing may still come of what it did.
                self.connection = None;
                // A log that cannot grow may begin anew, once what it holds is in the file.
                self.checkpoints.request(&file);
                match self.has_happened(&outcome.traces) {
                    Some(true) => {
                        outcome.publish(&file.users);
                        Ok(answer)
                    }
                    Some(false) => {
                        outcome.discard(&file.users);
                        let code = error.sqlite_error_code();
                        Err(Failed::Unsettled(Trouble::NotCommitted(code)))
                    }
                    None => {
                        outcome.discard(&file.users);
                        Err(Failed::Unsettled(Trouble::NotFound))
                    }
                }
            }
        };
        self.is_troubled = result.is_err();
        result
    }

    /// Removes what nobody can see, within the budget.
    pub(super) fn bite(&mut self, budget: Budget) -> Result<Bite, EngineError> {
        self.debt.note(budget.until, self.file.environment.now());
        Ok(self.transact(|work| purge::bite(work, budget))?)
    }

    /// Pays some of what is owed for the bytes that commands brought.
    pub(super) fn pay(&mut self) {
        let budget = self.debt.budget();
        // Taken off at once, so that one who panics here does not come again for the same.
        let debt = std::mem::replace(&mut self.debt, Debt::none());
        let paid = self.transact(|work| purge::bite(work, budget));
        self.debt = debt;
        if let Err(error) = &paid {
            let error: &dyn std::error::Error = match error {
                Failed::Undone(error) => error,
                Failed::Unsettled(trouble) => trouble,
            };
            tracing::warn!(error, path = %self.file.path.display(), "cannot remove what was deleted");
        }
        self.debt.pay(paid.ok());
    }

    /// Runs upkeep that is no transaction of ours.
    pub(super) fn upkeep<T>(
        &mut self,
        task: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, EngineError> {
        let connection = self.take()?;
        let result = task(&connection);
        self.roll_back(connection);
        Ok(result?)
    }

    /// Whether writes can be served. After a failure, only a write can tell.
    pub(super) fn check(&mut self) -> Result<(), EngineError> {
        if self.is_troubled {
            self.transact(|work| Ok(touch(work.connection)?))?;
            return Ok(());
        }
        self.upkeep(|connection| connection.execute_batch("begin immediate; rollback"))
    }

    /// Keeps the log short; to be called when a transaction is done and its callers have their answers.
    pub(super) fn tend(&mut self, is_idle: bool) {
        let Some(connection) = &self.connection else {
            return;
        };
        match self.log.tend(connection, &self.file, is_idle) {
            Ok(false) => {}
            Ok(true) => self.checkpoints.request(&self.file),
            Err(error) => tracing::warn!(%error, path = %self.file.path.display(), "cannot tend the log"),
        }
    }

    fn take(&mut self) -> Result<Connection, EngineError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        Ok(open::connect_writer(&self.file.path, self.lock_patience)?)
    }

    /// Ends what may be left of a transaction, and keeps the connection if that could be done.
    fn roll_back(&mut self, connection: Connection) {
        let is_sound = connection.is_autocommit() || connection.execute_batch("rollback").is_ok();
        if is_sound {
            self.connection = Some(connection);
        }
    }

    /// Whether a transaction with these traces is in the file; `None`: nobody can tell.
    fn has_happened(&mut self, traces: &[Trace]) -> Option<bool> {
        let connection = self.take().ok()?;
        // First, so that a crash cannot bring back later what is not seen now.
        seal(&connection).ok()?;
        let found = look_for(&connection, traces).ok()?;
        self.connection = Some(connection);
        found
    }
}

fn attempt<T>(
    connection: &Connection,
    file: &DataFile,
    change: impl FnOnce(&mut Work<'_>) -> Result<T, EngineError>,
) -> Result<(T, Outcome), Stop<T>> {
    run(connection, "begin immediate").map_err(|error| Stop::Before(error.into()))?;
    let mut work = Work::new(connection, file);
    let answer = change(&mut work).map_err(Stop::Before)?;
    let outcome = work.into_outcome();
    outcome.invalidate(&file.users);
    match run(connection, "commit") {
        Ok(()) => Ok((answer, outcome)),
        Err(error) => Err(Stop::AtCommit(error, answer, outcome)),
    }
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute(())?;
    Ok(())
}

/// Overwrites what a commit that failed may have left in the log: whole frames, beyond the end that the log's
/// index tells, which are replayed if the index has to be made anew. A connection that does not see them
/// writes in their place.
pub(super) fn seal(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "begin immediate")?;
    touch(connection)?;
    run(connection, "commit")
}

/// Writes a page and changes nothing. Not by an update of a row to what it is: SQLite leaves pages alone
/// that would not change.
fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}

/// A transaction is one step, so its first trace speaks for all of it.
pub(super) fn look_for(connection: &Connection, traces: &[Trace]) -> Result<Option<bool>, EngineError> {
    match traces.first() {
        None => Ok(None),
        Some(Trace::Time(user, time)) => {
            let modified = Draft::load(connection, *user)?.modified;
            // Later than that, it is not this transaction that one sees.
            Ok((modified <= *time).then_some(modified == *time))
        }
        Some(Trace::Part(number)) => {
            let found = connection
                .query_row("select 1 from part where number = ?1", [number], |_| Ok(()))
                .optional()?;
            Ok(Some(found.is_some()))
        }
    }
}
