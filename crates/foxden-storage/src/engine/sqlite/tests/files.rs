//! Created, opened, misplaced and damaged files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use foxden_model::{ManualClock, SeededRng, SyncTime, UserId};
use foxden_sql::FolderLock;
use rusqlite::Connection;

use super::{Folder, START, TestContext, put};
use crate::command::{Change, Detail, Write};
use crate::engine::sqlite::open::connect_writer;
use crate::engine::sqlite::write_tx::CommitMarker;
use crate::engine::sqlite::writer_connection::{find_markers, seal};
use crate::engine::sqlite::{OpenError, SqliteEngine, SqliteOptions};
use crate::engine::{Engine, EngineError};

fn reopen(folder: &Folder, files: u32) -> Result<SqliteEngine, OpenError> {
    let options = SqliteOptions {
        shards: files,
        ..SqliteOptions::new(folder.path())
    };
    let clock = Arc::new(ManualClock::at_millis(START));
    SqliteEngine::open(options, clock, Arc::new(SeededRng::new(1)))
}

/// A file of the first release can be opened, keeps its objects, and its users can be closed.
#[tokio::test]
async fn a_file_of_an_earlier_release_is_upgraded() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path()).unwrap();
    let old = Connection::open(folder.file("0.sqlite")).unwrap();
    let schema = include_str!("../../../../migrations/sqlite/0001_initial.sql");
    old.execute_batch(schema).unwrap();
    old.execute_batch(
        "insert into place (files, number) values (1, 0);
         insert into store (uid, modified) values (1, 100), (2, 100);
         insert into collection (owner, uid, name, modified, count, bytes) values (1, 1, 'history', 90, 1, 1);
         insert into object (owner, id, modified, payload) values (1, 'a', 90, 'x');
         pragma user_version = 1;",
    )
    .unwrap();
    drop(old);

    let ctx = TestContext::open(&folder, 1);
    assert_eq!(ctx.payload(1, "a").await.unwrap().as_deref(), Some("x"));
    assert_eq!(ctx.modified(2).await, SyncTime::from_hundredths(100));
    let close = Write::new(Change::Close);
    ctx.engine.write(UserId(1), close).await.unwrap();
    drop(ctx);
    let ctx = TestContext::open(&folder, 1);
    let refused = ctx.payload(1, "a").await;
    assert!(matches!(refused, Err(EngineError::Closed)), "{refused:?}");
    assert!(ctx.put(2, "a", "x").await.is_ok());
}

/// Checkpoints have a connection of their own, opened while others write.
#[tokio::test]
async fn a_file_is_opened_for_writing_while_another_writes() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    ctx.put(1, "a", "x").await.unwrap();
    let foreign = Connection::open(folder.file("0.sqlite")).unwrap();
    foreign.execute_batch("begin immediate").unwrap();
    let opened = connect_writer(&folder.file("0.sqlite"), Duration::ZERO).unwrap();
    let setting = |name| {
        opened
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!((setting("page_size"), setting("auto_vacuum")), (8192, 2));
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 4);
    for user in 0..20 {
        ctx.put(user, "a", &format!("of {user}")).await.unwrap();
    }
    ctx.clock.advance_millis(60_000);
    let emptied = ctx
        .engine
        .write(UserId(3), Write::new(Change::DeleteAll))
        .await
        .unwrap();
    let before = ctx.engine.summary(UserId(7), Detail::Full).await.unwrap();
    drop(ctx);

    // The WAL is gone, and the clock has gone back by a minute.
    assert!(!folder.file("0.sqlite-wal").exists());
    let ctx = TestContext::open(&folder, 4);
    for user in (0..20).filter(|&user| user != 3) {
        assert_eq!(ctx.payload(user, "a").await.unwrap(), Some(format!("of {user}")));
    }
    let after = ctx.engine.summary(UserId(7), Detail::Full).await.unwrap();
    assert_eq!(
        (after.modified, after.collections),
        (before.modified, before.collections)
    );
    assert_eq!(ctx.payload(3, "a").await.unwrap(), None);
    assert_eq!(ctx.modified(3).await, emptied.modified);
    let next = ctx.put(3, "a", "new").await.unwrap();
    assert_eq!(next.modified, emptied.modified.next());
}

#[tokio::test]
async fn users_are_spread_over_the_files() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 4);
    for user in 0..100 {
        ctx.put(user, "a", "x").await.unwrap();
    }
    drop(ctx);
    for number in 0..4 {
        let file = Connection::open(folder.file(&format!("{number}.sqlite"))).unwrap();
        let users: i64 = file
            .query_row("select count(*) from collection", (), |row| row.get(0))
            .unwrap();
        assert!((15..=35).contains(&users), "{users} users in file {number}");
    }
}

#[tokio::test]
async fn files_are_for_their_owners_eyes_only() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 2);
    ctx.put(1, "a", "x").await.unwrap();
    ctx.put(2, "a", "x").await.unwrap();
    let rights = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(rights(folder.path()), 0o700);
    let mut seen = 0;
    for entry in folder.path().read_dir().unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(rights(&path), 0o600, "{}", path.display());
        seen += 1;
    }
    assert!(seen > 4, "there are logs as well");
}

/// A second engine would not see a closing, a guard's time or a quota that the first one has in its cache.
#[tokio::test]
async fn a_folder_is_opened_by_one_engine_at_a_time() {
    let folder = Folder::new();
    let first = TestContext::open(&folder, 2);
    first.put(1, "a", "x").await.unwrap();
    let refused = reopen(&folder, 2).err().expect("the folder is locked");
    let expected = format!(
        "the objects in {} are in use by process {}; stop that one first, or name another folder in the URL of the store",
        folder.path().display(),
        std::process::id()
    );
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    assert_eq!(refused.to_string(), expected);
    first.put(1, "b", "x").await.unwrap();

    // A closed engine gives the folder free, also while a handle is left.
    first.engine.close().await;
    let second = TestContext::open(&folder, 2);
    assert_eq!(second.ids(1).await.len(), 2);
    drop(first);
    assert!(reopen(&folder, 2).is_err());
    drop(second);
    drop(reopen(&folder, 2).unwrap());
    // An opening that fails keeps no lock.
    assert!(matches!(
        reopen(&folder, 3),
        Err(OpenError::OtherFileCount { .. })
    ));
    assert!(reopen(&folder, 2).is_ok());
}

/// `storage.url` may name the data folder itself, which the server has locked before it opens the objects.
#[tokio::test]
async fn a_data_folder_that_its_server_has_locked_may_hold_the_objects() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path()).unwrap();
    let _data_folder = FolderLock::acquire(folder.path(), "lock").unwrap();
    let ctx = TestContext::open(&folder, 1);
    ctx.put(1, "a", "x").await.unwrap();
    assert!(matches!(reopen(&folder, 1), Err(OpenError::InUse { .. })));
}

/// The cause of a failure names the locked file.
#[test]
fn a_folder_that_cannot_be_locked_is_not_opened() {
    let folder = Folder::new();
    fs::create_dir_all(folder.file("objects.lock")).unwrap();
    let refused = reopen(&folder, 1).err().expect("a folder is no file");
    let cause = std::error::Error::source(&refused).map(ToString::to_string);
    let expected = format!("cannot lock {}", folder.file("objects.lock").display());
    assert_eq!(cause, Some(expected), "{refused}");
}

#[test]
fn the_number_of_files_cannot_be_changed() {
    let folder = Folder::new();
    for files in [0, 65] {
        assert!(matches!(reopen(&folder, files), Err(OpenError::FileCount(asked)) if asked == files));
    }
    drop(reopen(&folder, 3).unwrap());
    for files in [1, 2, 4] {
        let refused = reopen(&folder, files).err().unwrap();
        let OpenError::OtherFileCount { made, requested, .. } = refused else {
            panic!("{refused}")
        };
        assert_eq!((made, requested), (3, files));
    }
    assert!(reopen(&folder, 3).is_ok());
}

#[test]
fn a_file_that_is_lost_or_swapped_is_missed() {
    let folder = Folder::new();
    drop(reopen(&folder, 2).unwrap());
    let (first, second, aside) = (
        folder.file("0.sqlite"),
        folder.file("1.sqlite"),
        folder.file("aside"),
    );
    fs::rename(&second, &aside).unwrap();
    assert!(matches!(reopen(&folder, 2), Err(OpenError::Misplaced(path)) if path == second));
    fs::rename(&first, &second).unwrap();
    fs::rename(&aside, &first).unwrap();
    assert!(matches!(reopen(&folder, 2), Err(OpenError::Misplaced(_))));
}

#[test]
fn a_folder_that_was_half_made_is_finished() {
    let folder = Folder::new();
    drop(reopen(&folder, 3).unwrap());
    // The first file is created last.
    fs::remove_file(folder.file("0.sqlite")).unwrap();
    fs::remove_file(folder.file("1.sqlite")).unwrap();
    assert!(reopen(&folder, 3).is_ok());
}

#[test]
fn a_newer_file_is_left_alone() {
    let folder = Folder::new();
    drop(reopen(&folder, 1).unwrap());
    let file = Connection::open(folder.file("0.sqlite")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    assert!(matches!(reopen(&folder, 1), Err(OpenError::Newer(_))));
}

#[tokio::test]
async fn damage_is_unavailable_and_no_panic() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let payload = "x".repeat(3000);
    for at in 0..200 {
        ctx.put(1, &format!("object-{at}"), &payload).await.unwrap();
    }
    drop(ctx);
    let path = folder.file("0.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    let sound = 12 * 8192;
    assert!(bytes.len() > 2 * sound);
    bytes[sound..].fill(0xa5);
    fs::write(&path, bytes).unwrap();

    let ctx = TestContext::open(&folder, 1);
    let damaged = ctx.payload(1, "object-199").await;
    assert!(matches!(damaged, Err(EngineError::Unavailable(_))), "{damaged:?}");
    let damaged = ctx.put(1, "object-199", "new").await;
    assert!(matches!(damaged, Err(EngineError::Unavailable(_))), "{damaged:?}");
    // Undamaged data is still served.
    assert!(ctx.engine.summary(UserId(1), Detail::Times).await.is_ok());
}

#[tokio::test]
async fn a_lock_of_another_process_is_busy_and_reads_continue() {
    let folder = Folder::new();
    let clock = Arc::new(ManualClock::at_millis(START));
    let options = SqliteOptions {
        shards: 1,
        // Half of it is the timeout of the lock; the rest is for a commit on a busy machine.
        timeout: Duration::from_secs(1),
        ..SqliteOptions::new(folder.path())
    };
    let ctx = TestContext::with(options, clock);
    ctx.put(1, "a", "one").await.unwrap();
    let foreign = Connection::open(folder.file("0.sqlite")).unwrap();
    foreign.execute_batch("begin immediate").unwrap();
    let refused = ctx.put(1, "a", "two").await;
    assert!(matches!(refused, Err(EngineError::Busy)), "{refused:?}");
    assert_eq!(ctx.payload(1, "a").await.unwrap().as_deref(), Some("one"));
    assert!(matches!(ctx.engine.check().await, Err(EngineError::Busy)));
    foreign.execute_batch("rollback").unwrap();
    ctx.put(1, "a", "three").await.unwrap();
    assert!(ctx.engine.check().await.is_ok());
}

/// A failed commit can leave whole frames in the WAL, beyond the end in the WAL index. After the engine has reported the
/// failure, a crash, which loses the index, must not restore them.
#[test]
fn a_failed_commit_does_not_come_back_with_a_crash() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path()).unwrap();
    let path = |name: &str| folder.file(&format!("{name}.sqlite"));
    let log = |name: &str| folder.file(&format!("{name}.sqlite-wal"));
    // Setting up a write connection writes to the file.
    let open = |name: &str| Connection::open(path(name)).unwrap();
    let copy = |from: &str, to: &str| {
        fs::copy(path(from), path(to)).unwrap();
        fs::copy(log(from), log(to)).unwrap();
    };
    let count = |file: &Connection| -> i64 {
        file.query_row("select count(*) from object", (), |row| row.get(0))
            .unwrap()
    };
    let whole = open("whole");
    whole.execute_batch("pragma journal_mode = wal").unwrap();
    let insert = "insert into object values (hex(zeroblob(50000)))";
    whole.execute_batch("create table object (payload text)").unwrap();
    whole.execute(insert, ()).unwrap();
    copy("whole", "failed");
    let failed = open("failed");
    assert_eq!(count(&failed), 1);
    whole.execute(insert, ()).unwrap();
    // The same WAL with the frames of one more commit, which the index does not contain.
    fs::copy(log("whole"), log("failed")).unwrap();
    assert_eq!(count(&failed), 1);
    copy("failed", "crashed");
    assert_eq!(count(&open("crashed")), 2, "the frames are whole");

    seal(&open("failed")).unwrap();
    assert_eq!(count(&failed), 1);
    copy("failed", "crashed later");
    assert_eq!(count(&open("crashed later")), 1);
}

#[tokio::test]
async fn a_transaction_is_found_by_its_traces() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let first = ctx.put(1, "a", "one").await.unwrap().modified;
    let second = put(&ctx.engine, 1, "tabs", &[("a", "two")])
        .await
        .unwrap()
        .modified;
    drop(ctx);
    let file = Connection::open(folder.file("0.sqlite")).unwrap();
    let found = |markers: &[CommitMarker]| find_markers(&file, markers).unwrap();
    let user = UserId(1);
    // It was committed.
    assert_eq!(found(&[CommitMarker::Time(user, second)]), Some(true));
    // It was not: the user has no write at that time.
    assert_eq!(found(&[CommitMarker::Time(user, second.next())]), Some(false));
    assert_eq!(found(&[CommitMarker::Time(UserId(9), second)]), Some(false));
    // The user has written since, so the outcome is unknown.
    assert_eq!(found(&[CommitMarker::Time(user, first)]), None);
    assert_eq!(found(&[]), None);
    assert_eq!(found(&[CommitMarker::Part(1)]), Some(false));
    file.execute(
        "insert into part (number, batch, patches) values (1, 1, x'01')",
        (),
    )
    .unwrap();
    assert_eq!(found(&[CommitMarker::Part(1)]), Some(true));
    assert!(first < second && SyncTime::ZERO < first);
}
