//! Purging frees space and changes no answer.

use foxden_model::Clock;

use super::{TestContext, payload, sorted};
use crate::command::{Change, Detail, Patch, Selection, Ttl};
use crate::page::Budget;

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// After a purge, every read answers as before it.
pub async fn purging_changes_nothing_that_is_seen(ctx: &TestContext) {
    rubbish(ctx).await;
    let before = ctx.summary(Detail::Full).await;
    purge(ctx, 1000).await;
    let after = ctx.summary(Detail::Full).await;
    assert_eq!(
        (before.modified, before.collections),
        (after.modified, after.collections)
    );
    assert_eq!(ctx.ids("tabs", Selection::default()).await, ["lives on", "stays"]);
    assert_eq!(ctx.payload("tabs", "stays").await, "x");
    assert_eq!(ctx.ids("dropped", Selection::default()).await, ["new"]);
    ctx.wait(1000);
    assert_eq!(ctx.ids("tabs", Selection::default()).await, ["stays"]);
}

/// A purge keeps to its budget of rows, says whether work is left, and ends.
pub async fn purging_keeps_to_its_budget_and_ends(ctx: &TestContext) {
    rubbish(ctx).await;
    let mut removed = 0;
    for round in 0.. {
        assert!(round < 1000, "a purge that goes on for ever");
        let purged = ctx.engine.purge(Budget::of(7)).await.expect("a purge succeeds");
        assert!(purged.rows <= 7, "{} rows", purged.rows);
        removed += purged.rows;
        if !purged.has_more {
            break;
        }
    }
    assert!(removed >= 50, "{removed} rows");
    let idle = ctx.engine.purge(Budget::of(7)).await.expect("a purge succeeds");
    assert_eq!((idle.rows, idle.has_more), (0, false));
}

/// If nothing has expired or been deleted, a purge removes nothing.
pub async fn purging_an_empty_engine_removes_nothing(ctx: &TestContext) {
    assert_eq!(purge(ctx, 1000).await, 0);
    ctx.put("bookmarks", "a", "x").await;
    ctx.put_for("tabs", "a", "x", 10).await;
    ctx.wait(9);
    assert_eq!(purge(ctx, 1000).await, 0);
    assert_eq!(ctx.payload("tabs", "a").await, "x");
}

/// A purge keeps open batches and does not restore ended ones.
pub async fn purging_spares_open_batches(ctx: &TestContext) {
    let old = ctx.open("bookmarks", [payload("a", "old")]).await;
    ctx.wait(3600);
    let open = ctx.open("bookmarks", [payload("b", "open")]).await;
    ctx.wait(3600 + 60);
    purge(ctx, 1000).await;
    ctx.commit("bookmarks", &open).await;
    assert!(ctx.try_commit("bookmarks", &old).await.is_err());
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["b"]);
}

/// A purge can be given a time: objects that expire later stay, even if they have expired by the clock.
pub async fn purging_keeps_objects_that_expire_after_the_given_time(ctx: &TestContext) {
    ctx.put_for("tabs", "gone", "x", 10).await;
    ctx.put_for("tabs", "stays", "x", 100).await;
    ctx.wait(50);
    let until = ctx.clock.now();
    ctx.wait(400 * DAY);
    let budget = Budget {
        until,
        ..Budget::of(1000)
    };
    let purged = ctx.engine.purge(budget).await.expect("a purge succeeds");
    assert_eq!((purged.rows, purged.has_more), (1, false));
    ctx.wait(-400 * DAY);
    assert_eq!(ctx.ids("tabs", Selection::default()).await, ["stays"]);
}

/// An engine that serves says so when it is checked.
pub async fn the_check_of_a_working_engine_succeeds(ctx: &TestContext) {
    assert!(ctx.engine.check().await.is_ok());
    ctx.put("bookmarks", "a", "x").await;
    assert!(ctx.engine.check().await.is_ok());
}

/// Expired objects, a deleted collection and an emptied store, besides objects that stay.
async fn rubbish(ctx: &TestContext) {
    let short = |object: String| Patch {
        ttl: Ttl::In(1),
        ..payload(&object, "x")
    };
    ctx.upsert(
        "tabs",
        sorted((0..20).map(|n| format!("o{n}")))
            .into_iter()
            .map(short)
            .collect::<Vec<_>>(),
    )
    .await;
    ctx.put_for("tabs", "lives on", "x", 100).await;
    ctx.put("tabs", "stays", "x").await;
    let old: Vec<_> = (0..20).map(|n| payload(&format!("o{n}"), "x")).collect();
    ctx.upsert("dropped", old.clone()).await;
    ctx.delete_collection("dropped", false).await;
    ctx.put("dropped", "new", "x").await;
    let other = ctx.of_user(43);
    other.upsert("bookmarks", old).await;
    other.write(Change::DeleteAll).await;
    ctx.wait(2);
}

/// Purges until no work is left and returns the number of rows.
async fn purge(ctx: &TestContext, rows: u64) -> u64 {
    let mut removed = 0;
    loop {
        let purged = ctx
            .engine
            .purge(Budget::of(rows))
            .await
            .expect("a purge succeeds");
        removed += purged.rows;
        if !purged.has_more {
            return removed;
        }
    }
}
