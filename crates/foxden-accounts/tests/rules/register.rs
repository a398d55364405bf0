//! Where the registers of these tests are: in memory and in files, or at the server that `FOXDEN_TEST_REGISTER` names
//! (`postgres` or `mariadb`). `cargo xtask test` runs them for each.

use foxden_accounts::MIGRATIONS;
use foxden_sql::Database;
use foxden_sql::testing::{Lease, TestServer};

/// Tables whose rows belong to the program, and what brings them back to the state of a first start.
const KEPT: [&str; 3] = ["register_version", "services", "change_counter"];
const RESET: &str = "UPDATE change_counter SET seq = 0";
/// MariaDB's counters go on where tables are merely emptied.
const RESET_MARIADB: &str = "UPDATE change_counter SET seq = 0; COMMIT; ALTER TABLE users AUTO_INCREMENT = 1;
    ALTER TABLE nodes AUTO_INCREMENT = 1; ALTER TABLE invitation AUTO_INCREMENT = 1";

/// The server at which the registers are; `None` for SQLite.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
pub(crate) fn server() -> Option<TestServer> {
    let name = std::env::var("FOXDEN_TEST_REGISTER").ok()?;
    match name.as_str() {
        "" | "sqlite" => None,
        "postgres" => Some(TestServer::Postgres),
        "mariadb" => Some(TestServer::Mariadb),
        other => panic!("no tests for {other}"),
    }
}

/// A namespace for one test; `None` for SQLite.
pub(crate) fn lease() -> Option<Lease> {
    let server = server()?;
    let reset = match server {
        TestServer::Postgres => RESET,
        TestServer::Mariadb => RESET_MARIADB,
    };
    Some(server.lease("register", &KEPT, reset))
}

/// An empty register, and what keeps it apart from those of other tests. In SQLite every transaction runs twice, and each
/// rule holds nevertheless; servers take transactions back by themselves.
pub(crate) async fn fresh() -> (Database, Option<Lease>) {
    let Some(lease) = lease() else {
        return (in_memory().await, None);
    };
    let database = Database::open(lease.namespace().url(), MIGRATIONS).await.unwrap();
    (database, Some(lease))
}

/// An empty register in memory.
pub(crate) async fn in_memory() -> Database {
    Database::in_memory(MIGRATIONS).await.unwrap().with_dry_runs()
}
