//! Expiry is exact for readers.

use foxden_model::{Clock, SyncTime};

use super::{TestContext, collection, id, payload};
use crate::command::{Detail, Field, Fields, Patch, Query, Selection, Target, Ttl};
use crate::engine::EngineError;

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// An object without a TTL never expires.
pub async fn an_object_without_a_ttl_stays(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    ctx.wait(100 * 365 * 24 * 3600);
    assert_eq!(ctx.payload("bookmarks", "a").await, "one");
}

/// An object is present until its last hundredth of a second, and absent once the clock has reached its expiry.
pub async fn an_object_expires_after_its_ttl(ctx: &TestContext) {
    ctx.put_for("tabs", "a", "one", 10).await;
    ctx.clock.advance_millis(9_990);
    assert_eq!(ctx.payload("tabs", "a").await, "one");
    ctx.clock.tick();
    assert_eq!(ctx.get("tabs", "a").await, None);
    ctx.put_for("tabs", "b", "two", u32::MAX).await;
    ctx.wait(1_000_000_000);
    assert_eq!(ctx.payload("tabs", "b").await, "two");
}

/// A read of one object tells when it expires.
pub async fn a_read_of_one_object_tells_its_expiry(ctx: &TestContext) {
    ctx.put_for("tabs", "a", "one", 10).await;
    ctx.put("tabs", "b", "two").await;
    let ends = ctx.clock.now().plus_seconds(10);
    // The second time, a cache may answer.
    for _ in 0..2 {
        for (object, expiry) in [("a", Some(ends)), ("b", None), ("c", None)] {
            let page = ctx.page(&Query::one(collection("tabs"), id(object))).await;
            assert_eq!(page.expiry, expiry, "{object}");
        }
        ctx.summary(Detail::Times).await;
    }
}

/// An object with a TTL of zero is never read, but its collection exists.
pub async fn a_ttl_of_zero_expires_at_once(ctx: &TestContext) {
    let time = ctx.put_for("tabs", "a", "one", 0).await;
    assert_eq!(ctx.get("tabs", "a").await, None);
    let held = ctx.held("tabs").await.expect("the collection is listed");
    assert_eq!((held.modified, held.count, held.bytes), (time, 0, 0));
}

/// An expired object is not read, listed or counted, in any order or selection.
pub async fn an_expired_object_is_absent_for_every_reader(ctx: &TestContext) {
    let time = ctx.put_for("tabs", "a", "one", 1).await;
    ctx.put("tabs", "b", "two").await;
    ctx.wait(1);
    assert_eq!(ctx.get("tabs", "a").await, None);
    assert_eq!(ctx.ids("tabs", Selection::default()).await, ["b"]);
    let newer = Selection {
        newer: Some(time.before()),
        ..Selection::default()
    };
    assert_eq!(ctx.ids("tabs", newer).await, ["b"]);
    let both = Selection {
        ids: Some(vec![id("a"), id("b")]),
        ..Selection::default()
    };
    assert_eq!(ctx.ids("tabs", both).await, ["b"]);
    let mut query = Query::all(collection("tabs"), Fields::Ids);
    query.limit = Some(1);
    assert_eq!(ctx.page(&query).await.next, None);
    assert_eq!(
        ctx.held("tabs").await.map(|held| (held.count, held.bytes)),
        Some((1, 3))
    );
}

/// A patch of an expired object creates a new one without old fields.
pub async fn an_expired_object_is_not_revived(ctx: &TestContext) {
    let old = Patch {
        sortindex: Field::Set(1),
        parent_id: Field::Set("p".to_owned()),
        predecessor_id: Field::Set("q".to_owned()),
        ttl: Ttl::In(1),
        ..payload("a", "one")
    };
    ctx.upsert("tabs", [old]).await;
    ctx.wait(2);
    let patch = Patch {
        sortindex: Field::Set(5),
        ..Patch::empty(id("a"))
    };
    let time = ctx.upsert("tabs", [patch]).await;
    let object = ctx.get("tabs", "a").await.expect("it was made anew");
    assert_eq!((object.payload.as_str(), object.sortindex), ("", Some(5)));
    assert_eq!((object.parent_id, object.predecessor_id), (None, None));
    assert_eq!(object.modified, time);
    ctx.wait(1_000_000);
    assert!(
        ctx.get("tabs", "a").await.is_some(),
        "the new object has no expiry"
    );
    assert_eq!(
        ctx.held("tabs").await.map(|held| (held.count, held.bytes)),
        Some((1, 0))
    );
}

/// An expired object counts as absent for a guard.
pub async fn an_expired_object_matches_no_guard(ctx: &TestContext) {
    let time = ctx.put_for("tabs", "a", "one", 1).await;
    let target = Target::Object(collection("tabs"), id("a"));
    let refused = ctx.upsert_if("tabs", [], target.clone(), time.before()).await;
    assert!(matches!(refused, Err(EngineError::Stale { modified }) if modified == time));
    ctx.wait(1);
    let written = ctx
        .upsert_if("tabs", [payload("a", "two")], target, SyncTime::ZERO)
        .await;
    assert!(written.is_ok());
}

/// Deleting an expired object finds nothing to delete.
pub async fn an_expired_object_cannot_be_deleted(ctx: &TestContext) {
    let time = ctx.put_for("tabs", "a", "one", 1).await;
    ctx.wait(1);
    let deleted = ctx.delete_one("tabs", "a").await;
    assert_eq!((deleted.changed, deleted.modified), (false, time));
    assert_eq!(ctx.modified("tabs").await, time);
}

/// A patch with a TTL replaces the old one, longer or shorter.
pub async fn a_new_ttl_replaces_the_old(ctx: &TestContext) {
    ctx.put_for("tabs", "longer", "one", 5).await;
    ctx.put_for("tabs", "shorter", "one", 50).await;
    ctx.wait(1);
    for (object, seconds) in [("longer", 20), ("shorter", 2)] {
        let patch = Patch {
            ttl: Ttl::In(seconds),
            ..Patch::empty(id(object))
        };
        ctx.upsert("tabs", [patch]).await;
    }
    ctx.wait(2);
    assert_eq!(ctx.ids("tabs", Selection::default()).await, ["longer"]);
    ctx.wait(17);
    assert_eq!(ctx.payload("tabs", "longer").await, "one");
    ctx.wait(1);
    assert_eq!(ctx.get("tabs", "longer").await, None);
}

/// A patch can remove an object's expiry, with or without a payload.
pub async fn a_ttl_can_be_removed(ctx: &TestContext) {
    ctx.put_for("tabs", "a", "one", 10).await;
    ctx.put_for("tabs", "b", "one", 10).await;
    let alone = Patch {
        ttl: Ttl::Never,
        ..Patch::empty(id("a"))
    };
    let with_payload = Patch {
        ttl: Ttl::Never,
        ..payload("b", "two")
    };
    ctx.upsert("tabs", [alone, with_payload]).await;
    ctx.wait(1_000_000);
    assert_eq!(ctx.payload("tabs", "a").await, "one");
    assert_eq!(ctx.payload("tabs", "b").await, "two");
}

/// A patch without a TTL keeps the old one, even if it sets a payload.
pub async fn a_patch_without_a_ttl_keeps_the_old(ctx: &TestContext) {
    ctx.put_for("tabs", "a", "one", 10).await;
    ctx.wait(9);
    ctx.put("tabs", "a", "two").await;
    assert_eq!(ctx.payload("tabs", "a").await, "two");
    ctx.wait(1);
    assert_eq!(ctx.get("tabs", "a").await, None);
}

/// Expiry moves no time and removes no collection.
pub async fn expiry_moves_no_time(ctx: &TestContext) {
    let time = ctx.put_for("tabs", "a", "one", 1).await;
    ctx.wait(10);
    let summary = ctx.summary(Detail::Full).await;
    assert_eq!(summary.modified, time);
    assert_eq!(ctx.modified("tabs").await, time);
    assert_eq!(
        ctx.page(&Query::all(collection("tabs"), Fields::Whole))
            .await
            .modified,
        Some(time)
    );
}

/// Expiry counts from the clock, even if the write took a later time.
pub async fn ttls_count_from_the_clock_and_not_from_the_time_of_the_write(ctx: &TestContext) {
    ctx.wait(3600);
    ctx.put("tabs", "ahead", "one").await;
    ctx.wait(-3600);
    ctx.put_for("tabs", "a", "one", 10).await;
    ctx.wait(9);
    assert_eq!(ctx.payload("tabs", "a").await, "one");
    ctx.wait(1);
    assert_eq!(ctx.get("tabs", "a").await, None);
}

/// Each object of a collection expires at its own time; a TTL set in between counts from its write.
pub async fn objects_expire_one_by_one(ctx: &TestContext) {
    let short = |object: &str| Patch {
        ttl: Ttl::In(1),
        ..payload(object, "x")
    };
    let first = ctx.upsert("tabs", ["1", "2", "3", "4"].map(short)).await;
    ctx.clock.advance_millis(200);
    let longer = |object: &str| Patch {
        ttl: Ttl::In(10),
        ..Patch::empty(id(object))
    };
    let third = Patch {
        ttl: Ttl::In(10),
        ..payload("3", "xx")
    };
    let second = ctx
        .upsert("tabs", [third, longer("4"), longer("5"), longer("6")])
        .await;
    ctx.clock.advance_millis(800);
    assert_eq!(ctx.ids("tabs", Selection::default()).await, ["3", "4", "5", "6"]);
    for (object, text, modified) in [
        ("3", "xx", second),
        ("4", "x", first),
        ("5", "", second),
        ("6", "", second),
    ] {
        let object = ctx.get("tabs", object).await.expect("it lives on");
        assert_eq!((object.payload.as_str(), object.modified), (text, modified));
    }
}

/// Objects that were written while the clock was far behind stay when it is corrected: TTLs then count from the user's own
/// times.
pub async fn a_ttl_set_while_the_clock_is_far_behind_lasts(ctx: &TestContext) {
    ctx.put("tabs", "before", "one").await;
    for behind in [365 * DAY, 55 * 365 * DAY] {
        ctx.wait(-behind);
        ctx.put_for("tabs", "a", "one", 60).await;
        assert_eq!(ctx.payload("tabs", "a").await, "one");
        ctx.wait(behind + 50);
        assert_eq!(ctx.payload("tabs", "a").await, "one", "{behind} s behind");
        ctx.wait(20);
        assert_eq!(ctx.get("tabs", "a").await, None);
    }
}

/// Objects that seemed expired while the clock was ahead are present again once it is corrected.
pub async fn a_clock_set_ahead_and_back_ends_no_ttl(ctx: &TestContext) {
    ctx.put_for("tabs", "a", "one", 10).await;
    ctx.wait(400 * DAY);
    assert_eq!(ctx.get("tabs", "a").await, None);
    ctx.wait(-400 * DAY);
    assert_eq!(ctx.payload("tabs", "a").await, "one");
    ctx.wait(10);
    assert_eq!(ctx.get("tabs", "a").await, None);
}
