//! Summaries tell what is there, and users do not meet.

use foxden_model::SyncTime;

use super::lab::upsert;
use super::{Lab, collection, payload};
use crate::command::{Change, Detail, Selection, Write};
use crate::engine::{EngineError, MAX_COLLECTIONS};

/// A summary lists each collection once, by name, whichever detail is asked for.
pub async fn a_summary_names_each_collection_in_order(lab: &Lab) {
    let mut times = Vec::new();
    for name in ["tabs", "bookmarks", "zoo.2", "Zoo", "history"] {
        times.push((name, lab.put(name, "a", "x").await));
    }
    times.sort_unstable();
    for detail in [Detail::Times, Detail::Full] {
        let summary = lab.summary(detail).await;
        let listed: Vec<_> = summary
            .collections
            .iter()
            .map(|c| (c.name.as_str(), c.modified))
            .collect();
        assert_eq!(listed, times);
    }
}

/// Counts and bytes are those of the objects that can be read, after every kind of write.
pub async fn counts_and_bytes_follow_every_write(lab: &Lab) {
    lab.upsert("bookmarks", ["a", "b", "c"].map(|object| payload(object, "four")))
        .await;
    assert_eq!(held(lab).await, Some((3, 12)));
    lab.put("bookmarks", "a", "eighteen").await;
    assert_eq!(held(lab).await, Some((3, 16)));
    lab.put("bookmarks", "a", "").await;
    assert_eq!(held(lab).await, Some((3, 8)));
    lab.delete_one("bookmarks", "b").await;
    assert_eq!(held(lab).await, Some((2, 4)));
    let batch = lab
        .open("bookmarks", [payload("a", "xx"), payload("d", "yyy")])
        .await;
    assert_eq!(held(lab).await, Some((2, 4)));
    lab.commit("bookmarks", &batch).await;
    assert_eq!(held(lab).await, Some((3, 9)));
    lab.put_for("bookmarks", "e", "short", 1).await;
    assert_eq!(held(lab).await, Some((4, 14)));
    lab.wait(1);
    assert_eq!(held(lab).await, Some((3, 9)));
    lab.put("bookmarks", "e", "again").await;
    assert_eq!(held(lab).await, Some((4, 14)));
    lab.delete("bookmarks", Selection::default()).await;
    assert_eq!(held(lab).await, Some((0, 0)));
}

/// Bytes are counted, not characters.
pub async fn bytes_are_those_of_utf_8(lab: &Lab) {
    let written = lab
        .write(upsert("bookmarks", [payload("ä", "aé\u{1f98a}")]))
        .await;
    assert_eq!(written.bytes_after, 7);
    assert_eq!(held(lab).await, Some((1, 7)));
}

/// A write tells the bytes of the whole store, before it and after it.
pub async fn a_write_tells_the_bytes_before_and_after(lab: &Lab) {
    lab.put("history", "a", "12345").await;
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
        let written = lab.write(change).await;
        told.push((written.bytes_before, written.bytes_after));
    }
    assert_eq!(told, [(5, 9), (9, 6), (6, 1), (1, 0)]);
}

/// A collection without objects is listed with its time.
pub async fn an_empty_collection_is_listed(lab: &Lab) {
    let time = lab.upsert("bookmarks", []).await;
    let held = lab.held("bookmarks").await.expect("it is listed");
    assert_eq!((held.modified, held.count, held.bytes), (time, 0, 0));
}

/// A user who never wrote has an empty store at time zero.
pub async fn a_user_never_heard_of_has_nothing(lab: &Lab) {
    for detail in [Detail::Times, Detail::Full] {
        let summary = lab.summary(detail).await;
        assert_eq!(summary.modified, SyncTime::ZERO);
        assert!(summary.collections.is_empty());
    }
    assert_eq!(lab.get("bookmarks", "a").await, None);
}

/// Two users with the same names and ids are independent, deletions included.
pub async fn users_do_not_see_each_other(lab: &Lab) {
    let other = lab.of_user(u64::MAX >> 1);
    let mine = lab.put("bookmarks", "a", "mine").await;
    lab.wait(1);
    other.put("bookmarks", "a", "theirs").await;
    other.put("history", "b", "theirs").await;
    assert_eq!(lab.payload("bookmarks", "a").await, "mine");
    assert_eq!(other.payload("bookmarks", "a").await, "theirs");
    assert_eq!(lab.get("history", "b").await, None);
    assert_eq!(lab.store_time().await, mine);
    other.write(Change::DeleteAll).await;
    assert_eq!(lab.payload("bookmarks", "a").await, "mine");
    assert_eq!(lab.store_time().await, mine);
    lab.delete_collection("bookmarks", false).await;
    assert!(other.summary(Detail::Full).await.collections.is_empty());
}

/// A user owns at most a hundred collections; a name kept counts, a name given up does not.
pub async fn at_most_a_hundred_collections(lab: &Lab) {
    for number in 0..MAX_COLLECTIONS {
        lab.put(&format!("c{number}"), "a", "x").await;
    }
    let before = lab.summary(Detail::Full).await;
    refuses_one_more(lab).await;
    let after = lab.summary(Detail::Full).await;
    assert_eq!(
        (after.modified, after.collections),
        (before.modified, before.collections)
    );
    lab.put("c0", "b", "those there take more").await;
    lab.of_user(43)
        .put("one-more", "a", "others have their own")
        .await;

    lab.delete_collection("c1", true).await;
    refuses_one_more(lab).await;
    lab.delete_collection("c1", false).await;
    lab.put("one-more", "a", "x").await;
    lab.write(Change::DeleteAll).await;
    for number in 0..MAX_COLLECTIONS {
        lab.put(&format!("d{number}"), "a", "x").await;
    }
}

async fn refuses_one_more(lab: &Lab) {
    for patches in [vec![], vec![payload("a", "x")]] {
        let refused = lab.try_write(Write::new(upsert("one-more", patches))).await;
        assert!(
            matches!(refused, Err(EngineError::TooManyCollections)),
            "{refused:?}"
        );
    }
}

async fn held(lab: &Lab) -> Option<(u64, u64)> {
    lab.held("bookmarks").await.map(|held| (held.count, held.bytes))
}
