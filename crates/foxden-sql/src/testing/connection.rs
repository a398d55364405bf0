//! Connections of tests, past everything else.

use std::future::Future;
use std::pin::Pin;
use std::sync::{LazyLock, Mutex, PoisonError};

use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use tokio::runtime::{Builder, Runtime};

use super::TestServer;

/// A connection past everything else.
pub(super) enum Open {
    Postgres(sqlx::PgConnection),
    Mariadb(sqlx::MySqlConnection),
}

/// Connections that are not in use, each with its address: to connect costs more than most statements.
static KEPT: Mutex<Vec<(String, Open)>> = Mutex::new(Vec::new());

/// Kept connections outlive the runtimes of tests.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime can be built")
});

impl Open {
    async fn connect(server: TestServer, base: &str) -> Self {
        let base = base.split_once('?').map_or(base, |(base, _)| base);
        let answers = "the server answers";
        match server {
            TestServer::Postgres => Self::Postgres(sqlx::PgConnection::connect(base).await.expect(answers)),
            TestServer::Mariadb => Self::Mariadb(sqlx::MySqlConnection::connect(base).await.expect(answers)),
        }
    }

    /// Connects, and runs statements.
    pub(super) async fn begin(server: TestServer, base: &str, statements: String) -> Self {
        let mut connection = Self::connect(server, base).await;
        connection.run(statements).await;
        connection
    }

    async fn run(&mut self, statements: String) {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements));
        let ran = match self {
            Self::Postgres(connection) => connection.execute(statements).await.map(drop),
            Self::Mariadb(connection) => connection.execute(statements).await.map(drop),
        };
        ran.expect("the server does it");
    }

    async fn column(&mut self, query: String) -> Vec<String> {
        // As plain text, which a pooler passes on whole, and with plain texts as its answer.
        let query = sqlx::raw_sql(AssertSqlSafe(query));
        let answers = "the server answers";
        match self {
            Self::Postgres(connection) => {
                let rows = connection.fetch_all(query).await.expect(answers);
                rows.iter().map(|row| row.get_unchecked(0)).collect()
            }
            Self::Mariadb(connection) => {
                let rows = connection.fetch_all(query).await.expect(answers);
                rows.iter().map(|row| row.get_unchecked(0)).collect()
            }
        }
    }

    pub(super) async fn close(self) {
        // Nothing depends on how it ends.
        match self {
            Self::Postgres(connection) => drop(connection.close().await),
            Self::Mariadb(connection) => drop(connection.close().await),
        }
    }
}

/// Runs statements on a kept connection, which they leave as it was but for its namespace.
pub(super) async fn run(server: TestServer, base: &str, statements: String) {
    kept(server, base, |open| Box::pin(open.run(statements))).await;
}

/// The first column of what the last of some statements returns, each value as text. It runs on a kept connection.
pub(super) async fn column(server: TestServer, base: &str, statements: String) -> Vec<String> {
    kept(server, base, |open| Box::pin(open.column(statements))).await
}

async fn kept<T: Send + 'static>(
    server: TestServer,
    base: &str,
    work: impl for<'a> FnOnce(&'a mut Open) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> + Send + 'static,
) -> T {
    let base = base.to_owned();
    let task = RUNTIME.spawn(async move {
        let mut open = match take(&base) {
            Some(open) => open,
            None => Open::connect(server, &base).await,
        };
        let done = work(&mut open).await;
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((base, open));
        done
    });
    let done = task.await;
    done.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

fn take(base: &str) -> Option<Open> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let at = kept.iter().position(|(address, _)| address == base)?;
    Some(kept.swap_remove(at).1)
}
