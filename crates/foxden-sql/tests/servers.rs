//! Tests with real servers, each for PostgreSQL and for MariaDB. They report like `cargo test`: *ignored* where the
//! environment names no server, and as failed with `FOXDEN_TEST_ENGINES=all`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]
#![expect(clippy::print_stdout, reason = "this program is its own reporter")]

#[path = "servers/connections.rs"]
mod connections;
#[path = "servers/lossy_line.rs"]
mod lossy_line;
#[path = "servers/migrations.rs"]
mod migrations;
#[path = "servers/support.rs"]
mod support;
#[path = "servers/transactions.rs"]
mod transactions;
#[path = "servers/unsuitable.rs"]
mod unsuitable;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;

use foxden_sql::testing::TestServer;
use tokio::task::JoinSet;

/// A test: its name, its server, and what it does.
pub(crate) struct Test {
    name: String,
    server: TestServer,
    run: fn(TestServer) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Tests for both servers.
#[macro_export]
macro_rules! for_servers {
    ($($name:ident),* $(,)?) => { $crate::for_these!(foxden_sql::testing::TestServer::ALL, $($name),*) };
}

/// Tests for PostgreSQL.
#[macro_export]
macro_rules! for_postgres {
    ($($name:ident),* $(,)?) => { $crate::for_these!([foxden_sql::testing::TestServer::Postgres], $($name),*) };
}

/// Tests for these servers.
#[macro_export]
macro_rules! for_these {
    ($servers:expr, $($name:ident),*) => {{
        let mut tests = Vec::new();
        for server in $servers {
            $(tests.push($crate::test(stringify!($name), server, |server| Box::pin($name(server))));)*
        }
        tests
    }};
}

pub(crate) fn test(
    name: &str,
    server: TestServer,
    run: fn(TestServer) -> Pin<Box<dyn Future<Output = ()> + Send>>,
) -> Test {
    let word = match server {
        TestServer::Postgres => "postgres",
        TestServer::Mariadb => "mariadb",
    };
    Test {
        name: format!("{word}::{name}"),
        server,
        run,
    }
}

/// What of the command line concerns this program.
#[derive(Default)]
struct Arguments {
    filters: Vec<String>,
    skipped: Vec<String>,
    ignored_only: bool,
    lists: bool,
}

impl Arguments {
    fn read() -> Self {
        let mut read = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => read.lists = true,
                "--ignored" => read.ignored_only = true,
                "--skip" => read.skipped.extend(words.next()),
                "--test-threads" | "--format" | "--logfile" | "--color" => drop(words.next()),
                _ if word.starts_with('-') => {}
                _ => read.filters.push(word),
            }
        }
        read
    }

    fn choose(&self, test: &Test) -> bool {
        let holds = |part: &String| test.name.contains(part.as_str());
        let is_chosen = self.filters.is_empty() || self.filters.iter().any(holds);
        is_chosen && !self.skipped.iter().any(holds) && !self.ignored_only
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let all = [
        connections::tests(),
        migrations::tests(),
        transactions::tests(),
        unsuitable::tests(),
    ];
    let all = all.into_iter().flatten();
    let tests: Vec<_> = all.filter(|test| arguments.choose(test)).collect();
    if arguments.lists {
        for test in &tests {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", tests.len());
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut running = JoinSet::new();
        for test in tests {
            // With `FOXDEN_TEST_ENGINES=all` a missing server panics here.
            match std::panic::catch_unwind(|| test.server.url()) {
                Ok(None) => {
                    println!("test {} ... ignored, needs {}", test.name, test.server.variable());
                    ignored += 1;
                }
                Ok(Some(_)) | Err(_) => {
                    running.spawn(async move {
                        let mut alone = JoinSet::new();
                        alone.spawn((test.run)(test.server));
                        let outcome = alone.join_next().await;
                        (test.name, matches!(outcome, Some(Ok(()))))
                    });
                }
            }
        }
        while let Some(ended) = running.join_next().await {
            let (name, has_passed) = ended.unwrap();
            println!("test {name} ... {}", if has_passed { "ok" } else { "FAILED" });
            if has_passed {
                passed += 1;
            } else {
                failed += 1;
            }
        }
    });
    let outcome = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {outcome}. {passed} passed; {failed} failed; {ignored} ignored\n");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
