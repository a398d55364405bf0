//! The commands that change one user's data: each is a transaction, or one statement if that is enough.

use std::sync::Arc;
use std::time::Duration;

use foxden_model::{SyncTime, UserId};

use super::batch::{self, BatchMark};
use super::connection::{Connection, Dialect};
use super::fault::Fault;
use super::guard::new_mark;
use super::known_upsert::KnownUpsert;
#[cfg(feature = "postgres")]
use super::landing::AT_ONCE_MILLIS;
use super::landing::{LATE_MILLIS, landing};
use super::purge::{self, ExpiredObjects};
use super::settle::Tried;
use super::state::UserState;
use super::transaction::{CommitFault, UserTransaction};
use super::{LOOKS, SqlEngine, Waiting, write};
use crate::command::{BatchPart, Write};
use crate::engine::EngineError;
use crate::engine::write_time::WriteTime;
use crate::page::{Staged, Written};

/// How often a transaction runs that meets others.
pub(super) const ATTEMPTS: u32 = 4;
/// How long, in milliseconds, a command is tried again. A lock is waited for five seconds each time.
const PATIENCE_MILLIS: i64 = 8000;
/// The longest pause before the second attempt, in milliseconds; it doubles with each further one.
const PAUSE_MILLIS: u64 = 20;
/// How long, in milliseconds, the outcome of a command is looked for. The look that is under way then goes on to its end.
const LOOK_MILLIS: i64 = 20_000;

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
    /// The write's leave had ended; nothing was committed.
    PassEnded,
}

/// What shows whether a command that is no write was committed.
#[derive(Clone, Copy)]
enum Marker {
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
                Err(AttemptFault::Pending(tried, fault)) => {
                    // It is noted, so that connections of the same age are not tried.
                    drop(fault.map(|fault| self.server.error(fault)));
                    let Command::Write(write) = command else {
                        return Err(EngineError::Busy);
                    };
                    return self.settle(user, write, tried).await.map(Answer::Written);
                }
                Err(AttemptFault::Unknown(answer, marker, fault)) => {
                    return self.look_for(user, answer, marker, fault).await;
                }
                Err(AttemptFault::Failed(Fault::PassEnded)) => return Ok(Answer::PassEnded),
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
        let mut tx = UserTransaction::begin(connection, dialect, user, known, steady).await?;
        tx.state.mark = mark;
        if let Command::Write(write) = command {
            tx.landing = landing(write, tx.began(), LATE_MILLIS);
        }
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
        let is_done = match &answer {
            // What others have changed may be shown before it is acknowledged: a commit waits for it.
            Answer::Written(written) => !written.changed && tx.was_known,
            Answer::Rows(rows) => *rows == 0,
            Answer::Staged(_) | Answer::PassEnded => false,
        };
        if is_done {
            tx.roll_back().await;
            return Ok(answer);
        }
        let began = tx.began();
        let committed = tx.commit(self.clock.steady_millis()).await;
        let tried = |written| Tried::new(mark, began, written);
        match (committed, answer) {
            (Ok(_), Answer::Written(written)) if written.changed && self.is_late(began) => {
                Err(AttemptFault::Pending(tried(written), None))
            }
            (Ok(state), answer) => {
                self.known.resolve(user, Some(Arc::new(state)));
                Ok(answer)
            }
            (Err(CommitFault::NotCommitted(fault)), _) => Err(fault.into()),
            (Err(CommitFault::Unknown(fault)), Answer::Written(written)) => {
                Err(AttemptFault::Pending(tried(written), Some(fault)))
            }
            (Err(CommitFault::Unknown(fault)), answer) => Err(AttemptFault::Unknown(answer, marker, fault)),
        }
    }

    /// The time of a write of a user with this state.
    pub(super) fn time(&self, state: &UserState) -> WriteTime {
        let now = self.clock.now();
        let next = now.max(state.modified.next()).max(self.announced.next());
        WriteTime { now, next }
    }

    /// Makes a write in one round trip if the user's state is still the one that is known and the write is a plain one.
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
        let late = match self.server.dialect() {
            #[cfg(feature = "postgres")]
            Dialect::Postgres => AT_ONCE_MILLIS,
            #[cfg(feature = "mysql")]
            Dialect::Mysql => LATE_MILLIS,
        };
        let landing = landing(write, began, late);
        match upsert.execute(&mut connection, user, mark, landing).await {
            Ok(Some((written, _))) if self.is_late(began) => {
                Err(AttemptFault::Pending(Tried::new(mark, began, written), None))
            }
            Ok(Some((written, state))) => {
                connection.give_back();
                self.known.resolve(user, Some(Arc::new(state)));
                Ok(AtOnce::Written(written))
            }
            Ok(None) => Ok(AtOnce::NotKnown(connection)),
            Err(fault) if fault.committed_nothing() => Err(fault.into()),
            Err(fault) => {
                let written = upsert.written();
                Err(AttemptFault::Pending(
                    Tried::new(mark, began, written),
                    Some(fault),
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
                Ok((Answer::Written(written), Marker::Repeatable))
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

    /// Finds out whether a command was committed that is no write and whose answer was lost. The lock of the user's row is free only once the lost
    /// transaction has ended.
    async fn look_for(
        &self,
        user: UserId,
        answer: Answer,
        marker: Marker,
        fault: Fault,
    ) -> Result<Answer, EngineError> {
        let error = self.server.error(fault);
        let began = self.clock.steady_millis();
        for look in 1..=LOOKS {
            if look > 1 {
                self.pause(look + 1).await;
            }
            if self.is_given_up(began) {
                break;
            }
            if let Some(happened) = self.look(user, marker).await {
                return match happened {
                    Happened::Yes => Ok(answer),
                    Happened::No => Err(error),
                    Happened::Unknown => Err(EngineError::OutcomeUnknown(Box::new(error))),
                };
            }
        }
        Err(EngineError::OutcomeUnknown(Box::new(error)))
    }

    /// Looks once; `None` if the server does not answer.
    async fn look(&self, user: UserId, marker: Marker) -> Option<Happened> {
        let tx = self.begin_anew(user).await?;
        let state = &tx.state;
        let happened = match marker {
            Marker::Part(part) => {
                let mut batches = state.batches.iter();
                match batches.find(|batch| batch.number == part.number) {
                    Some(batch) if batch.mark == part.mark => Happened::Yes,
                    Some(batch) if batch.parts < part.parts => Happened::No,
                    // It was to be opened, or it has ended meanwhile.
                    None if part.parts <= 1 && state.next_number <= part.number => Happened::No,
                    Some(_) | None => Happened::Unknown,
                }
            }
            Marker::Repeatable => Happened::Yes,
        };
        match (&happened, marker) {
            // What it sees may not be on disk yet, and what it does not see may yet land, but not over another mark.
            (Happened::Yes | Happened::No, Marker::Part(_)) => {
                let mark = new_mark(&*self.rng);
                self.confirm(user, tx, mark).await.then_some(happened)
            }
            (Happened::Unknown, _) | (_, Marker::Repeatable) => {
                tx.roll_back().await;
                Some(happened)
            }
        }
    }

    /// A transaction on a connection that no fault was seen on; `None` if the server does not answer.
    pub(super) async fn begin_anew(&self, user: UserId) -> Option<UserTransaction> {
        let connection = self.server.acquire().await.ok()?;
        let steady = || self.clock.steady_millis();
        let begun = UserTransaction::begin(connection, self.server.dialect(), user, None, steady).await;
        begun.map_err(|fault| drop(self.server.error(fault))).ok()
    }

    /// Whether readers may have passed the time of a write that began then and has just been answered.
    pub(super) fn is_late(&self, began: i64) -> bool {
        self.clock.steady_millis() - began > LATE_MILLIS
    }

    /// Whether a command whose outcome has been looked for since then is given up.
    pub(super) fn is_given_up(&self, began: i64) -> bool {
        self.clock.steady_millis() - began > LOOK_MILLIS
    }

    /// Waits for a random time, so that transactions that met do not meet again.
    pub(super) async fn pause(&self, attempt: u32) {
        let mut random = [0; 8];
        self.rng.fill(&mut random);
        let most = PAUSE_MILLIS << attempt;
        let millis = most / 2 + u64::from_le_bytes(random) % most;
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// Why an attempt failed.
enum AttemptFault {
    /// Nothing was committed.
    Failed(Fault),
    /// The answer of the commit was lost.
    Unknown(Answer, Marker, Fault),
    /// A write has landed late, or its answer was lost.
    Pending(Tried, Option<Fault>),
}

impl From<Fault> for AttemptFault {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// What came of the attempt to make a write in one round trip.
enum AtOnce {
    Written(Written),
    /// It takes a transaction.
    NotPlain(Connection),
    /// The state that was known is not the current one.
    NotKnown(Connection),
}

/// Whether a command was committed.
enum Happened {
    Yes,
    No,
    /// Others have changed the user's data since.
    Unknown,
}
