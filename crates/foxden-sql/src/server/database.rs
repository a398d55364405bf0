//! A database of a server, and its transactions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use tokio::sync::Mutex;

use super::action::{Action, Answer};
use super::connection::{Connection, Pools};
use super::fault::{self, Fault};
use super::{ServerLook, ServerUrl, numbered};
use crate::backend::{Backend, Statements, Transaction};
use crate::origin::{FairQueue, QueueSlots};
use crate::waiting::{QueueDepths, WaitingGuard};
use crate::{Migrations, Row, SqlError, Value};

/// How long a statement may take, network and all; the server gives up before.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(12);
/// What the connections are for, which the server lists.
const ROLE: &str = "register";
/// How often a query outside of a transaction is tried.
const READ_ATTEMPTS: u32 = 3;

/// An open database.
pub(crate) struct ServerDatabase {
    pools: Pools,
    /// Statements with numbered placeholders, where the server wants those.
    numbered: Option<RwLock<HashMap<&'static str, Arc<str>>>>,
    beginning: AtomicUsize,
    reading: AtomicUsize,
    writers: Arc<FairQueue>,
    readers: Arc<FairQueue>,
}

/// A transaction, as its statements see it.
struct ServerTx {
    database: Arc<ServerDatabase>,
    state: Mutex<State>,
}

/// An open transaction. Dropping it closes its connection, and the server rolls it back.
struct ServerTransaction(Arc<ServerTx>);

enum State {
    Open(Held),
    /// A statement failed, and the server said why: nothing is run or committed any more.
    Failed(Fault, String),
    /// It was committed or rolled back, or a statement was left before its answer.
    Ended,
}

/// A connection in use. Unless it is given back it is closed: a query may still run on it.
struct Held(Option<Connection>);

impl ServerDatabase {
    /// Opens a database, and migrates it.
    pub(crate) async fn open(url: &ServerUrl, migrations: Migrations) -> Result<Self, SqlError> {
        let pools = Pools::connect(url, ROLE).await?;
        pools.migrate(migrations).await?;
        Ok(Self::new(pools))
    }

    /// Opens a database whose tables are at the version of this program.
    pub(crate) async fn open_as_it_is(url: &ServerUrl, migrations: Migrations) -> Result<Self, SqlError> {
        let pools = Pools::connect(url, ROLE).await?;
        let ServerLook { found, known, .. } = pools.look(migrations).await?;
        if found < known {
            return Err(SqlError::Older { found, known });
        }
        Ok(Self::new(pools))
    }

    fn new(pools: Pools) -> Self {
        Self {
            numbered: pools.numbers_placeholders().then(RwLock::default),
            pools,
            beginning: AtomicUsize::new(0),
            reading: AtomicUsize::new(0),
            writers: Arc::default(),
            readers: Arc::default(),
        }
    }

    async fn acquire(&self, waiting: &AtomicUsize) -> Result<Held, SqlError> {
        let _waiting = WaitingGuard::join(waiting)?;
        self.pools
            .acquire()
            .await
            .map(|connection| Held(Some(connection)))
    }

    /// The statement as the server wants it.
    fn text(&self, statement: &'static str) -> SqlStr {
        let Some(texts) = &self.numbered else {
            return statement.into_sql_str();
        };
        let known = texts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(statement) {
            return AssertSqlSafe(Arc::clone(text)).into_sql_str();
        }
        drop(known);
        let text: Arc<str> = numbered(statement).into();
        // Statements are fixed texts of the program, so there is a bounded number of them.
        let mut known = texts.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(statement, Arc::clone(&text));
        AssertSqlSafe(text).into_sql_str()
    }
}

#[async_trait]
impl Backend for ServerDatabase {
    async fn check(&self) -> Result<(), SqlError> {
        self.pools.check().await
    }

    async fn close(&self) {
        self.pools.close().await;
    }

    fn queue_depths(&self) -> QueueDepths {
        QueueDepths {
            transactions: self.beginning.load(Ordering::Relaxed) + self.writers.waiting(),
            queries: self.reading.load(Ordering::Relaxed) + self.readers.waiting(),
        }
    }

    async fn wipe_deleted(&self) -> Result<(), SqlError> {
        Ok(())
    }

    async fn enter(&self) -> Result<Option<QueueSlots>, SqlError> {
        self.writers.enter().await.map(Some)
    }

    async fn begin(self: Arc<Self>) -> Result<Box<dyn Transaction>, SqlError> {
        let mut held = self.acquire(&self.beginning).await?;
        let begun = held.run(&self.pools, Action::Begin).await;
        begun.map_err(|failure| failure.error)?;
        let tx = ServerTx {
            database: self,
            state: Mutex::new(State::Open(held)),
        };
        Ok(Box::new(ServerTransaction(Arc::new(tx))))
    }

    // It changes nothing, so it is tried again on another connection.
    async fn rows(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        let _slots = self.readers.enter().await?;
        let mut attempt = 1;
        loop {
            let mut held = self.acquire(&self.reading).await?;
            let action = Action::RowsAlone(self.text(statement), values.clone());
            match held.run(&self.pools, action).await {
                Ok(answer) => {
                    held.give_back();
                    return Ok(answer.rows);
                }
                Err(failure) if attempt < READ_ATTEMPTS && failure.is_to_be_repeated() => attempt += 1,
                Err(failure) => return Err(failure.error),
            }
        }
    }
}

#[async_trait]
impl Statements for ServerTx {
    async fn execute(&self, statement: &'static str, values: Vec<Value>) -> Result<u64, SqlError> {
        let action = Action::Execute(self.database.text(statement), values);
        Ok(self.run(action).await?.changed)
    }

    async fn insert(&self, statement: &'static str, values: Vec<Value>) -> Result<i64, SqlError> {
        let action = Action::Insert(self.database.text(statement), values);
        Ok(self.run(action).await?.number)
    }

    async fn rows(&self, statement: &'static str, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        let action = Action::Rows(self.database.text(statement), values);
        Ok(self.run(action).await?.rows)
    }
}

impl ServerTx {
    async fn run(&self, action: Action) -> Result<Answer, SqlError> {
        let mut state = self.state.lock().await;
        // A statement that is left before its answer leaves the transaction ended and its connection closed.
        let mut held = match std::mem::replace(&mut *state, State::Ended) {
            State::Open(held) => held,
            State::Failed(fault, cause) => {
                let error = fault.again(&cause);
                *state = State::Failed(fault, cause);
                return Err(error);
            }
            State::Ended => return Err(ended()),
        };
        match held.run(&self.database.pools, action).await {
            Ok(answer) => {
                *state = State::Open(held);
                Ok(answer)
            }
            Err(failure) => {
                *state = State::Failed(failure.fault, failure.cause);
                Err(failure.error)
            }
        }
    }
}

#[async_trait]
impl Transaction for ServerTransaction {
    fn statements(&self) -> Arc<dyn Statements> {
        self.0.clone()
    }

    async fn end(self: Box<Self>, is_kept: bool) -> Result<(), SqlError> {
        let mut state = self.0.state.lock().await;
        match std::mem::replace(&mut *state, State::Ended) {
            State::Open(mut held) => {
                let action = if is_kept { Action::Commit } else { Action::RollBack };
                match held.run(&self.0.database.pools, action).await {
                    Ok(_) => held.give_back(),
                    // Its connection is closed, so the server rolls it back.
                    Err(_) if !is_kept => {}
                    Err(failure) => return Err(failure.error),
                }
                Ok(())
            }
            State::Failed(
                fault @ (Fault::Repeat | Fault::StaleStatement | Fault::ConnectionLost | Fault::ReadOnly),
                cause,
            ) => Err(fault.again(&cause)),
            State::Failed(..) | State::Ended if !is_kept => Ok(()),
            State::Failed(fault, cause) => Err(fault.again(&cause)),
            State::Ended => Err(ended()),
        }
    }
}

impl Held {
    async fn run(&mut self, pools: &Pools, action: Action) -> Result<Answer, Failure> {
        let Some(connection) = &mut self.0 else {
            return Err(Failure {
                fault: Fault::Other,
                cause: ended().to_string(),
                error: ended(),
            });
        };
        let is_commit = matches!(action, Action::Commit);
        let ran = tokio::time::timeout(STATEMENT_TIMEOUT, connection.run(pools, action)).await;
        let error = match ran {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => {
                let text = "the database did not answer in time";
                sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
            }
        };
        let (fault, cause) = (fault::classify(&error), fault::message(&error));
        let is_answer = matches!(error, sqlx::Error::Database(_));
        let error = if is_commit {
            pools.commit_fault(error)
        } else {
            pools.fault(error)
        };
        // A refusal of the server is an answer like others. It may have ended the transaction, or not: only a connection
        // that was rolled back is used again.
        let is_usable = is_answer
            && !matches!(
                fault,
                Fault::ConnectionLost | Fault::ReadOnly | Fault::StaleStatement
            );
        if is_usable {
            let rolled_back = connection.run(pools, Action::RollBack);
            if let Ok(Ok(_)) = tokio::time::timeout(STATEMENT_TIMEOUT, rolled_back).await {
                self.give_back_now();
            }
        }
        Err(Failure { fault, cause, error })
    }

    fn give_back(mut self) {
        self.give_back_now();
    }

    fn give_back_now(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.give_back();
        }
    }
}

/// Why an action failed.
struct Failure {
    fault: Fault,
    /// What the server said.
    cause: String,
    error: SqlError,
}

impl Failure {
    const fn is_to_be_repeated(&self) -> bool {
        matches!(self.error, SqlError::Repeat(_) | SqlError::ConnectionLost(_))
    }
}

impl Fault {
    /// The error of a statement after the one that failed, which is not run.
    fn again(self, cause: &str) -> SqlError {
        let text = format!("a statement of the transaction failed before: {cause}");
        match self {
            Self::Repeat | Self::StaleStatement => SqlError::Repeat(text.into()),
            Self::ConnectionLost | Self::ReadOnly => SqlError::ConnectionLost(text.into()),
            Self::Conflict => SqlError::Conflict,
            Self::ForeignKey => SqlError::ForeignKey,
            Self::Busy => SqlError::Busy,
            Self::Privilege | Self::NotNull | Self::Other => SqlError::Unavailable(text.into()),
        }
    }
}

fn ended() -> SqlError {
    SqlError::Unavailable("the transaction has ended".into())
}
