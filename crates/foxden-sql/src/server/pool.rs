//! Connections of a server, behind a breaker.
//!
//! The pool of the driver asks each connection whether it is still there whenever it is given back. That is a round trip for each use;
//! here a connection is given back only by those who know that it is fit, and is closed otherwise.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Database, Executor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::breaker::{Breaker, Passage};
use super::fault::{self, Fault};
use super::{ServerEngine, ServerUrl};
use crate::SqlError;

/// How long a request waits for a connection while all are in use.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the outcome of a trial is trusted.
const TRUSTED_TRIAL: Duration = Duration::from_secs(1);
/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for longer is asked whether it is still there.
const TRUSTED_IDLE: Duration = Duration::from_secs(20);
/// How long it goes unsaid that all connections are in use, once it was said.
const SILENCE: Duration = Duration::from_secs(60);
/// A connection that was idle for longer is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Connections of a server. They are opened when they are needed.
pub(super) struct ServerPool<D: Database> {
    idle: Arc<IdleConnections<D>>,
    permits: Arc<Semaphore>,
    /// The number of connections.
    size: u32,
    /// When it was last said that all are in use.
    exhausted_at: Mutex<Option<Instant>>,
    options: Options<D>,
    /// What each connection begins with.
    session: Option<String>,
    breaker: Arc<Breaker>,
    /// Where the server is, for messages.
    place: String,
    /// What an administrator runs when a privilege is missing.
    grant: String,
    /// Held by the request that tries the server.
    trial: tokio::sync::Mutex<()>,
}

/// The options of a driver.
pub(super) type Options<D> = <<D as Database>::Connection as Connection>::Options;

/// Connections that no one uses, those given back last at the end.
struct IdleConnections<D: Database>(Mutex<VecDeque<IdleConnection<D>>>);

struct IdleConnection<D: Database> {
    connection: D::Connection,
    opened: Instant,
    since: Instant,
}

/// A connection in use. It is closed when it is dropped, since a query may still run on it.
pub struct PooledConnection<D: Database> {
    connection: Option<D::Connection>,
    opened: Instant,
    idle: Arc<IdleConnections<D>>,
    _permit: OwnedSemaphorePermit,
}

impl<D: Database> ServerPool<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    /// A pool that has no connection yet. `session` is a script that each connection begins with.
    pub(super) fn new(options: Options<D>, session: Option<String>, url: &ServerUrl) -> Self {
        let permits = usize::try_from(url.pool()).unwrap_or(1);
        Self {
            idle: Arc::new(IdleConnections(Mutex::default())),
            permits: Arc::new(Semaphore::new(permits)),
            size: url.pool(),
            exhausted_at: Mutex::default(),
            options,
            session,
            breaker: Arc::default(),
            place: url.place(),
            grant: grant(url),
            trial: tokio::sync::Mutex::new(()),
        }
    }

    /// A connection. [`SqlError::Busy`] if all stay in use, [`SqlError::Unavailable`] at once while the server is known
    /// to be down.
    pub(super) async fn acquire(&self) -> Result<PooledConnection<D>, SqlError> {
        match self.breaker.enter(Instant::now()) {
            Passage::Free => {}
            Passage::Trial => self.try_server().await?,
            Passage::Barred(cause) => return Err(SqlError::Unavailable(cause.into())),
        }
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, permit).await;
        let permit = permit.map_err(|_| self.exhausted())?;
        let permit = permit.map_err(|closed| SqlError::Unavailable(closed.into()))?;
        let (connection, opened) = match self.idle_connection().await {
            Some(found) => found,
            None => (self.begin_session().await?, Instant::now()),
        };
        Ok(PooledConnection {
            connection: Some(connection),
            opened,
            idle: Arc::clone(&self.idle),
            _permit: permit,
        })
    }

    /// Says that all connections are in use, unless that was said a moment ago.
    fn exhausted(&self) -> SqlError {
        // No code panics under this lock.
        let mut said_at = self.exhausted_at.lock().unwrap_or_else(PoisonError::into_inner);
        if said_at.is_none_or(|said_at| said_at.elapsed() >= SILENCE) {
            *said_at = Some(Instant::now());
            tracing::warn!(
                server = self.place,
                pool = self.size,
                "requests are refused: all connections of the pool have been in use for {} seconds; \
                 find out what keeps the database busy, or raise pool= in the URL",
                ACQUIRE_TIMEOUT.as_secs()
            );
        }
        SqlError::Busy
    }

    /// A connection that was given back and still works.
    async fn idle_connection(&self) -> Option<(D::Connection, Instant)> {
        loop {
            let IdleConnection {
                mut connection,
                opened,
                since,
            } = self.idle.take()?;
            let now = Instant::now();
            if !self.breaker.is_usable(now.saturating_duration_since(opened), now) {
                continue;
            }
            let idle = now.saturating_duration_since(since);
            if idle > IDLE_TIMEOUT {
                // A server may have ended it for that, which says nothing about others.
                continue;
            }
            if idle < TRUSTED_IDLE {
                return Some((connection, opened));
            }
            match in_time(connection.ping()).await {
                Ok(()) => return Some((connection, opened)),
                // Those that are as old are not asked one after the other.
                Err(error) => self
                    .breaker
                    .lose(&self.place, &fault::message(&error), Instant::now()),
            }
        }
    }

    /// What an error of a statement means. A lost connection is taken note of.
    pub(super) fn fault(&self, error: sqlx::Error) -> SqlError {
        self.watch(&error);
        fault::sql_error(error, &self.grant)
    }

    /// The same for an error of a commit.
    pub(super) fn commit_fault(&self, error: sqlx::Error) -> SqlError {
        self.watch(&error);
        fault::commit_error(error, &self.grant)
    }

    /// Closes the connections. Those in use are closed once they are given back.
    pub(super) async fn close(&self) {
        self.permits.close();
        while let Some(idle) = self.idle.take() {
            // Nothing depends on how it ends.
            let _ = tokio::time::timeout(CONNECT_TIMEOUT, idle.connection.close()).await;
        }
    }

    /// A connection outside of the pool, without the options of a session.
    pub(super) async fn connect(&self) -> Result<D::Connection, SqlError> {
        connect::<D>(&self.options)
            .await
            .map_err(|error| self.refused(error))
    }

    /// A new connection of the pool.
    async fn begin_session(&self) -> Result<D::Connection, SqlError> {
        let mut connection = self.connect().await?;
        if let Some(session) = &self.session {
            let session = sqlx::raw_sql(AssertSqlSafe(session.as_str()));
            let begun = in_time(connection.execute(session)).await;
            begun.map_err(|error| self.refused(error))?;
        }
        Ok(connection)
    }

    /// Connects once to see whether the server answers, unless another request has just done so.
    async fn try_server(&self) -> Result<(), SqlError> {
        let _turn = self.trial.lock().await;
        if let Some(outcome) = self.breaker.heard_within(TRUSTED_TRIAL) {
            return outcome.map_err(|cause| SqlError::Unavailable(cause.into()));
        }
        let connection = self.connect().await?;
        self.breaker.close(&self.place, Instant::now());
        // It has served: whether it ends well does not matter.
        drop(connection.close().await);
        Ok(())
    }

    fn watch(&self, error: &sqlx::Error) {
        if let Fault::ConnectionLost | Fault::ReadOnly = fault::classify(error) {
            self.breaker
                .lose(&self.place, &fault::message(error), Instant::now());
        }
    }

    fn refused(&self, error: sqlx::Error) -> SqlError {
        if fault::classify(&error) == Fault::Busy {
            return SqlError::Busy;
        }
        self.breaker
            .open(&self.place, &fault::message(&error), Instant::now());
        SqlError::Unavailable(Box::new(error))
    }
}

impl<D: Database> IdleConnections<D> {
    /// The connection that was given back last: those before it may be closed some day.
    fn take(&self) -> Option<IdleConnection<D>> {
        self.connections().pop_back()
    }

    fn put(&self, connection: D::Connection, opened: Instant) {
        let since = Instant::now();
        let mut connections = self.connections();
        connections.push_back(IdleConnection {
            connection,
            opened,
            since,
        });
        while connections
            .front()
            .is_some_and(|idle| since.saturating_duration_since(idle.since) > IDLE_TIMEOUT)
        {
            connections.pop_front();
        }
    }

    fn connections(&self) -> MutexGuard<'_, VecDeque<IdleConnection<D>>> {
        // No code panics under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Database> PooledConnection<D> {
    /// Returns the connection to its pool. It must have no open transaction, and all answers must have been read.
    pub fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.put(connection, self.opened);
        }
    }
}

impl<D: Database> Deref for PooledConnection<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        self.connection.as_ref().expect(HELD)
    }
}

impl<D: Database> DerefMut for PooledConnection<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        self.connection.as_mut().expect(HELD)
    }
}

/// The connection is taken by [`PooledConnection::give_back`] alone, which consumes its holder.
const HELD: &str = "a connection is held until it is given back";

/// An answer within a bounded time.
pub(super) async fn in_time<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let answer = tokio::time::timeout(CONNECT_TIMEOUT, answer).await;
    answer.unwrap_or_else(|_| {
        let text = format!("it did not answer within {} seconds", CONNECT_TIMEOUT.as_secs());
        Err(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            text,
        )))
    })
}

/// Connects within a bounded time.
pub(super) async fn connect<D: Database>(options: &Options<D>) -> Result<D::Connection, sqlx::Error> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await;
    connected.unwrap_or_else(|_| {
        let seconds = CONNECT_TIMEOUT.as_secs();
        let text = format!("it did not accept a connection within {seconds} seconds");
        Err(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            text,
        )))
    })
}

/// What is wrong with the network between here and the server, and what can be done; `None` if the server itself refused.
pub(super) fn network_error(error: &sqlx::Error, url: &ServerUrl) -> Option<SqlError> {
    use std::io::ErrorKind;
    let place = url.place();
    match error {
        sqlx::Error::Io(error) => Some(match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => SqlError::unsuitable(
                format!("no server listens at {place}"),
                "start it, or correct the address in the URL",
            ),
            ErrorKind::PermissionDenied => SqlError::unsuitable(
                format!("the socket {place} may not be used by this user of the system"),
                "add the user to the group that owns the socket",
            ),
            ErrorKind::TimedOut => SqlError::unsuitable(
                format!("the server at {place} does not answer"),
                "check the address in the URL and the firewalls between",
            ),
            // So come the driver's errors about certificates.
            ErrorKind::InvalidData => unencrypted(&place, error),
            _ => SqlError::unsuitable(
                format!("the server at {place} cannot be reached: {error}"),
                "check the address in the URL and the server's log",
            ),
        }),
        sqlx::Error::Tls(cause) => Some(unencrypted(&place, cause)),
        _ => None,
    }
}

fn unencrypted(place: &str, cause: &dyn std::fmt::Display) -> SqlError {
    let cause = cause.to_string();
    // The driver has no kind of its own for it.
    let cure = if cause.contains("does not support TLS") {
        "turn TLS on in the server, or write sslmode=prefer in the URL, which does without where the server has none"
    } else {
        "check the server's certificate, sslrootcert= and sslmode= in the URL"
    };
    SqlError::unsuitable(
        format!("the connection to {place} cannot be encrypted: {cause}"),
        cure,
    )
}

/// The statement that gives the user what this program needs.
fn grant(url: &ServerUrl) -> String {
    let (database, user) = (&url.database, &url.user);
    match url.engine() {
        ServerEngine::Postgres => {
            let schema = url.schema.as_deref().unwrap_or("public");
            format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO \"{user}\"")
        }
        ServerEngine::Mysql => format!("GRANT ALL ON `{database}`.* TO '{user}'@'…'"),
    }
}
