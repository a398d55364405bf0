//! A pool of either server, and a network that can be cut.

use std::net::SocketAddr;

use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_sql::{Migration, MysqlPool, PostgresPool, ServerUrl, SqlError};
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A pool of either server.
pub(crate) enum Pool {
    Postgres(PostgresPool),
    Mysql(MysqlPool),
}

impl Pool {
    pub(crate) async fn open(server: TestServer, url: &str) -> Result<Self, SqlError> {
        let url: ServerUrl = url.parse()?;
        Ok(match server {
            TestServer::Postgres => Self::Postgres(PostgresPool::open(&url, "test").await?),
            TestServer::Mariadb => Self::Mysql(MysqlPool::open(&url, "test").await?),
        })
    }

    pub(crate) async fn migrate(
        &self,
        table: &'static str,
        migrations: &[Migration],
    ) -> Result<(), SqlError> {
        match self {
            Self::Postgres(pool) => pool.migrate(table, migrations).await,
            Self::Mysql(pool) => pool.migrate(table, migrations).await,
        }
    }

    pub(crate) async fn check(&self) -> Result<(), SqlError> {
        match self {
            Self::Postgres(pool) => pool.check().await,
            Self::Mysql(pool) => pool.check().await,
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Mysql(pool) => pool.close().await,
        }
    }

    /// The first column of the answer, as text.
    pub(crate) async fn ask(&self, text: &str) -> Result<String, SqlError> {
        match self {
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await?;
                let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(text))).await;
                let row = row.map_err(|error| pool.fault(error))?;
                connection.give_back();
                Ok(row.get(0))
            }
            Self::Mysql(pool) => {
                let mut connection = pool.acquire().await?;
                let row = connection.fetch_one(sqlx::query(AssertSqlSafe(text))).await;
                let row = row.map_err(|error| pool.fault(error))?;
                connection.give_back();
                Ok(row.get(0))
            }
        }
    }
}

/// An empty namespace.
pub(crate) async fn fresh(server: TestServer, name: &str) -> TestNamespace {
    server
        .fresh(name)
        .await
        .expect("the environment names the server")
}

/// The URL of the same database with another host and port.
pub(crate) fn at(url: &str, place: &str) -> String {
    let (start, rest) = url.split_once('@').unwrap();
    let (_, end) = rest.split_once('/').unwrap();
    format!("{start}@{place}/{end}")
}

/// A connection to a server that can be cut.
pub(crate) struct Line {
    pub(crate) place: SocketAddr,
    server: String,
    connections: JoinSet<()>,
}

impl Line {
    /// A line to the server of that URL.
    pub(crate) async fn to(url: &str) -> Self {
        let server = url.split_once('@').unwrap().1.split_once('/').unwrap().0;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut line = Self {
            place: listener.local_addr().unwrap(),
            server: server.to_owned(),
            connections: JoinSet::new(),
        };
        line.serve(listener);
        line
    }

    /// Cuts all connections; new ones are refused.
    pub(crate) async fn cut(&mut self) {
        self.connections.shutdown().await;
    }

    /// Accepts connections again.
    pub(crate) async fn mend(&mut self) {
        let listener = TcpListener::bind(self.place).await.unwrap();
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let server = self.server.clone();
        self.connections.spawn(async move {
            let mut all = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let server = server.clone();
                all.spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    // It ends when either side does.
                    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                });
            }
        });
    }
}
