//! Reads that the caches answer without the file, and when they stop doing so.

use foxden_model::{ObjectId, SyncTime, UserId};

use super::{Folder, TestContext, name, patch, put};
use crate::command::{Change, Fields, Query, Ttl, Write};
use crate::engine::Engine;
use crate::engine::sqlite::open;
use crate::engine::sqlite::write_tx::WriteTx;
use crate::page::Budget;

const USER: UserId = UserId(5);

/// Without its files no reading connection can be opened any more.
fn lose_files(folder: &Folder, ctx: &TestContext) {
    ctx.engine.shards[0].file.close_readers();
    for entry in folder.path().read_dir().unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

#[tokio::test]
async fn an_object_read_again_needs_no_file() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    ctx.put(1, "a", "one").await.unwrap();
    ctx.put(1, "b", "one").await.unwrap();
    let query = Query::one(name("history"), ObjectId::new("a").unwrap());
    let first = ctx.engine.read(UserId(1), &query).await.unwrap();
    lose_files(&folder, &ctx);
    assert_eq!(ctx.engine.read(UserId(1), &query).await.unwrap(), first);
    assert!(ctx.payload(1, "b").await.is_err());
    let mut conditional = query.clone();
    conditional.selection.index_above = Some(1);
    assert!(ctx.engine.read(UserId(1), &conditional).await.is_err());
}

#[tokio::test]
async fn any_write_of_the_user_invalidates_cached_objects() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    ctx.put(1, "a", "one").await.unwrap();
    for payload in ["two", "three"] {
        assert!(ctx.payload(1, "a").await.unwrap().is_some());
        ctx.put(1, "a", payload).await.unwrap();
        assert_eq!(ctx.payload(1, "a").await.unwrap().as_deref(), Some(payload));
        put(&ctx.engine, 1, "tabs", &[("a", "elsewhere")]).await.unwrap();
        assert_eq!(ctx.payload(1, "a").await.unwrap().as_deref(), Some(payload));
    }
    let all = Write::new(Change::DeleteAll);
    ctx.engine.write(UserId(1), all).await.unwrap();
    assert_eq!(ctx.payload(1, "a").await.unwrap(), None);
}

#[tokio::test]
async fn a_cached_object_expires_with_the_object() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let mut expiring = patch("a", "x");
    expiring.ttl = Ttl::In(10);
    let change = Change::Upsert {
        collection: name("history"),
        patches: vec![expiring, patch("b", "x")],
    };
    ctx.engine.write(UserId(1), Write::new(change)).await.unwrap();
    for (millis, is_there) in [(0, true), (9980, true), (20, false)] {
        ctx.clock.advance_millis(millis);
        assert_eq!(ctx.payload(1, "a").await.unwrap().is_some(), is_there, "{millis}");
        assert!(ctx.payload(1, "b").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn polls_with_nothing_new_need_no_file() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let written = ctx.put(1, "a", "one").await.unwrap();
    lose_files(&folder, &ctx);
    assert_eq!(ctx.modified(1).await, written.modified);
    let mut query = Query::all(name("history"), Fields::Whole);
    query.selection.newer = Some(written.modified);
    let page = ctx.engine.read(UserId(1), &query).await.unwrap();
    assert!(page.rows.is_empty());
    assert_eq!(page.modified, Some(written.modified));
    query.selection.newer = Some(written.modified.before());
    assert!(ctx.engine.read(UserId(1), &query).await.is_err());
}

/// A purge touches many users who have not synced for long; it does not cache them.
#[tokio::test]
async fn a_purge_caches_no_users() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    for user in [1, 2] {
        let mut expiring = patch("expiring", "x");
        expiring.ttl = Ttl::In(1);
        let change = Change::Upsert {
            collection: name("history"),
            patches: vec![expiring, patch("permanent", "x")],
        };
        ctx.engine.write(UserId(user), Write::new(change)).await.unwrap();
    }
    drop(ctx);
    let ctx = TestContext::open(&folder, 1);
    ctx.clock.advance_millis(2000);
    ctx.modified(1).await;
    let purged = ctx.engine.purge(Budget::of(100)).await.unwrap();
    assert_eq!(purged.rows, 2);
    let cache = &ctx.engine.shards[0].file.users;
    let cached = cache.get(UserId(1)).unwrap();
    assert_eq!((cached.listed[0].count, cached.listed[0].bytes), (1, 1));
    assert!(cache.get(UserId(2)).is_none());
    ctx.put(2, "a", "x").await.unwrap();
    assert_eq!(cache.get(UserId(2)).unwrap().listed[0].count, 2);
}

#[tokio::test]
async fn the_as_of_of_a_read_is_before_a_pending_write() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    let file = &ctx.engine.shards[0].file;
    let began = SyncTime::from_millis(super::START);
    let pending = file.begin_writes();
    ctx.clock.advance_millis(50);
    let as_of = file.times(USER).unwrap().as_of;
    assert!(as_of < began, "{as_of}");
    drop(pending);
    assert_eq!(file.times(USER).unwrap().as_of, began.next().next().next().next());
}

/// A panic before the commit drops the effects of a transaction, which ends the invalidation of its users.
#[tokio::test]
async fn dropped_effects_end_the_invalidation() {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    ctx.put(1, "a", "one").await.unwrap();
    let file = &ctx.engine.shards[0].file;
    let connection = open::connect_reader(&file.path).unwrap();
    let mut tx = WriteTx::new(&connection, file);
    tx.state(UserId(1)).unwrap();
    let effects = tx.into_effects();
    ctx.modified(1).await;
    assert!(file.users.get(UserId(1)).is_none());
    drop(effects);
    ctx.modified(1).await;
    assert!(file.users.get(UserId(1)).is_some());
}
