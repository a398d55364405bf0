//! The pool of one server.

#[cfg(feature = "mysql")]
use foxden_sql::server::MysqlPool;
use foxden_sql::server::ServerEngine;
use foxden_sql::server::ServerUrl;
#[cfg(feature = "postgres")]
use foxden_sql::server::{PostgresPool, postgres::Isolation};
use foxden_sql::{Migration, Migrations, SqlError};

#[cfg(feature = "postgres")]
use super::connection::Pooler;
use super::connection::{Connection, Dialect};
use super::fault::Fault;
use crate::engine::EngineError;

/// The purpose of the connections, which the server lists.
const ROLE: &str = "foxden-objects";

/// The connections of a server.
pub(super) enum Server {
    #[cfg(feature = "postgres")]
    Postgres(PostgresPool, Pooler),
    #[cfg(feature = "mysql")]
    Mysql(MysqlPool),
}

macro_rules! migrations {
    ($folder:literal: $($name:literal),*) => {
        &[$(Migration {
            name: $name,
            statements: include_str!(concat!("../../../migrations/", $folder, "/", $name, ".sql")),
        }),*]
    };
}

/// The tables, and the one with the version of the others.
pub(super) const MIGRATIONS: Migrations = Migrations {
    sqlite: &[],
    postgres: migrations!("postgres": "0001_initial", "0002_cache"),
    mysql: migrations!("mysql": "0001_initial", "0002_cache"),
    table: "sync_migration",
};

impl Server {
    /// Connects, checks the server, and migrates the tables.
    pub(super) async fn open(url: &ServerUrl) -> Result<Self, SqlError> {
        match url.engine() {
            #[cfg(feature = "postgres")]
            ServerEngine::Postgres => {
                let pool = PostgresPool::open(url, ROLE).await?;
                pool.migrate(MIGRATIONS.table, MIGRATIONS.postgres).await?;
                let pooler = if pool.is_persistent() {
                    Pooler::None
                } else {
                    Pooler::BetweenTransactions(pool.begin_text(Isolation::ReadCommitted).into())
                };
                Ok(Self::Postgres(pool, pooler))
            }
            #[cfg(feature = "mysql")]
            ServerEngine::Mysql => {
                let pool = MysqlPool::open(url, ROLE).await?;
                pool.migrate(MIGRATIONS.table, MIGRATIONS.mysql).await?;
                Ok(Self::Mysql(pool))
            }
            #[cfg(not(all(feature = "postgres", feature = "mysql")))]
            _ => Err(SqlError::UnknownEngine(url.to_string())),
        }
    }

    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(..) => Dialect::Postgres,
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => Dialect::Mysql,
        }
    }

    pub(super) async fn acquire(&self) -> Result<Connection, EngineError> {
        let connection = match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool, pooler) => {
                let connection = pool.acquire().await;
                connection.map(|connection| Connection::Postgres(connection, pooler.clone()))
            }
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.acquire().await.map(Connection::Mysql),
        };
        connection.map_err(refusal)
    }

    /// A connection for statements that belong to no transaction.
    pub(super) async fn acquire_alone(&self) -> Result<Connection, EngineError> {
        let mut connection = self.acquire().await?;
        let begun = connection.begin_alone().await;
        begun.map_err(|fault| self.error(fault))?;
        Ok(connection)
    }

    /// The error of an engine for a fault; a lost connection is noted.
    pub(super) fn error(&self, fault: Fault) -> EngineError {
        match fault {
            Fault::Refused(error) => error,
            Fault::Overdue => EngineError::Unavailable("a transaction took too long".into()),
            Fault::Server(error) => refusal(match self {
                #[cfg(feature = "postgres")]
                Self::Postgres(pool, _) => pool.fault(error),
                #[cfg(feature = "mysql")]
                Self::Mysql(pool) => pool.fault(error),
            }),
        }
    }

    pub(super) async fn check(&self) -> Result<(), EngineError> {
        let checked = match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool, _) => pool.check().await,
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.check().await,
        };
        checked.map_err(refusal)
    }

    pub(super) async fn close(&self) {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool, _) => pool.close().await,
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.close().await,
        }
    }
}

fn refusal(error: SqlError) -> EngineError {
    match error {
        SqlError::Busy | SqlError::Repeat(_) => EngineError::Busy,
        error => EngineError::Unavailable(Box::new(error)),
    }
}
