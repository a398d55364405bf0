//! Connections: their options, and servers that go away and come back.

use foxden_sql::SqlError;
use foxden_sql::server::PooledConnection;
use foxden_sql::testing::TestServer;
use sqlx::Executor;

use crate::support::{Line, Pool, at, fresh};
use crate::{Test, for_servers};

pub(crate) fn tests() -> Vec<Test> {
    for_servers![
        each_session_is_bounded_and_strict,
        a_server_that_went_away_is_refused_at_once_and_comes_back,
        a_lost_connection_costs_one_request,
        an_exhausted_pool_is_busy,
        a_transaction_that_idles_after_reading_is_ended,
    ]
}

async fn each_session_is_bounded_and_strict(server: TestServer) {
    let namespace = fresh(server, "session").await;
    let pool = Pool::open(server, namespace.url()).await.unwrap();
    pool.check().await.unwrap();
    let session_name = format!("foxden test in {}", namespace.name());
    let expected: &[(&str, &str)] = match server {
        TestServer::Postgres => &[
            ("SHOW statement_timeout", "8s"),
            ("SHOW idle_in_transaction_session_timeout", "3500ms"),
            ("SHOW lock_timeout", "5s"),
            ("SHOW search_path", namespace.name()),
            ("SHOW application_name", &session_name),
        ],
        TestServer::Mariadb => &[
            ("SELECT DATABASE()", namespace.name()),
            ("SELECT @@tx_isolation", "READ-COMMITTED"),
            ("SELECT @@collation_connection", "utf8mb4_bin"),
            ("SELECT CONCAT(@@max_statement_time, '')", "8.000000"),
            ("SELECT CONCAT(@@idle_transaction_timeout, '')", "3"),
            ("SELECT CONCAT(@@innodb_lock_wait_timeout, '')", "5"),
            ("SELECT CONCAT(@@autocommit + 0, '')", "1"),
        ],
    };
    for (question, answer) in expected {
        assert_eq!(pool.ask(question).await.unwrap(), *answer, "{question}");
    }
    pool.close().await;
}

async fn a_server_that_went_away_is_refused_at_once_and_comes_back(server: TestServer) {
    let namespace = fresh(server, "away").await;
    let mut line = Line::to(namespace.url()).await;
    let pool = Pool::open(server, &at(namespace.url(), &line.place.to_string()))
        .await
        .unwrap();
    pool.check().await.unwrap();
    line.cut().await;
    let lost = pool.ask("SELECT 'x'").await;
    // The pool may have noticed already.
    let is_named = matches!(lost, Err(SqlError::ConnectionLost(_) | SqlError::Unavailable(_)));
    assert!(is_named, "{lost:?}");
    for _ in 0..1000 {
        let refused = pool.ask("SELECT 'x'").await;
        assert!(matches!(refused, Err(SqlError::Unavailable(_))), "{refused:?}");
    }
    line.mend().await;
    while let Err(error) = pool.ask("SELECT 'x'").await {
        assert!(matches!(error, SqlError::Unavailable(_)), "{error}");
        tokio::task::yield_now().await;
    }
    pool.close().await;
}

/// Others of the same age are not tried one after the other.
async fn a_lost_connection_costs_one_request(server: TestServer) {
    let namespace = fresh(server, "lost").await;
    let mut line = Line::to(namespace.url()).await;
    let pool = Pool::open(server, &at(namespace.url(), &line.place.to_string()))
        .await
        .unwrap();
    let pool = std::sync::Arc::new(pool);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let pool = std::sync::Arc::clone(&pool);
        let slowly = match server {
            TestServer::Postgres => "SELECT pg_sleep(0.2)::text",
            TestServer::Mariadb => "SELECT CONCAT(SLEEP(0.2), '')",
        };
        asking.spawn(async move { pool.ask(slowly).await });
    }
    for answer in asking.join_all().await {
        answer.unwrap();
    }
    line.cut().await;
    line.mend().await;
    let mut lost = 0;
    for _ in 0..20 {
        if let Err(error) = pool.ask("SELECT 'x'").await {
            assert!(matches!(error, SqlError::ConnectionLost(_)), "{error}");
            lost += 1;
        }
    }
    assert_eq!(lost, 1);
    pool.close().await;
}

/// Its process may be gone without a word, and the rows that it read stay locked.
async fn a_transaction_that_idles_after_reading_is_ended(server: TestServer) {
    let namespace = fresh(server, "idle").await;
    namespace
        .run("CREATE TABLE pet (id BIGINT NOT NULL PRIMARY KEY)")
        .await;
    namespace.run("INSERT INTO pet (id) VALUES (1)").await;
    let pool = Pool::open(server, namespace.url()).await.unwrap();
    let (begin, lock) = ("START TRANSACTION", "SELECT id FROM pet FOR UPDATE");
    let idle = match &pool {
        Pool::Postgres(pool) => {
            let mut idle = pool.acquire().await.unwrap();
            for text in [begin, lock] {
                idle.execute(sqlx::raw_sql(text)).await.unwrap();
            }
            IdleConnection::Postgres(idle)
        }
        Pool::Mysql(pool) => {
            let mut idle = pool.acquire().await.unwrap();
            for text in [begin, lock] {
                idle.execute(sqlx::raw_sql(text)).await.unwrap();
            }
            IdleConnection::Mysql(idle)
        }
    };
    let mut waits = 0;
    let locked = match server {
        TestServer::Postgres => "SELECT id::text FROM pet FOR UPDATE",
        TestServer::Mariadb => "SELECT CONCAT(id, '') FROM pet FOR UPDATE",
    };
    // Each waits for the lock for five seconds at most.
    while let Err(error) = pool.ask(locked).await {
        assert!(matches!(error, SqlError::Repeat(_)), "{error}");
        waits += 1;
        assert!(waits < 6, "the row stays locked");
    }
    drop(idle);
    pool.close().await;
}

/// A connection of either server that is left alone.
#[expect(dead_code, reason = "it is held, and not used")]
enum IdleConnection {
    Postgres(PooledConnection<sqlx::Postgres>),
    Mysql(PooledConnection<sqlx::MySql>),
}

async fn an_exhausted_pool_is_busy(server: TestServer) {
    let namespace = fresh(server, "exhausted").await;
    let separator = if namespace.url().contains('?') { '&' } else { '?' };
    let pool = Pool::open(server, &format!("{}{separator}pool=1", namespace.url()))
        .await
        .unwrap();
    match &pool {
        Pool::Postgres(pool) => {
            let held = pool.acquire().await.unwrap();
            assert!(matches!(pool.acquire().await.map(drop), Err(SqlError::Busy)));
            drop(held);
        }
        Pool::Mysql(pool) => {
            let held = pool.acquire().await.unwrap();
            assert!(matches!(pool.acquire().await.map(drop), Err(SqlError::Busy)));
            drop(held);
        }
    }
    pool.check().await.unwrap();
    pool.close().await;
}
