//! The write that crosses the quota passes; those that begin beyond it do not.

use super::lab::{commit, delete, part, upsert};
use super::{Lab, collection, id, payload};
use crate::command::{BatchId, BatchPart, Change, Detail, Patch, Selection, Ttl, Write};
use crate::engine::{EngineError, MAX_COLLECTIONS};
use crate::page::{Staged, Written};

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

/// A part that begins below the quota is laid aside whatever it brings; the next is refused, and the batch
/// can be committed as it is.
pub async fn a_batch_cannot_hold_more_than_the_quota(lab: &Lab) {
    lab.put("bookmarks", "a", "12").await;
    let batch = stage_within(lab, 5, None, [payload("b", "12")]).await;
    let batch = batch.expect("there is room").batch;
    let crossing = stage_within(lab, 5, Some(&batch), [payload("c", "1234567890")]).await;
    assert!(crossing.is_ok());
    for more in [vec![payload("d", "1")], vec![]] {
        let refused = stage_within(lab, 5, Some(&batch), more).await;
        assert!(matches!(
            refused,
            Err(EngineError::OverQuota { used: 14, quota: 5 })
        ));
    }
    let written = within(lab, 5, commit("bookmarks", &batch, [])).await;
    assert!(written.is_ok_and(|written| (written.bytes_before, written.bytes_after) == (2, 14)));
    let refused = stage_within(lab, 14, None, [payload("d", "1")]).await;
    assert!(matches!(
        refused,
        Err(EngineError::OverQuota { used: 14, quota: 14 })
    ));
    assert!(stage_within(lab, 15, None, [payload("d", "1")]).await.is_ok());
}

/// What has expired makes room for a part, too.
pub async fn expired_objects_make_room_for_a_part(lab: &Lab) {
    lab.put_for("tabs", "a", "12345", 1).await;
    assert!(stage_within(lab, 5, None, [payload("b", "1")]).await.is_err());
    lab.wait(1);
    assert!(stage_within(lab, 5, None, [payload("b", "1")]).await.is_ok());
}

/// Where objects and open batches fill the quota together, the batches opened first end, for a part as for a
/// write or a commit, and no more of them than must.
pub async fn batches_opened_first_make_room(lab: &Lab) {
    let mut batches = Vec::new();
    for object in ["a", "b", "c"] {
        let staged = stage_within(lab, 100, None, [payload(object, "12345")]).await;
        batches.push(staged.expect("there is room").batch);
    }
    let staged = stage_within(lab, 15, None, [payload("d", "12345")]).await;
    batches.push(staged.expect("the first makes room").batch);
    assert!(matches!(
        lab.try_commit("bookmarks", &batches[0]).await,
        Err(EngineError::NoSuchBatch)
    ));
    let written = within(lab, 15, upsert("tabs", [payload("e", "12345")])).await;
    assert!(written.is_ok_and(|written| (written.bytes_before, written.bytes_after) == (0, 5)));
    assert!(matches!(
        lab.try_commit("bookmarks", &batches[1]).await,
        Err(EngineError::NoSuchBatch)
    ));
    // The objects and the batch that is not committed fill it.
    assert!(
        within(lab, 10, commit("bookmarks", &batches[2], []))
            .await
            .is_ok()
    );
    assert!(matches!(
        lab.try_commit("bookmarks", &batches[3]).await,
        Err(EngineError::NoSuchBatch)
    ));
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["c"]);
}

/// A write that is refused ends no batch.
pub async fn a_refused_write_ends_no_batch(lab: &Lab) {
    let batch = lab.open("bookmarks", [payload("a", "12345")]).await;
    lab.put("tabs", "a", "12345").await;
    assert!(within(lab, 5, upsert("tabs", [])).await.is_err());
    assert!(stage_within(lab, 5, None, [payload("b", "1")]).await.is_err());
    for number in 1..MAX_COLLECTIONS {
        lab.upsert(&format!("c{number}"), []).await;
    }
    let refused = within(lab, 10, upsert("one-more", [])).await;
    assert!(matches!(refused, Err(EngineError::TooManyCollections)));
    lab.append("bookmarks", &batch, []).await;
}

/// Without a quota, what lies in open batches is bounded all the same.
pub async fn all_open_batches_hold_no_more_than_they_may(lab: &Lab) {
    let open = async |object: &str| {
        let mut part = part("bookmarks", None, [payload(object, "12345")]);
        (part.max_bytes, part.max_open_bytes) = (10, 12);
        lab.try_stage(part).await.expect("a batch can be opened").batch
    };
    let (first, second) = (open("a").await, open("b").await);
    let mut more = part("bookmarks", Some(&second), [payload("c", "12")]);
    (more.max_bytes, more.max_open_bytes) = (10, 12);
    lab.try_stage(more.clone()).await.expect("there is room");
    lab.append("bookmarks", &first, []).await;
    more.patches = vec![payload("d", "1")];
    lab.try_stage(more).await.expect("the other makes room");
    assert!(lab.try_commit("bookmarks", &first).await.is_err());
    lab.commit("bookmarks", &second).await;
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["b", "c", "d"]);
}

/// Objects without payload fill a store as well, once they are more than a mebibyte's worth.
pub async fn objects_without_payload_count(lab: &Lab) {
    let mut number = 0;
    let mut some = |count: u32| -> Vec<_> {
        let ids = number..number + count;
        number += count;
        ids.map(|id| payload(&id.to_string(), "")).collect()
    };
    for _ in 0..2 {
        assert!(within(lab, 1, upsert("history", some(950))).await.is_ok());
    }
    assert!(within(lab, 1, upsert("history", some(722))).await.is_ok());
    let refused = within(lab, 1, upsert("history", some(1))).await;
    assert!(matches!(refused, Err(EngineError::OverQuota { quota: 1, .. })));
    assert!(stage_within(lab, 1, None, some(1)).await.is_err());
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

async fn stage_within(
    lab: &Lab,
    quota: u64,
    batch: Option<&BatchId>,
    patches: impl Into<Vec<Patch>>,
) -> Result<Staged, EngineError> {
    let part = BatchPart {
        quota: Some(quota),
        ..part("bookmarks", batch, patches)
    };
    lab.try_stage(part).await
}

async fn within(lab: &Lab, quota: u64, change: Change) -> Result<Written, EngineError> {
    let write = Write {
        quota: Some(quota),
        ..Write::new(change)
    };
    lab.try_write(write).await
}
