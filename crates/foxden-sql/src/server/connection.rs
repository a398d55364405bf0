//! What a connection of either server does for a [`crate::Database`].

#[cfg(feature = "mysql")]
use sqlx::MySql;
#[cfg(feature = "postgres")]
use sqlx::Postgres;

use super::action::{Action, Answer};
use super::pool::PooledConnection;
use super::{ServerEngine, ServerLook, ServerUrl};
use crate::erased::Erased;
use crate::migration::check_version;
use crate::{Migration, Migrations, SqlError};

/// The connections of a server.
pub(super) enum Pools {
    #[cfg(feature = "postgres")]
    Postgres(super::PostgresPool),
    #[cfg(feature = "mysql")]
    Mysql(super::MysqlPool),
}

/// A connection.
pub(super) enum Connection {
    #[cfg(feature = "postgres")]
    Postgres(PooledConnection<Postgres>),
    #[cfg(feature = "mysql")]
    Mysql(PooledConnection<MySql>),
}

impl Pools {
    /// Connects, and checks the server. `role` is what the connections are for.
    pub(super) async fn connect(url: &ServerUrl, role: &'static str) -> Result<Self, SqlError> {
        match url.engine() {
            #[cfg(feature = "postgres")]
            ServerEngine::Postgres => super::PostgresPool::open(url, role).await.map(Self::Postgres),
            #[cfg(feature = "mysql")]
            ServerEngine::Mysql => super::MysqlPool::open(url, role).await.map(Self::Mysql),
            #[cfg(not(all(feature = "postgres", feature = "mysql")))]
            other => Err(SqlError::UnknownEngine(format!(
                "{other:?}, which was left out of this program"
            ))),
        }
    }

    /// Applies the migrations that are missing.
    pub(super) async fn migrate(&self, migrations: Migrations) -> Result<(), SqlError> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.migrate(migrations.table, migrations.postgres).await,
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.migrate(migrations.table, migrations.mysql).await,
        }
    }

    /// What the server is, and the version of its tables. Changes nothing.
    pub(super) fn look(&self, migrations: Migrations) -> Erased<'_, ServerLook> {
        Box::pin(async move {
            let (server, found, known) = match self {
                #[cfg(feature = "postgres")]
                Self::Postgres(pool) => {
                    let found = pool.tables_version(migrations.table).await?;
                    (pool.server(), found, version(migrations.postgres)?)
                }
                #[cfg(feature = "mysql")]
                Self::Mysql(pool) => {
                    let known = version(migrations.mysql)?;
                    let found = pool.tables_version(migrations.table, known).await?;
                    (pool.server(), found, known)
                }
            };
            check_version(found, known)?;
            Ok(ServerLook { server, found, known })
        })
    }

    pub(super) const fn numbers_placeholders(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => false,
        }
    }

    pub(super) async fn acquire(&self) -> Result<Connection, SqlError> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.acquire().await.map(Connection::Postgres),
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.acquire().await.map(Connection::Mysql),
        }
    }

    pub(super) async fn check(&self) -> Result<(), SqlError> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.check().await,
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.check().await,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.close().await,
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.close().await,
        }
    }

    pub(super) fn fault(&self, error: sqlx::Error) -> SqlError {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.fault(error),
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.fault(error),
        }
    }

    pub(super) fn commit_fault(&self, error: sqlx::Error) -> SqlError {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.commit_fault(error),
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.commit_fault(error),
        }
    }
}

/// The version of the tables after these migrations.
fn version(migrations: &[Migration]) -> Result<i64, SqlError> {
    i64::try_from(migrations.len()).map_err(|_| SqlError::Mismatch)
}

impl Connection {
    /// Returns the connection to its pool; otherwise it is closed.
    pub(super) fn give_back(self) {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => connection.give_back(),
            #[cfg(feature = "mysql")]
            Self::Mysql(connection) => connection.give_back(),
        }
    }

    #[cfg_attr(
        not(all(feature = "postgres", feature = "mysql")),
        expect(irrefutable_let_patterns, reason = "one kind of server is left out")
    )]
    pub(super) async fn run(&mut self, pools: &Pools, action: Action) -> Result<Answer, sqlx::Error> {
        #[cfg(feature = "postgres")]
        if let (Self::Postgres(connection), Pools::Postgres(pool)) = (&mut *self, pools) {
            return super::postgres::statements::run(pool, connection, action).await;
        }
        #[cfg(feature = "mysql")]
        if let (Self::Mysql(connection), Pools::Mysql(_)) = (self, pools) {
            return super::mysql::statements::run(connection, action).await;
        }
        Err(sqlx::Error::PoolClosed)
    }
}
