//! Expiry is exact for readers.

use foxden_model::{Clock, SyncTime};

use super::{Lab, collection, id, payload};
use crate::command::{Detail, Field, Fields, Patch, Query, Selection, Target, Ttl};
use crate::engine::EngineError;

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// An object that was given no life never expires.
pub async fn an_object_without_a_life_stays(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    lab.wait(100 * 365 * 24 * 3600);
    assert_eq!(lab.payload("bookmarks", "a").await, "one");
}

/// An object is there until its last hundredth, and absent once the clock has reached its expiry.
pub async fn an_object_lives_as_long_as_it_was_given(lab: &Lab) {
    lab.put_for("tabs", "a", "one", 10).await;
    lab.clock.advance_millis(9_990);
    assert_eq!(lab.payload("tabs", "a").await, "one");
    lab.clock.tick();
    assert_eq!(lab.get("tabs", "a").await, None);
    lab.put_for("tabs", "b", "two", u32::MAX).await;
    lab.wait(1_000_000_000);
    assert_eq!(lab.payload("tabs", "b").await, "two");
}

/// A read of one object tells when it expires.
pub async fn a_read_of_one_object_tells_its_expiry(lab: &Lab) {
    lab.put_for("tabs", "a", "one", 10).await;
    lab.put("tabs", "b", "two").await;
    let ends = lab.clock.now().plus_seconds(10);
    // The second time, a cache may answer.
    for _ in 0..2 {
        for (object, expiry) in [("a", Some(ends)), ("b", None), ("c", None)] {
            let page = lab.page(&Query::one(collection("tabs"), id(object))).await;
            assert_eq!(page.expiry, expiry, "{object}");
        }
        lab.summary(Detail::Times).await;
    }
}

/// An object given no seconds at all is never read, though its collection is there.
pub async fn a_life_of_nothing_ends_at_once(lab: &Lab) {
    let time = lab.put_for("tabs", "a", "one", 0).await;
    assert_eq!(lab.get("tabs", "a").await, None);
    let held = lab.held("tabs").await.expect("the collection is listed");
    assert_eq!((held.modified, held.count, held.bytes), (time, 0, 0));
}

/// An expired object is not read, listed or counted, in any order or selection.
pub async fn an_expired_object_is_absent_for_every_reader(lab: &Lab) {
    let time = lab.put_for("tabs", "a", "one", 1).await;
    lab.put("tabs", "b", "two").await;
    lab.wait(1);
    assert_eq!(lab.get("tabs", "a").await, None);
    assert_eq!(lab.ids("tabs", Selection::default()).await, ["b"]);
    let newer = Selection {
        newer: Some(time.before()),
        ..Selection::default()
    };
    assert_eq!(lab.ids("tabs", newer).await, ["b"]);
    let both = Selection {
        ids: Some(vec![id("a"), id("b")]),
        ..Selection::default()
    };
    assert_eq!(lab.ids("tabs", both).await, ["b"]);
    let mut query = Query::all(collection("tabs"), Fields::Ids);
    query.limit = Some(1);
    assert_eq!(lab.page(&query).await.next, None);
    assert_eq!(
        lab.held("tabs").await.map(|held| (held.count, held.bytes)),
        Some((1, 3))
    );
}

/// A patch of an expired object begins a new one: no old field survives.
pub async fn an_expired_object_is_not_revived(lab: &Lab) {
    let old = Patch {
        sortindex: Field::Set(1),
        parent_id: Field::Set("p".to_owned()),
        predecessor_id: Field::Set("q".to_owned()),
        ttl: Ttl::In(1),
        ..payload("a", "one")
    };
    lab.upsert("tabs", [old]).await;
    lab.wait(2);
    let patch = Patch {
        sortindex: Field::Set(5),
        ..Patch::empty(id("a"))
    };
    let time = lab.upsert("tabs", [patch]).await;
    let object = lab.get("tabs", "a").await.expect("it was made anew");
    assert_eq!((object.payload.as_str(), object.sortindex), ("", Some(5)));
    assert_eq!((object.parent_id, object.predecessor_id), (None, None));
    assert_eq!(object.modified, time);
    lab.wait(1_000_000);
    assert!(
        lab.get("tabs", "a").await.is_some(),
        "the new object has no expiry"
    );
    assert_eq!(
        lab.held("tabs").await.map(|held| (held.count, held.bytes)),
        Some((1, 0))
    );
}

/// An expired object counts as absent for a guard.
pub async fn an_expired_object_matches_no_guard(lab: &Lab) {
    let time = lab.put_for("tabs", "a", "one", 1).await;
    let target = Target::Object(collection("tabs"), id("a"));
    let refused = lab.upsert_if("tabs", [], target.clone(), time.before()).await;
    assert!(matches!(refused, Err(EngineError::Stale { modified }) if modified == time));
    lab.wait(1);
    let written = lab
        .upsert_if("tabs", [payload("a", "two")], target, SyncTime::ZERO)
        .await;
    assert!(written.is_ok());
}

/// Deleting an expired object finds nothing to delete.
pub async fn an_expired_object_cannot_be_deleted(lab: &Lab) {
    let time = lab.put_for("tabs", "a", "one", 1).await;
    lab.wait(1);
    let deleted = lab.delete_one("tabs", "a").await;
    assert_eq!((deleted.changed, deleted.modified), (false, time));
    assert_eq!(lab.modified("tabs").await, time);
}

/// A patch that gives a life replaces the old one, to be longer or shorter.
pub async fn a_new_life_replaces_the_old(lab: &Lab) {
    lab.put_for("tabs", "longer", "one", 5).await;
    lab.put_for("tabs", "shorter", "one", 50).await;
    lab.wait(1);
    for (object, seconds) in [("longer", 20), ("shorter", 2)] {
        let patch = Patch {
            ttl: Ttl::In(seconds),
            ..Patch::empty(id(object))
        };
        lab.upsert("tabs", [patch]).await;
    }
    lab.wait(2);
    assert_eq!(lab.ids("tabs", Selection::default()).await, ["longer"]);
    lab.wait(17);
    assert_eq!(lab.payload("tabs", "longer").await, "one");
    lab.wait(1);
    assert_eq!(lab.get("tabs", "longer").await, None);
}

/// A patch can take an object's expiry away, with a payload or alone.
pub async fn a_life_can_be_made_endless(lab: &Lab) {
    lab.put_for("tabs", "a", "one", 10).await;
    lab.put_for("tabs", "b", "one", 10).await;
    let alone = Patch {
        ttl: Ttl::Never,
        ..Patch::empty(id("a"))
    };
    let with_payload = Patch {
        ttl: Ttl::Never,
        ..payload("b", "two")
    };
    lab.upsert("tabs", [alone, with_payload]).await;
    lab.wait(1_000_000);
    assert_eq!(lab.payload("tabs", "a").await, "one");
    assert_eq!(lab.payload("tabs", "b").await, "two");
}

/// A patch that gives no life keeps the old one, even when it gives a payload.
pub async fn a_patch_without_a_life_keeps_the_old(lab: &Lab) {
    lab.put_for("tabs", "a", "one", 10).await;
    lab.wait(9);
    lab.put("tabs", "a", "two").await;
    assert_eq!(lab.payload("tabs", "a").await, "two");
    lab.wait(1);
    assert_eq!(lab.get("tabs", "a").await, None);
}

/// No time moves because something expired, and no collection vanishes.
pub async fn expiry_moves_no_time(lab: &Lab) {
    let time = lab.put_for("tabs", "a", "one", 1).await;
    lab.wait(10);
    let summary = lab.summary(Detail::Full).await;
    assert_eq!(summary.modified, time);
    assert_eq!(lab.modified("tabs").await, time);
    assert_eq!(
        lab.page(&Query::all(collection("tabs"), Fields::Whole))
            .await
            .modified,
        Some(time)
    );
}

/// Expiry counts from the clock, even where the write got a later time.
pub async fn lives_count_from_the_clock_and_not_from_the_time_given(lab: &Lab) {
    lab.wait(3600);
    lab.put("tabs", "ahead", "one").await;
    lab.wait(-3600);
    lab.put_for("tabs", "a", "one", 10).await;
    lab.wait(9);
    assert_eq!(lab.payload("tabs", "a").await, "one");
    lab.wait(1);
    assert_eq!(lab.get("tabs", "a").await, None);
}

/// Objects of one collection expire each at its own time; lives renewed in between count anew.
pub async fn several_lives_end_one_by_one(lab: &Lab) {
    let short = |object: &str| Patch {
        ttl: Ttl::In(1),
        ..payload(object, "x")
    };
    let first = lab.upsert("tabs", ["1", "2", "3", "4"].map(short)).await;
    lab.clock.advance_millis(200);
    let longer = |object: &str| Patch {
        ttl: Ttl::In(10),
        ..Patch::empty(id(object))
    };
    let third = Patch {
        ttl: Ttl::In(10),
        ..payload("3", "xx")
    };
    let second = lab
        .upsert("tabs", [third, longer("4"), longer("5"), longer("6")])
        .await;
    lab.clock.advance_millis(800);
    assert_eq!(lab.ids("tabs", Selection::default()).await, ["3", "4", "5", "6"]);
    for (object, text, modified) in [
        ("3", "xx", second),
        ("4", "x", first),
        ("5", "", second),
        ("6", "", second),
    ] {
        let object = lab.get("tabs", object).await.expect("it lives on");
        assert_eq!((object.payload.as_str(), object.modified), (text, modified));
    }
}

/// What was written while the clock was far behind lives on when it is put right: lives count from the user's own times
/// then.
pub async fn a_life_given_far_behind_the_clock_lasts(lab: &Lab) {
    lab.put("tabs", "before", "one").await;
    for behind in [365 * DAY, 55 * 365 * DAY] {
        lab.wait(-behind);
        lab.put_for("tabs", "a", "one", 60).await;
        assert_eq!(lab.payload("tabs", "a").await, "one");
        lab.wait(behind + 50);
        assert_eq!(lab.payload("tabs", "a").await, "one", "{behind} s behind");
        lab.wait(20);
        assert_eq!(lab.get("tabs", "a").await, None);
    }
}

/// What seemed to have expired while the clock was ahead is there again once it is put right.
pub async fn a_clock_set_ahead_and_back_ends_no_life(lab: &Lab) {
    lab.put_for("tabs", "a", "one", 10).await;
    lab.wait(400 * DAY);
    assert_eq!(lab.get("tabs", "a").await, None);
    lab.wait(-400 * DAY);
    assert_eq!(lab.payload("tabs", "a").await, "one");
    lab.wait(10);
    assert_eq!(lab.get("tabs", "a").await, None);
}
