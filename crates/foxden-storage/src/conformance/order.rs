//! The orders of reads. Each engine breaks ties in its own way.

use super::{TestContext, payload};
use crate::command::Order;

/// *Newest* reads `modified` falling.
pub async fn newest_first(ctx: &TestContext) {
    three_at_different_times(ctx).await;
    assert_eq!(ctx.ids_in("bookmarks", Order::Newest).await, ["b", "c", "a"]);
}

/// *Oldest* reads `modified` rising.
pub async fn oldest_first(ctx: &TestContext) {
    three_at_different_times(ctx).await;
    assert_eq!(ctx.ids_in("bookmarks", Order::Oldest).await, ["a", "c", "b"]);
}

/// *Index* reads `sortindex` falling; objects without one come last.
pub async fn greatest_index_first_and_none_last(ctx: &TestContext) {
    ctx.put_at("bookmarks", "zero", 0).await;
    ctx.put("bookmarks", "none", "x").await;
    ctx.put_at("bookmarks", "least", -999_999_999).await;
    ctx.put_at("bookmarks", "most", 999_999_999).await;
    ctx.put_at("bookmarks", "minus", -1).await;
    let ids = ctx.ids_in("bookmarks", Order::Index).await;
    assert_eq!(ids, ["most", "zero", "minus", "least", "none"]);
}

/// Ties come in the same order each time, between writes.
pub async fn an_order_holds_while_nothing_is_written(ctx: &TestContext) {
    let patches: Vec<_> = (0..40)
        .map(|n| payload(&format!("object{}", n * 17 % 40), "x"))
        .collect();
    ctx.upsert("bookmarks", patches).await;
    for order in [Order::Newest, Order::Oldest, Order::Index] {
        let first = ctx.ids_in("bookmarks", order).await;
        assert_eq!(first.len(), 40);
        assert_eq!(ctx.ids_in("bookmarks", order).await, first, "{order:?}");
    }
}

async fn three_at_different_times(ctx: &TestContext) {
    for object in ["a", "b", "c", "b"] {
        ctx.put("bookmarks", object, "x").await;
        ctx.wait(1);
    }
}
