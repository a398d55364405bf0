//! The memory of collection times under races, and what it spares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use foxden_model::{SyncTime, UserId};

use super::{Bench, Folder, name, patch};
use crate::command::{Change, Fields, Query, Ttl, Write};
use crate::engine::Engine;
use crate::engine::sqlite::cache::Cache;
use crate::engine::sqlite::known::Known;
use crate::page::Budget;

const USER: UserId = UserId(5);

fn known(time: i64) -> Arc<Known> {
    Arc::new(Known {
        is_closed: false,
        modified: SyncTime::from_hundredths(time),
        listed: Arc::new([]),
        owners: Box::new([]),
    })
}

fn time_in(cache: &Cache, user: UserId) -> Option<i64> {
    cache.get(user).map(|known| known.modified.hundredths())
}

#[test]
fn what_a_reader_saw_before_a_write_is_not_filled_in_after_it() {
    let cache = Cache::new(100);
    let ticket = cache.ticket(USER);
    cache.bar(USER);
    cache.fill(USER, ticket, known(1));
    assert_eq!(time_in(&cache, USER), None);
    cache.settle(USER, Some(known(2)));
    cache.fill(USER, ticket, known(1));
    assert_eq!(time_in(&cache, USER), Some(2));
}

#[test]
fn a_barred_user_is_not_remembered_until_settled() {
    let cache = Cache::new(100);
    cache.settle(USER, Some(known(1)));
    cache.bar(USER);
    assert_eq!(time_in(&cache, USER), None);
    cache.fill(USER, cache.ticket(USER), known(1));
    assert_eq!(time_in(&cache, USER), None);
    cache.settle(USER, None);
    assert_eq!(time_in(&cache, USER), None);
    cache.fill(USER, cache.ticket(USER), known(1));
    assert_eq!(time_in(&cache, USER), Some(1));
}

#[test]
fn it_forgets_whom_nobody_asks_for() {
    let cache = Cache::new(160);
    for user in 0..10_000 {
        cache.settle(UserId(user), Some(known(1)));
        // Asked for all the time.
        cache.fill(USER, cache.ticket(USER), known(1));
        assert!(cache.get(USER).is_some());
    }
    let remembered = (0..10_000).filter(|&user| cache.get(UserId(user)).is_some());
    assert!(remembered.count() <= 160);
}

/// The file shows a state from its commit on. From then on the memory shows no older one, however
/// readers that fill it in and the writer interleave.
#[test]
fn it_never_lags_behind_the_file() {
    let (cache, file, is_over) = (Cache::new(100), AtomicI64::new(0), AtomicBool::new(false));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let shown = file.load(Ordering::SeqCst);
                    if let Some(remembered) = time_in(&cache, USER) {
                        assert!(remembered >= shown, "{remembered} after {shown}");
                    }
                    let ticket = cache.ticket(USER);
                    let seen = file.load(Ordering::SeqCst);
                    cache.fill(USER, ticket, known(seen));
                }
            });
        }
        for time in 1..30_000 {
            cache.bar(USER);
            file.store(time, Ordering::SeqCst);
            // Sometimes the writer cannot tell what it did.
            cache.settle(USER, (time % 3 != 0).then(|| known(time)));
        }
        is_over.store(true, Ordering::SeqCst);
    });
}

#[tokio::test]
async fn polls_with_nothing_new_need_no_file() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    let written = bench.put(1, "a", "one").await.unwrap();
    // Without its files no reading connection can be opened any more, and none is open yet.
    bench.engine.files[0].file.close_readers();
    for entry in folder.path().read_dir().unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(bench.modified(1).await, written.modified);
    let mut query = Query::all(name("history"), Fields::Whole);
    query.selection.newer = Some(written.modified);
    let page = bench.engine.read(UserId(1), &query).await.unwrap();
    assert!(page.rows.is_empty());
    assert_eq!(page.modified, Some(written.modified));
    query.selection.newer = Some(written.modified.before());
    assert!(bench.engine.read(UserId(1), &query).await.is_err());
}

/// A purge clears up after many who have not been here for long; they do not come to mind by that.
#[tokio::test]
async fn a_purge_reminds_of_nobody() {
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
    let cache = &bench.engine.files[0].file.cache;
    let here = cache.get(UserId(1)).unwrap();
    assert_eq!((here.listed[0].count, here.listed[0].bytes), (1, 1));
    assert_eq!(cache.get(UserId(2)), None);
    bench.put(2, "a", "x").await.unwrap();
    assert_eq!(cache.get(UserId(2)).unwrap().listed[0].count, 2);
}

#[tokio::test]
async fn a_read_beside_a_write_speaks_as_of_before_it() {
    let folder = Folder::new();
    let bench = Bench::open(&folder, 1);
    let file = &bench.engine.files[0].file;
    let began = SyncTime::from_millis(super::START);
    let under_way = file.begin_writes();
    bench.clock.advance_millis(50);
    let as_of = file.times(USER).unwrap().as_of;
    assert!(as_of < began, "{as_of}");
    drop(under_way);
    assert_eq!(file.times(USER).unwrap().as_of, began.next().next().next().next());
}
