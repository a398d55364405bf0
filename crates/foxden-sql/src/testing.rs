//! Namespaces on real servers for tests: each test has tables of its own, which are dropped at its end.
//!
//! `FOXDEN_TEST_POSTGRES` and `FOXDEN_TEST_MARIADB` hold URLs of servers whose users may create schemas and databases.

mod connection;

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use connection::Open;

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

/// Namespaces of tests that have ended, for those to come: making tables takes long.
static LEASED: Mutex<Vec<TestNamespace>> = Mutex::new(Vec::new());

/// A namespace on loan; the next test gets it once this is dropped.
pub struct Lease(Option<TestNamespace>);

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
        connection::run(self, &base, create).await;
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

impl TestServer {
    /// A namespace without rows for a test. Its tables are those that an earlier test of this process made, if there was
    /// one. `kept` are the tables whose rows stay, and `reset` is run after all others were emptied. Namespaces of
    /// processes that have ended are dropped.
    ///
    /// # Panics
    ///
    /// If there is no server, or it does not do it.
    pub fn lease(self, namespace: &str, kept: &[&str], reset: &str) -> Lease {
        static SWEEP: [Once; 2] = [Once::new(), Once::new()];
        let mut leased = LEASED.lock().unwrap_or_else(PoisonError::into_inner);
        let free = leased.iter().position(|free| free.server == self);
        let free = free.map(|at| leased.swap_remove(at));
        drop(leased);
        block_on(async {
            let Some(free) = free else {
                let base = self.url().expect("the environment names the server");
                let mut is_first = false;
                SWEEP[self as usize].call_once(|| is_first = true);
                if is_first {
                    sweep(self, &base).await;
                }
                return Lease(self.fresh(namespace).await);
            };
            free.empty(kept, reset).await;
            Lease(Some(free))
        })
    }

    /// What lists the namespaces of tests.
    const fn list(self) -> &'static str {
        match self {
            Self::Postgres => "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'foxden%'",
            Self::Mariadb => {
                "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'foxden%'"
            }
        }
    }

    fn drop_text(self, name: &str) -> String {
        match self {
            Self::Postgres => format!("DROP SCHEMA IF EXISTS {name} CASCADE"),
            Self::Mariadb => format!("DROP DATABASE IF EXISTS {name}"),
        }
    }
}

impl TestServer {
    /// An empty namespace of its own for a test that has no runtime.
    ///
    /// # Panics
    ///
    /// If there is no server, or it does not do it.
    pub fn namespace(self, name: &str) -> TestNamespace {
        let fresh = block_on(self.fresh(name));
        fresh.expect("the environment names the server")
    }

    /// Runs one statement as the user of the tests.
    ///
    /// # Panics
    ///
    /// If there is no server, or it does not do it.
    pub fn run(self, statement: &str) {
        let base = self.url().expect("the environment names the server");
        self.run_at(&base, statement);
    }

    /// Runs one statement at another server of this kind.
    ///
    /// # Panics
    ///
    /// If it does not do it.
    pub fn run_at(self, url: &str, statement: &str) {
        block_on(run(self, url, statement));
    }
}

impl Lease {
    /// The namespace.
    ///
    /// # Panics
    ///
    /// Never: it is there until this is dropped.
    pub fn namespace(&self) -> &TestNamespace {
        self.0.as_ref().expect("it is on loan")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut leased = LEASED.lock().unwrap_or_else(PoisonError::into_inner);
        leased.extend(self.0.take());
    }
}

impl TestNamespace {
    /// Deletes the rows of all tables but those.
    async fn empty(&self, kept: &[&str], reset: &str) {
        let list = match self.server {
            TestServer::Postgres => format!(
                "SELECT tablename::text FROM pg_tables WHERE schemaname = '{}' ORDER BY 1",
                self.name
            ),
            TestServer::Mariadb => format!(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = '{}' ORDER BY 1",
                self.name
            ),
        };
        let mut tables = connection::column(self.server, &self.base, list).await;
        tables.retain(|table| !kept.contains(&table.as_str()));
        if tables.is_empty() {
            return;
        }
        let empty = match self.server {
            // One statement, so that their order does not matter to foreign keys. TRUNCATE makes new files for each table.
            TestServer::Postgres => {
                let deletes: Vec<_> = (0..)
                    .zip(&tables)
                    .map(|(number, table)| format!("d{number} AS (DELETE FROM {table})"))
                    .collect();
                let resets: Vec<_> = kept
                    .iter()
                    .map(|table| format!("sequencename NOT LIKE '{table}\\_%'"))
                    .chain(["TRUE".to_owned()])
                    .collect();
                format!(
                    "WITH {} SELECT 1; SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, FALSE)
                    FROM pg_sequences WHERE schemaname = current_schema() AND {}; {reset}",
                    deletes.join(", "),
                    resets.join(" AND ")
                )
            }
            TestServer::Mariadb => {
                let deletes = tables.join("; DELETE FROM ");
                format!(
                    "SET foreign_key_checks = 0; START TRANSACTION; DELETE FROM {deletes}; {reset}; COMMIT;
                    SET foreign_key_checks = 1"
                )
            }
        };
        connection::run(self.server, &self.base, self.within(&empty)).await;
    }

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
        run(self.server, &self.base, &self.within(statements)).await;
    }

    fn within(&self, statements: &str) -> String {
        match self.server {
            TestServer::Postgres => format!("SET search_path = {}; {statements}", self.name),
            // A move waits for others that have its database open, as a kept connection would.
            TestServer::Mariadb => format!("USE {}; {statements}; USE information_schema", self.name),
        }
    }
}

impl TestNamespace {
    /// The number that a query of it returns.
    ///
    /// # Panics
    ///
    /// If the query fails or returns no row.
    pub async fn number(&self, query: &str) -> i64 {
        let query = self.within(query);
        let numbers = connection::column(self.server, &self.base, query).await;
        let number = numbers.first().expect("the query returns a row");
        number.parse().expect("it is a number")
    }
}

/// A transaction of another client, which holds its locks until this is dropped.
pub struct HeldTransaction {
    end: Option<oneshot::Sender<()>>,
    client: Option<JoinHandle<()>>,
}

impl TestNamespace {
    /// Begins a transaction with a statement, and keeps it open.
    ///
    /// # Panics
    ///
    /// If the statement fails.
    pub fn hold(&self, statement: &str) -> HeldTransaction {
        let (started, beginning) = std::sync::mpsc::channel();
        let (end, is_to_end) = oneshot::channel();
        let (server, base) = (self.server, self.base.clone());
        let statements = match server {
            TestServer::Postgres => format!("SET search_path = {}; BEGIN; {statement}", self.name),
            // By default it would lock the rows that it merely passes, too.
            TestServer::Mariadb => format!(
                "USE {}; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN; {statement}",
                self.name
            ),
        };
        let client = std::thread::spawn(move || {
            block_on(async move {
                let held = Open::begin(server, &base, statements).await;
                started.send(()).expect("the beginning is waited for");
                drop(is_to_end.await);
                held.close().await;
            });
        });
        beginning.recv().expect("the transaction has begun");
        HeldTransaction {
            end: Some(end),
            client: Some(client),
        }
    }
}

impl Drop for HeldTransaction {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(client) = self.client.take() {
            let ended = client.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the client panicked");
        }
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        let (server, base) = (self.server, self.base.clone());
        let statement = server.drop_text(&self.name);
        let dropped = std::panic::catch_unwind(|| block_on(connection::run(server, &base, statement)));
        assert!(dropped.is_ok() || std::thread::panicking(), "{} stays", self.name);
    }
}

async fn run(server: TestServer, base: &str, statements: &str) {
    Open::begin(server, base, statements.to_owned())
        .await
        .close()
        .await;
}

/// Drops the namespaces of processes that have ended.
async fn sweep(server: TestServer, base: &str) {
    for name in connection::column(server, base, server.list().to_owned()).await {
        let process = name
            .rsplit('_')
            .nth(1)
            .and_then(|number| number.parse::<u32>().ok());
        if process.is_some_and(|number| !Path::new(&format!("/proc/{number}")).exists()) {
            connection::run(server, base, server.drop_text(&name)).await;
        }
    }
}

/// Waits on a thread of its own: the runtime of a test cannot wait where nothing is awaited.
fn block_on<F: Future<Output: Send> + Send>(work: F) -> F::Output {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be built").block_on(work)
    };
    let ran = std::thread::scope(|scope| scope.spawn(run).join());
    ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
