//! MariaDB and MySQL: their connections and their options.

mod checks;
mod migrate;
pub(super) mod statements;

use sqlx::mysql::{MySql, MySqlConnectOptions, MySqlSslMode};
use sqlx::{ConnectOptions, Connection};

use super::pool::{Options, PooledConnection, ServerPool, connect, in_time};
use super::url::{ServerAddress, ServerUrl, TlsMode};
use crate::erased::Erased;
use crate::{Migration, SqlError};

/// The isolation of each session: without gaps that are locked, writers of different users do not meet.
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
/// What both servers understand. A session that idles ends a little after the pool would close it.
const SESSION: &str = "autocommit = 1, innodb_lock_wait_timeout = 5, NAMES utf8mb4 COLLATE utf8mb4_bin,
    sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', time_zone = '+00:00', wait_timeout = 330";
/// What MariaDB calls it. A write must not land long after its time was given, and rows that were only read are locked, too,
/// so nothing runs or idles for long.
const MARIADB: &str = ", max_statement_time = 8, idle_transaction_timeout = 3";
/// In MySQL only queries can be bounded.
const MYSQL: &str = ", max_execution_time = 8000";
/// A member of a Galera cluster answers once it knows what the others have committed.
const GALERA: &str = ", wsrep_sync_wait = 1";

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// MariaDB.
    Mariadb,
    /// A member of a Galera cluster of MariaDB.
    Galera,
    /// MySQL.
    Mysql,
}

/// Connections of a database of MariaDB or MySQL.
pub struct MysqlPool {
    pool: ServerPool<MySql>,
    flavour: Flavour,
    version: String,
}

impl MysqlPool {
    /// Opens connections of a database, and checks that this program can work with it. `role` is what they are for.
    /// [`SqlError::Unsuitable`] says what is wrong, and what to do.
    pub fn open<'a>(url: &'a ServerUrl, role: &'static str) -> Erased<'a, Self> {
        Box::pin(async move {
            let options = options(url).await?;
            let connected = connect::<MySql>(&options).await;
            let mut connection = connected.map_err(|error| checks::refusal(&error, url))?;
            let (flavour, version) = checks::check(&mut connection, url).await?;
            // Nothing depends on how it ends.
            drop(connection.close().await);
            tracing::debug!(role, ?flavour, "opened a database");
            Ok(Self {
                pool: ServerPool::new(options, Some(session(flavour)), url),
                flavour,
                version,
            })
        })
    }

    /// Which server it is.
    pub const fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// A connection. [`SqlError::Busy`] if all stay in use, [`SqlError::Unavailable`] at once while the server is known
    /// to be down.
    ///
    /// After any error the transaction has to be left: the server may have ended it, and would commit each further
    /// statement by itself. A connection whose query was dropped has to be closed.
    pub fn acquire(&self) -> Erased<'_, PooledConnection<MySql>> {
        Box::pin(self.pool.acquire())
    }

    /// What an error of a statement means. A lost connection is taken note of.
    pub fn fault(&self, error: sqlx::Error) -> SqlError {
        self.pool.fault(error)
    }

    /// What an error of a commit means: [`SqlError::OutcomeUnknown`] unless the server says that it was taken back.
    pub fn commit_fault(&self, error: sqlx::Error) -> SqlError {
        self.pool.commit_fault(error)
    }

    /// Whether the server answers and may be written to.
    pub fn check(&self) -> Erased<'_, ()> {
        Box::pin(async move {
            let mut connection = self.acquire().await?;
            match in_time(checks::is_writable(&mut connection)).await {
                Ok(true) => {
                    connection.give_back();
                    Ok(())
                }
                Ok(false) => Err(checks::read_only()),
                Err(error) => Err(self.fault(error)),
            }
        })
    }

    /// Applies the migrations that are missing. `table` keeps the version. Two processes may do so at once.
    ///
    /// The server commits each statement that changes tables by itself, so a migration that was interrupted is applied
    /// again from its beginning: its statements must do no harm a second time (`IF NOT EXISTS`, `INSERT IGNORE`).
    pub fn migrate<'a>(&'a self, table: &'static str, migrations: &'a [Migration]) -> Erased<'a, ()> {
        Box::pin(async move {
            let mut connection = self.pool.connect().await?;
            let migrated = migrate::migrate(self, &mut connection, table, migrations).await;
            // It releases the lock.
            drop(connection.close().await);
            migrated
        })
    }

    /// The server's name and version.
    pub(super) fn server(&self) -> String {
        let (name, version) = match self.flavour {
            Flavour::Mysql => ("MySQL", self.version.as_str()),
            Flavour::Mariadb | Flavour::Galera => {
                let version = self.version.split("-MariaDB").next().unwrap_or_default();
                ("MariaDB", version.trim_start_matches("5.5.5-"))
            }
        };
        format!("{name} {version}")
    }

    /// The version of the tables, 0 before there are any. Changes nothing. Where tables are to be made, it finds out whether the
    /// user may.
    pub(super) async fn tables_version(&self, table: &'static str, known: i64) -> Result<i64, SqlError> {
        let mut connection = self.pool.connect().await?;
        let found = async {
            let found = migrate::version(&mut connection, table).await?.unwrap_or(0);
            if found < known {
                checks::can_create(&mut connection).await?;
            }
            Ok::<i64, sqlx::Error>(found)
        };
        let found = found.await.map_err(|error| self.fault(error));
        drop(connection.close().await);
        found
    }

    /// Closes all connections. Those in use are closed once they are given back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn options(url: &ServerUrl) -> Result<Options<MySql>, SqlError> {
    let mut options = MySqlConnectOptions::new()
        .username(&url.user)
        .database(&url.database)
        // All of this is set at once, for each connection of a pool.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false)
        .disable_statement_logging();
    if let Some(password) = url.read_password().await? {
        options = options.password(&password);
    }
    options = match &url.address {
        ServerAddress::Tcp(host, port) => options.host(host).port(*port).ssl_mode(tls(url.tls)),
        ServerAddress::Socket(file, _) => options.socket(file).ssl_mode(MySqlSslMode::Disabled),
    };
    if let Some(certificate) = url.find_root_certificate().await? {
        options = options.ssl_ca(certificate);
    }
    Ok(options)
}

fn session(flavour: Flavour) -> String {
    let own = match flavour {
        Flavour::Mariadb => [MARIADB, ""],
        Flavour::Galera => [MARIADB, GALERA],
        Flavour::Mysql => [MYSQL, ""],
    };
    format!("{ISOLATION}; SET {SESSION}{}", own.concat())
}

const fn tls(mode: TlsMode) -> MySqlSslMode {
    match mode {
        TlsMode::Disable => MySqlSslMode::Disabled,
        TlsMode::Prefer => MySqlSslMode::Preferred,
        TlsMode::Require => MySqlSslMode::Required,
        TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
        TlsMode::VerifyFull => MySqlSslMode::VerifyIdentity,
    }
}
