//! Migrations on real servers.

use std::sync::Arc;

use foxden_sql::testing::TestServer;
use foxden_sql::{Migration, SqlError};
use tokio::task::JoinSet;

use crate::support::{Pool, fresh};
use crate::{Test, for_postgres, for_servers};

const FIRST: Migration = Migration {
    name: "first",
    statements: "CREATE TABLE IF NOT EXISTS pet (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(20) NOT NULL);
        CREATE TABLE IF NOT EXISTS toy (id BIGINT NOT NULL PRIMARY KEY)",
};
const TWO: &[Migration] = &[
    FIRST,
    Migration {
        name: "second",
        statements: "INSERT INTO pet VALUES (1, 'Rex')",
    },
];
const BROKEN: &[Migration] = &[
    FIRST,
    Migration {
        name: "broken",
        statements: "INSERT INTO pet VALUES (2, 'half'); INSERT INTO nowhere VALUES (1)",
    },
];
const COUNT: &str = "SELECT CONCAT(COUNT(*), '') FROM pet";

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = for_servers![
        many_first_starts_migrate_at_once,
        only_missing_migrations_are_applied,
        a_failed_migration_is_not_recorded,
    ];
    tests.extend(for_postgres![a_failed_migration_changes_nothing]);
    tests
}

async fn many_first_starts_migrate_at_once(server: TestServer) {
    let namespace = Arc::new(fresh(server, "starts").await);
    let mut starts = JoinSet::new();
    for _ in 0..8 {
        let namespace = Arc::clone(&namespace);
        starts.spawn(async move {
            let pool = Pool::open(server, namespace.url()).await.unwrap();
            let migrated = pool.migrate("version_of_test", TWO).await;
            let count = pool.ask(COUNT).await.unwrap();
            pool.close().await;
            migrated.map(|()| count)
        });
    }
    for start in starts.join_all().await {
        assert_eq!(start.unwrap(), "1", "the second migration ran once");
    }
}

async fn only_missing_migrations_are_applied(server: TestServer) {
    let namespace = fresh(server, "missing").await;
    let pool = Pool::open(server, namespace.url()).await.unwrap();
    pool.migrate("version_of_test", &TWO[..1]).await.unwrap();
    assert_eq!(pool.ask(COUNT).await.unwrap(), "0");
    pool.migrate("version_of_test", TWO).await.unwrap();
    pool.migrate("version_of_test", TWO).await.unwrap();
    assert_eq!(pool.ask(COUNT).await.unwrap(), "1");
    let older = pool.migrate("version_of_test", &TWO[..1]).await;
    assert!(matches!(older, Err(SqlError::Newer { found: 2, known: 1 })));
    // Another part of the program keeps a version of its own.
    pool.migrate("version_of_other", &TWO[..1]).await.unwrap();
    pool.close().await;
}

async fn a_failed_migration_is_not_recorded(server: TestServer) {
    let namespace = fresh(server, "failed").await;
    let pool = Pool::open(server, namespace.url()).await.unwrap();
    assert!(pool.migrate("version_of_test", BROKEN).await.is_err());
    pool.migrate("version_of_test", TWO).await.unwrap();
    pool.close().await;
}

async fn a_failed_migration_changes_nothing(server: TestServer) {
    let namespace = fresh(server, "broken").await;
    let pool = Pool::open(server, namespace.url()).await.unwrap();
    assert!(pool.migrate("version_of_test", BROKEN).await.is_err());
    assert_eq!(pool.ask(COUNT).await.unwrap(), "0");
    pool.close().await;
}
