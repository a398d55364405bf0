//! Deletions remove objects and take a time; deleting a missing collection takes none.

use foxden_model::SyncTime;

use super::{Stored, TestContext, collection, id, payload};
use crate::command::{Change, Detail, Fields, Order, Query, Selection};

/// A deleted object is gone; the others stay, and the collection and the store have the deletion's time.
pub async fn a_deleted_object_is_gone_and_the_collections_time_moves(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    let kept = ctx.put("bookmarks", "b", "two").await;
    ctx.wait(1);
    let deleted = ctx.delete_one("bookmarks", "a").await;
    assert!(deleted.changed && deleted.modified > kept);
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["b"]);
    assert_eq!(ctx.get("bookmarks", "a").await, None);
    assert_eq!(
        ctx.get("bookmarks", "b").await.map(|object| object.modified),
        Some(kept)
    );
    assert_eq!(ctx.modified("bookmarks").await, deleted.modified);
    assert_eq!(ctx.store_time().await, deleted.modified);
}

/// With `or_refuse`, a deletion that matches nothing changes nothing and says so.
pub async fn deleting_a_missing_object_can_be_refused(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    let time = ctx.put("history", "a", "one").await;
    ctx.wait(1);
    assert!(ctx.delete_one("bookmarks", "a").await.changed);
    let before = ctx.summary(Detail::Full).await;
    for (name, object) in [("bookmarks", "a"), ("history", "missing"), ("missing", "a")] {
        let refused = ctx.delete_one(name, object).await;
        assert_eq!(
            (refused.changed, refused.modified),
            (false, before.modified),
            "{name}/{object}"
        );
        assert_eq!(refused.bytes_before, refused.bytes_after);
    }
    assert_eq!(ctx.summary(Detail::Full).await.collections, before.collections);
    assert_eq!(ctx.modified("history").await, time);
    assert_eq!(ctx.store_time().await, before.modified);
}

/// Without it, the collection's time moves although nothing matched.
pub async fn deleting_a_missing_object_can_move_the_time(ctx: &TestContext) {
    let put = ctx.put("bookmarks", "a", "one").await;
    let missing = Selection {
        ids: Some(vec![id("missing")]),
        ..Selection::default()
    };
    let deleted = ctx.delete("bookmarks", missing).await;
    assert!(deleted.changed && deleted.modified > put);
    assert_eq!(ctx.modified("bookmarks").await, deleted.modified);
    assert_eq!(ctx.payload("bookmarks", "a").await, "one");
}

/// Deleting from a missing collection does not create it, and takes no time.
pub async fn deleting_from_a_missing_collection_changes_nothing(ctx: &TestContext) {
    let nothing = ctx.delete("missing", Selection::default()).await;
    assert_eq!((nothing.changed, nothing.modified), (false, SyncTime::ZERO));
    let time = ctx.put("bookmarks", "a", "one").await;
    ctx.wait(1);
    let nothing = ctx.delete("missing", Selection::default()).await;
    assert_eq!((nothing.changed, nothing.modified), (false, time));
    assert_eq!(ctx.held("missing").await, None);
}

/// A selection chooses what is deleted, by ids, times and indexes.
pub async fn a_selection_chooses_what_is_deleted(ctx: &TestContext) {
    let mut times = Vec::new();
    for (index, object) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
        times.push(
            ctx.put_at("bookmarks", object, i64::try_from(index).unwrap_or_default())
                .await,
        );
    }
    let selections = [
        (
            Selection {
                ids: Some(["a", "missing"].map(id).to_vec()),
                ..Selection::default()
            },
            vec!["b", "c", "d", "e", "f", "g"],
        ),
        (
            Selection {
                newer: Some(times[5]),
                ..Selection::default()
            },
            vec!["b", "c", "d", "e", "f"],
        ),
        (
            Selection {
                older: Some(times[2]),
                ..Selection::default()
            },
            vec!["c", "d", "e", "f"],
        ),
        (
            Selection {
                index_above: Some(2),
                index_below: Some(5),
                ..Selection::default()
            },
            vec!["c", "f"],
        ),
        (Selection::default(), vec![]),
    ];
    for (selection, left) in selections {
        assert!(ctx.delete("bookmarks", selection.clone()).await.changed);
        assert_eq!(
            ctx.ids("bookmarks", Selection::default()).await,
            left,
            "{selection:?}"
        );
    }
}

/// With a limit, the first objects in the given order are deleted.
pub async fn an_order_and_a_limit_choose_what_is_deleted(ctx: &TestContext) {
    for (object, index) in [("a", 5), ("b", 9), ("c", 1), ("d", 7), ("e", 3), ("f", 8)] {
        ctx.put_at("bookmarks", object, index).await;
    }
    let first_of = |order, limit| Change::DeleteObjects {
        collection: collection("bookmarks"),
        selection: Selection::default(),
        order,
        limit: Some(limit),
        or_refuse: false,
    };
    for (order, limit, left) in [
        (Order::Oldest, 0, vec!["a", "b", "c", "d", "e", "f"]),
        (Order::Oldest, 2, vec!["c", "d", "e", "f"]),
        (Order::Newest, 1, vec!["c", "d", "e"]),
        (Order::Index, 2, vec!["c"]),
        (Order::Index, 2, vec![]),
    ] {
        ctx.write(first_of(order, limit)).await;
        assert_eq!(
            ctx.ids("bookmarks", Selection::default()).await,
            left,
            "{limit} by {order:?}"
        );
    }
}

/// A deleted collection is no longer listed, read or counted; the store has the deletion's time.
pub async fn a_deleted_collection_vanishes(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    ctx.put("history", "a", "one").await;
    let deleted = ctx.delete_collection("bookmarks", false).await;
    assert!(deleted.changed);
    assert_eq!((deleted.bytes_before, deleted.bytes_after), (6, 3));
    assert_eq!(ctx.held("bookmarks").await, None);
    assert_eq!(ctx.get("bookmarks", "a").await, None);
    let page = ctx
        .page(&Query::all(collection("bookmarks"), Fields::Whole))
        .await;
    assert_eq!((page.modified, page.rows.len()), (None, 0));
    assert_eq!(ctx.store_time().await, deleted.modified);
    assert_eq!(ctx.payload("history", "a").await, "one");
}

/// With `keeps_name`, a deleted collection stays listed, empty, with the time of the deletion.
pub async fn a_deleted_collection_can_keep_its_name(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    let deleted = ctx.delete_collection("bookmarks", true).await;
    let held = ctx.held("bookmarks").await.expect("it stays listed");
    assert_eq!((held.modified, held.count, held.bytes), (deleted.modified, 0, 0));
    assert_eq!(ctx.get("bookmarks", "a").await, None);
    let again = ctx.delete_collection("bookmarks", true).await;
    assert!(again.changed && again.modified > deleted.modified);
    assert_eq!(ctx.modified("bookmarks").await, again.modified);
    assert!(ctx.delete_collection("bookmarks", false).await.changed);
    assert_eq!(ctx.held("bookmarks").await, None);
}

/// Deleting a missing collection does not create it and takes no time.
pub async fn deleting_a_missing_collection_changes_nothing(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "one").await;
    ctx.wait(1);
    for keeps_name in [false, true] {
        let deleted = ctx.delete_collection("missing", keeps_name).await;
        assert_eq!((deleted.changed, deleted.modified), (false, time));
        assert_eq!(ctx.held("missing").await, None);
    }
    assert_eq!(ctx.store_time().await, time);
}

/// A collection that is created again after a deletion, or in an emptied store, shows no old objects.
pub async fn a_recreated_collection_has_no_old_objects(ctx: &TestContext) {
    let deletions = [
        Change::DeleteCollection {
            collection: collection("bookmarks"),
            keeps_name: false,
        },
        Change::DeleteCollection {
            collection: collection("bookmarks"),
            keeps_name: true,
        },
        Change::DeleteAll,
    ];
    for deletion in deletions {
        let old: Vec<_> = (0..20).map(|n| payload(&format!("object{n}"), "old")).collect();
        ctx.upsert("bookmarks", old).await;
        ctx.put_at("bookmarks", "a", 5).await;
        ctx.write(deletion.clone()).await;
        let modified = ctx.put("bookmarks", "a", "new").await;
        let wanted = Stored {
            id: "a".to_owned(),
            payload: "new".to_owned(),
            modified,
            sortindex: None,
            parent_id: None,
            predecessor_id: None,
        };
        assert_eq!(ctx.get("bookmarks", "a").await, Some(wanted), "{deletion:?}");
        assert_eq!(
            ctx.ids("bookmarks", Selection::default()).await,
            ["a"],
            "{deletion:?}"
        );
        let held = ctx.held("bookmarks").await.map(|held| (held.count, held.bytes));
        assert_eq!(held, Some((1, 3)), "{deletion:?}");
    }
}

/// An emptied store lists nothing and reads as empty; it can be emptied again.
pub async fn an_emptied_store_holds_nothing(ctx: &TestContext) {
    for name in ["bookmarks", "history", "tabs"] {
        ctx.put(name, "a", "one").await;
    }
    let before = ctx.store_time().await;
    let emptied = ctx.write(Change::DeleteAll).await;
    assert!(emptied.changed && emptied.modified > before);
    assert_eq!((emptied.bytes_before, emptied.bytes_after), (9, 0));
    assert!(ctx.summary(Detail::Full).await.collections.is_empty());
    assert_eq!(ctx.get("history", "a").await, None);
    let again = ctx.write(Change::DeleteAll).await;
    assert!(again.changed && again.modified > emptied.modified);
}

/// Deleting a collection's objects one by one leaves the collection listed.
pub async fn deleting_the_last_object_keeps_the_collection(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    let deleted = ctx.delete_one("bookmarks", "a").await;
    let held = ctx.held("bookmarks").await.expect("it stays listed");
    assert_eq!((held.modified, held.count, held.bytes), (deleted.modified, 0, 0));
}
