//! A closed store stays closed for all callers and handles.

use tokio::task::JoinSet;

use super::context::{commit, delete, part, upsert};
use super::{TestContext, collection, id, payload};
use crate::command::{BatchId, Change, Detail, Fields, Query, Selection, Target, Write};
use crate::engine::EngineError;
use crate::page::Budget;

async fn close(ctx: &TestContext) {
    ctx.write(Change::Close).await;
}

/// Asserts that all requests are refused, except those that only empty the store.
async fn assert_closed(ctx: &TestContext, batch: &BatchId) {
    let (engine, user) = (&ctx.engine, ctx.user);
    let writes = [
        upsert("bookmarks", [payload("b", "two")]),
        upsert("bookmarks", []),
        delete("bookmarks", Selection::default(), false),
        Change::DeleteCollection {
            collection: collection("bookmarks"),
            keeps_name: true,
        },
        commit("bookmarks", batch, []),
    ];
    let mut answers = Vec::new();
    for change in writes {
        answers.push(ctx.try_write(Write::new(change)).await.map(drop));
    }
    for detail in [Detail::Times, Detail::Full] {
        answers.push(engine.summary(user, detail).await.map(drop));
    }
    for query in [
        Query::all(collection("bookmarks"), Fields::Whole),
        Query::all(collection("missing"), Fields::Ids),
        Query::one(collection("bookmarks"), id("a")),
    ] {
        answers.push(engine.read(user, &query).await.map(drop));
    }
    for batch in [None, Some(batch)] {
        let part = part("bookmarks", batch, [payload("b", "two")]);
        answers.push(ctx.try_stage(part).await.map(drop));
    }
    for (number, answer) in answers.into_iter().enumerate() {
        assert!(
            matches!(answer, Err(EngineError::Closed)),
            "request {number}: {answer:?}"
        );
    }
}

/// Every read and write of a closed user is refused.
pub async fn a_closed_user_is_refused(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    let batch = ctx.open("bookmarks", [payload("b", "two")]).await;
    assert_eq!(ctx.payload("bookmarks", "a").await, "one");
    close(ctx).await;
    assert_closed(ctx, &batch).await;
}

/// Other users do not notice.
pub async fn closing_leaves_other_users_alone(ctx: &TestContext) {
    let other = ctx.of_user(43);
    other.put("bookmarks", "a", "one").await;
    close(ctx).await;
    assert_eq!(other.payload("bookmarks", "a").await, "one");
    other.put("bookmarks", "a", "two").await;
    assert_eq!(other.payload("bookmarks", "a").await, "two");
}

/// A user who has stored nothing yet can be closed.
pub async fn an_unknown_user_can_be_closed(ctx: &TestContext) {
    close(ctx).await;
    assert_closed(ctx, &BatchId("none".into())).await;
}

/// A closed store can be closed and emptied again, and stays closed.
pub async fn a_closed_store_can_be_closed_and_emptied_again(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    let batch = ctx.open("bookmarks", [payload("b", "two")]).await;
    for _ in 0..2 {
        close(ctx).await;
        ctx.write(Change::DeleteAll).await;
        assert_closed(ctx, &batch).await;
    }
}

/// Purges remove the objects of a closed store, and the store stays closed.
pub async fn objects_of_a_closed_store_are_purged(ctx: &TestContext) {
    for object in ["a", "b", "c"] {
        ctx.put("bookmarks", object, "one").await;
    }
    let batch = ctx.open("bookmarks", [payload("d", "two")]).await;
    close(ctx).await;
    let purged = ctx.engine.purge(Budget::of(1000)).await;
    let purged = purged.expect("a purge succeeds");
    assert!(purged.rows >= 4 && !purged.has_more, "{purged:?}");
    assert_closed(ctx, &batch).await;
}

/// If a write is refused for several reasons, the closing is the first.
pub async fn closed_is_reported_before_any_other_refusal(ctx: &TestContext) {
    let before = ctx.put("bookmarks", "a", "one").await.before();
    close(ctx).await;
    let refused = ctx
        .upsert_if("bookmarks", [payload("a", "two")], Target::Store, before)
        .await;
    assert!(matches!(refused, Err(EngineError::Closed)), "{refused:?}");
}

/// Concurrent writes are not visible after the closing.
pub async fn writes_during_a_closing_leave_no_objects(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    let batch = ctx.open("bookmarks", [payload("b", "two")]).await;
    let mut writers = JoinSet::new();
    for client in 0..8 {
        let ctx = ctx.clone();
        writers.spawn(async move {
            loop {
                let change = upsert("bookmarks", [payload(&format!("{client}"), "x")]);
                match ctx.try_write(Write::new(change)).await {
                    Ok(_) | Err(EngineError::Busy) => tokio::task::yield_now().await,
                    Err(EngineError::Closed) => break,
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    close(ctx).await;
    assert_closed(ctx, &batch).await;
    while let Some(writer) = writers.join_next().await {
        writer.expect("every writer is refused in the end");
    }
}

/// The closing is stored: handles that were opened before or after it refuse the user.
pub async fn a_closing_holds_for_every_handle_on_the_store(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    let batch = ctx.open("bookmarks", [payload("b", "two")]).await;
    let before = ctx.another_handle().await;
    close(ctx).await;
    let after = ctx.another_handle().await;
    for handle in [&before, &after, ctx] {
        assert_closed(handle, &batch).await;
    }
}
