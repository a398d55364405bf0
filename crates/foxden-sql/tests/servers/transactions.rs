//! Transactions of a `Database` on bad days: servers take them back, lose them, or do not say how they ended.

use std::sync::atomic::{AtomicU32, Ordering};

use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_sql::{Database, Fetch, Migration, Migrations, QueryOrigin, SqlError, values};
use tokio::sync::{Barrier, Mutex};

use crate::lossy_line::{Loss, LossyLine};
use crate::support::{Line, at, fresh};
use crate::{Test, for_servers};

const TABLE: &[Migration] = &[Migration {
    name: "first",
    statements: "CREATE TABLE IF NOT EXISTS pet
        (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(20) NOT NULL, meals BIGINT NOT NULL)",
}];
const TABLES: Migrations = Migrations {
    sqlite: &[],
    postgres: TABLE,
    mysql: TABLE,
    table: "version_of_test",
};
const INSERT: &str = "INSERT INTO pet (id, name, meals) VALUES (?, ?, 1)";
const NAMES: &str = "SELECT name FROM pet ORDER BY id";
const FEED: &str = "UPDATE pet SET meals = meals + 1 WHERE id = ?";
const STARVE: &str = "UPDATE pet SET meals = 0 WHERE id = ?";
const MEALS: &str = "SELECT meals FROM pet ORDER BY id";

pub(crate) fn tests() -> Vec<Test> {
    for_servers![
        a_column_that_another_process_adds_is_not_noticed,
        a_column_that_another_process_changes_repeats_the_whole_transaction,
        transactions_that_lock_rows_crosswise_both_succeed,
        transactions_that_read_what_the_other_writes_are_serialized,
        a_connection_that_is_lost_before_the_commit_repeats_the_whole_transaction,
        a_commit_whose_answer_is_lost_is_not_repeated,
        a_commit_that_is_lost_is_not_repeated,
        a_statement_that_is_refused_costs_no_connection,
        a_failure_that_the_work_passes_over_is_told_with_its_cause,
        transactions_that_run_again_keep_their_slots,
        a_text_with_u0000_is_refused_before_the_server,
    ]
}

/// The database of a namespace with one pet, through one connection.
async fn open(url: &str) -> Database {
    let separator = if url.contains('?') { '&' } else { '?' };
    let database = Database::open(&format!("{url}{separator}pool=1"), TABLES)
        .await
        .unwrap();
    insert(&database, 1, &AtomicU32::new(0)).await.unwrap();
    database
}

/// Inserts a pet, and reads all names in the same transaction. Counts the attempts.
async fn insert(database: &Database, id: i64, attempts: &AtomicU32) -> Result<usize, SqlError> {
    let insert = database.transact(|tx| async move {
        attempts.fetch_add(1, Ordering::Relaxed);
        tx.execute(INSERT, values![id, "Rex"]).await?;
        Ok(tx.fetch_all(NAMES, vec![]).await?.len())
    });
    insert.await
}

async fn count(database: &Database) -> usize {
    database.fetch_all(NAMES, vec![]).await.unwrap().len()
}

/// The meals of all pets, in their order.
async fn meals(from: &impl Fetch) -> Result<Vec<i64>, SqlError> {
    let mut rows = from.fetch_all(MEALS, vec![]).await?;
    rows.iter_mut().map(|row| row.take(0)).collect()
}

async fn a_column_that_another_process_adds_is_not_noticed(server: TestServer) {
    let namespace = fresh(server, "added").await;
    let database = open(namespace.url()).await;
    namespace
        .run("ALTER TABLE pet ADD COLUMN age BIGINT NOT NULL DEFAULT 7")
        .await;
    let attempts = AtomicU32::new(0);
    assert_eq!(insert(&database, 2, &attempts).await.unwrap(), 2);
    assert_eq!(attempts.into_inner(), 1);
    database.close().await;
}

/// PostgreSQL refuses statements that were prepared before (0A000) for as long as they are kept.
async fn a_column_that_another_process_changes_repeats_the_whole_transaction(server: TestServer) {
    let namespace = fresh(server, "changed").await;
    let database = open(namespace.url()).await;
    let attempts = AtomicU32::new(0);
    change(server, &namespace, 40).await;
    assert_eq!(insert(&database, 2, &attempts).await.unwrap(), 2);
    assert_eq!(insert(&database, 3, &attempts).await.unwrap(), 3);
    // MariaDB prepares the statements again by itself.
    let expected = match server {
        TestServer::Postgres => 3,
        TestServer::Mariadb => 2,
    };
    assert_eq!(attempts.into_inner(), expected);
    // A query outside of a transaction, too.
    assert_eq!(count(&database).await, 3);
    change(server, &namespace, 60).await;
    assert_eq!(count(&database).await, 3);
    database.close().await;
}

async fn change(server: TestServer, namespace: &TestNamespace, length: u32) {
    let change = match (server, length) {
        (TestServer::Postgres, 40) => "ALTER TABLE pet ALTER COLUMN name TYPE TEXT".to_owned(),
        (TestServer::Postgres, _) => format!("ALTER TABLE pet ALTER COLUMN name TYPE VARCHAR({length})"),
        (TestServer::Mariadb, _) => format!("ALTER TABLE pet MODIFY name VARCHAR({length}) NOT NULL"),
    };
    namespace.run(&change).await;
}

/// An address has four slots, also while its transactions wait to run again.
async fn transactions_that_run_again_keep_their_slots(server: TestServer) {
    let namespace = fresh(server, "slots").await;
    let database = &two_pets(&namespace).await;
    let take_back = match server {
        TestServer::Postgres => "DO $$ BEGIN RAISE EXCEPTION 'taken back' USING ERRCODE = '40001'; END $$",
        TestServer::Mariadb => "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'taken back'",
    };
    let origin = QueryOrigin {
        groups: [Some(1), None, None],
        times: 1,
    };
    let (begun, most) = (&AtomicU32::new(0), &AtomicU32::new(0));
    let feed = || async move {
        let attempts = &AtomicU32::new(0);
        let feed = database.transact(|tx| async move {
            if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
                most.fetch_max(begun.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tx.execute(take_back, vec![]).await?;
            }
            tx.execute(FEED, values![1_i64]).await
        });
        assert_eq!(origin.carry(feed).await.unwrap(), 1);
        begun.fetch_sub(1, Ordering::Relaxed);
    };
    tokio::join!(feed(), feed(), feed(), feed(), feed(), feed(), feed(), feed());
    assert_eq!(meals(database).await.unwrap(), [9, 1]);
    assert!(most.load(Ordering::Relaxed) <= 4, "{most:?}");
    database.close().await;
}

/// The number of the session of a database with one connection.
async fn session(server: TestServer, database: &Database) -> i64 {
    let statement = match server {
        TestServer::Postgres => "SELECT CAST(pg_backend_pid() AS BIGINT)",
        TestServer::Mariadb => "SELECT CAST(CONNECTION_ID() AS SIGNED)",
    };
    let row = database.fetch_optional(statement, vec![]).await.unwrap();
    row.unwrap().take(0).unwrap()
}

/// Strangers choose values: if one cost a connection, they could end all.
async fn a_statement_that_is_refused_costs_no_connection(server: TestServer) {
    let namespace = fresh(server, "refused").await;
    let database = open(namespace.url()).await;
    let before = session(server, &database).await;
    let refused = database.fetch_all("SELECT id FROM nowhere", vec![]).await;
    assert!(matches!(refused, Err(SqlError::Unavailable(_))), "{refused:?}");
    assert_eq!(session(server, &database).await, before);
    let refused = database.transact(|tx| async move {
        tx.execute(INSERT, values![2_i64, "Tom"]).await?;
        tx.execute("DELETE FROM nowhere", vec![]).await
    });
    let refused = refused.await;
    assert!(matches!(refused, Err(SqlError::Unavailable(_))), "{refused:?}");
    assert_eq!(session(server, &database).await, before);
    assert_eq!(count(&database).await, 1, "the transaction was rolled back");
    database.close().await;
}

/// The log of a transaction that is given up has this text, too.
async fn a_failure_that_the_work_passes_over_is_told_with_its_cause(server: TestServer) {
    let namespace = fresh(server, "passed_over").await;
    let database = open(namespace.url()).await;
    let refused = database.transact(|tx| async move {
        tx.execute("DELETE FROM nowhere", vec![]).await.unwrap_err();
        Ok::<_, SqlError>(())
    });
    let Err(SqlError::Unavailable(cause)) = refused.await else {
        panic!("it was committed")
    };
    assert!(cause.to_string().contains("nowhere"), "{cause}");
    database.close().await;
}

async fn a_text_with_u0000_is_refused_before_the_server(server: TestServer) {
    let namespace = fresh(server, "null").await;
    let database = open(namespace.url()).await;
    let before = session(server, &database).await;
    let refused = database.fetch_all("SELECT id FROM pet WHERE name = ?", values!["\0"]);
    assert!(matches!(refused.await, Err(SqlError::NullCharacter)));
    let refused = database.transact(|tx| async move { tx.execute(INSERT, values![2_i64, "T\0m"]).await });
    assert!(matches!(refused.await, Err(SqlError::NullCharacter)));
    assert_eq!(session(server, &database).await, before);
    assert_eq!(count(&database).await, 1);
    database.close().await;
}

/// Two pets, and a database with a connection for each of two transactions.
async fn two_pets(namespace: &TestNamespace) -> Database {
    let database = Database::open(namespace.url(), TABLES).await.unwrap();
    insert(&database, 1, &AtomicU32::new(0)).await.unwrap();
    insert(&database, 2, &AtomicU32::new(0)).await.unwrap();
    database
}

async fn transactions_that_lock_rows_crosswise_both_succeed(server: TestServer) {
    let namespace = fresh(server, "crosswise").await;
    let database = &two_pets(&namespace).await;
    let (both, attempts) = (&Barrier::new(2), &AtomicU32::new(0));
    let feed = |first: i64, second: i64| async move {
        let mine = &AtomicU32::new(0);
        let feed = database.transact(|tx| async move {
            attempts.fetch_add(1, Ordering::Relaxed);
            tx.execute(FEED, values![first]).await?;
            if mine.fetch_add(1, Ordering::Relaxed) == 0 {
                both.wait().await;
            }
            tx.execute(FEED, values![second]).await
        });
        feed.await
    };
    let (one, other) = tokio::join!(feed(1, 2), feed(2, 1));
    assert_eq!((one.unwrap(), other.unwrap()), (1, 1));
    assert_eq!(meals(database).await.unwrap(), [3, 3]);
    assert!(attempts.load(Ordering::Relaxed) > 2, "none was taken back");
    database.close().await;
}

/// Each leaves the other's pet alone if that alone is fed: one after the other they never leave both without a meal.
async fn transactions_that_read_what_the_other_writes_are_serialized(server: TestServer) {
    let namespace = fresh(server, "serialized").await;
    let database = &two_pets(&namespace).await;
    let (both, attempts) = (&Barrier::new(2), &AtomicU32::new(0));
    let starve = |id: i64| async move {
        let mine = &AtomicU32::new(0);
        let starve = database.transact(|tx| async move {
            attempts.fetch_add(1, Ordering::Relaxed);
            let meals: i64 = meals(&tx).await?.iter().sum();
            if mine.fetch_add(1, Ordering::Relaxed) == 0 {
                both.wait().await;
            }
            if meals > 1 {
                tx.execute(STARVE, values![id]).await?;
            }
            Ok::<_, SqlError>(())
        });
        starve.await
    };
    let (one, other) = tokio::join!(starve(1), starve(2));
    one.unwrap();
    other.unwrap();
    assert_eq!(meals(database).await.unwrap().iter().sum::<i64>(), 1);
    assert!(attempts.load(Ordering::Relaxed) > 2, "none was taken back");
    database.close().await;
}

async fn a_connection_that_is_lost_before_the_commit_repeats_the_whole_transaction(server: TestServer) {
    let namespace = fresh(server, "cut").await;
    let line = Line::to(namespace.url()).await;
    let database = open(&at(namespace.url(), &line.place.to_string())).await;
    let (line, attempts) = (&Mutex::new(line), &AtomicU32::new(0));
    let insert = database.transact(|tx| async move {
        tx.execute(INSERT, values![2_i64, "Tom"]).await?;
        if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
            let mut line = line.lock().await;
            line.cut().await;
            line.mend().await;
        }
        Ok::<_, SqlError>(tx.fetch_all(NAMES, vec![]).await?.len())
    });
    assert_eq!(insert.await.unwrap(), 2);
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
    assert_eq!(count(&database).await, 2);
    database.close().await;
}

async fn a_commit_whose_answer_is_lost_is_not_repeated(server: TestServer) {
    lose(server, Loss::Answer, 2).await;
}

async fn a_commit_that_is_lost_is_not_repeated(server: TestServer) {
    lose(server, Loss::Commit, 1).await;
}

/// Loses a commit or its answer. There are so many pets then, and one more after the next transaction.
async fn lose(server: TestServer, loss: Loss, expected: usize) {
    let namespace = fresh(server, "lost_commit").await;
    let line = LossyLine::to(namespace.url()).await;
    let database = open(&at(namespace.url(), &line.place.to_string())).await;
    let attempts = AtomicU32::new(0);
    line.lose(loss);
    let unknown = insert(&database, 2, &attempts).await;
    assert!(line.has_lost());
    assert!(matches!(unknown, Err(SqlError::OutcomeUnknown(_))), "{unknown:?}");
    assert_eq!(attempts.into_inner(), 1);
    assert_eq!(count(&database).await, expected);
    insert(&database, 3, &AtomicU32::new(0)).await.unwrap();
    assert_eq!(count(&database).await, expected + 1);
    database.close().await;
}
