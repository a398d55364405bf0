//! Summaries are complete, and users are isolated.

use foxden_model::SyncTime;

use super::context::upsert;
use super::{TestContext, collection, payload};
use crate::command::{Change, Detail, Selection, Write};
use crate::engine::{EngineError, MAX_COLLECTIONS};

/// A summary lists each collection once, by name, with any detail.
pub async fn a_summary_names_each_collection_in_order(ctx: &TestContext) {
    let mut times = Vec::new();
    for name in ["tabs", "bookmarks", "zoo.2", "Zoo", "history"] {
        times.push((name, ctx.put(name, "a", "x").await));
    }
    times.sort_unstable();
    for detail in [Detail::Times, Detail::Full] {
        let summary = ctx.summary(detail).await;
        let listed: Vec<_> = summary
            .collections
            .iter()
            .map(|c| (c.name.as_str(), c.modified))
            .collect();
        assert_eq!(listed, times);
    }
}

/// Counts and bytes are those of the objects that can be read, after every kind of write.
pub async fn counts_and_bytes_follow_every_write(ctx: &TestContext) {
    ctx.upsert("bookmarks", ["a", "b", "c"].map(|object| payload(object, "four")))
        .await;
    assert_eq!(held(ctx).await, Some((3, 12)));
    ctx.put("bookmarks", "a", "eighteen").await;
    assert_eq!(held(ctx).await, Some((3, 16)));
    ctx.put("bookmarks", "a", "").await;
    assert_eq!(held(ctx).await, Some((3, 8)));
    ctx.delete_one("bookmarks", "b").await;
    assert_eq!(held(ctx).await, Some((2, 4)));
    let batch = ctx
        .open("bookmarks", [payload("a", "xx"), payload("d", "yyy")])
        .await;
    assert_eq!(held(ctx).await, Some((2, 4)));
    ctx.commit("bookmarks", &batch).await;
    assert_eq!(held(ctx).await, Some((3, 9)));
    ctx.put_for("bookmarks", "e", "short", 1).await;
    assert_eq!(held(ctx).await, Some((4, 14)));
    ctx.wait(1);
    assert_eq!(held(ctx).await, Some((3, 9)));
    ctx.put("bookmarks", "e", "again").await;
    assert_eq!(held(ctx).await, Some((4, 14)));
    ctx.delete("bookmarks", Selection::default()).await;
    assert_eq!(held(ctx).await, Some((0, 0)));
}

/// Bytes are counted, not characters.
pub async fn bytes_are_those_of_utf_8(ctx: &TestContext) {
    let written = ctx
        .write(upsert("bookmarks", [payload("ä", "aé\u{1f98a}")]))
        .await;
    assert_eq!(written.bytes_after, 7);
    assert_eq!(held(ctx).await, Some((1, 7)));
}

/// A write returns the bytes of the whole store before and after it.
pub async fn a_write_returns_the_bytes_before_and_after(ctx: &TestContext) {
    ctx.put("history", "a", "12345").await;
    let mut told = Vec::new();
    for change in [
        upsert("bookmarks", [payload("a", "123"), payload("b", "1")]),
        upsert("bookmarks", [payload("a", "")]),
        Change::DeleteCollection {
            collection: collection("history"),
            keeps_name: true,
        },
        Change::DeleteAll,
    ] {
        let written = ctx.write(change).await;
        told.push((written.bytes_before, written.bytes_after));
    }
    assert_eq!(told, [(5, 9), (9, 6), (6, 1), (1, 0)]);
}

/// A collection without objects is listed with its time.
pub async fn an_empty_collection_is_listed(ctx: &TestContext) {
    let time = ctx.upsert("bookmarks", []).await;
    let held = ctx.held("bookmarks").await.expect("it is listed");
    assert_eq!((held.modified, held.count, held.bytes), (time, 0, 0));
}

/// A user who never wrote has an empty store at time zero.
pub async fn an_unknown_user_has_nothing(ctx: &TestContext) {
    for detail in [Detail::Times, Detail::Full] {
        let summary = ctx.summary(detail).await;
        assert_eq!(summary.modified, SyncTime::ZERO);
        assert!(summary.collections.is_empty());
    }
    assert_eq!(ctx.get("bookmarks", "a").await, None);
}

/// Two users with the same names and ids are independent, deletions included.
pub async fn users_are_isolated(ctx: &TestContext) {
    let other = ctx.of_user(u64::MAX >> 1);
    let mine = ctx.put("bookmarks", "a", "mine").await;
    ctx.wait(1);
    other.put("bookmarks", "a", "theirs").await;
    other.put("history", "b", "theirs").await;
    assert_eq!(ctx.payload("bookmarks", "a").await, "mine");
    assert_eq!(other.payload("bookmarks", "a").await, "theirs");
    assert_eq!(ctx.get("history", "b").await, None);
    assert_eq!(ctx.store_time().await, mine);
    other.write(Change::DeleteAll).await;
    assert_eq!(ctx.payload("bookmarks", "a").await, "mine");
    assert_eq!(ctx.store_time().await, mine);
    ctx.delete_collection("bookmarks", false).await;
    assert!(other.summary(Detail::Full).await.collections.is_empty());
}

/// A user has at most a hundred collections; an empty one that is kept counts, a deleted one does not.
pub async fn at_most_a_hundred_collections(ctx: &TestContext) {
    for number in 0..MAX_COLLECTIONS {
        ctx.put(&format!("c{number}"), "a", "x").await;
    }
    let before = ctx.summary(Detail::Full).await;
    refuses_one_more(ctx).await;
    let after = ctx.summary(Detail::Full).await;
    assert_eq!(
        (after.modified, after.collections),
        (before.modified, before.collections)
    );
    ctx.put("c0", "b", "those there take more").await;
    ctx.of_user(43)
        .put("one-more", "a", "others have their own")
        .await;

    ctx.delete_collection("c1", true).await;
    refuses_one_more(ctx).await;
    ctx.delete_collection("c1", false).await;
    ctx.put("one-more", "a", "x").await;
    ctx.write(Change::DeleteAll).await;
    for number in 0..MAX_COLLECTIONS {
        ctx.put(&format!("d{number}"), "a", "x").await;
    }
}

async fn refuses_one_more(ctx: &TestContext) {
    for patches in [vec![], vec![payload("a", "x")]] {
        let refused = ctx.try_write(Write::new(upsert("one-more", patches))).await;
        assert!(
            matches!(refused, Err(EngineError::TooManyCollections)),
            "{refused:?}"
        );
    }
}

async fn held(ctx: &TestContext) -> Option<(u64, u64)> {
    ctx.held("bookmarks").await.map(|held| (held.count, held.bytes))
}
