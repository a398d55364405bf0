//! Tests of `Database`, in memory and in a file.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sqlite::{Location, Worker};
use crate::{Database, Fetch, Migration, QueueDepths, SqlError, Value, values};

const FIRST: Migration = Migration {
    name: "first",
    statements: "CREATE TABLE pet (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
        CREATE TABLE toy (pet INTEGER NOT NULL REFERENCES pet (id) ON DELETE CASCADE, picture BLOB);",
};
const ONE: &[Migration] = &[FIRST];
const TWO: &[Migration] = &[
    FIRST,
    Migration {
        name: "second",
        statements: "ALTER TABLE pet ADD COLUMN age INTEGER; INSERT INTO pet (name, age) VALUES ('Rex', 7);",
    },
];
const BROKEN: &[Migration] = &[
    FIRST,
    Migration {
        name: "broken",
        statements: "INSERT INTO pet (name) VALUES ('half'); INSERT INTO nowhere VALUES (1);",
    },
];

const INSERT: &str = "INSERT INTO pet (name) VALUES (?)";
const COUNT: &str = "SELECT COUNT(*) FROM pet";

/// A folder of its own for each test, removed when the test has passed.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("foxden-sql-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> String {
        self.0.join("register.sqlite").to_str().unwrap().to_owned()
    }

    async fn open(&self) -> Database {
        Database::open(&self.file(), ONE).await.unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }
}

async fn count(from: &impl Fetch) -> i64 {
    from.fetch_optional(COUNT, vec![])
        .await
        .unwrap()
        .unwrap()
        .take(0)
        .unwrap()
}

async fn insert(database: &Database, name: &str) -> Result<i64, SqlError> {
    database
        .transact(|tx| async move { tx.insert(INSERT, values![name]).await })
        .await
}

async fn execute(database: &Database, statement: &'static str) -> Result<u64, SqlError> {
    database
        .transact(|tx| async move { tx.execute(statement, vec![]).await })
        .await
}

#[tokio::test]
async fn committed_rows_are_visible_and_survive_a_restart() {
    let folder = Folder::new();
    let database = folder.open().await;
    let id = insert(&database, "Rex").await.unwrap();
    assert!(insert(&database, "Tom").await.unwrap() > id);
    assert_eq!(count(&database).await, 2);
    drop(database);
    assert_eq!(count(&folder.open().await).await, 2);
}

#[tokio::test]
async fn uncommitted_changes_are_invisible_and_gone_after_an_error() {
    let folder = Folder::new();
    let database = &folder.open().await;
    let failed = database.transact(|tx| async move {
        tx.execute(INSERT, values!["Rex"]).await?;
        assert_eq!(count(&tx).await, 1);
        assert_eq!(count(database).await, 0, "readers neither wait nor see it");
        Err::<(), _>(SqlError::Conflict)
    });
    assert!(matches!(failed.await, Err(SqlError::Conflict)));
    let counted = database.transact(|tx| async move { Ok::<_, SqlError>(count(&tx).await) });
    assert_eq!(counted.await.unwrap(), 0);
}

/// A client that hangs up drops the request's future, wherever it is.
#[tokio::test]
async fn a_dropped_transaction_is_rolled_back() {
    let database = Database::in_memory(ONE).await.unwrap();
    let begun = &tokio::sync::Notify::new();
    let work = database.transact(|tx| async move {
        tx.execute(INSERT, values!["Rex"]).await?;
        begun.notify_one();
        std::future::pending::<Result<(), SqlError>>().await
    });
    tokio::select! {
        _ = work => panic!("it never ends"),
        () = begun.notified() => {}
    }
    insert(&database, "Tom").await.unwrap();
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn a_dropped_statement_rolls_its_transaction_back() {
    let folder = Folder::new();
    let database = folder.open().await;
    let failed = database.transact(|tx| async move {
        {
            let mut statement = std::pin::pin!(tx.execute(INSERT, values!["Rex"]));
            let waker = std::task::Waker::noop();
            let _ = statement
                .as_mut()
                .poll(&mut std::task::Context::from_waker(waker));
        }
        Err::<(), _>(SqlError::Conflict)
    });
    assert!(matches!(failed.await, Err(SqlError::Conflict)));
    insert(&database, "Tom").await.unwrap();
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn transactions_are_serialized() {
    for database in [
        Database::in_memory(ONE).await.unwrap(),
        Folder::new().open().await,
    ] {
        let add = async |name| {
            let added = database.transact(|tx| async move {
                let before = count(&tx).await;
                tx.execute(INSERT, values![name]).await?;
                tokio::task::yield_now().await;
                assert_eq!(count(&tx).await, before + 1);
                Ok::<_, SqlError>(())
            });
            added.await.unwrap();
        };
        tokio::join!(add("a"), add("b"), add("c"), add("d"));
        assert_eq!(count(&database).await, 4);
    }
}

#[tokio::test]
async fn a_call_is_refused_when_the_queue_is_full() {
    let database = &Database::in_memory(ONE).await.unwrap();
    let (begun, end) = (&tokio::sync::Notify::new(), &tokio::sync::Notify::new());
    let slow = database.transact(|_tx| async move {
        begun.notify_one();
        end.notified().await;
        Ok::<_, SqlError>(())
    });
    let others = async {
        begun.notified().await;
        fill_queue(database, end).await;
    };
    let (slow, ()) = tokio::join!(slow, others);
    slow.unwrap();
    insert(database, "Rex").await.unwrap();
}

async fn fill_queue(database: &Database, end: &tokio::sync::Notify) {
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let database = database.clone();
        waiting.spawn(async move { execute(&database, "DELETE FROM pet").await.map(drop) });
    }
    while database.queue_depths().transactions < 256 {
        tokio::task::yield_now().await;
    }
    end.notify_one();
    let mut busy = 0;
    for outcome in waiting.join_all().await {
        match outcome {
            Ok(()) => {}
            Err(SqlError::Busy) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!((1..=44).contains(&busy), "{busy}");
    assert_eq!(database.queue_depths(), QueueDepths::default());
}

/// A dry run is rolled back before the work runs again, and work that fails does not run twice.
#[tokio::test]
async fn a_dry_run_precedes_each_transaction() {
    let database = Database::in_memory(ONE).await.unwrap().with_dry_runs();
    let (runs, failures) = (&AtomicU32::new(0), &AtomicU32::new(0));
    let added = database.transact(|tx| async move {
        runs.fetch_add(1, Ordering::Relaxed);
        assert_eq!(count(&tx).await, 0);
        tx.insert(INSERT, values!["Rex"]).await
    });
    added.await.unwrap();
    assert_eq!((runs.load(Ordering::Relaxed), count(&database).await), (2, 1));
    let failed = database.transact(|_tx| async move {
        failures.fetch_add(1, Ordering::Relaxed);
        Err::<(), _>(SqlError::Conflict)
    });
    assert!(matches!(failed.await, Err(SqlError::Conflict)));
    assert_eq!(failures.load(Ordering::Relaxed), 1);
}

/// A statement after the end of its transaction would run in a transaction of its own, or in another one.
#[tokio::test]
async fn a_handle_that_outlives_its_transaction_is_refused() {
    let database = &Database::in_memory(ONE).await.unwrap();
    let old = database.transact(|tx| async move { Ok::<_, SqlError>(tx) });
    let old = &old.await.unwrap();
    assert!(old.execute(INSERT, values!["Rex"]).await.is_err());
    let beside = database.transact(|tx| async move {
        assert!(old.execute(INSERT, values!["Rex"]).await.is_err());
        assert!(old.fetch_all(COUNT, vec![]).await.is_err());
        tx.execute(INSERT, values!["Tom"]).await
    });
    beside.await.unwrap();
    assert_eq!(count(database).await, 1);
}

#[tokio::test]
async fn a_duplicate_is_a_conflict_and_foreign_keys_are_enforced() {
    let database = Database::in_memory(ONE).await.unwrap();
    let id = insert(&database, "Rex").await.unwrap();
    assert!(matches!(insert(&database, "Rex").await, Err(SqlError::Conflict)));
    let toy = "INSERT INTO toy (pet, picture) VALUES (?, ?)";
    let toys = database.transact(|tx| async move {
        let orphan = tx.execute(toy, values![id + 1, vec![1_u8]]).await;
        assert!(matches!(orphan, Err(SqlError::ForeignKey)));
        tx.execute(toy, values![id, vec![1_u8, 2]]).await?;
        tx.execute("DELETE FROM pet", vec![]).await?;
        tx.fetch_optional("SELECT 1 FROM toy", vec![]).await
    });
    assert!(toys.await.unwrap().is_none());
}

#[tokio::test]
async fn values_are_read_as_they_were_written() {
    let database = Database::in_memory(ONE).await.unwrap();
    let values = values![-5_i64, "text’", vec![0_u8, 255], None::<i64>, true];
    let statement = "SELECT ?, ?, ?, ?, ?";
    let mut row = database.fetch_optional(statement, values).await.unwrap().unwrap();
    assert_eq!(row.take::<i64>(0).unwrap(), -5);
    assert_eq!(row.take::<String>(1).unwrap(), "text’");
    assert_eq!(row.take::<[u8; 2]>(2).unwrap(), [0, 255]);
    assert_eq!(row.take::<Option<i64>>(3).unwrap(), None);
    assert!(row.take::<bool>(4).unwrap());
    assert!(
        matches!(row.take::<i64>(4), Err(SqlError::Mismatch)),
        "a column is taken once"
    );
    assert!(matches!(row.take::<Value>(5), Err(SqlError::Mismatch)));
}

#[tokio::test]
async fn only_missing_migrations_are_applied() {
    let folder = Folder::new();
    drop(folder.open().await);
    let database = Database::open(&format!("sqlite:{}", folder.file()), TWO)
        .await
        .unwrap();
    assert_eq!(count(&database).await, 1);
    drop(database);
    drop(Database::open(&folder.file(), TWO).await.unwrap());

    let older = Database::open(&folder.file(), ONE).await;
    assert!(matches!(
        older.map(drop),
        Err(SqlError::Newer { found: 2, known: 1 })
    ));
}

/// A read-only database changes nothing, and migrates no tables of a running server.
#[tokio::test]
async fn a_read_only_database_changes_nothing() {
    let folder = Folder::new();
    let path = std::path::PathBuf::from(folder.file());
    assert!(
        Database::open_read_only(&path.to_string_lossy(), ONE)
            .await
            .is_err()
    );
    assert!(!path.exists());
    drop(folder.open().await);
    let older = Database::open_read_only(&path.to_string_lossy(), TWO).await;
    assert!(matches!(
        older.map(drop),
        Err(SqlError::Older { found: 1, known: 2 })
    ));
    drop(Database::open(&folder.file(), TWO).await.unwrap());
    let newer = Database::open_read_only(&path.to_string_lossy(), ONE).await;
    assert!(matches!(newer.map(drop), Err(SqlError::Newer { .. })));

    let read_only = Database::open_read_only(&path.to_string_lossy(), TWO)
        .await
        .unwrap();
    assert_eq!(count(&read_only).await, 1);
    assert!(
        execute(&read_only, "CREATE TABLE another (id INTEGER)")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_failed_migration_changes_nothing() {
    let folder = Folder::new();
    drop(folder.open().await);
    assert!(Database::open(&folder.file(), BROKEN).await.is_err());
    assert_eq!(count(&folder.open().await).await, 0);
}

#[tokio::test]
async fn the_check_fails_on_a_damaged_file() {
    let folder = Folder::new();
    let database = folder.open().await;
    database.check().await.unwrap();
    insert(&database, "Rex").await.unwrap();
    database.wipe_deleted().await.unwrap();
    std::fs::write(folder.file(), vec![b'x'; 64 * 1024]).unwrap();
    assert!(matches!(database.check().await, Err(SqlError::Unavailable(_))));
}

#[tokio::test]
async fn the_files_are_readable_by_their_owner_only() {
    let folder = Folder::new();
    std::fs::write(folder.file(), b"").unwrap();
    std::fs::set_permissions(folder.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let database = folder.open().await;
    insert(&database, "Rex").await.unwrap();
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn deleted_rows_leave_no_trace_once_wiped() {
    const DELETED: &str = "a deleted name";
    let folder = Folder::new();
    let database = folder.open().await;
    insert(&database, DELETED).await.unwrap();
    execute(&database, "DELETE FROM pet").await.unwrap();
    database.wipe_deleted().await.unwrap();
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !bytes
                .windows(DELETED.len())
                .any(|window| window == DELETED.as_bytes())
        );
    }
}

#[tokio::test]
async fn an_unknown_engine_or_a_missing_folder_is_an_error() {
    let unknown = Database::open("oracle://localhost/register", ONE).await;
    assert!(matches!(unknown.map(drop), Err(SqlError::UnknownEngine(engine)) if engine == "oracle:"));
    let nowhere = Database::open("/nowhere/at/all/register.sqlite", ONE).await;
    assert!(matches!(nowhere.map(drop), Err(SqlError::Unavailable(_))));
}

/// The processes of a group start together, and the first start makes the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_open_a_new_file_at_once() {
    for _ in 0..20 {
        let folder = Folder::new();
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let file = folder.file();
            opening.spawn(async move { Database::open(&file, ONE).await.map(drop) });
        }
        for opened in opening.join_all().await {
            opened.unwrap();
        }
        assert_eq!(count(&folder.open().await).await, 0);
    }
}

/// A panic fails its own query alone: what it began is rolled back.
#[tokio::test]
async fn a_panic_leaves_a_database_that_answers() {
    let worker = Worker::open(Location::Memory, "test").await.unwrap();
    worker.call(|sqlite| sqlite.migrate(ONE)).await.unwrap();
    let lost = worker.call(|sqlite| {
        sqlite.begin(1)?;
        assert!(sqlite.begin(2).is_err(), "in the middle");
        Ok(())
    });
    assert!(matches!(lost.await, Err(SqlError::Unavailable(_))));
    worker
        .call(|sqlite| {
            sqlite.begin(3)?;
            sqlite.commit()
        })
        .await
        .unwrap();
}

/// A query whose caller has gone is not run, and its slots are held until its turn: sending queries and leaving fills
/// no queue.
#[tokio::test]
async fn a_query_holds_its_slots_after_its_caller_has_gone() {
    fn begin<F: Future>(query: &mut std::pin::Pin<Box<F>>) {
        let waker = std::task::Waker::noop();
        let began = query.as_mut().poll(&mut std::task::Context::from_waker(waker));
        assert!(began.is_pending());
    }
    let worker = Worker::open(Location::Memory, "test").await.unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let mut first = Box::pin(worker.read(move |_| {
        assert!(held.recv().is_err());
        Ok(())
    }));
    begin(&mut first);
    let slot = std::sync::Arc::new(());
    let held_slot = std::sync::Arc::clone(&slot);
    let mut query = Box::pin(worker.read(move |_| -> Result<(), SqlError> {
        panic!("its caller has gone: {held_slot:?}");
    }));
    begin(&mut query);
    assert!(
        worker.queued() >= 1,
        "the thread may not have begun the first one"
    );
    drop(query);
    assert_eq!(std::sync::Arc::strong_count(&slot), 2);
    drop(release);
    first.await.unwrap();
    worker.call(|_| Ok(())).await.unwrap();
    assert_eq!(std::sync::Arc::strong_count(&slot), 1);
    assert_eq!(worker.queued(), 0);
}
