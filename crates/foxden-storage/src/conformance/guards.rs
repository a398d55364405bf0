//! A guard is compared in the same step as the change.

use foxden_model::SyncTime;

use super::context::{commit, delete, part, upsert};
use super::{TestContext, collection, id, payload};
use crate::command::{BatchId, Change, Detail, Guard, Selection, Target, Write};
use crate::engine::EngineError;

/// A write with an older guard is refused with the target's time and changes nothing.
pub async fn a_stale_write_changes_nothing(ctx: &TestContext) {
    let first = ctx.put("bookmarks", "a", "one").await;
    ctx.wait(1);
    let second = ctx.put("bookmarks", "a", "two").await;
    ctx.wait(1);
    let before = ctx.summary(Detail::Full).await;

    let target = Target::Collection(collection("bookmarks"));
    let refused = ctx
        .upsert_if(
            "bookmarks",
            [payload("a", "three"), payload("b", "three")],
            target,
            first,
        )
        .await;

    assert!(matches!(refused, Err(EngineError::Stale { modified }) if modified == second));
    assert_eq!(ctx.payload("bookmarks", "a").await, "two");
    assert_eq!(ctx.get("bookmarks", "b").await, None);
    let after = ctx.summary(Detail::Full).await;
    assert_eq!(
        (after.modified, after.collections),
        (before.modified, before.collections)
    );
}

/// A guard of exactly the target's time holds, and one of a hundredth less does not.
pub async fn a_guard_of_the_same_time_holds(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "one").await;
    for target in [
        Target::Store,
        Target::Collection(collection("bookmarks")),
        Target::Object(collection("bookmarks"), id("a")),
    ] {
        let refused = ctx
            .upsert_if("bookmarks", [], target.clone(), time.before())
            .await;
        assert!(
            matches!(refused, Err(EngineError::Stale { modified }) if modified == time),
            "{target:?}"
        );
    }
    let target = Target::Collection(collection("bookmarks"));
    let written = ctx
        .upsert_if("bookmarks", [payload("a", "two")], target, time)
        .await;
    assert!(written.is_ok_and(|written| written.modified > time));
}

/// A store, a collection or an object that is absent passes a guard of time zero; once there, it does not.
pub async fn a_missing_target_has_time_zero(ctx: &TestContext) {
    for target in [
        Target::Store,
        Target::Collection(collection("bookmarks")),
        Target::Object(collection("bookmarks"), id("a")),
    ] {
        let ctx = ctx.of_user(match target {
            Target::Store => 1,
            Target::Collection(_) => 2,
            Target::Object(..) => 3,
        });
        let patch = [payload("a", "one")];
        let made = ctx
            .upsert_if("bookmarks", patch.clone(), target.clone(), SyncTime::ZERO)
            .await;
        assert!(made.is_ok(), "{target:?}");
        let refused = ctx
            .upsert_if("bookmarks", patch, target.clone(), SyncTime::ZERO)
            .await;
        assert!(matches!(refused, Err(EngineError::Stale { .. })), "{target:?}");
    }
}

/// A guard on an object ignores other objects.
pub async fn a_guard_on_an_object_ignores_others(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "one").await;
    ctx.put("bookmarks", "b", "newer").await;
    ctx.put("history", "a", "newer").await;
    let target = Target::Object(collection("bookmarks"), id("a"));
    let written = ctx
        .upsert_if("bookmarks", [payload("a", "two")], target, time)
        .await;
    assert!(written.is_ok());
}

/// A guard on the store fails if any collection changed or was deleted.
pub async fn a_guard_on_the_store_sees_every_collection(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "one").await;
    ctx.put("history", "a", "newer").await;
    let refused = ctx.upsert_if("bookmarks", [], Target::Store, time).await;
    assert!(matches!(refused, Err(EngineError::Stale { .. })));

    let time = ctx.store_time().await;
    ctx.delete_collection("history", false).await;
    let refused = ctx.upsert_if("bookmarks", [], Target::Store, time).await;
    assert!(matches!(refused, Err(EngineError::Stale { .. })));
}

/// A deleted object counts as absent, and its collection has the time of the deletion.
pub async fn a_guard_on_a_deleted_object_holds(ctx: &TestContext) {
    let put = ctx.put("bookmarks", "a", "one").await;
    ctx.delete_one("bookmarks", "a").await;
    let refused = ctx
        .upsert_if("bookmarks", [], Target::Collection(collection("bookmarks")), put)
        .await;
    assert!(matches!(refused, Err(EngineError::Stale { .. })));
    let target = Target::Object(collection("bookmarks"), id("a"));
    let written = ctx
        .upsert_if("bookmarks", [payload("a", "two")], target, SyncTime::ZERO)
        .await;
    assert!(written.is_ok());

    ctx.delete_collection("bookmarks", false).await;
    let target = Target::Collection(collection("bookmarks"));
    let written = ctx
        .upsert_if("bookmarks", [payload("a", "two")], target, SyncTime::ZERO)
        .await;
    assert!(written.is_ok());
}

/// Deletions of every kind are refused by a guard that does not hold, and change nothing.
pub async fn guards_hold_for_deletions(ctx: &TestContext) {
    let old = ctx.put("bookmarks", "a", "one").await;
    ctx.put("bookmarks", "a", "two").await;
    let name = collection("bookmarks");
    for change in [
        delete("bookmarks", Selection::default(), false),
        delete("bookmarks", Selection::default(), true),
        Change::DeleteCollection {
            collection: name,
            keeps_name: false,
        },
        Change::DeleteCollection {
            collection: name,
            keeps_name: true,
        },
        Change::DeleteAll,
    ] {
        let write = Write::new(change.clone()).guarded_by(Some(guard(Target::Collection(name), old)));
        let refused = ctx.try_write(write).await;
        assert!(matches!(refused, Err(EngineError::Stale { .. })), "{change:?}");
        assert_eq!(ctx.payload("bookmarks", "a").await, "two", "{change:?}");
    }
}

/// If a write or a part fails several checks, the answer is the guard, then the batch, then the quota.
pub async fn of_several_refusals_the_guard_comes_first(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "one").await;
    let stale = Some(guard(Target::Store, time.before()));
    let unknown_batch = BatchId("unknown_batch".into());
    let mut write = Write {
        guard: stale.clone(),
        quota: Some(0),
        not_before: SyncTime::ZERO,
        pass: None,
        change: commit("bookmarks", &unknown_batch, []),
    };
    assert!(matches!(
        ctx.try_write(write.clone()).await,
        Err(EngineError::Stale { .. })
    ));
    write.guard = None;
    assert!(matches!(
        ctx.try_write(write.clone()).await,
        Err(EngineError::NoSuchBatch)
    ));
    write.change = upsert("bookmarks", []);
    assert!(matches!(
        ctx.try_write(write).await,
        Err(EngineError::OverQuota { .. })
    ));

    let mut part = part("bookmarks", Some(&unknown_batch), [payload("a", "two")]);
    part.max_objects = 0;
    part.guard = stale;
    assert!(matches!(
        ctx.try_stage(part.clone()).await,
        Err(EngineError::Stale { .. })
    ));
    part.guard = None;
    assert!(matches!(ctx.try_stage(part).await, Err(EngineError::NoSuchBatch)));
}

fn guard(target: Target, unmodified_since: SyncTime) -> Guard {
    Guard {
        target,
        unmodified_since,
    }
}
