//! Namespaces on real servers for tests: each test has tables of its own, which are dropped at its end.
//!
//! `FOXDEN_TEST_POSTGRES` and `FOXDEN_TEST_MARIADB` hold URLs of servers whose users may create schemas and databases.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, Executor};

/// A server for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestServer {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    Mariadb,
}

/// A namespace of its own: a schema of PostgreSQL, a database of MariaDB. It is dropped with this.
pub struct TestNamespace {
    server: TestServer,
    /// The URL of the server.
    base: String,
    name: String,
    /// The URL of the namespace.
    url: String,
}

impl TestServer {
    /// All servers.
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Mariadb];

    /// The environment variable that names it.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "FOXDEN_TEST_POSTGRES",
            Self::Mariadb => "FOXDEN_TEST_MARIADB",
        }
    }

    /// The URL of the server; `None` if the environment names none.
    ///
    /// # Panics
    ///
    /// If it names none, and `FOXDEN_TEST_ENGINES` is `all`.
    pub fn url(self) -> Option<String> {
        let url = self.found();
        assert!(
            url.is_some() || !Self::are_required(),
            "{} is not set",
            self.variable()
        );
        url
    }

    /// The URL of the server, if the environment names one.
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
    pub fn found(self) -> Option<String> {
        std::env::var(self.variable()).ok()
    }

    /// Whether tests of a server that the environment does not name fail: `FOXDEN_TEST_ENGINES` is `all`.
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
    pub fn are_required() -> bool {
        std::env::var("FOXDEN_TEST_ENGINES").is_ok_and(|engines| engines == "all")
    }

    /// An empty namespace of its own for a test, whose name begins so; `None` if there is no server.
    ///
    /// # Panics
    ///
    /// If the server does not do it.
    pub async fn fresh(self, namespace: &str) -> Option<TestNamespace> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let base = self.url()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let plain: String = namespace
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .take(30)
            .collect();
        let name = format!("foxden_{}_{}_{number}", plain.to_lowercase(), std::process::id());
        let create = match self {
            Self::Postgres => format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}"),
            Self::Mariadb => format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}"),
        };
        run(self, &base, &create).await;
        let (server, query) = base.split_once('?').unwrap_or((&base, ""));
        let url = match self {
            Self::Postgres => format!("{server}?search_path={name}&{query}"),
            Self::Mariadb => {
                let end = server.rfind('/').unwrap_or(server.len());
                format!("{}/{name}?{query}", &server[..end])
            }
        };
        Some(TestNamespace {
            server: self,
            base,
            name,
            url,
        })
    }
}

impl TestNamespace {
    /// Its URL, for [`crate::ServerUrl`].
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name: of the schema, or of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements in it, past everything else.
    ///
    /// # Panics
    ///
    /// If one of them fails.
    pub async fn run(&self, statements: &str) {
        let text = match self.server {
            TestServer::Postgres => format!("SET search_path = {}; {statements}", self.name),
            TestServer::Mariadb => format!("USE {}; {statements}", self.name),
        };
        run(self.server, &self.base, &text).await;
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        let (server, base) = (self.server, self.base.clone());
        let statement = match server {
            TestServer::Postgres => format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name),
            TestServer::Mariadb => format!("DROP DATABASE IF EXISTS {}", self.name),
        };
        // The runtime of the test cannot wait here.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(run(server, &base, &statement));
            }
        });
        let dropped = dropping.join();
        assert!(dropped.is_ok() || std::thread::panicking(), "{} stays", self.name);
    }
}

async fn run(server: TestServer, base: &str, statements: &str) {
    let base = base.split_once('?').map_or(base, |(base, _)| base);
    let statements = AssertSqlSafe(statements);
    let ran = match server {
        TestServer::Postgres => {
            let mut connection = sqlx::PgConnection::connect(base)
                .await
                .expect("the server answers");
            let ran = connection.execute(sqlx::raw_sql(statements)).await.map(drop);
            drop(connection.close().await);
            ran
        }
        TestServer::Mariadb => {
            let mut connection = sqlx::MySqlConnection::connect(base)
                .await
                .expect("the server answers");
            let ran = connection.execute(sqlx::raw_sql(statements)).await.map(drop);
            drop(connection.close().await);
            ran
        }
    };
    ran.expect("the server does it");
}
