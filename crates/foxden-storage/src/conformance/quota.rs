//! The write that crosses the quota passes; those that begin beyond it do not.

use super::lab::{commit, delete, upsert};
use super::{Lab, collection, id, payload};
use crate::command::{Change, Detail, Patch, Selection, Ttl, Write};
use crate::engine::EngineError;
use crate::page::Written;

/// A write that begins below the quota passes whatever it brings; the next is refused.
pub async fn a_write_may_cross_the_quota_but_not_begin_beyond_it(lab: &Lab) {
    let crossing = within(lab, 10, upsert("bookmarks", [payload("a", &"x".repeat(100))])).await;
    assert!(crossing.is_ok_and(|written| written.bytes_after == 100));
    for change in [
        upsert("bookmarks", [payload("b", "y")]),
        upsert("bookmarks", [payload("a", "")]),
        upsert("bookmarks", []),
    ] {
        let refused = within(lab, 100, change).await;
        assert!(matches!(
            refused,
            Err(EngineError::OverQuota {
                used: 100,
                quota: 100
            })
        ));
    }
    assert!(
        within(lab, 101, upsert("bookmarks", [payload("b", "y")]))
            .await
            .is_ok()
    );
    let nothing_allowed = within(&lab.of_user(43), 0, upsert("bookmarks", [])).await;
    assert!(matches!(
        nothing_allowed,
        Err(EngineError::OverQuota { used: 0, quota: 0 })
    ));
}

/// Deletions of every kind pass beyond the quota.
pub async fn deletions_pass_beyond_the_quota(lab: &Lab) {
    let only_a = Selection {
        ids: Some(vec![id("a")]),
        ..Selection::default()
    };
    for change in [
        delete("bookmarks", only_a, true),
        Change::DeleteCollection {
            collection: collection("bookmarks"),
            keeps_name: true,
        },
        Change::DeleteAll,
    ] {
        lab.upsert("bookmarks", ["a", "b"].map(|object| payload(object, "123456")))
            .await;
        assert!(
            within(lab, 1, change.clone())
                .await
                .is_ok_and(|written| written.changed),
            "{change:?}"
        );
    }
}

/// What has expired is cleared away before a write is refused; clearing moves no time but the write's own.
pub async fn expired_objects_do_not_count(lab: &Lab) {
    let time = lab.put_for("tabs", "a", &"x".repeat(100), 1).await;
    let refused = within(lab, 100, upsert("bookmarks", [payload("a", "y")])).await;
    assert!(matches!(refused, Err(EngineError::OverQuota { used: 100, .. })));
    lab.wait(1);
    let written = within(lab, 100, upsert("bookmarks", [payload("a", "y")])).await;
    assert!(written.is_ok_and(|written| (written.bytes_before, written.bytes_after) == (0, 1)));
    assert_eq!(lab.modified("tabs").await, time);
    let held = lab.held("tabs").await.map(|held| (held.count, held.bytes));
    assert_eq!(held, Some((0, 0)));

    let half = Patch {
        ttl: Ttl::In(1),
        ..payload("b", "12345")
    };
    lab.upsert("bookmarks", [half, payload("c", "12345")]).await;
    lab.wait(1);
    let refused = within(lab, 6, upsert("bookmarks", [])).await;
    assert!(matches!(refused, Err(EngineError::OverQuota { used: 6, .. })));
}

/// A quota is each user's own.
pub async fn other_users_do_not_count(lab: &Lab) {
    lab.of_user(43).put("bookmarks", "a", "123456").await;
    assert!(
        within(lab, 1, upsert("bookmarks", [payload("a", "x")]))
            .await
            .is_ok()
    );
}

/// What is staged counts only once it is committed, and a commit is a write like any.
pub async fn staged_objects_do_not_count(lab: &Lab) {
    let batch = lab.open("bookmarks", [payload("a", "1234567890")]).await;
    assert!(
        within(lab, 5, upsert("bookmarks", [payload("b", "12345")]))
            .await
            .is_ok()
    );
    let refused = within(lab, 5, commit("bookmarks", &batch, [])).await;
    assert!(matches!(
        refused,
        Err(EngineError::OverQuota { used: 5, quota: 5 })
    ));
    let written = within(lab, 6, commit("bookmarks", &batch, [])).await;
    assert!(written.is_ok_and(|written| (written.bytes_before, written.bytes_after) == (5, 15)));
}

/// A write refused by the quota changes nothing, not even a time.
pub async fn a_refused_write_leaves_no_trace(lab: &Lab) {
    lab.put("bookmarks", "a", "123456").await;
    let before = lab.summary(Detail::Full).await;
    lab.wait(1);
    assert!(
        within(lab, 6, upsert("bookmarks", [payload("a", "x")]))
            .await
            .is_err()
    );
    assert!(
        within(lab, 6, upsert("history", [payload("a", "x")]))
            .await
            .is_err()
    );
    let after = lab.summary(Detail::Full).await;
    assert_eq!(
        (after.modified, after.collections),
        (before.modified, before.collections)
    );
    assert_eq!(lab.payload("bookmarks", "a").await, "123456");
}

async fn within(lab: &Lab, quota: u64, change: Change) -> Result<Written, EngineError> {
    let write = Write {
        quota: Some(quota),
        ..Write::new(change)
    };
    lab.try_write(write).await
}
