//! Times rise per user, and reads return their *as of*.

use foxden_model::{Clock, SyncTime};

use super::context::upsert;
use super::{TestContext, collection, payload};
use crate::command::{Change, Detail, Fields, Query, Write};

/// A write takes the time of the clock.
pub async fn a_write_takes_the_clocks_time(ctx: &TestContext) {
    assert_eq!(ctx.put("bookmarks", "a", "one").await, ctx.clock.now());
    ctx.wait(5);
    assert_eq!(ctx.put("bookmarks", "a", "two").await, ctx.clock.now());
    assert_eq!(ctx.modified("bookmarks").await, ctx.clock.now());
}

/// While the clock stands still, each write takes the next hundredth of a second.
pub async fn writes_within_a_hundredth_have_rising_times(ctx: &TestContext) {
    let first = ctx.put("bookmarks", "a", "one").await;
    let second = ctx.put("bookmarks", "b", "two").await;
    let third = ctx.put("bookmarks", "a", "three").await;
    assert_eq!([second, third], [first.next(), first.next().next()]);
}

/// A write takes no earlier time than it allows, and the next one a later time than that.
pub async fn a_write_takes_no_time_before_the_earliest_allowed(ctx: &TestContext) {
    let not_before = ctx.clock.now().plus_seconds(100);
    let write = Write {
        not_before,
        ..Write::new(upsert("bookmarks", [payload("a", "one")]))
    };
    let written = ctx.try_write(write).await.expect("the write is allowed");
    assert_eq!(written.modified, not_before);
    assert_eq!(ctx.put("bookmarks", "b", "two").await, not_before.next());
}

/// The collections of one user share one order of times.
pub async fn times_rise_across_collections(ctx: &TestContext) {
    let first = ctx.put("bookmarks", "a", "one").await;
    let second = ctx.put("history", "a", "two").await;
    assert_eq!(second, first.next());
}

/// After a jump ahead and back, times rise by hundredths until the clock has caught up.
pub async fn times_rise_when_the_clock_slips_back(ctx: &TestContext) {
    ctx.wait(3600);
    let ahead = ctx.put("bookmarks", "a", "one").await;
    ctx.wait(-3600);
    assert_eq!(ctx.put("bookmarks", "a", "two").await, ahead.next());
    assert_eq!(ctx.put("tabs", "a", "three").await, ahead.next().next());
    ctx.wait(3601);
    assert_eq!(ctx.put("bookmarks", "a", "four").await, ctx.clock.now());
}

/// Deletions take a time like other writes.
pub async fn times_rise_over_deletions(ctx: &TestContext) {
    let first = ctx.put("bookmarks", "a", "one").await;
    ctx.put("history", "a", "one").await;
    let object = ctx.delete_one("bookmarks", "a").await.modified;
    let whole = ctx.delete_collection("bookmarks", false).await.modified;
    let again = ctx.put("bookmarks", "a", "two").await;
    assert!(first < object && object < whole && whole < again);
}

/// An emptied store keeps its highest time.
pub async fn times_rise_over_an_emptied_store(ctx: &TestContext) {
    ctx.wait(60);
    let before = ctx.put("bookmarks", "a", "one").await;
    ctx.wait(-60);
    let emptied = ctx.write(Change::DeleteAll).await.modified;
    let after = ctx.put("bookmarks", "a", "two").await;
    assert_eq!([emptied, after], [before.next(), before.next().next()]);
    assert_eq!(ctx.store_time().await, after);
}

/// The store's time is that of the last write of any kind.
pub async fn the_stores_time_is_the_highest_given(ctx: &TestContext) {
    assert_eq!(ctx.store_time().await, SyncTime::ZERO);
    let put = ctx.put("bookmarks", "a", "one").await;
    assert_eq!(ctx.store_time().await, put);
    let gone = ctx.delete_collection("bookmarks", false).await;
    assert_eq!(ctx.store_time().await, gone.modified);
    let emptied = ctx.write(Change::DeleteAll).await;
    assert!(emptied.changed);
    assert_eq!(ctx.store_time().await, emptied.modified);
}

/// A write leaves the time of other collections alone.
pub async fn a_write_changes_only_its_collections_time(ctx: &TestContext) {
    let bookmarks = ctx.put("bookmarks", "a", "one").await;
    ctx.wait(1);
    let history = ctx.put("history", "a", "one").await;
    assert_eq!(ctx.modified("bookmarks").await, bookmarks);
    assert_eq!(ctx.modified("history").await, history);
}

/// A write that a read has not seen has a later time than the read's *as of*.
pub async fn unseen_writes_are_later_than_the_as_of_of_a_read(ctx: &TestContext) {
    for _ in 0..3 {
        let summary = ctx.summary(Detail::Times).await;
        let page = ctx
            .page(&Query::all(collection("bookmarks"), Fields::Whole))
            .await;
        let later = ctx.put("bookmarks", "a", "one").await;
        assert!(later > summary.as_of && later > page.as_of);
        ctx.clock.tick();
    }
}

/// The *as of* of a read is not before the writes that it has seen.
pub async fn as_of_is_not_before_a_seen_write(ctx: &TestContext) {
    ctx.wait(3600);
    let ahead = ctx.put("bookmarks", "a", "one").await;
    ctx.wait(-3600);
    assert!(ctx.summary(Detail::Times).await.as_of >= ahead);
    assert!(
        ctx.page(&Query::all(collection("bookmarks"), Fields::Whole))
            .await
            .as_of
            >= ahead
    );
    assert!(
        ctx.page(&Query::all(collection("missing"), Fields::Whole))
            .await
            .as_of
            >= ahead
    );
}

/// Without writes, the *as of* of a read is within ten seconds before the clock.
pub async fn as_of_keeps_near_the_clock(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    ctx.wait(1000);
    let now = ctx.clock.now();
    let page = ctx
        .page(&Query::all(collection("bookmarks"), Fields::Whole))
        .await;
    for as_of in [ctx.summary(Detail::Full).await.as_of, page.as_of] {
        assert!(as_of < now && as_of >= now.plus_seconds(-10), "{as_of} at {now}");
    }
    let other_user = ctx.of_user(43).summary(Detail::Times).await.as_of;
    assert!(
        other_user < now && other_user >= now.plus_seconds(-10),
        "{other_user} at {now}"
    );
}

/// Even if the clock slips back between a read and a write, the write takes a later time than the read's *as of*.
pub async fn a_clock_that_slips_back_hides_no_write(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "one").await;
    ctx.wait(100);
    let seen = ctx.summary(Detail::Times).await.as_of;
    ctx.wait(-50);
    let written = ctx.put("bookmarks", "a", "two").await;
    assert!(written > seen, "{written} after a read as of {seen}");
}

/// Staging a part takes no time.
pub async fn staging_moves_no_time(ctx: &TestContext) {
    let before = ctx.put("bookmarks", "a", "one").await;
    ctx.wait(1);
    ctx.open("bookmarks", [payload("b", "two")]).await;
    ctx.open("history", [payload("b", "two")]).await;
    assert_eq!(ctx.store_time().await, before);
    assert_eq!(ctx.modified("bookmarks").await, before);
    assert_eq!(ctx.modified("history").await, SyncTime::ZERO);
}
