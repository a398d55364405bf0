//! The order of writes, and how long a write may delay those of other users.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use foxden_model::{SyncTime, UserId};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::writers::hold;
use super::{Folder, START, TestContext, name, patch, put};
use crate::command::{BatchId, Change, Detail, Field, Order, Patch, Selection, Ttl, Write};
use crate::engine::sqlite::SqliteEngine;
use crate::engine::sqlite::deletion::{Deletion, MAX_WRITER_SCAN};
use crate::engine::sqlite::queued_command::{PendingWrite, QueuedCommand, WriteCommand};
use crate::engine::sqlite::write_queue::{NextJob, WriteQueue};
use crate::engine::sqlite::write_tx::WriteTx;
use crate::engine::{Engine, EngineError, QueuedWrites};
use crate::page::Written;

const GREEDY: u64 = 1;
const MODEST: u64 = 2;
/// More objects than the writer thread searches itself.
const MUCH: u64 = MAX_WRITER_SCAN + 500;

/// A queue, and the channels of its callers.
#[derive(Default)]
struct Waits {
    queue: WriteQueue,
    answers: Vec<oneshot::Receiver<Result<Written, EngineError>>>,
    deletions: Vec<oneshot::Receiver<Result<Option<Written>, EngineError>>>,
}

impl Waits {
    fn add(&mut self, user: u64, change: Change) -> Result<(), EngineError> {
        let (step, answer, _) = QueuedCommand::new(UserId(user), Write::new(change));
        self.answers.push(answer);
        self.queue.add(Box::new(step))
    }

    fn delete(&mut self, user: u64, scanned_objects: usize) {
        let deletion = Deletion {
            write: Arc::new(Write::new(matching(Selection::default()))),
            scanned_objects,
            found: None,
        };
        let (step, answer, _) = QueuedCommand::new(UserId(user), deletion);
        self.deletions.push(answer);
        self.queue.add(Box::new(step)).unwrap();
    }

    fn group(&self) -> Vec<Box<dyn PendingWrite>> {
        match self.queue.next() {
            Some(NextJob::Writes(group)) => group,
            Some(NextJob::Maintenance(_)) | None => panic!("commands wait"),
        }
    }

    /// The users of the next transaction.
    fn users(&self) -> Vec<u64> {
        self.group().iter().map(|step| step.user().0).collect()
    }
}

fn upsert(objects: usize) -> Change {
    Change::Upsert {
        collection: name("history"),
        patches: (0..objects)
            .map(|number| patch(&format!("{number}"), "x"))
            .collect(),
    }
}

fn matching(selection: Selection) -> Change {
    Change::DeleteObjects {
        collection: name("history"),
        selection,
        order: Order::Newest,
        limit: None,
        or_refuse: false,
    }
}

fn above(index: i64) -> Selection {
    Selection {
        index_above: Some(index),
        ..Selection::default()
    }
}

/// A user with many writes waits; other users wait for at most one transaction.
#[test]
fn a_user_who_fills_the_queue_leaves_room_for_others() {
    let mut waits = Waits::default();
    let held = (0..1_000)
        .take_while(|_| waits.add(GREEDY, upsert(100)).is_ok())
        .count();
    assert_eq!(held, 128);
    waits.add(MODEST, upsert(1)).unwrap();
    waits.add(MODEST, upsert(1)).unwrap();
    assert_eq!(waits.users(), [GREEDY, MODEST, GREEDY, MODEST]);
    // A later user waits for one write of each other user, however many they have.
    waits.add(MODEST, upsert(1)).unwrap();
    assert_eq!(waits.users(), [GREEDY, MODEST, GREEDY]);
    // Many users have one write each; a user who has had a turn comes after those who have not.
    for user in 10..50 {
        waits.add(user, upsert(1)).unwrap();
    }
    let first = waits.users();
    assert_eq!(first, [vec![GREEDY], (10..41).collect()].concat());
    let second = waits.users();
    assert_eq!(second[..9], (41..50).collect::<Vec<_>>());
    assert_eq!(second[9..], [GREEDY, GREEDY]);
}

/// Many small writes of one user share a flush, in their order.
#[test]
fn small_writes_of_one_user_share_a_group_in_their_order() {
    let mut waits = Waits::default();
    for objects in 1..=8 {
        waits.add(GREEDY, upsert(objects)).unwrap();
    }
    let objects: Vec<usize> = waits.group().iter().map(|step| step.objects()).collect();
    assert_eq!(objects, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(waits.queue.is_empty());
}

/// The size of a batch is known only at its commit, so a transaction takes one commit.
#[test]
fn a_group_commits_one_batch_at_most() {
    let commit = || Change::CommitBatch {
        collection: name("history"),
        batch: BatchId("one".into()),
        patches: Vec::new(),
        max_objects: 10,
        max_bytes: 10,
    };
    let mut waits = Waits::default();
    for change in [upsert(1), commit(), upsert(1), commit(), upsert(1)] {
        waits.add(GREEDY, change).unwrap();
    }
    waits.add(MODEST, commit()).unwrap();
    waits.add(MODEST, upsert(1)).unwrap();
    let group = waits.group();
    assert_eq!(group.iter().filter(|step| step.commits_batch()).count(), 1);
    assert_eq!(group.len(), 3);
    let group = waits.group();
    assert!(group[0].commits_batch());
    assert_eq!(group.len(), 2);
    assert_eq!(waits.group().len(), 2);
}

/// However many deletions wait, other users wait for at most one.
#[test]
fn a_deletion_that_costs_much_is_a_group_of_its_own() {
    let mut waits = Waits::default();
    for _ in 0..40 {
        waits.delete(GREEDY, 200_000);
    }
    waits.add(MODEST, upsert(1)).unwrap();
    assert_eq!(waits.users(), [GREEDY]);
    assert_eq!(waits.users(), [MODEST]);
    assert_eq!(waits.users(), [GREEDY]);
    // Deletions that search few objects are as cheap as other writes.
    let mut waits = Waits::default();
    waits.delete(GREEDY, 10);
    waits.delete(GREEDY, 10);
    waits.add(MODEST, upsert(1)).unwrap();
    assert_eq!(waits.users(), [GREEDY, MODEST, GREEDY]);
}

/// Large payloads weigh as much as many objects.
#[test]
fn large_writes_of_one_user_do_not_fill_a_group() {
    let large = || Change::Upsert {
        collection: name("history"),
        patches: vec![patch("a", &"x".repeat(2 << 20))],
    };
    let mut waits = Waits::default();
    for _ in 0..3 {
        waits.add(GREEDY, large()).unwrap();
    }
    waits.add(MODEST, large()).unwrap();
    assert_eq!(waits.users(), [GREEDY, MODEST]);
    // An eighth of the bytes that others leave.
    let held = (0..1_000)
        .take_while(|_| waits.add(GREEDY, large()).is_ok())
        .count();
    assert_eq!(held, 2);
    assert!(waits.add(MODEST, large()).is_ok());
}

/// The last write is committed before most of those that were queued first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_overtakes_those_of_a_user_with_many() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let (release, held) = hold(&ctx);
    let mut greedy = Vec::new();
    for round in 0..100 {
        let engine = Arc::clone(&ctx.engine);
        let write = async move {
            let ids: Vec<String> = (0..20).map(|number| format!("{round}-{number}")).collect();
            let objects: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "x")).collect();
            put(&engine, GREEDY, "history", &objects).await
        };
        greedy.push(begun(write).await);
    }
    let modest = begun(ctx.put(MODEST, "a", "x")).await;
    release.send(()).unwrap();
    modest.await.unwrap();
    for write in greedy {
        write.await.unwrap();
    }
    held.join_all().await;
    let before: i64 = rusqlite::Connection::open(folder.file("0.sqlite"))
        .unwrap()
        .query_row(
            "select count(*) from object where row < (select row from object where id = 'a')",
            (),
            |row| row.get(0),
        )
        .unwrap();
    assert!(before <= 200, "{before}");
}

/// The writer thread only removes the objects that were found before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_deletion_are_found_before_its_transaction() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    fill(&ctx, Ttl::Keep).await;
    for (selection, weight) in [(above(1_000_000), 0), (above(1_490), 9)] {
        let write = Arc::new(Write::new(matching(selection)));
        let found = ctx.engine.shards[0].file.find(UserId(GREEDY), &write).unwrap();
        let deletion = Deletion {
            write,
            scanned_objects: usize::try_from(MUCH).unwrap(),
            found: Some(found),
        };
        assert_eq!(deletion.scanned_objects(), weight);
    }
    // Other objects match by the time the deletion runs, so the search is repeated.
    let (release, held) = hold(&ctx);
    let late = Change::Upsert {
        collection: name("history"),
        patches: vec![indexed("late", 2_000, Ttl::Keep)],
    };
    let late = begun(ctx.engine.write(UserId(GREEDY), Write::new(late))).await;
    let engine = Arc::clone(&ctx.engine);
    let mut deletion = JoinSet::new();
    deletion.spawn(async move { delete(&engine, above(1_490)).await });
    while ctx.engine.queued_writes().count < 2 {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    let late = late.await.unwrap().modified;
    let deleted = deletion.join_next().await.unwrap().unwrap().unwrap();
    assert!(deleted.changed && deleted.modified > late);
    held.join_all().await;
    assert_eq!(count(&ctx).await, 1_491);
    assert!(ctx.payload(GREEDY, "late").await.unwrap().is_none());
}

/// The queued writes of all writer threads are added up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_are_counted_with_their_bytes() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    assert_eq!(ctx.engine.queued_writes(), QueuedWrites::default());
    let (release, held) = hold(&ctx);
    let writes = [(GREEDY, upsert(3)), (MODEST, upsert(2))];
    let mut waiting = Vec::new();
    for (user, change) in writes {
        waiting.push(begun(ctx.engine.write(UserId(user), Write::new(change))).await);
    }
    assert_eq!(ctx.engine.queued_writes(), QueuedWrites { count: 2, bytes: 5 });
    release.send(()).unwrap();
    for write in waiting {
        write.await.unwrap();
    }
    held.join_all().await;
    assert_eq!(ctx.engine.queued_writes(), QueuedWrites::default());
}

/// Objects that have expired since the search are absent and are not subtracted from the counts twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_searches_again_if_objects_expire_meanwhile() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    fill(&ctx, Ttl::Keep).await;
    let short = Change::Upsert {
        collection: name("history"),
        patches: vec![indexed("short", 2_000, Ttl::In(1))],
    };
    ctx.engine.write(UserId(GREEDY), Write::new(short)).await.unwrap();
    let (release, held) = hold(&ctx);
    let first = Change::DeleteObjects {
        collection: name("history"),
        selection: Selection::default(),
        order: Order::Index,
        limit: Some(1),
        or_refuse: false,
    };
    let engine = Arc::clone(&ctx.engine);
    let mut deletion = JoinSet::new();
    deletion.spawn(async move { engine.write(UserId(GREEDY), Write::new(first)).await });
    while ctx.engine.queued_writes().count < 1 {
        tokio::task::yield_now().await;
    }
    ctx.clock.advance_millis(1_000);
    release.send(()).unwrap();
    deletion.join_next().await.unwrap().unwrap().unwrap();
    held.join_all().await;
    assert!(ctx.payload(GREEDY, "1499").await.unwrap().is_none());
    assert_eq!(count(&ctx).await, 1_499);
}

/// A deletion of all objects costs the same whatever their number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_of_all_objects_removes_none_at_once() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    fill(&ctx, Ttl::Keep).await;
    let deleted = delete(&ctx.engine, above(-1)).await.unwrap();
    assert!(deleted.changed);
    assert_eq!(deleted.bytes_after, 0);
    assert_eq!(ctx.ids(GREEDY).await, [""; 0]);
    assert_eq!(ctx.modified(GREEDY).await, deleted.modified);
    let left: i64 = rusqlite::Connection::open(folder.file("0.sqlite"))
        .unwrap()
        .query_row("select count(*) from object", (), |row| row.get(0))
        .unwrap();
    assert_eq!(left.cast_unsigned(), MUCH);
}

/// Writes this many objects, each with its number as sortindex.
async fn fill(ctx: &TestContext, ttl: Ttl) {
    let numbers = 0..i64::try_from(MUCH).unwrap();
    let change = Change::Upsert {
        collection: name("history"),
        patches: numbers
            .map(|number| indexed(&number.to_string(), number, ttl))
            .collect(),
    };
    ctx.engine
        .write(UserId(GREEDY), Write::new(change))
        .await
        .unwrap();
}

fn indexed(id: &str, index: i64, ttl: Ttl) -> Patch {
    Patch {
        sortindex: Field::Set(index),
        ttl,
        ..patch(id, "x")
    }
}

async fn delete(engine: &SqliteEngine, selection: Selection) -> Result<Written, EngineError> {
    let write = Write::new(matching(selection));
    engine.write(UserId(GREEDY), write).await
}

async fn count(ctx: &TestContext) -> u64 {
    let summary = ctx.engine.summary(UserId(GREEDY), Detail::Full).await;
    summary.unwrap().collections[0].count
}

/// Polls a future once, which must not be ready.
async fn begun<'a, F: Future + Send + 'a>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    future
}

/// Between the search and the removal an object may expire and be purged, and its row number may be reused for another user.
#[tokio::test]
async fn rows_found_before_a_deletion_are_removed_only_of_their_owner() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    for (user, id) in [(1, "mine"), (2, "theirs")] {
        ctx.put(user, id, "x").await.unwrap();
    }
    let shard = ctx.engine.shard(UserId(1));
    let write = Arc::new(Write::new(matching(Selection::default())));
    let mut found = shard.file.find(UserId(1), &write).unwrap();
    let theirs = shard.file.find(UserId(2), &write).unwrap();
    assert_eq!((found.rows.len(), theirs.rows.len()), (1, 1));
    found.rows.extend(theirs.rows);
    found.rows.push(i64::MAX);
    let deletion = Deletion {
        write,
        scanned_objects: 3,
        found: Some(found),
    };
    let written = shard.writer.submit(UserId(1), deletion).await.unwrap();
    assert!(written.is_some_and(|written| written.bytes_after == 0));
    assert!(ctx.ids(1).await.is_empty());
    assert_eq!(ctx.ids(2).await, ["theirs"]);
}

/// A clock that slips back makes objects live that a search has passed as expired.
#[tokio::test]
async fn a_search_from_ahead_of_the_clock_is_repeated() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    ctx.put(1, "a", "x").await.unwrap();
    let expiring = Patch {
        ttl: Ttl::In(10),
        ..patch("expiring", "x")
    };
    let change = Change::Upsert {
        collection: name("history"),
        patches: vec![expiring],
    };
    ctx.engine.write(UserId(1), Write::new(change)).await.unwrap();
    let shard = ctx.engine.shard(UserId(1));
    let write = Arc::new(Write::new(matching(Selection::default())));
    ctx.clock.advance_millis(11_000);
    let found = shard.file.find(UserId(1), &write).unwrap();
    assert_eq!(found.rows.len(), 1);
    ctx.clock.set_millis(START + 5000);
    let deletion = Deletion {
        write,
        scanned_objects: 1,
        found: Some(found),
    };
    let written = shard.writer.submit(UserId(1), deletion).await.unwrap();
    assert!(written.is_none(), "the search does not hold");
    assert_eq!(ctx.ids(1).await.len(), 2);
}

/// The index of expiry holds the objects of all users, so the refused writes of one user walk it once in a transaction.
#[tokio::test]
async fn expired_objects_are_searched_once_until_the_user_writes() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    ctx.put(1, "a", "x").await.unwrap();
    let shard = ctx.engine.shard(UserId(1));
    let connection = rusqlite::Connection::open(folder.file("0.sqlite")).unwrap();
    let mut tx = WriteTx::new(&connection, &shard.file);
    let before = tx.state(UserId(1)).unwrap().modified;
    let looks = |tx: &mut WriteTx<'_>| {
        let is_first = tx.may_hold_expired(UserId(1));
        (is_first, tx.may_hold_expired(UserId(1)))
    };
    assert_eq!(looks(&mut tx), (true, false));
    assert_eq!(looks(&mut tx), (false, false));
    tx.state(UserId(1)).unwrap().modified = SyncTime::from_hundredths(before.hundredths() + 1);
    assert!(tx.may_hold_expired(UserId(1)));
}
