//! Connections of a server, behind a breaker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::{ConnectOptions, Connection, Database, Pool};
use tokio::sync::Mutex;

use super::breaker::{Breaker, Passage};
use super::fault::{self, Fault};
use super::{ServerEngine, ServerUrl};
use crate::SqlError;

/// How long a request waits for a connection while all are in use.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A request that has waited for so long looks whether the server is there.
const DOUBT: Duration = Duration::from_millis(300);
/// How long that is known then.
const TRUSTED_TRIAL: Duration = Duration::from_secs(1);
/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for longer is asked whether it is still there.
const TRUSTED_IDLE: Duration = Duration::from_secs(20);
/// A connection that was idle for longer is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Connections of a server. They are opened when they are needed.
pub(super) struct ServerPool<D: Database> {
    pool: Pool<D>,
    options: Options<D>,
    breaker: Arc<Breaker>,
    /// Where the server is, for messages.
    place: String,
    /// What an administrator runs when a privilege is missing.
    grant: String,
    /// Held by the request that tries the server.
    trial: Mutex<()>,
}

/// The options of a driver.
pub(super) type Options<D> = <<D as Database>::Connection as Connection>::Options;

impl<D: Database> ServerPool<D> {
    /// A pool that has no connection yet.
    pub(super) fn new(pool: PoolOptions<D>, options: Options<D>, url: &ServerUrl) -> Self {
        let breaker = Arc::<Breaker>::default();
        let watched = Arc::clone(&breaker);
        let pool = pool
            .max_connections(url.pool())
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            // A round trip before each use would double the cost of a small query.
            .test_before_acquire(false)
            .before_acquire(move |connection, state| {
                let is_usable = watched.is_usable(state.age, Instant::now());
                Box::pin(async move {
                    if is_usable && state.idle_for > TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(is_usable)
                })
            });
        Self {
            pool: pool.connect_lazy_with(options.clone()),
            options,
            breaker,
            place: url.place(),
            grant: grant(url),
            trial: Mutex::new(()),
        }
    }

    /// A connection. [`SqlError::Busy`] if all stay in use, [`SqlError::Unavailable`] at once while the server is known
    /// to be down.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<D>, SqlError> {
        match self.breaker.enter(Instant::now()) {
            Passage::Free => {}
            Passage::Trial => self.try_server().await?,
            Passage::Barred(cause) => return Err(SqlError::Unavailable(cause.into())),
        }
        let mut acquiring = std::pin::pin!(self.pool.acquire());
        let acquired = if let Ok(acquired) = tokio::time::timeout(DOUBT, &mut acquiring).await {
            acquired
        } else {
            // All may be in use, or the server may have gone: the driver tries for the whole time, and does not say.
            self.try_server().await?;
            acquiring.await
        };
        match acquired {
            Ok(connection) => Ok(connection),
            Err(sqlx::Error::PoolTimedOut) => Err(SqlError::Busy),
            Err(error) => Err(self.refused(error)),
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

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// A connection of its own, outside of the pool.
    pub(super) async fn connect(&self) -> Result<D::Connection, SqlError> {
        connect::<D>(&self.options)
            .await
            .map_err(|error| self.refused(error))
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
            tracing::warn!(server = self.place, %error, "a connection to the database was lost");
            self.breaker.lose(Instant::now());
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
            _ => SqlError::unsuitable(
                format!("the server at {place} cannot be reached: {error}"),
                "check the address in the URL and the server's log",
            ),
        }),
        sqlx::Error::Tls(cause) => Some(SqlError::unsuitable(
            format!("the connection to {place} cannot be encrypted: {cause}"),
            "check the server's certificate, sslrootcert= and sslmode= in the URL",
        )),
        _ => None,
    }
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
