//! Reads that the caches answer without the file, and when they stop doing so.

use foxden_model::{ObjectId, SyncTime, UserId};

use super::{Bench, Folder, name, patch, put};
use crate::command::{Change, Fields, Query, Ttl, Write};
use crate::engine::Engine;
use crate::engine::sqlite::open;
use crate::engine::sqlite::write_tx::WriteTx;
use crate::page::Budget;

const USER: UserId = UserId(5);

/// Without its files no reading connection can be opened any more.
fn lose_files(folder: &Folder, bench: &Bench) {
    bench.engine.shards[0].file.close_readers();
    for entry in folder.path().read_dir().unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

#[tokio::test]
async fn an_object_read_again_needs_no_file() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    bench.put(1, "a", "one").await.unwrap();
    bench.put(1, "b", "one").await.unwrap();
    let query = Query::one(name("history"), ObjectId::new("a").unwrap());
    let first = bench.engine.read(UserId(1), &query).await.unwrap();
    lose_files(&folder, &bench);
    assert_eq!(bench.engine.read(UserId(1), &query).await.unwrap(), first);
    assert!(bench.payload(1, "b").await.is_err());
    let mut conditional = query.clone();
    conditional.selection.index_above = Some(1);
    assert!(bench.engine.read(UserId(1), &conditional).await.is_err());
}

#[tokio::test]
async fn any_write_of_the_user_invalidates_cached_objects() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    bench.put(1, "a", "one").await.unwrap();
    for payload in ["two", "three"] {
        assert!(bench.payload(1, "a").await.unwrap().is_some());
        bench.put(1, "a", payload).await.unwrap();
        assert_eq!(bench.payload(1, "a").await.unwrap().as_deref(), Some(payload));
        put(&bench.engine, 1, "tabs", &[("a", "elsewhere")])
            .await
            .unwrap();
        assert_eq!(bench.payload(1, "a").await.unwrap().as_deref(), Some(payload));
    }
    let all = Write::new(Change::DeleteAll);
    bench.engine.write(UserId(1), all).await.unwrap();
    assert_eq!(bench.payload(1, "a").await.unwrap(), None);
}

#[tokio::test]
async fn a_cached_object_expires_with_the_object() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    let mut mortal = patch("a", "x");
    mortal.ttl = Ttl::In(10);
    let change = Change::Upsert {
        collection: name("history"),
        patches: vec![mortal, patch("b", "x")],
    };
    bench.engine.write(UserId(1), Write::new(change)).await.unwrap();
    for (millis, is_there) in [(0, true), (9980, true), (20, false)] {
        bench.clock.advance_millis(millis);
        assert_eq!(
            bench.payload(1, "a").await.unwrap().is_some(),
            is_there,
            "{millis}"
        );
        assert!(bench.payload(1, "b").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn polls_with_nothing_new_need_no_file() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    let written = bench.put(1, "a", "one").await.unwrap();
    lose_files(&folder, &bench);
    assert_eq!(bench.modified(1).await, written.modified);
    let mut query = Query::all(name("history"), Fields::Whole);
    query.selection.newer = Some(written.modified);
    let page = bench.engine.read(UserId(1), &query).await.unwrap();
    assert!(page.rows.is_empty());
    assert_eq!(page.modified, Some(written.modified));
    query.selection.newer = Some(written.modified.before());
    assert!(bench.engine.read(UserId(1), &query).await.is_err());
}

/// A purge touches many users who have not synced for long; it does not cache them.
#[tokio::test]
async fn a_purge_caches_no_users() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    for user in [1, 2] {
        let mut mortal = patch("mortal", "x");
        mortal.ttl = Ttl::In(1);
        let change = Change::Upsert {
            collection: name("history"),
            patches: vec![mortal, patch("immortal", "x")],
        };
        bench
            .engine
            .write(UserId(user), Write::new(change))
            .await
            .unwrap();
    }
    drop(bench);
    let bench = Bench::open(&folder, 1);
    bench.clock.advance_millis(2000);
    bench.modified(1).await;
    let purged = bench.engine.purge(Budget::of(100)).await.unwrap();
    assert_eq!(purged.rows, 2);
    let cache = &bench.engine.shards[0].file.users;
    let here = cache.get(UserId(1)).unwrap();
    assert_eq!((here.listed[0].count, here.listed[0].bytes), (1, 1));
    assert!(cache.get(UserId(2)).is_none());
    bench.put(2, "a", "x").await.unwrap();
    assert_eq!(cache.get(UserId(2)).unwrap().listed[0].count, 2);
}

#[tokio::test]
async fn a_read_beside_a_write_speaks_as_of_before_it() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    let file = &bench.engine.shards[0].file;
    let began = SyncTime::from_millis(super::START);
    let pending = file.begin_writes();
    bench.clock.advance_millis(50);
    let as_of = file.times(USER).unwrap().as_of;
    assert!(as_of < began, "{as_of}");
    drop(pending);
    assert_eq!(file.times(USER).unwrap().as_of, began.next().next().next().next());
}

/// A panic before the commit drops the effects of a transaction, which ends the invalidation of its users.
#[tokio::test]
async fn dropped_effects_end_the_invalidation() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    bench.put(1, "a", "one").await.unwrap();
    let file = &bench.engine.shards[0].file;
    let connection = open::connect_reader(&file.path).unwrap();
    let mut tx = WriteTx::new(&connection, file);
    tx.state(UserId(1)).unwrap();
    let effects = tx.into_effects();
    bench.modified(1).await;
    assert!(file.users.get(UserId(1)).is_none());
    drop(effects);
    bench.modified(1).await;
    assert!(file.users.get(UserId(1)).is_some());
}
