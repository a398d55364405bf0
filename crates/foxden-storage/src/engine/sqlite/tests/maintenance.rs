//! The WAL stays short, the file shrinks again, statements use their indexes.

use std::fs;
use std::path::Path;

use foxden_model::{SyncTime, UserId};
use rusqlite::Connection;
use tokio::task::JoinSet;

use super::{Folder, TestContext, name, patch, put};
use crate::command::{BatchPart, Change, Fields, Order, Query, Selection, Ttl, Write};
use crate::engine::Engine;
use crate::engine::sqlite::expiry::EXPIRED_OF_USER;
use crate::engine::sqlite::select::{KeysetPosition, KeysetRange, Search, WHOLE};
use crate::page::Budget;

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_short_while_all_write_and_read() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let log = folder.file("0.sqlite-wal");
    let mut longest = 0;
    for round in 0..120 {
        // Payloads differ, since SQLite does not write pages that would not change.
        let payload = format!("{round:04}").repeat(25_000);
        let mut writes = JoinSet::new();
        for user in 0..8 {
            let (engine, payload) = (ctx.engine.clone(), payload.clone());
            writes.spawn(async move {
                let id = format!("{}", round % 10);
                put(&engine, user, "history", &[(&id, &payload)]).await.unwrap();
            });
        }
        writes.join_all().await;
        assert_eq!(ctx.ids(round % 8).await.len() as u64, (round + 1).min(10));
        longest = longest.max(length(&log));
    }
    // 96 MB were written.
    assert!(longest < 48 << 20, "the log grew to {longest} bytes");
}

/// A backup reads one state for minutes. Writes continue meanwhile, and afterwards the WAL is short again.
#[tokio::test]
async fn a_foreign_reader_delays_no_request() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let log = folder.file("0.sqlite-wal");
    ctx.put(1, "a", "seen by the backup").await.unwrap();
    let foreign = Connection::open(folder.file("0.sqlite")).unwrap();
    foreign.execute_batch("begin; select * from collection").unwrap();
    let put = async |at: i32| {
        let (id, payload) = (format!("{}", at % 5), format!("{at:04}").repeat(250_000));
        ctx.put(1, &id, &payload).await.unwrap();
    };
    for at in 0..45 {
        put(at).await;
    }
    assert!(
        length(&log) > 40 << 20,
        "the backup still needs the log: {}",
        length(&log)
    );
    drop(foreign);
    let is_short = || length(&log) <= 33 << 20;
    for at in 45..200 {
        if is_short() {
            break;
        }
        put(at).await;
    }
    assert!(is_short(), "the log stayed at {} bytes", length(&log));
}

#[tokio::test]
async fn the_file_shrinks_when_much_is_deleted() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let file = folder.file("0.sqlite");
    let payload = "x".repeat(20_000);
    for user in 1..=2 {
        for at in 0..10 {
            let ids: Vec<String> = (0..40).map(|n| format!("{at}-{n}")).collect();
            let objects: Vec<_> = ids.iter().map(|id| (id.as_str(), payload.as_str())).collect();
            put(&ctx.engine, user, "history", &objects).await.unwrap();
        }
    }
    let delete = Change::DeleteCollection {
        collection: name("history"),
        keeps_name: false,
    };
    ctx.engine.write(UserId(1), Write::new(delete)).await.unwrap();
    let mut rows = 0;
    for _ in 0..100 {
        let purged = ctx.engine.purge(Budget::of(150)).await.unwrap();
        rows += purged.rows;
        assert!(purged.rows <= 150);
        if !purged.has_more {
            break;
        }
    }
    // The objects, and their tombstone.
    assert_eq!(rows, 401);
    let (left, live) = (length(&file), 400 * 20_000);
    assert!((live..live * 5 / 4).contains(&left), "{left} bytes for {live}");
    assert_eq!(ctx.ids(2).await.len(), 400);
}

#[tokio::test]
async fn purging_removes_invisible_objects_from_the_file() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let mut expiring = patch("expiring", "x");
    expiring.ttl = Ttl::In(10);
    let change = Change::Upsert {
        collection: name("history"),
        patches: vec![expiring.clone(), patch("permanent", "y")],
    };
    ctx.engine.write(UserId(1), Write::new(change)).await.unwrap();
    let part = BatchPart {
        collection: name("history"),
        batch: None,
        guard: None,
        patches: vec![expiring],
        max_objects: 10,
        max_bytes: 1000,
        max_open_bytes: u64::MAX,
        quota: None,
    };
    ctx.engine.stage(UserId(1), part.clone()).await.unwrap();
    ctx.engine.stage(UserId(2), part).await.unwrap();
    ctx.engine
        .write(UserId(2), Write::new(Change::DeleteAll))
        .await
        .unwrap();
    ctx.clock.advance_millis(3 * 60 * 60 * 1000);
    let purged = ctx.engine.purge(Budget::of(1000)).await.unwrap();
    assert!(!purged.has_more);
    drop(ctx);
    let file = Connection::open(folder.file("0.sqlite")).unwrap();
    let count = |sql: &str| file.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("select count(*) from object"), 1);
    assert_eq!(count("select count(*) from batch"), 0);
    assert_eq!(count("select count(*) from part"), 0);
    assert_eq!(count("select count(*) from dropped"), 0);
    assert_eq!(count("select count from collection"), 1);
    assert_eq!(count("select bytes from collection"), 1);
}

/// Writes wait for a chunk, so it is bounded in bytes as well as in rows.
#[tokio::test]
async fn a_bite_of_large_objects_is_a_small_one() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let payload = "x".repeat(1_000_000);
    let mut objects: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"]
        .map(|id| patch(id, &payload))
        .into();
    for (at, collection) in ["expired", "dropped"].into_iter().enumerate() {
        for patch in &mut objects {
            patch.ttl = if at == 0 { Ttl::In(1) } else { Ttl::Never };
        }
        let change = Change::Upsert {
            collection: name(collection),
            patches: objects.clone(),
        };
        ctx.engine.write(UserId(1), Write::new(change)).await.unwrap();
    }
    for _ in 0..2 {
        let part = BatchPart {
            collection: name("history"),
            batch: None,
            guard: None,
            patches: objects.clone(),
            max_objects: 10,
            max_bytes: 10_000_000,
            max_open_bytes: u64::MAX,
            quota: None,
        };
        ctx.engine.stage(UserId(1), part).await.unwrap();
    }
    // Last, because a later write would purge some of it at once.
    let delete = Change::DeleteCollection {
        collection: name("dropped"),
        keeps_name: false,
    };
    ctx.engine.write(UserId(1), Write::new(delete)).await.unwrap();
    ctx.clock.advance_millis(3 * 60 * 60 * 1000);
    let mut bites = Vec::new();
    loop {
        let chunk = ctx.engine.shards[0]
            .writer
            .run(|writer| writer.purge_chunk(Budget::of(1000)))
            .await;
        let chunk = chunk.unwrap();
        bites.push(chunk.rows);
        if !chunk.has_more {
            break;
        }
    }
    // Five objects of each kind and one part; the rest, with the tombstones of collection and batch, and the other part; the
    // tombstone of the other batch.
    assert_eq!(bites, [5 + 5 + 1, 2 + 2 + 1 + 1 + 1, 1]);
}

/// Removed data is written to the WAL as zeros, so a commit leaves the removal to the purge, and other writers of the file
/// wait for the objects alone.
#[tokio::test]
async fn a_commit_leaves_its_parts_to_the_purge() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let payload = "x".repeat(1_000_000);
    let mut batches = Vec::new();
    for _ in 0..3 {
        let mut part = BatchPart {
            collection: name("history"),
            batch: None,
            guard: None,
            patches: vec![patch("a", &payload)],
            max_objects: 10,
            max_bytes: 10_000_000,
            max_open_bytes: u64::MAX,
            quota: None,
        };
        let staged = ctx.engine.stage(UserId(1), part.clone()).await.unwrap();
        part.batch = Some(staged.batch.clone());
        ctx.engine.stage(UserId(1), part).await.unwrap();
        batches.push(staged.batch);
    }
    for batch in batches {
        let commit = Change::CommitBatch {
            collection: name("history"),
            batch,
            patches: Vec::new(),
            max_objects: 10,
            max_bytes: 10_000_000,
        };
        ctx.engine.write(UserId(1), Write::new(commit)).await.unwrap();
    }
    let file = Connection::open(folder.file("0.sqlite")).unwrap();
    let count = |sql: &str| file.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("select count(*) from part"), 6);
    let chunk = ctx.engine.shards[0]
        .writer
        .run(|writer| writer.purge_chunk(Budget::of(1000)))
        .await;
    // Two batches, and the part of the third that fills the chunk.
    assert_eq!(chunk.unwrap().rows, 3 + 3 + 1);
    let purged = ctx.engine.purge(Budget::of(1000)).await.unwrap();
    assert_eq!((purged.rows, purged.has_more), (1 + 1, false));
    assert_eq!(count("select count(*) from part"), 0);
    assert_eq!(count("select count(*) from batch"), 0);
    assert_eq!(ctx.payload(1, "a").await.unwrap(), Some(payload));
}

/// A statement that sorts or scans instead of using an index is correct and a thousand times slower, so no other test finds
/// it.
#[test]
fn walks_follow_their_index() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let file = Connection::open(folder.file("0.sqlite")).unwrap();
    let selection = Selection {
        newer: Some(SyncTime::ZERO),
        ..Selection::default()
    };
    let place = KeysetPosition { key: Some(7), row: 7 };
    for order in [Order::Newest, Order::Oldest] {
        for range in [
            KeysetRange::Whole,
            KeysetRange::Ties(place),
            KeysetRange::Beyond(place),
        ] {
            let search = Search {
                owner: 1,
                selection: &selection,
                order,
                now: SyncTime::ZERO,
            };
            let plan = plan(&file, &search.sql(WHOLE, range));
            assert!(plan.contains("USING INDEX object_modified (owner=?"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
    let expired = plan(&file, &format!("select row {EXPIRED_OF_USER}"));
    assert!(
        expired.contains("SEARCH object USING INDEX object_expiry (expiry<?)"),
        "{expired}"
    );
    let one = plan(&file, "select row from object where owner = ?1 and id = ?2");
    assert!(one.contains("object_id (owner=? AND id=?)"), "{one}");
    drop(ctx);
}

fn plan(file: &Connection, sql: &str) -> String {
    let mut explain = file.prepare(&format!("explain query plan {sql}")).unwrap();
    let mut rows = explain.raw_query();
    let mut plan = String::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push_str(&row.get::<_, String>(3).unwrap());
        plan.push('\n');
    }
    plan
}

#[tokio::test]
async fn a_long_read_goes_to_another_thread_and_says_the_same() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let ids: Vec<String> = (0..900).map(|n| format!("{n:04}")).collect();
    let objects: Vec<_> = ids.iter().map(|id| (id.as_str(), "x")).collect();
    put(&ctx.engine, 1, "history", &objects).await.unwrap();
    let mut query = Query::all(name("history"), Fields::Whole);
    let long = ctx.engine.read(UserId(1), &query).await.unwrap();
    query.limit = Some(200);
    let short = ctx.engine.read(UserId(1), &query).await.unwrap();
    assert_eq!((long.rows.len(), short.rows.len()), (900, 200));
    assert!(
        long.rows
            .iter()
            .zip(short.rows.iter())
            .all(|(long, short)| long == short)
    );
    assert_eq!((long.modified, long.as_of), (short.modified, short.as_of));
}
