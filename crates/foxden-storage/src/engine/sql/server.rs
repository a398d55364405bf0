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
pub(super) const ROLE: &str = "objects";

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
        let server = Self::connect(url, ROLE).await?;
        server.migrate().await?;
        Ok(server)
    }

    /// Connects and checks the server. `role` is what the connections are for.
    pub(super) async fn connect(url: &ServerUrl, role: &'static str) -> Result<Self, SqlError> {
        match url.engine() {
            #[cfg(feature = "postgres")]
            ServerEngine::Postgres => {
                let pool = PostgresPool::open(url, role).await?;
                let pooler = if pool.is_persistent() {
                    Pooler::None
                } else {
                    Pooler::BetweenTransactions(pool.begin_text(Isolation::ReadCommitted).into())
                };
                Ok(Self::Postgres(pool, pooler))
            }
            #[cfg(feature = "mysql")]
            ServerEngine::Mysql => MysqlPool::open(url, role).await.map(Self::Mysql),
            #[cfg(not(all(feature = "postgres", feature = "mysql")))]
            _ => Err(SqlError::UnknownEngine(url.to_string())),
        }
    }

    /// Applies the migrations that are missing.
    pub(super) async fn migrate(&self) -> Result<(), SqlError> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool, _) => pool.migrate(MIGRATIONS.table, MIGRATIONS.postgres).await,
            #[cfg(feature = "mysql")]
            Self::Mysql(pool) => pool.migrate(MIGRATIONS.table, MIGRATIONS.mysql).await,
        }
    }

    /// The version of the tables that this program makes.
    pub(super) fn known_version(&self) -> i64 {
        let migrations = match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(..) => MIGRATIONS.postgres,
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => MIGRATIONS.mysql,
        };
        i64::try_from(migrations.len()).unwrap_or(i64::MAX)
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
            // A move gives the tables other names while programs have the database open.
            Fault::Server(error) if is_about_a_missing_table(&error) => {
                refusal(SqlError::TablesGone(Box::new(error)))
            }
            Fault::PassEnded => EngineError::Busy,
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

/// By SQLSTATE: 42P01 of PostgreSQL, 42S02 of MySQL.
fn is_about_a_missing_table(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["42P01", "42S02"].contains(&&*code))
}
