//! Uploads in several requests: unseen until committed, then all there at one time.

use super::lab::{commit, commit_within, part};
use super::{Lab, collection, id, payload, sorted};
use crate::command::{
    BatchId, BatchPart, Change, Detail, Field, Guard, Patch, Selection, Target, Ttl, Write,
};
use crate::engine::{BATCH_SECONDS, EngineError, Excess, MAX_COLLECTIONS, OPEN_BATCHES};

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// Nothing of a batch is read, listed or counted before its commit, and everything after it.
pub async fn a_batch_is_unseen_until_committed(lab: &Lab) {
    let time = lab.put("bookmarks", "a", "old").await;
    let before = lab.summary(Detail::Full).await;
    let staged = lab
        .try_stage(part(
            "bookmarks",
            None,
            [payload("a", "new"), payload("b", "new")],
        ))
        .await;
    let staged = staged.expect("a batch can be opened");
    assert_eq!(staged.modified, time);
    lab.append("bookmarks", &staged.batch, [payload("c", "new")])
        .await;
    let after = lab.summary(Detail::Full).await;
    assert_eq!(
        (before.modified, before.collections),
        (after.modified, after.collections)
    );
    assert_eq!(lab.payload("bookmarks", "a").await, "old");
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a"]);

    lab.commit("bookmarks", &staged.batch).await;
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a", "b", "c"]);
    assert_eq!(lab.payload("bookmarks", "a").await, "new");
}

/// All objects of a batch have the time of its commit, and so has the collection.
pub async fn all_objects_of_a_batch_get_one_time(lab: &Lab) {
    let batch = lab.open("bookmarks", [payload("a", "1")]).await;
    lab.wait(1);
    lab.append("bookmarks", &batch, [payload("b", "2")]).await;
    lab.wait(1);
    let written = lab.write(commit("bookmarks", &batch, [payload("c", "3")])).await;
    assert!(written.changed);
    for object in ["a", "b", "c"] {
        let modified = lab.get("bookmarks", object).await.map(|object| object.modified);
        assert_eq!(modified, Some(written.modified), "{object}");
    }
    assert_eq!(lab.modified("bookmarks").await, written.modified);
    assert_eq!(lab.store_time().await, written.modified);
}

/// A later part is laid over an earlier one, field by field.
pub async fn parts_count_in_the_order_they_came(lab: &Lab) {
    let index = Patch {
        sortindex: Field::Set(5),
        ..Patch::empty(id("a"))
    };
    let batch = lab
        .open("bookmarks", [payload("a", "first"), payload("b", "first")])
        .await;
    lab.append("bookmarks", &batch, [index]).await;
    for number in 0..12 {
        lab.append("bookmarks", &batch, [payload("b", &number.to_string())])
            .await;
    }
    lab.commit("bookmarks", &batch).await;
    let a = lab.get("bookmarks", "a").await.expect("it was committed");
    assert_eq!((a.payload.as_str(), a.sortindex), ("first", Some(5)));
    assert_eq!(lab.payload("bookmarks", "b").await, "11");
}

/// What the committing request brings is laid over last.
pub async fn the_commits_own_patches_count_last(lab: &Lab) {
    let batch = lab
        .open("bookmarks", [payload("a", "staged"), payload("b", "staged")])
        .await;
    lab.write(commit(
        "bookmarks",
        &batch,
        [payload("a", "committed"), payload("c", "committed")],
    ))
    .await;
    assert_eq!(lab.payload("bookmarks", "a").await, "committed");
    assert_eq!(lab.payload("bookmarks", "b").await, "staged");
    assert_eq!(lab.payload("bookmarks", "c").await, "committed");
}

/// Fields that no part gives keep what is stored; objects no part names keep their time.
pub async fn a_patch_in_a_batch_keeps_what_is_stored(lab: &Lab) {
    let untouched = lab.put_at("bookmarks", "untouched", 1).await;
    lab.put_at("bookmarks", "payload", 17).await;
    let quiet = lab.put_at("bookmarks", "quiet", 18).await;
    lab.wait(1);
    let longer = Patch {
        ttl: Ttl::In(2),
        ..Patch::empty(id("quiet"))
    };
    let batch = lab.open("bookmarks", [payload("payload", "new"), longer]).await;
    let time = lab.commit("bookmarks", &batch).await;
    let object = lab.get("bookmarks", "payload").await.expect("it is there");
    assert_eq!(
        (object.payload.as_str(), object.sortindex, object.modified),
        ("new", Some(17), time)
    );
    let object = lab.get("bookmarks", "quiet").await.expect("it is there");
    assert_eq!(
        (object.payload.as_str(), object.sortindex, object.modified),
        ("quiet", Some(18), quiet)
    );
    let object = lab.get("bookmarks", "untouched").await.expect("it is there");
    assert_eq!(object.modified, untouched);
    lab.wait(2);
    assert_eq!(
        lab.ids("bookmarks", Selection::default()).await,
        ["payload", "untouched"]
    );
}

/// A life given in a batch begins with the commit.
pub async fn lives_count_from_the_commit(lab: &Lab) {
    let patch = Patch {
        ttl: Ttl::In(3),
        ..payload("a", "one")
    };
    let batch = lab.open("tabs", [patch]).await;
    lab.wait(60);
    lab.commit("tabs", &batch).await;
    lab.clock.advance_millis(2_990);
    assert_eq!(lab.payload("tabs", "a").await, "one");
    lab.clock.tick();
    assert_eq!(lab.get("tabs", "a").await, None);
}

/// A committed batch cannot be committed or appended to again.
pub async fn a_batch_ends_with_its_commit(lab: &Lab) {
    let batch = lab.open("bookmarks", [payload("a", "one")]).await;
    let time = lab.commit("bookmarks", &batch).await;
    lab.put("bookmarks", "a", "two").await;
    assert!(matches!(
        lab.try_commit("bookmarks", &batch).await,
        Err(EngineError::NoSuchBatch)
    ));
    let appended = lab
        .try_stage(part("bookmarks", Some(&batch), [payload("b", "two")]))
        .await;
    assert!(matches!(appended, Err(EngineError::NoSuchBatch)));
    assert_eq!(lab.payload("bookmarks", "a").await, "two");
    assert_eq!(lab.store_time().await, time.next());
}

/// A commit refused by its guard leaves the batch open and everything else as it was.
pub async fn a_refused_commit_leaves_the_batch_open(lab: &Lab) {
    let time = lab.put("bookmarks", "a", "one").await;
    let batch = lab.open("bookmarks", [payload("a", "staged")]).await;
    lab.put("bookmarks", "b", "somebody else's").await;
    let guard = Guard {
        target: Target::Collection(collection("bookmarks")),
        unmodified_since: time,
    };
    let write = Write::new(commit("bookmarks", &batch, [payload("c", "x")])).guarded_by(Some(guard));
    assert!(matches!(
        lab.try_write(write).await,
        Err(EngineError::Stale { .. })
    ));
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a", "b"]);
    assert_eq!(lab.payload("bookmarks", "a").await, "one");
    lab.commit("bookmarks", &batch).await;
    assert_eq!(lab.payload("bookmarks", "a").await, "staged");
    assert_eq!(lab.get("bookmarks", "c").await, None);
}

/// So does a commit refused because it would make one collection too many.
pub async fn a_commit_of_one_collection_too_many_leaves_the_batch_open(lab: &Lab) {
    let batch = lab.open("one-more", [payload("a", "one")]).await;
    for number in 0..MAX_COLLECTIONS {
        lab.upsert(&format!("c{number}"), []).await;
    }
    let time = lab.store_time().await;
    let refused = lab.try_commit("one-more", &batch).await;
    assert!(matches!(refused, Err(EngineError::TooManyCollections)));
    assert_eq!(lab.store_time().await, time);
    lab.delete_collection("c0", false).await;
    lab.commit("one-more", &batch).await;
    assert_eq!(lab.payload("one-more", "a").await, "one");
}

/// A batch can be used until two hours after it was opened, however late its last part came.
pub async fn a_batch_lives_two_hours_from_its_opening(lab: &Lab) {
    let kept = lab.open("bookmarks", [payload("a", "one")]).await;
    let lost = lab.open("bookmarks", [payload("b", "one")]).await;
    lab.wait(BATCH_SECONDS - 1);
    lab.append("bookmarks", &lost, [payload("c", "one")]).await;
    lab.commit("bookmarks", &kept).await;
    lab.wait(2);
    assert!(matches!(
        lab.try_commit("bookmarks", &lost).await,
        Err(EngineError::NoSuchBatch)
    ));
    let appended = lab.try_stage(part("bookmarks", Some(&lost), [])).await;
    assert!(matches!(appended, Err(EngineError::NoSuchBatch)));
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a"]);
}

/// A batch is known only to the user and for the collection it was opened by.
pub async fn a_batch_belongs_to_its_user_and_collection(lab: &Lab) {
    let batch = lab.open("bookmarks", [payload("a", "one")]).await;
    let stranger = lab.of_user(43);
    for (lab, name) in [(lab, "history"), (&stranger, "bookmarks")] {
        assert!(matches!(
            lab.try_commit(name, &batch).await,
            Err(EngineError::NoSuchBatch)
        ));
        let appended = lab.try_stage(part(name, Some(&batch), [])).await;
        assert!(matches!(appended, Err(EngineError::NoSuchBatch)));
    }
    for nobodys in ["", "0", "1", "true", "nope", "'", "ä", "\0"] {
        let nobodys = BatchId(nobodys.into());
        assert!(matches!(
            lab.try_commit("bookmarks", &nobodys).await,
            Err(EngineError::NoSuchBatch)
        ));
    }
    assert!(stranger.summary(Detail::Full).await.collections.is_empty());
    lab.commit("bookmarks", &batch).await;
    assert_eq!(lab.payload("bookmarks", "a").await, "one");
}

/// A part that would pass the objects or bytes of a batch is refused as a whole; the batch stays usable.
pub async fn a_part_too_large_is_refused_as_a_whole(lab: &Lab) {
    let batch = lab
        .open("bookmarks", [payload("a", "123"), payload("b", "123")])
        .await;
    let mut many = part("bookmarks", Some(&batch), [payload("c", "1"), payload("d", "1")]);
    many.max_objects = 3;
    assert!(matches!(
        lab.try_stage(many).await,
        Err(EngineError::TooLarge(Excess::Objects))
    ));
    let mut much = part(
        "bookmarks",
        Some(&batch),
        [payload("e", ""), payload("f", "12345")],
    );
    much.max_bytes = 10;
    assert!(matches!(
        lab.try_stage(much).await,
        Err(EngineError::TooLarge(Excess::Bytes))
    ));
    let mut opening = part("bookmarks", None, [payload("g", "1"), payload("h", "1")]);
    opening.max_objects = 1;
    assert!(matches!(
        lab.try_stage(opening).await,
        Err(EngineError::TooLarge(Excess::Objects))
    ));

    lab.append("bookmarks", &batch, [payload("i", "1")]).await;
    lab.commit("bookmarks", &batch).await;
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a", "b", "i"]);
}

/// A part that fills a batch exactly is taken, patches of one object counting each.
pub async fn a_full_batch_can_be_committed(lab: &Lab) {
    let mut first = part("bookmarks", None, [payload("a", "123"), payload("a", "45")]);
    first.max_objects = 3;
    first.max_bytes = 6;
    let batch = lab
        .try_stage(first.clone())
        .await
        .expect("a batch can be opened")
        .batch;
    let mut second = first;
    second.batch = Some(batch.clone());
    second.patches = vec![payload("b", "6")];
    assert!(lab.try_stage(second.clone()).await.is_ok());
    second.patches = vec![Patch::empty(id("c"))];
    let refused = lab.try_stage(second.clone()).await;
    assert!(matches!(refused, Err(EngineError::TooLarge(Excess::Objects))));
    second.patches.clear();
    assert!(lab.try_stage(second).await.is_ok());
    lab.commit("bookmarks", &batch).await;
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a", "b"]);
    assert_eq!(lab.payload("bookmarks", "a").await, "45");
}

/// A commit whose own patches would pass the objects or bytes of the batch changes nothing, and the batch
/// can be committed without them.
pub async fn a_commit_too_large_is_refused_and_leaves_the_batch_open(lab: &Lab) {
    let time = lab.put("bookmarks", "a", "old").await;
    let batch = lab
        .open("bookmarks", [payload("a", "123"), payload("b", "123")])
        .await;
    let own = [payload("c", "1"), payload("d", "2")];
    for (most, excess) in [((3, 100), Excess::Objects), ((10, 7), Excess::Bytes)] {
        let refused = lab
            .try_write(Write::new(commit_within("bookmarks", &batch, own.clone(), most)))
            .await;
        assert!(
            matches!(refused, Err(EngineError::TooLarge(found)) if found == excess),
            "{refused:?}"
        );
        assert_eq!(lab.payload("bookmarks", "a").await, "old");
        assert_eq!(lab.store_time().await, time);
    }
    lab.append("bookmarks", &batch, [payload("e", "1")]).await;
    lab.write(commit_within("bookmarks", &batch, [], (3, 7))).await;
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a", "b", "e"]);
}

/// A user who has as many batches open as may be loses the one opened first by opening another; ended
/// ones and those of other users do not count.
pub async fn one_batch_too_many_ends_the_one_opened_first(lab: &Lab) {
    let stranger = lab.of_user(43);
    let theirs = stranger.open("bookmarks", [payload("a", "one")]).await;
    let expired = lab.open("bookmarks", []).await;
    lab.wait(BATCH_SECONDS);
    let theirs_too = stranger.open("bookmarks", [payload("b", "two")]).await;
    let committed = lab.open("bookmarks", []).await;
    lab.commit("bookmarks", &committed).await;
    let mut batches = Vec::new();
    for number in 0..OPEN_BATCHES {
        let name = if number % 2 == 0 { "bookmarks" } else { "tabs" };
        batches.push((name, lab.open(name, [payload(&number.to_string(), "x")]).await));
    }
    for (name, batch) in &batches {
        lab.append(name, batch, []).await;
    }
    let refused = lab.try_stage(BatchPart {
        max_objects: 0,
        ..part("bookmarks", None, [payload("a", "x")])
    });
    assert!(matches!(refused.await, Err(EngineError::TooLarge(_))));
    lab.append("bookmarks", &batches[0].1, []).await;

    let newest = lab.open("history", [payload("a", "x")]).await;
    for gone in [&expired, &committed, &batches[0].1] {
        let appended = lab.try_stage(part("bookmarks", Some(gone), [])).await;
        assert!(matches!(appended, Err(EngineError::NoSuchBatch)));
        let refused = lab.try_commit("bookmarks", gone).await;
        assert!(matches!(refused, Err(EngineError::NoSuchBatch)));
    }
    for (name, batch) in &batches[1..] {
        lab.commit(name, batch).await;
    }
    lab.commit("history", &newest).await;
    let mut kept = sorted((2..OPEN_BATCHES).step_by(2).map(|number| number.to_string()));
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, kept);
    kept = sorted((1..OPEN_BATCHES).step_by(2).map(|number| number.to_string()));
    assert_eq!(lab.ids("tabs", Selection::default()).await, kept);
    assert!(stranger.try_commit("bookmarks", &theirs).await.is_err());
    stranger.commit("bookmarks", &theirs_too).await;
    assert_eq!(stranger.ids("bookmarks", Selection::default()).await, ["b"]);
}

/// A guard that does not hold refuses a part; nothing of it is laid aside.
pub async fn a_guard_holds_for_a_part(lab: &Lab) {
    let time = lab.put("bookmarks", "a", "one").await;
    let guarded = |batch: Option<&BatchId>, object: &str| {
        let mut part = part("bookmarks", batch, [payload(object, "staged")]);
        part.guard = Some(Guard {
            target: Target::Collection(collection("bookmarks")),
            unmodified_since: time,
        });
        part
    };
    let batch = lab
        .try_stage(guarded(None, "b"))
        .await
        .expect("the guard holds")
        .batch;
    lab.put("bookmarks", "a", "two").await;
    for part in [guarded(Some(&batch), "c"), guarded(None, "d")] {
        assert!(matches!(
            lab.try_stage(part).await,
            Err(EngineError::Stale { .. })
        ));
    }
    lab.commit("bookmarks", &batch).await;
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a", "b"]);
}

/// Committing a batch that holds nothing makes the collection or moves its time.
pub async fn a_batch_with_nothing_in_it_moves_the_collection(lab: &Lab) {
    for _ in 0..2 {
        let batch = lab.open("bookmarks", []).await;
        lab.append("bookmarks", &batch, []).await;
        let time = lab.commit("bookmarks", &batch).await;
        assert_eq!(lab.modified("bookmarks").await, time);
    }
    assert_eq!(lab.held("bookmarks").await.map(|held| held.count), Some(0));
}

/// Emptying the store ends all its batches, but nobody else's.
pub async fn emptying_the_store_ends_its_batches(lab: &Lab) {
    let other = lab.of_user(43);
    let mine = lab.open("bookmarks", [payload("a", "one")]).await;
    let theirs = other.open("bookmarks", [payload("a", "one")]).await;
    lab.write(Change::DeleteAll).await;
    assert!(matches!(
        lab.try_commit("bookmarks", &mine).await,
        Err(EngineError::NoSuchBatch)
    ));
    other.commit("bookmarks", &theirs).await;
    assert_eq!(other.payload("bookmarks", "a").await, "one");
}

/// Deleting a collection leaves the batches opened for it; a commit makes it anew.
pub async fn deleting_the_collection_leaves_its_batches(lab: &Lab) {
    lab.put("bookmarks", "old", "one").await;
    let batch = lab.open("bookmarks", [payload("a", "one")]).await;
    lab.delete_collection("bookmarks", false).await;
    lab.commit("bookmarks", &batch).await;
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a"]);
}

/// Batches open at once each keep their own parts, and have names of their own.
pub async fn open_batches_do_not_mix(lab: &Lab) {
    let mut batches = Vec::new();
    for number in 0..5 {
        batches.push(lab.open("bookmarks", [payload(&format!("a{number}"), "x")]).await);
    }
    for (number, batch) in batches.iter().enumerate() {
        let text = batch
            .0
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        assert!(text && !batch.0.is_empty(), "{batch:?}");
        lab.append("bookmarks", batch, [payload(&format!("b{number}"), "x")])
            .await;
    }
    lab.commit("bookmarks", &batches[3]).await;
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a3", "b3"]);
    lab.commit("bookmarks", &batches[0]).await;
    assert_eq!(
        lab.ids("bookmarks", Selection::default()).await,
        ["a0", "a3", "b0", "b3"]
    );
}

/// A batch of ten thousand objects is committed in one step.
pub async fn ten_thousand_objects_are_committed_at_once(lab: &Lab) {
    let patches = |from: u32| -> Vec<_> {
        (from..from + 500)
            .map(|n| payload(&format!("object{n}"), "x"))
            .collect()
    };
    let batch = lab.open("history", patches(0)).await;
    for from in (500..10_000).step_by(500) {
        lab.append("history", &batch, patches(from)).await;
    }
    let one_more = lab
        .try_stage(part("history", Some(&batch), [payload("more", "x")]))
        .await;
    assert!(matches!(one_more, Err(EngineError::TooLarge(Excess::Objects))));
    let time = lab.commit("history", &batch).await;
    let held = lab.held("history").await.expect("it is listed");
    assert_eq!((held.modified, held.count, held.bytes), (time, 10_000, 10_000));
    let last = lab.get("history", "object9999").await;
    assert_eq!(last.map(|object| object.modified), Some(time));
}

/// A batch that was opened while the clock was ahead has ended once the clock is put right; a small correction ends none.
pub async fn a_batch_opened_ahead_of_the_clock_has_ended(lab: &Lab) {
    lab.wait(400 * DAY);
    let ahead = lab.open("bookmarks", [payload("a", "ahead")]).await;
    lab.wait(-400 * DAY);
    assert!(lab.try_commit("bookmarks", &ahead).await.is_err());

    let kept = lab.open("bookmarks", [payload("b", "kept")]).await;
    lab.wait(-600);
    lab.commit("bookmarks", &kept).await;
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["b"]);
}
