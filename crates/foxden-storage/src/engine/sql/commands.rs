//! The commands that change one user's data: each is a transaction, or one statement if that is enough.

use std::sync::Arc;
use std::time::Duration;

use foxden_model::{SyncTime, UserId};

use super::batch::{self, BatchMark};
use super::connection::{Connection, Dialect};
use super::fault::Fault;
use super::guard::new_mark;
#[cfg(feature = "postgres")]
use super::known_upsert::KnownUpsert;
#[cfg(feature = "mysql")]
use super::mysql;
use super::purge::{self, ExpiredObjects};
use super::state::UserState;
#[cfg(feature = "postgres")]
use super::transaction::MAX_MILLIS;
use super::transaction::{CommitFault, UserTransaction};
use super::{SqlEngine, Waiting, write};
#[cfg(feature = "mysql")]
use crate::command::Change;
use crate::command::{BatchPart, Write};
use crate::engine::EngineError;
use crate::engine::usage::Usage;
use crate::engine::write_time::WriteTime;
use crate::page::{Staged, Written};

/// How often a transaction runs that meets others.
pub(super) const ATTEMPTS: u32 = 4;
/// How long, in milliseconds, a command is tried again. A lock is waited for five seconds each time.
const PATIENCE_MILLIS: i64 = 8000;
/// The longest pause before the second attempt, in milliseconds; it doubles with each further one.
const PAUSE_MILLIS: u64 = 20;
/// How often the outcome of a write is looked for, with growing pauses between: about six seconds in all.
const LOOKS: u32 = 6;

/// A change of one user's rows.
pub(super) enum Command<'a> {
    Write(&'a Write),
    Stage(&'a BatchPart),
    PurgeExpired(&'a ExpiredObjects, SyncTime),
    EndBatch(i64),
}

/// The result of a command.
pub(super) enum Answer {
    Written(Written),
    Staged(Staged),
    Rows(u64),
}

/// What shows whether a command was committed.
#[derive(Clone, Copy)]
enum Marker {
    /// The mark of the write, and its time.
    Write(i64, SyncTime),
    /// The same of a write in one statement, and when that began by the steady clock.
    #[cfg(feature = "postgres")]
    AtOnce { mark: i64, time: SyncTime, began: i64 },
    /// The number of the part, and its batch.
    Part(BatchMark),
    /// Nothing: it does no harm to do it again.
    Repeatable,
}

impl SqlEngine {
    /// Runs a command in a transaction, again if it meets another one.
    pub(super) async fn run(&self, user: UserId, command: Command<'_>) -> Result<Answer, EngineError> {
        let waiting = Waiting::begin(self, &command);
        let _turn = self.writers.enter(user).await?;
        let mut connection = self.server.acquire().await?;
        drop(waiting);
        let began = self.clock.steady_millis();
        for attempt in 1..=ATTEMPTS {
            let fault = match self.attempt(user, &command, connection).await {
                Ok(answer) => return Ok(answer),
                Err(AttemptFault::Unknown(answer, marker, fault)) => {
                    return self.look_for(user, answer, marker, fault).await;
                }
                Err(AttemptFault::Failed(fault)) => fault,
            };
            let is_repeated = fault.may_succeed_again() || fault.is_of_the_connection();
            let is_late = self.clock.steady_millis() - began > PATIENCE_MILLIS;
            if !is_repeated || attempt == ATTEMPTS || is_late {
                return Err(self.server.error(fault));
            }
            tracing::debug!(user = user.0, attempt, ?fault, "a transaction is repeated");
            if fault.may_succeed_again() {
                self.pause(attempt).await;
            } else {
                // It is noted, so that connections of the same age are not tried.
                drop(self.server.error(fault));
            }
            connection = self.server.acquire().await?;
        }
        Err(EngineError::Busy)
    }

    async fn attempt(
        &self,
        user: UserId,
        command: &Command<'_>,
        connection: Connection,
    ) -> Result<Answer, AttemptFault> {
        let known = self.known.get(user);
        let mark = new_mark(&*self.rng);
        #[cfg(feature = "postgres")]
        let (connection, known) = match (known, command) {
            (Some(known), Command::Write(write)) => {
                match self.write_at_once(user, write, &known, mark, connection).await? {
                    AtOnce::Written(written) => return Ok(Answer::Written(written)),
                    AtOnce::NotPlain(connection) => (connection, Some(known)),
                    AtOnce::NotKnown(connection) => (connection, None),
                }
            }
            (known, _) => (connection, known),
        };
        let known = known.as_deref();
        let dialect = self.server.dialect();
        let steady = || self.clock.steady_millis();
        let preview = preview(dialect, user, command);
        let mut tx = UserTransaction::begin(connection, dialect, user, known, preview, steady).await?;
        tx.state.mark = mark;
        let time = self.time(&tx.state);
        let (answer, marker) = match self.apply(&mut tx, command, time).await {
            Ok(applied) => applied,
            Err(fault) => {
                // After a refusal or a conflict the connection can be used again; any other fault closes it.
                if matches!(fault, Fault::Refused(_)) || fault.may_succeed_again() {
                    tx.roll_back().await;
                }
                return Err(fault.into());
            }
        };
        if matches!(answer, Answer::Written(Written { changed: false, .. })) {
            tx.roll_back().await;
            return Ok(answer);
        }
        match tx.commit(self.clock.steady_millis()).await {
            Ok(state) => {
                self.known.resolve(user, Some(Arc::new(state)));
                Ok(answer)
            }
            Err(CommitFault::NotCommitted(fault)) => Err(fault.into()),
            Err(CommitFault::Unknown(fault)) => Err(AttemptFault::Unknown(answer, marker, fault)),
        }
    }

    /// The time of a write of a user with this state.
    fn time(&self, state: &UserState) -> WriteTime {
        let now = self.clock.now();
        let next = now.max(state.modified.next()).max(self.announced.next());
        WriteTime { now, next }
    }

    /// Makes a write in one statement if the user's state is still the one that is known and the write is a plain one.
    #[cfg(feature = "postgres")]
    async fn write_at_once(
        &self,
        user: UserId,
        write: &Write,
        known: &UserState,
        mark: i64,
        mut connection: Connection,
    ) -> Result<AtOnce, AttemptFault> {
        let began = self.clock.steady_millis();
        let time = self.time(known).not_before(write.not_before);
        let Some(upsert) = KnownUpsert::plan(&connection, write, known, time) else {
            return Ok(AtOnce::NotPlain(connection));
        };
        match upsert.execute(&mut connection, user, mark).await {
            // Readers may have passed the time of a write that lands late: it is made again, with a later time.
            Ok(Some(_)) if self.clock.steady_millis() - began > MAX_MILLIS => {
                Ok(AtOnce::NotKnown(connection))
            }
            Ok(Some((written, state))) => {
                connection.give_back();
                self.known.resolve(user, Some(Arc::new(state)));
                Ok(AtOnce::Written(written))
            }
            Ok(None) => Ok(AtOnce::NotKnown(connection)),
            Err(fault) if fault.happened_before_the_commit() => Err(fault.into()),
            Err(fault) => {
                let marker = Marker::AtOnce {
                    mark,
                    time: time.next,
                    began,
                };
                Err(AttemptFault::Unknown(
                    Answer::Written(upsert.written()),
                    marker,
                    fault,
                ))
            }
        }
    }

    async fn apply(
        &self,
        tx: &mut UserTransaction,
        command: &Command<'_>,
        time: WriteTime,
    ) -> Result<(Answer, Marker), Fault> {
        match command {
            Command::Write(write) => {
                let time = time.not_before(write.not_before);
                let written = write::write(tx, write, time).await?;
                let marker = Marker::Write(tx.state.mark, written.modified);
                Ok((Answer::Written(written), marker))
            }
            Command::Stage(part) => {
                let (staged, mark) = batch::stage(tx, part, time.now, &*self.rng).await?;
                Ok((Answer::Staged(staged), Marker::Part(mark)))
            }
            Command::PurgeExpired(expired, until) => {
                let rows = purge::delete_expired(tx, expired, *until).await?;
                Ok((Answer::Rows(rows), Marker::Repeatable))
            }
            Command::EndBatch(number) => {
                tx.end_batch(*number);
                Ok((Answer::Rows(1), Marker::Repeatable))
            }
        }
    }

    /// Finds out whether a command was committed whose answer was lost. The lock of the user's row is free only once the lost
    /// transaction has ended.
    async fn look_for(
        &self,
        user: UserId,
        answer: Answer,
        marker: Marker,
        fault: Fault,
    ) -> Result<Answer, EngineError> {
        let error = self.server.error(fault);
        for look in 1..=LOOKS {
            if let Some(happened) = self.look(user, marker).await {
                return match happened {
                    Happened::Yes(usage) => Ok(match answer {
                        Answer::Written(written) => Answer::Written(Written {
                            bytes_after: usage.bytes,
                            ..written
                        }),
                        answer => answer,
                    }),
                    Happened::No => Err(error),
                    Happened::Unknown => Err(EngineError::OutcomeUnknown(Box::new(error))),
                };
            }
            self.pause(look + 2).await;
        }
        Err(EngineError::OutcomeUnknown(Box::new(error)))
    }

    /// Looks once; `None` if the server does not answer.
    async fn look(&self, user: UserId, marker: Marker) -> Option<Happened> {
        let connection = self.server.acquire().await.ok()?;
        let steady = || self.clock.steady_millis();
        let dialect = self.server.dialect();
        let tx = UserTransaction::begin(connection, dialect, user, None, None, steady)
            .await
            .ok()?;
        let state = &tx.state;
        let yes = Happened::Yes(state.usage());
        let happened = match marker {
            Marker::Write(mark, _) if state.mark == mark => yes,
            // One that landed late is to be made again.
            #[cfg(feature = "postgres")]
            Marker::AtOnce { mark, began, .. } if state.mark == mark && steady() - began <= MAX_MILLIS => yes,
            Marker::Write(_, time) if state.modified < time => Happened::No,
            #[cfg(feature = "postgres")]
            Marker::AtOnce { time, .. } if state.modified < time => Happened::No,
            Marker::Write(..) => Happened::Unknown,
            #[cfg(feature = "postgres")]
            Marker::AtOnce { .. } => Happened::Unknown,
            Marker::Part(part) => {
                let mut batches = state.batches.iter();
                match batches.find(|batch| batch.number == part.number) {
                    Some(batch) if batch.mark == part.mark => yes,
                    Some(batch) if batch.parts < part.parts => Happened::No,
                    // It was to be opened, or it has ended meanwhile.
                    None if part.parts <= 1 && state.next_number <= part.number => Happened::No,
                    Some(_) | None => Happened::Unknown,
                }
            }
            Marker::Repeatable => yes,
        };
        tx.roll_back().await;
        Some(happened)
    }

    /// Waits for a random time, so that transactions that met do not meet again.
    async fn pause(&self, attempt: u32) {
        let mut random = [0; 8];
        self.rng.fill(&mut random);
        let most = PAUSE_MILLIS << attempt;
        let millis = most / 2 + u64::from_le_bytes(random) % most;
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// The statement that reads what a command changes, together with the lock.
#[cfg_attr(
    not(feature = "mysql"),
    expect(unused_variables, reason = "MySQL alone needs it")
)]
fn preview(dialect: Dialect, user: UserId, command: &Command<'_>) -> Option<(String, usize)> {
    match (dialect, command) {
        #[cfg(feature = "mysql")]
        (Dialect::Mysql, Command::Write(write)) => match &write.change {
            Change::Upsert { collection, patches } => mysql::preview(user, *collection, patches),
            _ => None,
        },
        _ => None,
    }
}

/// Why an attempt failed.
enum AttemptFault {
    /// Nothing was committed.
    Failed(Fault),
    /// The answer of the commit was lost.
    Unknown(Answer, Marker, Fault),
}

impl From<Fault> for AttemptFault {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// What came of the attempt to make a write in one statement.
#[cfg(feature = "postgres")]
enum AtOnce {
    Written(Written),
    /// It takes a transaction.
    NotPlain(Connection),
    /// The state that was known is not the current one.
    NotKnown(Connection),
}

/// Whether a command was committed.
enum Happened {
    /// And the user's objects take this much.
    Yes(Usage),
    No,
    /// Others have changed the user's data since.
    Unknown,
}
