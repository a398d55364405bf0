//! A write that crosses the quota succeeds; a write that begins beyond it does not.

use super::context::{commit, delete, part, upsert};
use super::{TestContext, collection, id, payload};
use crate::command::{BatchId, BatchPart, Change, Detail, Patch, Selection, Ttl, Write};
use crate::engine::{EngineError, MAX_COLLECTIONS};
use crate::page::{Staged, Written};

/// A write that begins below the quota succeeds whatever its size; the next is refused.
pub async fn a_write_may_cross_the_quota_but_not_begin_beyond_it(ctx: &TestContext) {
    let crossing = within(ctx, 10, upsert("bookmarks", [payload("a", &"x".repeat(100))])).await;
    assert!(crossing.is_ok_and(|written| written.bytes_after == 100));
    for change in [
        upsert("bookmarks", [payload("b", "y")]),
        upsert("bookmarks", [payload("a", "")]),
        upsert("bookmarks", []),
    ] {
        let refused = within(ctx, 100, change).await;
        assert!(matches!(
            refused,
            Err(EngineError::OverQuota {
                used: 100,
                quota: 100
            })
        ));
    }
    assert!(
        within(ctx, 101, upsert("bookmarks", [payload("b", "y")]))
            .await
            .is_ok()
    );
    let nothing_allowed = within(&ctx.of_user(43), 0, upsert("bookmarks", [])).await;
    assert!(matches!(
        nothing_allowed,
        Err(EngineError::OverQuota { used: 0, quota: 0 })
    ));
}

/// Deletions of every kind succeed beyond the quota.
pub async fn deletions_pass_beyond_the_quota(ctx: &TestContext) {
    let only_a = Selection {
        ids: Some(vec![id("a")]),
        ..Selection::default()
    };
    for change in [
        delete("bookmarks", only_a, true),
        Change::DeleteCollection {
            collection: collection("bookmarks"),
            keeps_name: true,
        },
        Change::DeleteAll,
    ] {
        ctx.upsert("bookmarks", ["a", "b"].map(|object| payload(object, "123456")))
            .await;
        assert!(
            within(ctx, 1, change.clone())
                .await
                .is_ok_and(|written| written.changed),
            "{change:?}"
        );
    }
}

/// Expired objects are removed before a write is refused; this takes no time of its own.
pub async fn expired_objects_do_not_count(ctx: &TestContext) {
    let time = ctx.put_for("tabs", "a", &"x".repeat(100), 1).await;
    let refused = within(ctx, 100, upsert("bookmarks", [payload("a", "y")])).await;
    assert!(matches!(refused, Err(EngineError::OverQuota { used: 100, .. })));
    ctx.wait(1);
    let written = within(ctx, 100, upsert("bookmarks", [payload("a", "y")])).await;
    assert!(written.is_ok_and(|written| (written.bytes_before, written.bytes_after) == (0, 1)));
    assert_eq!(ctx.modified("tabs").await, time);
    let held = ctx.held("tabs").await.map(|held| (held.count, held.bytes));
    assert_eq!(held, Some((0, 0)));

    let half = Patch {
        ttl: Ttl::In(1),
        ..payload("b", "12345")
    };
    ctx.upsert("bookmarks", [half, payload("c", "12345")]).await;
    ctx.wait(1);
    let refused = within(ctx, 6, upsert("bookmarks", [])).await;
    assert!(matches!(refused, Err(EngineError::OverQuota { used: 6, .. })));
}

/// Each user has a quota of their own.
pub async fn other_users_do_not_count(ctx: &TestContext) {
    ctx.of_user(43).put("bookmarks", "a", "123456").await;
    assert!(
        within(ctx, 1, upsert("bookmarks", [payload("a", "x")]))
            .await
            .is_ok()
    );
}

/// A part that begins below the quota is staged whatever its size; the next is refused, and the batch can be committed as it
/// is.
pub async fn a_batch_cannot_hold_more_than_the_quota(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "12").await;
    let batch = stage_within(ctx, 5, None, [payload("b", "12")]).await;
    let batch = batch.expect("there is room").batch;
    let crossing = stage_within(ctx, 5, Some(&batch), [payload("c", "1234567890")]).await;
    assert!(crossing.is_ok());
    for more in [vec![payload("d", "1")], vec![]] {
        let refused = stage_within(ctx, 5, Some(&batch), more).await;
        assert!(matches!(
            refused,
            Err(EngineError::OverQuota { used: 14, quota: 5 })
        ));
    }
    let written = within(ctx, 5, commit("bookmarks", &batch, [])).await;
    assert!(written.is_ok_and(|written| (written.bytes_before, written.bytes_after) == (2, 14)));
    let refused = stage_within(ctx, 14, None, [payload("d", "1")]).await;
    assert!(matches!(
        refused,
        Err(EngineError::OverQuota { used: 14, quota: 14 })
    ));
    assert!(stage_within(ctx, 15, None, [payload("d", "1")]).await.is_ok());
}

/// Expired objects make room for a part, too.
pub async fn expired_objects_make_room_for_a_part(ctx: &TestContext) {
    ctx.put_for("tabs", "a", "12345", 1).await;
    assert!(stage_within(ctx, 5, None, [payload("b", "1")]).await.is_err());
    ctx.wait(1);
    assert!(stage_within(ctx, 5, None, [payload("b", "1")]).await.is_ok());
}

/// If objects and open batches fill the quota together, the batches opened first end, for a part, a write or a commit, and no
/// more of them than necessary.
pub async fn batches_opened_first_make_room(ctx: &TestContext) {
    let mut batches = Vec::new();
    for object in ["a", "b", "c"] {
        let staged = stage_within(ctx, 100, None, [payload(object, "12345")]).await;
        batches.push(staged.expect("there is room").batch);
    }
    let staged = stage_within(ctx, 15, None, [payload("d", "12345")]).await;
    batches.push(staged.expect("the first makes room").batch);
    assert!(matches!(
        ctx.try_commit("bookmarks", &batches[0]).await,
        Err(EngineError::NoSuchBatch)
    ));
    let written = within(ctx, 15, upsert("tabs", [payload("e", "12345")])).await;
    assert!(written.is_ok_and(|written| (written.bytes_before, written.bytes_after) == (0, 5)));
    assert!(matches!(
        ctx.try_commit("bookmarks", &batches[1]).await,
        Err(EngineError::NoSuchBatch)
    ));
    // The objects and the uncommitted batch fill the quota.
    assert!(
        within(ctx, 10, commit("bookmarks", &batches[2], []))
            .await
            .is_ok()
    );
    assert!(matches!(
        ctx.try_commit("bookmarks", &batches[3]).await,
        Err(EngineError::NoSuchBatch)
    ));
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["c"]);
}

/// A write that is refused ends no batch.
pub async fn a_refused_write_ends_no_batch(ctx: &TestContext) {
    let batch = ctx.open("bookmarks", [payload("a", "12345")]).await;
    ctx.put("tabs", "a", "12345").await;
    assert!(within(ctx, 5, upsert("tabs", [])).await.is_err());
    assert!(stage_within(ctx, 5, None, [payload("b", "1")]).await.is_err());
    for number in 1..MAX_COLLECTIONS {
        ctx.upsert(&format!("c{number}"), []).await;
    }
    let refused = within(ctx, 10, upsert("one-more", [])).await;
    assert!(matches!(refused, Err(EngineError::TooManyCollections)));
    ctx.append("bookmarks", &batch, []).await;
}

/// Without a quota, open batches are bounded as well.
pub async fn the_open_batches_of_a_store_are_limited(ctx: &TestContext) {
    let open = async |object: &str| {
        let mut part = part("bookmarks", None, [payload(object, "12345")]);
        (part.max_bytes, part.max_open_bytes) = (10, 12);
        ctx.try_stage(part).await.expect("a batch can be opened").batch
    };
    let (first, second) = (open("a").await, open("b").await);
    let mut more = part("bookmarks", Some(&second), [payload("c", "12")]);
    (more.max_bytes, more.max_open_bytes) = (10, 12);
    ctx.try_stage(more.clone()).await.expect("there is room");
    ctx.append("bookmarks", &first, []).await;
    more.patches = vec![payload("d", "1")];
    ctx.try_stage(more).await.expect("the other makes room");
    assert!(ctx.try_commit("bookmarks", &first).await.is_err());
    ctx.commit("bookmarks", &second).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["b", "c", "d"]);
}

/// Objects without payload fill a store as well, beyond a mebibyte of overhead.
pub async fn objects_without_payload_count(ctx: &TestContext) {
    let mut number = 0;
    let mut some = |count: u32| -> Vec<_> {
        let ids = number..number + count;
        number += count;
        ids.map(|id| payload(&id.to_string(), "")).collect()
    };
    for _ in 0..2 {
        assert!(within(ctx, 1, upsert("history", some(950))).await.is_ok());
    }
    assert!(within(ctx, 1, upsert("history", some(722))).await.is_ok());
    let refused = within(ctx, 1, upsert("history", some(1))).await;
    assert!(matches!(refused, Err(EngineError::OverQuota { quota: 1, .. })));
    assert!(stage_within(ctx, 1, None, some(1)).await.is_err());
}

/// A write refused by the quota changes nothing, not even a time.
pub async fn a_refused_write_leaves_no_trace(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "123456").await;
    let before = ctx.summary(Detail::Full).await;
    ctx.wait(1);
    assert!(
        within(ctx, 6, upsert("bookmarks", [payload("a", "x")]))
            .await
            .is_err()
    );
    assert!(
        within(ctx, 6, upsert("history", [payload("a", "x")]))
            .await
            .is_err()
    );
    let after = ctx.summary(Detail::Full).await;
    assert_eq!(
        (after.modified, after.collections),
        (before.modified, before.collections)
    );
    assert_eq!(ctx.payload("bookmarks", "a").await, "123456");
}

async fn stage_within(
    ctx: &TestContext,
    quota: u64,
    batch: Option<&BatchId>,
    patches: impl Into<Vec<Patch>>,
) -> Result<Staged, EngineError> {
    let part = BatchPart {
        quota: Some(quota),
        ..part("bookmarks", batch, patches)
    };
    ctx.try_stage(part).await
}

async fn within(ctx: &TestContext, quota: u64, change: Change) -> Result<Written, EngineError> {
    let write = Write {
        quota: Some(quota),
        ..Write::new(change)
    };
    ctx.try_write(write).await
}
