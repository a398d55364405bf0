//! Selections of objects.

use foxden_model::SyncTime;

use super::{TestContext, collection, id, payload, sorted};
use crate::command::{Field, Fields, Order, Patch, Query, Selection};

/// `newer` and `older` are strict.
pub async fn newer_and_older_exclude_the_time_itself(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "x").await;
    for (shift, newer, older) in [(-1, true, false), (0, false, false), (1, false, true)] {
        let edge = Some(SyncTime::from_hundredths(time.hundredths() + shift));
        let later = Selection {
            newer: edge,
            ..Selection::default()
        };
        let earlier = Selection {
            older: edge,
            ..Selection::default()
        };
        assert_eq!(
            ctx.ids("bookmarks", later).await.len() == 1,
            newer,
            "newer {shift}"
        );
        assert_eq!(
            ctx.ids("bookmarks", earlier).await.len() == 1,
            older,
            "older {shift}"
        );
    }
}

/// `newer` and `older` together select the times between them.
pub async fn newer_and_older_both_hold(ctx: &TestContext) {
    let first = ctx.put("bookmarks", "a", "x").await;
    ctx.put("bookmarks", "b", "x").await;
    ctx.put("bookmarks", "c", "x").await;
    let last = ctx.put("bookmarks", "d", "x").await;
    let between = Selection {
        newer: Some(first),
        older: Some(last),
        ..Selection::default()
    };
    assert_eq!(ctx.ids("bookmarks", between).await, ["b", "c"]);
}

/// `until` includes the time itself.
pub async fn until_includes_the_time_itself(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "x").await;
    let second = ctx.put("bookmarks", "b", "x").await;
    ctx.put("bookmarks", "c", "x").await;
    let until = Selection {
        until: Some(second),
        ..Selection::default()
    };
    assert_eq!(ctx.ids("bookmarks", until).await, ["a", "b"]);
}

/// A list of ids selects each of them once, even if it is repeated; missing ids are ignored.
pub async fn ids_select_each_object_once(ctx: &TestContext) {
    ctx.upsert("bookmarks", ["a", "b", "c"].map(|object| payload(object, object)))
        .await;
    let mut query = Query::all(collection("bookmarks"), Fields::Whole);
    query.selection.ids = Some(["c", "a", "missing", "a", "A", "c"].map(id).to_vec());
    let mut read = ctx.all(&query).await;
    read.sort_by(|a, b| a.id.cmp(&b.id));
    let texts: Vec<_> = read
        .iter()
        .map(|object| (object.id.as_str(), object.payload.as_str()))
        .collect();
    assert_eq!(texts, [("a", "a"), ("c", "c")]);
}

/// A list of thousands of ids is read in pages and deleted like any other selection.
pub async fn thousands_of_ids_select_like_any_selection(ctx: &TestContext) {
    let patches: Vec<_> = (0..2500).map(|n| payload(&format!("object{n}"), "x")).collect();
    for part in patches.chunks(500) {
        ctx.upsert("history", part).await;
    }
    let named = Selection {
        ids: Some((1..5000).step_by(2).map(|n| id(&format!("object{n}"))).collect()),
        ..Selection::default()
    };
    let odd = sorted((1..2500).step_by(2).map(|n| format!("object{n}")));
    for order in [Order::Oldest, Order::Newest, Order::Index] {
        let mut query = Query::all(collection("history"), Fields::Whole);
        (query.selection, query.order) = (named.clone(), order);
        let read = ctx.all(&query).await.into_iter().map(|object| object.id);
        assert_eq!(sorted(read), odd, "{order:?}");
    }
    ctx.delete("history", named).await;
    let even = sorted((0..2500).step_by(2).map(|n| format!("object{n}")));
    assert_eq!(ctx.ids("history", Selection::default()).await, even);
}

/// An empty list of ids selects nothing, for reading and for deleting.
pub async fn no_ids_select_nothing(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "x").await;
    let nothing = Selection {
        ids: Some(Vec::new()),
        ..Selection::default()
    };
    assert!(ctx.ids("bookmarks", nothing.clone()).await.is_empty());
    ctx.delete("bookmarks", nothing).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a"]);
}

/// `index_above` and `index_below` are strict, and an object without a sortindex matches neither.
pub async fn indexes_above_and_below_exclude_the_index_itself(ctx: &TestContext) {
    for (object, index) in [("minus", -10), ("nine", 9), ("ten", 10), ("eleven", 11)] {
        ctx.put_at("bookmarks", object, index).await;
    }
    ctx.put("bookmarks", "none", "x").await;
    let above = Selection {
        index_above: Some(10),
        ..Selection::default()
    };
    let below = Selection {
        index_below: Some(10),
        ..Selection::default()
    };
    let between = Selection {
        index_above: Some(-10),
        index_below: Some(11),
        ..Selection::default()
    };
    assert_eq!(ctx.ids("bookmarks", above).await, ["eleven"]);
    assert_eq!(ctx.ids("bookmarks", below).await, ["minus", "nine"]);
    assert_eq!(ctx.ids("bookmarks", between).await, ["nine", "ten"]);
}

/// `parent_id` and `predecessor_id` select by equality; objects without one do not match.
pub async fn parents_and_predecessors_select(ctx: &TestContext) {
    for (object, parent, predecessor) in [("a", "p", "q"), ("b", "p", "Q"), ("c", "P", "q")] {
        let patch = Patch {
            parent_id: Field::Set(parent.to_owned()),
            predecessor_id: Field::Set(predecessor.to_owned()),
            ..payload(object, "x")
        };
        ctx.upsert("bookmarks", [patch]).await;
    }
    ctx.put("bookmarks", "none", "x").await;
    let selection = |parent: Option<&str>, predecessor: Option<&str>| Selection {
        parent_id: parent.map(str::to_owned),
        predecessor_id: predecessor.map(str::to_owned),
        ..Selection::default()
    };
    assert_eq!(ctx.ids("bookmarks", selection(Some("p"), None)).await, ["a", "b"]);
    assert_eq!(ctx.ids("bookmarks", selection(None, Some("q"))).await, ["a", "c"]);
    assert_eq!(ctx.ids("bookmarks", selection(Some("p"), Some("q"))).await, ["a"]);
    assert!(ctx.ids("bookmarks", selection(Some(""), None)).await.is_empty());
}

/// Every condition must hold.
pub async fn all_conditions_hold_together(ctx: &TestContext) {
    let mut times = Vec::new();
    for (number, object) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let patch = Patch {
            sortindex: Field::Set(i64::try_from(number).unwrap_or_default()),
            parent_id: Field::Set("p".to_owned()),
            ..payload(object, "x")
        };
        times.push(ctx.upsert("bookmarks", [patch]).await);
    }
    let selection = Selection {
        ids: Some(["a", "b", "c", "d", "e"].map(id).to_vec()),
        newer: Some(times[0]),
        older: Some(times[5]),
        until: Some(times[3]),
        index_above: Some(0),
        index_below: Some(3),
        parent_id: Some("p".to_owned()),
        predecessor_id: None,
    };
    assert_eq!(ctx.ids("bookmarks", selection).await, ["b", "c"]);
}

/// A missing collection reads as empty, without a time.
pub async fn a_missing_collection_reads_as_empty(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "x").await;
    let page = ctx.page(&Query::all(collection("missing"), Fields::Whole)).await;
    assert!(page.rows.is_empty());
    assert_eq!((page.modified, page.next), (None, None));
    assert_eq!(ctx.get("missing", "a").await, None);
}
