//! Times rise per user, and a read says as of when it speaks.

use foxden_model::{Clock, SyncTime};

use super::lab::upsert;
use super::{Lab, collection, payload};
use crate::command::{Change, Detail, Fields, Query, Write};

/// A write gets the time that the clock shows.
pub async fn a_write_takes_the_clocks_time(lab: &Lab) {
    assert_eq!(lab.put("bookmarks", "a", "one").await, lab.clock.now());
    lab.wait(5);
    assert_eq!(lab.put("bookmarks", "a", "two").await, lab.clock.now());
    assert_eq!(lab.modified("bookmarks").await, lab.clock.now());
}

/// While the clock stands, each write gets the next hundredth.
pub async fn writes_within_a_hundredth_have_rising_times(lab: &Lab) {
    let first = lab.put("bookmarks", "a", "one").await;
    let second = lab.put("bookmarks", "b", "two").await;
    let third = lab.put("bookmarks", "a", "three").await;
    assert_eq!([second, third], [first.next(), first.next().next()]);
}

/// A write takes no earlier time than it allows, and the next one a later time than that.
pub async fn a_write_takes_no_time_before_the_earliest_allowed(lab: &Lab) {
    let not_before = lab.clock.now().plus_seconds(100);
    let write = Write {
        not_before,
        ..Write::new(upsert("bookmarks", [payload("a", "one")]))
    };
    let written = lab.try_write(write).await.expect("the write is allowed");
    assert_eq!(written.modified, not_before);
    assert_eq!(lab.put("bookmarks", "b", "two").await, not_before.next());
}

/// The collections of one user share one order of times.
pub async fn times_rise_across_collections(lab: &Lab) {
    let first = lab.put("bookmarks", "a", "one").await;
    let second = lab.put("history", "a", "two").await;
    assert_eq!(second, first.next());
}

/// After a jump ahead and back, times go on by hundredths until the clock has caught up.
pub async fn times_rise_when_the_clock_slips_back(lab: &Lab) {
    lab.wait(3600);
    let ahead = lab.put("bookmarks", "a", "one").await;
    lab.wait(-3600);
    assert_eq!(lab.put("bookmarks", "a", "two").await, ahead.next());
    assert_eq!(lab.put("tabs", "a", "three").await, ahead.next().next());
    lab.wait(3601);
    assert_eq!(lab.put("bookmarks", "a", "four").await, lab.clock.now());
}

/// Deletions take a time like any write.
pub async fn times_rise_over_deletions(lab: &Lab) {
    let first = lab.put("bookmarks", "a", "one").await;
    lab.put("history", "a", "one").await;
    let object = lab.delete_one("bookmarks", "a").await.modified;
    let whole = lab.delete_collection("bookmarks", false).await.modified;
    let again = lab.put("bookmarks", "a", "two").await;
    assert!(first < object && object < whole && whole < again);
}

/// An emptied store remembers the highest time it gave out.
pub async fn times_rise_over_an_emptied_store(lab: &Lab) {
    lab.wait(60);
    let before = lab.put("bookmarks", "a", "one").await;
    lab.wait(-60);
    let emptied = lab.write(Change::DeleteAll).await.modified;
    let after = lab.put("bookmarks", "a", "two").await;
    assert_eq!([emptied, after], [before.next(), before.next().next()]);
    assert_eq!(lab.store_time().await, after);
}

/// The store's time is that of the last write, whatever it did.
pub async fn the_stores_time_is_the_highest_given(lab: &Lab) {
    assert_eq!(lab.store_time().await, SyncTime::ZERO);
    let put = lab.put("bookmarks", "a", "one").await;
    assert_eq!(lab.store_time().await, put);
    let gone = lab.delete_collection("bookmarks", false).await;
    assert_eq!(lab.store_time().await, gone.modified);
    let emptied = lab.write(Change::DeleteAll).await;
    assert!(emptied.changed);
    assert_eq!(lab.store_time().await, emptied.modified);
}

/// A write leaves the time of other collections alone.
pub async fn a_write_changes_only_its_collections_time(lab: &Lab) {
    let bookmarks = lab.put("bookmarks", "a", "one").await;
    lab.wait(1);
    let history = lab.put("history", "a", "one").await;
    assert_eq!(lab.modified("bookmarks").await, bookmarks);
    assert_eq!(lab.modified("history").await, history);
}

/// What a read has not seen has a later time than the read's *as of*.
pub async fn what_a_read_has_not_seen_comes_later_than_its_as_of(lab: &Lab) {
    for _ in 0..3 {
        let summary = lab.summary(Detail::Times).await;
        let page = lab
            .page(&Query::all(collection("bookmarks"), Fields::Whole))
            .await;
        let later = lab.put("bookmarks", "a", "one").await;
        assert!(later > summary.as_of && later > page.as_of);
        lab.clock.tick();
    }
}

/// A read that has seen a write speaks as of its time or a later one.
pub async fn as_of_covers_what_was_seen(lab: &Lab) {
    lab.wait(3600);
    let ahead = lab.put("bookmarks", "a", "one").await;
    lab.wait(-3600);
    assert!(lab.summary(Detail::Times).await.as_of >= ahead);
    assert!(
        lab.page(&Query::all(collection("bookmarks"), Fields::Whole))
            .await
            .as_of
            >= ahead
    );
    assert!(
        lab.page(&Query::all(collection("missing"), Fields::Whole))
            .await
            .as_of
            >= ahead
    );
}

/// A read of a quiet store speaks of a time within ten seconds before the clock.
pub async fn as_of_keeps_near_the_clock(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    lab.wait(1000);
    let now = lab.clock.now();
    let page = lab
        .page(&Query::all(collection("bookmarks"), Fields::Whole))
        .await;
    for as_of in [lab.summary(Detail::Full).await.as_of, page.as_of] {
        assert!(as_of < now && as_of >= now.plus_seconds(-10), "{as_of} at {now}");
    }
    let stranger = lab.of_user(43).summary(Detail::Times).await.as_of;
    assert!(
        stranger < now && stranger >= now.plus_seconds(-10),
        "{stranger} at {now}"
    );
}

/// Even if the clock slips back between a read and a write, the write comes later than the read's *as of*.
pub async fn a_clock_that_slips_back_hides_no_write(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    lab.wait(100);
    let seen = lab.summary(Detail::Times).await.as_of;
    lab.wait(-50);
    let written = lab.put("bookmarks", "a", "two").await;
    assert!(written > seen, "{written} after a read as of {seen}");
}

/// Laying a part aside gives out no time.
pub async fn staging_moves_no_time(lab: &Lab) {
    let before = lab.put("bookmarks", "a", "one").await;
    lab.wait(1);
    lab.open("bookmarks", [payload("b", "two")]).await;
    lab.open("history", [payload("b", "two")]).await;
    assert_eq!(lab.store_time().await, before);
    assert_eq!(lab.modified("bookmarks").await, before);
    assert_eq!(lab.modified("history").await, SyncTime::ZERO);
}
