//! Concurrent writers, and writers that wait too long.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::task::JoinSet;

use foxden_model::{ManualClock, SyncTime, UserId};

use super::{Folder, START, TestContext, name, patch, put};
use crate::command::{Change, Detail, Guard, Patch, Target, Write};
use crate::engine::sqlite::queued_command::WriteCommand;
use crate::engine::sqlite::write_tx::WriteTx;
use crate::engine::sqlite::writer_connection::WriterConnection;
use crate::engine::sqlite::{CheckResult, SqliteOptions};
use crate::engine::{Engine, EngineError};

/// Short enough for a test, and long enough for a commit on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_many_users_share_commits_and_all_succeed() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 2);
    let mut writers = JoinSet::new();
    for writer in 0..64u64 {
        let engine = ctx.engine.clone();
        writers.spawn(async move {
            let user = writer % 16;
            let mut times = Vec::new();
            for turn in 0..20 {
                let id = format!("{writer}-{turn}");
                let written = put(&engine, user, "history", &[(&id, "x")]).await.unwrap();
                times.push(written.modified);
            }
            assert!(times.is_sorted_by(|a, b| a < b));
            (user, times)
        });
    }
    let mut times = vec![BTreeSet::new(); 16];
    for (user, given) in writers.join_all().await {
        times[usize::try_from(user).unwrap()].extend(given);
    }
    for (user, times) in (0..).zip(&times) {
        // The clock stands still, so each user's times are the next eighty hundredths of a second, each once.
        assert_eq!(times.len(), 80);
        let (first, last) = (times.first().unwrap(), times.last().unwrap());
        assert_eq!(first.hundredths(), START / 10);
        assert_eq!(last.hundredths() - first.hundredths(), 79);
        let summary = ctx.engine.summary(UserId(user), Detail::Full).await.unwrap();
        assert_eq!(summary.modified, *last);
        assert_eq!(
            (summary.collections[0].count, summary.collections[0].bytes),
            (80, 80)
        );
    }
}

/// If one command of a transaction is refused, the others are committed and it has no effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_in_a_group_is_its_own() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let (release, held) = hold(&ctx);
    let stale = Write::new(Change::Upsert {
        collection: name("history"),
        patches: vec![patch("b", "refused")],
    })
    .guarded_by(Some(Guard {
        target: Target::Collection(name("history")),
        unmodified_since: SyncTime::ZERO,
    }));
    // Each command is queued before the next one is submitted, and none starts before all are queued.
    let (first, refused, last, ()) = tokio::join!(
        biased;
        put(&ctx.engine, 1, "history", &[("a", "x")]),
        ctx.engine.write(UserId(1), stale),
        put(&ctx.engine, 1, "history", &[("c", "x")]),
        async { release.send(()).unwrap() },
    );
    let first = first.unwrap().modified;
    assert!(
        matches!(refused, Err(EngineError::Stale { modified }) if modified == first),
        "{refused:?}"
    );
    assert_eq!(last.unwrap().modified, first.next());
    assert_eq!(ctx.ids(1).await, ["c", "a"]);
    held.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_waits_too_long_gives_up_and_has_not_written() {
    let folder = Folder::new();
    let options = SqliteOptions {
        shards: 1,
        timeout: TIMEOUT,
        ..SqliteOptions::new(folder.path())
    };
    let ctx = TestContext::with(options, Arc::new(ManualClock::at_millis(START)));
    let (release, held) = hold(&ctx);
    let given_up = ctx.put(1, "a", "too late").await;
    assert!(matches!(given_up, Err(EngineError::Busy)), "{given_up:?}");
    release.send(()).unwrap();
    held.join_all().await;
    assert_eq!(ctx.ids(1).await, [""; 0]);
    ctx.put(1, "b", "x").await.unwrap();
    assert_eq!(ctx.ids(1).await, ["b"]);
}

/// The transaction is rolled back, the callers of its commands get an error, and later commands are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_the_writer_thread_affects_no_other_write() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    ctx.put(1, "a", "x").await.unwrap();
    let half = |writer: &mut WriterConnection| -> Result<(), EngineError> {
        let halfway = |tx: &mut WriteTx<'_>| -> Result<(), EngineError> {
            tx.connection.execute("delete from object", ())?;
            panic!("on purpose")
        };
        Ok(writer.transact(halfway)?)
    };
    let failed = ctx.engine.shards[0].writer.run(half).await;
    assert!(matches!(failed, Err(EngineError::Unavailable(_))), "{failed:?}");
    ctx.put(1, "b", "y").await.unwrap();
    assert_eq!(ctx.ids(1).await, ["b", "a"]);
    assert!(ctx.engine.check().await.is_ok());
}

/// A command that panics in the writer thread.
struct Panics;

impl WriteCommand for Panics {
    type Answer = ();

    fn apply(&self, _: &mut WriteTx<'_>, _: UserId) -> Result<(), EngineError> {
        panic!("on purpose")
    }

    fn patches(&self) -> &[Patch] {
        &[]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_lost_after_it_began_has_an_unknown_outcome() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let lost = ctx.engine.shards[0].writer.submit(UserId(1), Panics).await;
    assert!(matches!(lost, Err(EngineError::OutcomeUnknown(_))), "{lost:?}");
    ctx.put(1, "a", "x").await.unwrap();
}

/// If the disk hangs, the write may be committed later, and its caller is not told that it was not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_ends_too_late_has_an_unknown_outcome() {
    struct Slow(Arc<std::sync::Mutex<mpsc::Receiver<()>>>);

    impl WriteCommand for Slow {
        type Answer = ();

        fn apply(&self, _: &mut WriteTx<'_>, _: UserId) -> Result<(), EngineError> {
            self.0.lock().unwrap().recv().unwrap();
            Ok(())
        }

        fn patches(&self) -> &[Patch] {
            &[]
        }
    }

    let folder = Folder::new();
    let options = SqliteOptions {
        shards: 1,
        timeout: Duration::from_millis(50),
        ..SqliteOptions::new(folder.path())
    };
    let ctx = TestContext::with(options, Arc::new(ManualClock::at_millis(START)));
    let (release, released) = mpsc::channel();
    let released = Arc::new(std::sync::Mutex::new(released));
    let late = loop {
        let slow = Slow(Arc::clone(&released));
        match ctx.engine.shards[0].writer.submit(UserId(1), slow).await {
            // On a busy machine the thread may start too late.
            Err(EngineError::Busy) => {}
            answer => break answer,
        }
    };
    release.send(()).unwrap();
    assert!(matches!(late, Err(EngineError::OutcomeUnknown(_))), "{late:?}");
}

/// If the thread ends with commands in its queue, none of them has started, and each caller learns that its command was not
/// written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_never_began_is_unavailable() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let (release, held) = hold(&ctx);
    let (unwritten, ()) = tokio::join!(
        biased;
        ctx.put(1, "a", "x"),
        async { ctx.engine.shards[0].writer.abandon() },
    );
    assert!(
        matches!(unwritten, Err(EngineError::Unavailable(_))),
        "{unwritten:?}"
    );
    release.send(()).unwrap();
    held.join_all().await;
}

/// A check needs no token, so that many of them must not delay writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_checks_at_once_are_two() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let (release, held) = hold(&ctx);
    let (first, second, third, fourth, ()) = tokio::join!(
        biased;
        ctx.engine.check(),
        ctx.engine.check(),
        ctx.engine.check(),
        ctx.engine.check(),
        async { release.send(()).unwrap() },
    );
    for answer in [first, second, third, fourth] {
        assert!(answer.is_ok(), "{answer:?}");
    }
    // The running check, and one for all calls that came meanwhile.
    assert_eq!(ctx.engine.health.begun.load(Ordering::SeqCst), 2);
    // A failed check answers the calls that waited for it, but not later ones.
    *ctx.engine.health.last.lock().await = CheckResult {
        number: 3,
        is_sound: false,
    };
    let put_off = ctx.engine.check().await;
    assert!(matches!(put_off, Err(EngineError::Unavailable(_))), "{put_off:?}");
    ctx.engine.health.begun.store(3, Ordering::SeqCst);
    assert!(ctx.engine.check().await.is_ok());
    held.join_all().await;
}

/// A command that exceeds the queue is accepted when nothing else waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_larger_than_the_queue_is_not_refused_for_ever() {
    struct Huge;

    impl WriteCommand for Huge {
        type Answer = ();

        fn apply(&self, _: &mut WriteTx<'_>, _: UserId) -> Result<(), EngineError> {
            Ok(())
        }

        fn patches(&self) -> &[Patch] {
            &[]
        }

        fn bytes(&self) -> usize {
            1 << 30
        }
    }

    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    for _ in 0..2 {
        let answer = ctx.engine.shards[0].writer.submit(UserId(1), Huge).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_writes_are_done_when_the_engine_is_dropped() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let (release, held) = hold(&ctx);
    let mut put = Box::pin(put(&ctx.engine, 1, "history", &[("a", "x")]));
    // Submitted, and not awaited.
    tokio::select! {
        biased;
        _ = &mut put => panic!("the writer thread is held"),
        () = async { release.send(()).unwrap() } => {}
    }
    // If it were dropped, the command would be given up.
    std::mem::forget(put);
    held.join_all().await;
    drop(ctx);
    assert_eq!(TestContext::open(&folder, 1).ids(1).await, ["a"]);
}

/// Closing finishes the queue, leaves files that another handle can open, and can be repeated; later calls are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_writes_are_done_when_the_engine_is_closed() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let (release, held) = hold(&ctx);
    let (written, (), ()) = tokio::join!(
        biased;
        ctx.put(1, "a", "x"),
        ctx.engine.close(),
        async { release.send(()).unwrap() },
    );
    written.unwrap();
    held.join_all().await;
    assert!(!folder.file("0.sqlite-wal").exists(), "a connection is left");
    for refused in [
        ctx.put(1, "b", "y").await.map(drop),
        ctx.engine.summary(UserId(2), Detail::Times).await.map(drop),
        ctx.engine.summary(UserId(2), Detail::Full).await.map(drop),
        ctx.engine.check().await,
    ] {
        assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
    }
    ctx.engine.close().await;
    assert_eq!(TestContext::open(&folder, 1).ids(1).await, ["a"]);
}

/// Keeps the writer thread of the first file busy until released.
pub(super) fn hold(ctx: &TestContext) -> (mpsc::Sender<()>, JoinSet<()>) {
    let (release, released) = mpsc::channel();
    let (began, has_begun) = mpsc::channel();
    let engine = ctx.engine.clone();
    let mut held = JoinSet::new();
    held.spawn(async move {
        let wait = move |_: &mut WriterConnection| {
            began.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        };
        engine.shards[0].writer.run(wait).await.unwrap();
    });
    has_begun.recv().unwrap();
    (release, held)
}
