//! In which order a collection is read. How ties are broken is the engine's affair.

use super::{Lab, payload};
use crate::command::Order;

/// *Newest* reads `modified` falling.
pub async fn newest_first(lab: &Lab) {
    three_at_different_times(lab).await;
    assert_eq!(lab.ids_in("bookmarks", Order::Newest).await, ["b", "c", "a"]);
}

/// *Oldest* reads `modified` rising.
pub async fn oldest_first(lab: &Lab) {
    three_at_different_times(lab).await;
    assert_eq!(lab.ids_in("bookmarks", Order::Oldest).await, ["a", "c", "b"]);
}

/// *Index* reads `sortindex` falling; objects without one come last.
pub async fn greatest_index_first_and_none_last(lab: &Lab) {
    lab.put_at("bookmarks", "zero", 0).await;
    lab.put("bookmarks", "none", "x").await;
    lab.put_at("bookmarks", "least", -999_999_999).await;
    lab.put_at("bookmarks", "most", 999_999_999).await;
    lab.put_at("bookmarks", "minus", -1).await;
    let ids = lab.ids_in("bookmarks", Order::Index).await;
    assert_eq!(ids, ["most", "zero", "minus", "least", "none"]);
}

/// Objects that stand equal come in the same order each time, while nothing is written.
pub async fn an_order_holds_while_nothing_is_written(lab: &Lab) {
    let patches: Vec<_> = (0..40)
        .map(|n| payload(&format!("object{}", n * 17 % 40), "x"))
        .collect();
    lab.upsert("bookmarks", patches).await;
    for order in [Order::Newest, Order::Oldest, Order::Index] {
        let first = lab.ids_in("bookmarks", order).await;
        assert_eq!(first.len(), 40);
        assert_eq!(lab.ids_in("bookmarks", order).await, first, "{order:?}");
    }
}

async fn three_at_different_times(lab: &Lab) {
    for object in ["a", "b", "c", "b"] {
        lab.put("bookmarks", object, "x").await;
        lab.wait(1);
    }
}
