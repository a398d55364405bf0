//! The promises of a database, kept in memory and in a file alike.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sqlite::{Place, Worker};
use crate::{Database, Fetch, Migration, SqlError, Value, values};

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
    let tx = database.begin().await?;
    let id = tx.insert(INSERT, values![name]).await?;
    tx.commit().await?;
    Ok(id)
}

#[tokio::test]
async fn what_was_committed_is_seen_and_outlives_the_program() {
    let folder = Folder::new();
    let database = folder.open().await;
    let id = insert(&database, "Rex").await.unwrap();
    assert!(insert(&database, "Tom").await.unwrap() > id);
    assert_eq!(count(&database).await, 2);
    drop(database);
    assert_eq!(count(&folder.open().await).await, 2);
}

#[tokio::test]
async fn what_was_not_committed_is_seen_by_nobody_and_gone_when_dropped() {
    let folder = Folder::new();
    let database = folder.open().await;
    let tx = database.begin().await.unwrap();
    tx.execute(INSERT, values!["Rex"]).await.unwrap();
    assert_eq!(count(&tx).await, 1);
    assert_eq!(count(&database).await, 0, "readers neither wait nor see it");
    drop(tx);
    let tx = database.begin().await.unwrap();
    assert_eq!(count(&tx).await, 0);
}

#[tokio::test]
async fn a_statement_given_up_half_way_takes_its_transaction_back() {
    let folder = Folder::new();
    let database = folder.open().await;
    let tx = database.begin().await.unwrap();
    {
        let mut statement = std::pin::pin!(tx.execute(INSERT, values!["Rex"]));
        let waker = std::task::Waker::noop();
        let _ = statement
            .as_mut()
            .poll(&mut std::task::Context::from_waker(waker));
    }
    drop(tx);
    insert(&database, "Tom").await.unwrap();
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn transactions_take_turns() {
    for database in [
        Database::in_memory(ONE).await.unwrap(),
        Folder::new().open().await,
    ] {
        let add = async |name| {
            let tx = database.begin().await.unwrap();
            let before = count(&tx).await;
            tx.execute(INSERT, values![name]).await.unwrap();
            tokio::task::yield_now().await;
            assert_eq!(count(&tx).await, before + 1);
            tx.commit().await.unwrap();
        };
        tokio::join!(add("a"), add("b"), add("c"), add("d"));
        assert_eq!(count(&database).await, 4);
    }
}

#[tokio::test]
async fn whoever_waits_too_many_is_told_so() {
    let database = Database::in_memory(ONE).await.unwrap();
    let tx = database.begin().await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let database = database.clone();
        waiting.spawn(async move { database.begin().await.map(drop) });
    }
    tokio::task::yield_now().await;
    drop(tx);
    let mut busy = 0;
    for outcome in waiting.join_all().await {
        match outcome {
            Ok(()) => {}
            Err(SqlError::Busy) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!((1..=44).contains(&busy), "{busy}");
    database.begin().await.unwrap();
}

#[tokio::test]
async fn a_taken_value_is_a_conflict_and_references_hold() {
    let database = Database::in_memory(ONE).await.unwrap();
    let id = insert(&database, "Rex").await.unwrap();
    assert!(matches!(insert(&database, "Rex").await, Err(SqlError::Conflict)));
    let tx = database.begin().await.unwrap();
    let toy = "INSERT INTO toy (pet, picture) VALUES (?, ?)";
    assert!(matches!(
        tx.execute(toy, values![id + 1, vec![1_u8]]).await,
        Err(SqlError::Orphan)
    ));
    tx.execute(toy, values![id, vec![1_u8, 2]]).await.unwrap();
    tx.execute("DELETE FROM pet", vec![]).await.unwrap();
    assert!(
        tx.fetch_optional("SELECT 1 FROM toy", vec![])
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
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
async fn tables_are_brought_up_to_date_step_by_step() {
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

/// Whoever only looks changes nothing, least of all the tables of a program that runs.
#[tokio::test]
async fn a_look_changes_nothing() {
    let folder = Folder::new();
    let path = std::path::PathBuf::from(folder.file());
    assert!(Database::look(&path, ONE).await.is_err());
    assert!(!path.exists());
    drop(folder.open().await);
    let older = Database::look(&path, TWO).await;
    assert!(matches!(
        older.map(drop),
        Err(SqlError::Older { found: 1, known: 2 })
    ));
    drop(Database::open(&folder.file(), TWO).await.unwrap());
    let newer = Database::look(&path, ONE).await;
    assert!(matches!(newer.map(drop), Err(SqlError::Newer { .. })));

    let looking = Database::look(&path, TWO).await.unwrap();
    assert_eq!(count(&looking).await, 1);
    if let Ok(tx) = looking.begin().await {
        assert!(
            tx.execute("CREATE TABLE another (id INTEGER)", vec![])
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_step_that_fails_changes_nothing() {
    let folder = Folder::new();
    drop(folder.open().await);
    assert!(Database::open(&folder.file(), BROKEN).await.is_err());
    assert_eq!(count(&folder.open().await).await, 0);
}

#[tokio::test]
async fn a_database_whose_file_is_spoilt_does_not_check_out() {
    let folder = Folder::new();
    let database = folder.open().await;
    database.check().await.unwrap();
    insert(&database, "Rex").await.unwrap();
    database.checkpoint().await.unwrap();
    std::fs::write(folder.file(), vec![b'x'; 64 * 1024]).unwrap();
    assert!(matches!(database.check().await, Err(SqlError::Unavailable(_))));
}

#[tokio::test]
async fn the_files_are_their_owners_alone() {
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
async fn deleted_rows_leave_no_trace_after_a_checkpoint() {
    let folder = Folder::new();
    let database = folder.open().await;
    insert(&database, "a name that nobody must find").await.unwrap();
    let tx = database.begin().await.unwrap();
    tx.execute("DELETE FROM pet", vec![]).await.unwrap();
    tx.commit().await.unwrap();
    database.checkpoint().await.unwrap();
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"must find"));
    }
}

#[tokio::test]
async fn a_database_needs_a_place_and_an_engine() {
    let unknown = Database::open("postgres://localhost/register", ONE).await;
    assert!(matches!(unknown.map(drop), Err(SqlError::UnknownEngine(engine)) if engine == "postgres:"));
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

/// What panics costs whoever asked, and nobody else: what it began is taken back.
#[tokio::test]
async fn a_panic_leaves_a_database_that_answers() {
    let worker = Worker::open(Place::Memory, "test").await.unwrap();
    worker.call(|sqlite| sqlite.migrate(ONE)).await.unwrap();
    let lost = worker.call(|sqlite| {
        sqlite.begin()?;
        assert!(sqlite.begin().is_err(), "in the middle");
        Ok(())
    });
    assert!(matches!(lost.await, Err(SqlError::Unavailable(_))));
    worker
        .call(|sqlite| {
            sqlite.begin()?;
            sqlite.commit()
        })
        .await
        .unwrap();
}

/// A question whose asker left is not asked, and what it holds is held until its turn: to ask and leave fills no queue.
#[tokio::test]
async fn a_question_keeps_its_place_when_its_asker_leaves() {
    fn begin<F: Future>(asking: &mut std::pin::Pin<Box<F>>) {
        let waker = std::task::Waker::noop();
        let began = asking.as_mut().poll(&mut std::task::Context::from_waker(waker));
        assert!(began.is_pending());
    }
    let worker = Worker::open(Place::Memory, "test").await.unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let mut slow = Box::pin(worker.ask(move |_| {
        assert!(held.recv().is_err());
        Ok(())
    }));
    begin(&mut slow);
    let place = std::sync::Arc::new(());
    let its_own = std::sync::Arc::clone(&place);
    let mut question = Box::pin(worker.ask(move |_| -> Result<(), SqlError> {
        panic!("nobody waits for it: {its_own:?}");
    }));
    begin(&mut question);
    drop(question);
    assert_eq!(std::sync::Arc::strong_count(&place), 2);
    drop(release);
    slow.await.unwrap();
    worker.call(|_| Ok(())).await.unwrap();
    assert_eq!(std::sync::Arc::strong_count(&place), 1);
}
