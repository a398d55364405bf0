//! What is deleted is gone, its time is told, and what was missing moves no time.

use foxden_model::SyncTime;

use super::{Lab, Stored, collection, id, payload};
use crate::command::{Change, Detail, Fields, Order, Query, Selection};

/// A deleted object is gone; the others stay, and the collection and the store have the deletion's time.
pub async fn a_deleted_object_is_gone_and_the_collections_time_moves(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    let kept = lab.put("bookmarks", "b", "two").await;
    lab.wait(1);
    let deleted = lab.delete_one("bookmarks", "a").await;
    assert!(deleted.changed && deleted.modified > kept);
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["b"]);
    assert_eq!(lab.get("bookmarks", "a").await, None);
    assert_eq!(
        lab.get("bookmarks", "b").await.map(|object| object.modified),
        Some(kept)
    );
    assert_eq!(lab.modified("bookmarks").await, deleted.modified);
    assert_eq!(lab.store_time().await, deleted.modified);
}

/// If asked to, a deletion that matches nothing changes nothing and says so.
pub async fn deleting_what_is_not_there_can_be_refused(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    let time = lab.put("history", "a", "one").await;
    lab.wait(1);
    assert!(lab.delete_one("bookmarks", "a").await.changed);
    let before = lab.summary(Detail::Full).await;
    for (name, object) in [("bookmarks", "a"), ("history", "missing"), ("missing", "a")] {
        let refused = lab.delete_one(name, object).await;
        assert_eq!(
            (refused.changed, refused.modified),
            (false, before.modified),
            "{name}/{object}"
        );
        assert_eq!(refused.bytes_before, refused.bytes_after);
    }
    assert_eq!(lab.summary(Detail::Full).await.collections, before.collections);
    assert_eq!(lab.modified("history").await, time);
    assert_eq!(lab.store_time().await, before.modified);
}

/// Else the collection's time moves, though nothing matched.
pub async fn deleting_what_is_not_there_can_move_the_time(lab: &Lab) {
    let put = lab.put("bookmarks", "a", "one").await;
    let missing = Selection {
        ids: Some(vec![id("missing")]),
        ..Selection::default()
    };
    let deleted = lab.delete("bookmarks", missing).await;
    assert!(deleted.changed && deleted.modified > put);
    assert_eq!(lab.modified("bookmarks").await, deleted.modified);
    assert_eq!(lab.payload("bookmarks", "a").await, "one");
}

/// A missing collection is not made by deleting from it, and no time moves.
pub async fn deleting_from_a_missing_collection_changes_nothing(lab: &Lab) {
    let nothing = lab.delete("missing", Selection::default()).await;
    assert_eq!((nothing.changed, nothing.modified), (false, SyncTime::ZERO));
    let time = lab.put("bookmarks", "a", "one").await;
    lab.wait(1);
    let nothing = lab.delete("missing", Selection::default()).await;
    assert_eq!((nothing.changed, nothing.modified), (false, time));
    assert_eq!(lab.held("missing").await, None);
}

/// A selection chooses what is deleted, by ids, times and indexes.
pub async fn a_selection_chooses_what_is_deleted(lab: &Lab) {
    let mut times = Vec::new();
    for (index, object) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
        times.push(
            lab.put_at("bookmarks", object, i64::try_from(index).unwrap_or_default())
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
        assert!(lab.delete("bookmarks", selection.clone()).await.changed);
        assert_eq!(
            lab.ids("bookmarks", Selection::default()).await,
            left,
            "{selection:?}"
        );
    }
}

/// With a limit, those that come first in the given order are deleted.
pub async fn an_order_and_a_limit_choose_what_is_deleted(lab: &Lab) {
    for (object, index) in [("a", 5), ("b", 9), ("c", 1), ("d", 7), ("e", 3), ("f", 8)] {
        lab.put_at("bookmarks", object, index).await;
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
        lab.write(first_of(order, limit)).await;
        assert_eq!(
            lab.ids("bookmarks", Selection::default()).await,
            left,
            "{limit} by {order:?}"
        );
    }
}

/// A deleted collection is no longer listed, read or counted; the store has the deletion's time.
pub async fn a_deleted_collection_vanishes(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    lab.put("history", "a", "one").await;
    let deleted = lab.delete_collection("bookmarks", false).await;
    assert!(deleted.changed);
    assert_eq!((deleted.bytes_before, deleted.bytes_after), (6, 3));
    assert_eq!(lab.held("bookmarks").await, None);
    assert_eq!(lab.get("bookmarks", "a").await, None);
    let page = lab
        .page(&Query::all(collection("bookmarks"), Fields::Whole))
        .await;
    assert_eq!((page.modified, page.rows.len()), (None, 0));
    assert_eq!(lab.store_time().await, deleted.modified);
    assert_eq!(lab.payload("history", "a").await, "one");
}

/// If asked to, a deleted collection stays listed, empty, with the time of the deletion.
pub async fn a_deleted_collection_can_keep_its_name(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    let deleted = lab.delete_collection("bookmarks", true).await;
    let held = lab.held("bookmarks").await.expect("it stays listed");
    assert_eq!((held.modified, held.count, held.bytes), (deleted.modified, 0, 0));
    assert_eq!(lab.get("bookmarks", "a").await, None);
    let again = lab.delete_collection("bookmarks", true).await;
    assert!(again.changed && again.modified > deleted.modified);
    assert_eq!(lab.modified("bookmarks").await, again.modified);
    assert!(lab.delete_collection("bookmarks", false).await.changed);
    assert_eq!(lab.held("bookmarks").await, None);
}

/// Deleting a missing collection makes none and moves no time.
pub async fn deleting_a_missing_collection_changes_nothing(lab: &Lab) {
    let time = lab.put("bookmarks", "a", "one").await;
    lab.wait(1);
    for keeps_name in [false, true] {
        let deleted = lab.delete_collection("missing", keeps_name).await;
        assert_eq!((deleted.changed, deleted.modified), (false, time));
        assert_eq!(lab.held("missing").await, None);
    }
    assert_eq!(lab.store_time().await, time);
}

/// A collection made anew after a deletion, or in an emptied store, shows nothing of the old one.
pub async fn a_collection_made_anew_holds_nothing_old(lab: &Lab) {
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
        lab.upsert("bookmarks", old).await;
        lab.put_at("bookmarks", "a", 5).await;
        lab.write(deletion.clone()).await;
        let modified = lab.put("bookmarks", "a", "new").await;
        let wanted = Stored {
            id: "a".to_owned(),
            payload: "new".to_owned(),
            modified,
            sortindex: None,
            parent_id: None,
            predecessor_id: None,
        };
        assert_eq!(lab.get("bookmarks", "a").await, Some(wanted), "{deletion:?}");
        assert_eq!(
            lab.ids("bookmarks", Selection::default()).await,
            ["a"],
            "{deletion:?}"
        );
        let held = lab.held("bookmarks").await.map(|held| (held.count, held.bytes));
        assert_eq!(held, Some((1, 3)), "{deletion:?}");
    }
}

/// An emptied store lists nothing and reads as empty; it can be emptied again.
pub async fn an_emptied_store_holds_nothing(lab: &Lab) {
    for name in ["bookmarks", "history", "tabs"] {
        lab.put(name, "a", "one").await;
    }
    let before = lab.store_time().await;
    let emptied = lab.write(Change::DeleteAll).await;
    assert!(emptied.changed && emptied.modified > before);
    assert_eq!((emptied.bytes_before, emptied.bytes_after), (9, 0));
    assert!(lab.summary(Detail::Full).await.collections.is_empty());
    assert_eq!(lab.get("history", "a").await, None);
    let again = lab.write(Change::DeleteAll).await;
    assert!(again.changed && again.modified > emptied.modified);
}

/// Deleting a collection's objects one by one leaves the collection listed.
pub async fn deleting_the_last_object_keeps_the_collection(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    let deleted = lab.delete_one("bookmarks", "a").await;
    let held = lab.held("bookmarks").await.expect("it stays listed");
    assert_eq!((held.modified, held.count, held.bytes), (deleted.modified, 0, 0));
}
