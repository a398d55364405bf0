//! Repeated writing and deleting without a purge: the file does not grow beyond a multiple of the live data, whatever the
//! kind of deletion.

use std::fs;

use foxden_model::UserId;

use super::{Folder, TestContext, name, patch};
use crate::command::{BatchId, BatchPart, Change, Patch, Ttl, Write};
use crate::engine::Engine;
use crate::page::Budget;

const USER: UserId = UserId(1);
const ROUNDS: usize = 12;
/// The bytes that one round writes.
const ROUND: u64 = 4_000_000;

fn objects(round: usize, ttl: Ttl) -> Vec<Patch> {
    let objects = (0..4).map(|number| Patch {
        ttl,
        ..patch(&number.to_string(), &format!("{round:04}").repeat(250_000))
    });
    objects.collect()
}

async fn write(ctx: &TestContext, change: Change) {
    ctx.engine.write(USER, Write::new(change)).await.unwrap();
}

async fn put(ctx: &TestContext, round: usize, ttl: Ttl) {
    let change = Change::Upsert {
        collection: name("history"),
        patches: objects(round, ttl),
    };
    write(ctx, change).await;
}

async fn stage(ctx: &TestContext, round: usize) -> BatchId {
    let part = BatchPart {
        collection: name("history"),
        batch: None,
        guard: None,
        patches: objects(round, Ttl::Keep),
        max_objects: 10,
        max_bytes: ROUND,
        max_open_bytes: ROUND,
        quota: None,
    };
    ctx.engine.stage(USER, part).await.unwrap().batch
}

async fn delete_collection(ctx: &TestContext) {
    let change = Change::DeleteCollection {
        collection: name("history"),
        keeps_name: false,
    };
    write(ctx, change).await;
}

/// Repeats a cycle, and returns the length of the file.
async fn length_after(circle: impl AsyncFn(&TestContext, usize)) -> u64 {
    let folder = Folder::new();
    let ctx = TestContext::open(&folder, 1);
    for round in 0..ROUNDS {
        circle(&ctx, round).await;
    }
    let log = fs::metadata(folder.file("0.sqlite-wal")).unwrap().len();
    assert!(log < 48 << 20, "the log grew to {log} bytes");
    let path = folder.file("0.sqlite");
    drop(ctx);
    fs::metadata(path).unwrap().len()
}

#[tokio::test]
async fn deleted_collections_do_not_pile_up() {
    let length = length_after(async |ctx, round| {
        put(ctx, round, Ttl::Keep).await;
        delete_collection(ctx).await;
    });
    assert!(length.await < 5 * ROUND);
}

#[tokio::test]
async fn emptied_stores_do_not_pile_up() {
    let length = length_after(async |ctx, round| {
        put(ctx, round, Ttl::Keep).await;
        write(ctx, Change::DeleteAll).await;
    });
    assert!(length.await < 5 * ROUND);
}

#[tokio::test]
async fn ended_batches_do_not_pile_up() {
    let length = length_after(async |ctx, round| {
        stage(ctx, round).await;
    });
    assert!(length.await < 5 * ROUND);
}

#[tokio::test]
async fn committed_batches_do_not_pile_up() {
    let length = length_after(async |ctx, round| {
        let change = Change::CommitBatch {
            collection: name("history"),
            batch: stage(ctx, round).await,
            patches: Vec::new(),
            max_objects: 10,
            max_bytes: ROUND,
        };
        write(ctx, change).await;
        delete_collection(ctx).await;
    });
    assert!(length.await < 6 * ROUND);
}

/// Expired objects are removed once a purge has confirmed the time.
#[tokio::test]
async fn expired_objects_do_not_pile_up() {
    let length = length_after(async |ctx, round| {
        if round == 0 {
            ctx.engine.purge(Budget::of(0)).await.unwrap();
        }
        let change = Change::Upsert {
            collection: name(&format!("c{round}")),
            patches: objects(round, Ttl::In(1)),
        };
        write(ctx, change).await;
        ctx.clock.advance_millis(1000);
    });
    assert!(length.await < 5 * ROUND);
}
