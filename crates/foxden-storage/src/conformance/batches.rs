//! Uploads in several requests are invisible until the commit and get one time.

use super::context::{commit, commit_within, part};
use super::{TestContext, collection, id, payload, sorted};
use crate::command::{
    BatchId, BatchPart, Change, Detail, Field, Guard, Patch, Selection, Target, Ttl, Write,
};
use crate::engine::{BATCH_TTL_SECONDS, BatchLimit, EngineError, MAX_COLLECTIONS, MAX_OPEN_BATCHES};

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// A batch is not read, listed or counted before its commit, and completely after it.
pub async fn a_batch_is_unseen_until_committed(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "old").await;
    let before = ctx.summary(Detail::Full).await;
    let staged = ctx
        .try_stage(part(
            "bookmarks",
            None,
            [payload("a", "new"), payload("b", "new")],
        ))
        .await;
    let staged = staged.expect("a batch can be opened");
    assert_eq!(staged.modified, time);
    ctx.append("bookmarks", &staged.batch, [payload("c", "new")])
        .await;
    let after = ctx.summary(Detail::Full).await;
    assert_eq!(
        (before.modified, before.collections),
        (after.modified, after.collections)
    );
    assert_eq!(ctx.payload("bookmarks", "a").await, "old");
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a"]);

    ctx.commit("bookmarks", &staged.batch).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a", "b", "c"]);
    assert_eq!(ctx.payload("bookmarks", "a").await, "new");
}

/// All objects of a batch have the time of its commit, and so has the collection.
pub async fn all_objects_of_a_batch_get_one_time(ctx: &TestContext) {
    let batch = ctx.open("bookmarks", [payload("a", "1")]).await;
    ctx.wait(1);
    ctx.append("bookmarks", &batch, [payload("b", "2")]).await;
    ctx.wait(1);
    let written = ctx.write(commit("bookmarks", &batch, [payload("c", "3")])).await;
    assert!(written.changed);
    for object in ["a", "b", "c"] {
        let modified = ctx.get("bookmarks", object).await.map(|object| object.modified);
        assert_eq!(modified, Some(written.modified), "{object}");
    }
    assert_eq!(ctx.modified("bookmarks").await, written.modified);
    assert_eq!(ctx.store_time().await, written.modified);
}

/// A later part is applied over an earlier one, field by field.
pub async fn parts_count_in_the_order_they_came(ctx: &TestContext) {
    let index = Patch {
        sortindex: Field::Set(5),
        ..Patch::empty(id("a"))
    };
    let batch = ctx
        .open("bookmarks", [payload("a", "first"), payload("b", "first")])
        .await;
    ctx.append("bookmarks", &batch, [index]).await;
    for number in 0..12 {
        ctx.append("bookmarks", &batch, [payload("b", &number.to_string())])
            .await;
    }
    ctx.commit("bookmarks", &batch).await;
    let a = ctx.get("bookmarks", "a").await.expect("it was committed");
    assert_eq!((a.payload.as_str(), a.sortindex), ("first", Some(5)));
    assert_eq!(ctx.payload("bookmarks", "b").await, "11");
}

/// An object that comes again counts once, also if nothing of it changes: clients send a part again when its answer was lost.
pub async fn objects_that_come_again_count_once(ctx: &TestContext) {
    let objects = || [payload("a", "same"), payload("b", "same")];
    ctx.upsert("bookmarks", [payload("a", "same"), payload("z", "")])
        .await;
    for _ in 0..2 {
        let batch = ctx.open("bookmarks", objects()).await;
        for _ in 0..9 {
            ctx.append("bookmarks", &batch, objects()).await;
        }
        ctx.write(commit("bookmarks", &batch, objects())).await;
        let held = ctx.held("bookmarks").await.expect("it is there");
        assert_eq!((held.count, held.bytes), (3, 8));
    }
}

/// The patches of the committing request are applied last.
pub async fn the_commits_own_patches_count_last(ctx: &TestContext) {
    let batch = ctx
        .open("bookmarks", [payload("a", "staged"), payload("b", "staged")])
        .await;
    ctx.write(commit(
        "bookmarks",
        &batch,
        [payload("a", "committed"), payload("c", "committed")],
    ))
    .await;
    assert_eq!(ctx.payload("bookmarks", "a").await, "committed");
    assert_eq!(ctx.payload("bookmarks", "b").await, "staged");
    assert_eq!(ctx.payload("bookmarks", "c").await, "committed");
}

/// Fields that no part sets keep their value; objects that no part names keep their time.
pub async fn a_patch_in_a_batch_keeps_what_is_stored(ctx: &TestContext) {
    let untouched = ctx.put_at("bookmarks", "untouched", 1).await;
    ctx.put_at("bookmarks", "payload", 17).await;
    let quiet = ctx.put_at("bookmarks", "quiet", 18).await;
    ctx.wait(1);
    let longer = Patch {
        ttl: Ttl::In(2),
        ..Patch::empty(id("quiet"))
    };
    let batch = ctx.open("bookmarks", [payload("payload", "new"), longer]).await;
    let time = ctx.commit("bookmarks", &batch).await;
    let object = ctx.get("bookmarks", "payload").await.expect("it is there");
    assert_eq!(
        (object.payload.as_str(), object.sortindex, object.modified),
        ("new", Some(17), time)
    );
    let object = ctx.get("bookmarks", "quiet").await.expect("it is there");
    assert_eq!(
        (object.payload.as_str(), object.sortindex, object.modified),
        ("quiet", Some(18), quiet)
    );
    let object = ctx.get("bookmarks", "untouched").await.expect("it is there");
    assert_eq!(object.modified, untouched);
    ctx.wait(2);
    assert_eq!(
        ctx.ids("bookmarks", Selection::default()).await,
        ["payload", "untouched"]
    );
}

/// A TTL set in a batch counts from the commit.
pub async fn ttls_count_from_the_commit(ctx: &TestContext) {
    let patch = Patch {
        ttl: Ttl::In(3),
        ..payload("a", "one")
    };
    let batch = ctx.open("tabs", [patch]).await;
    ctx.wait(60);
    ctx.commit("tabs", &batch).await;
    ctx.clock.advance_millis(2_990);
    assert_eq!(ctx.payload("tabs", "a").await, "one");
    ctx.clock.tick();
    assert_eq!(ctx.get("tabs", "a").await, None);
}

/// A committed batch cannot be committed or appended to again.
pub async fn a_batch_ends_with_its_commit(ctx: &TestContext) {
    let batch = ctx.open("bookmarks", [payload("a", "one")]).await;
    let time = ctx.commit("bookmarks", &batch).await;
    ctx.put("bookmarks", "a", "two").await;
    assert!(matches!(
        ctx.try_commit("bookmarks", &batch).await,
        Err(EngineError::NoSuchBatch)
    ));
    let appended = ctx
        .try_stage(part("bookmarks", Some(&batch), [payload("b", "two")]))
        .await;
    assert!(matches!(appended, Err(EngineError::NoSuchBatch)));
    assert_eq!(ctx.payload("bookmarks", "a").await, "two");
    assert_eq!(ctx.store_time().await, time.next());
}

/// A commit refused by its guard leaves the batch open and everything else as it was.
pub async fn a_refused_commit_leaves_the_batch_open(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "one").await;
    let batch = ctx.open("bookmarks", [payload("a", "staged")]).await;
    ctx.put("bookmarks", "b", "another user's").await;
    let guard = Guard {
        target: Target::Collection(collection("bookmarks")),
        unmodified_since: time,
    };
    let write = Write::new(commit("bookmarks", &batch, [payload("c", "x")])).guarded_by(Some(guard));
    assert!(matches!(
        ctx.try_write(write).await,
        Err(EngineError::Stale { .. })
    ));
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a", "b"]);
    assert_eq!(ctx.payload("bookmarks", "a").await, "one");
    ctx.commit("bookmarks", &batch).await;
    assert_eq!(ctx.payload("bookmarks", "a").await, "staged");
    assert_eq!(ctx.get("bookmarks", "c").await, None);
}

/// The same holds for a commit that would create one collection too many.
pub async fn a_commit_of_one_collection_too_many_leaves_the_batch_open(ctx: &TestContext) {
    let batch = ctx.open("one-more", [payload("a", "one")]).await;
    for number in 0..MAX_COLLECTIONS {
        ctx.upsert(&format!("c{number}"), []).await;
    }
    let time = ctx.store_time().await;
    let refused = ctx.try_commit("one-more", &batch).await;
    assert!(matches!(refused, Err(EngineError::TooManyCollections)));
    assert_eq!(ctx.store_time().await, time);
    ctx.delete_collection("c0", false).await;
    ctx.commit("one-more", &batch).await;
    assert_eq!(ctx.payload("one-more", "a").await, "one");
}

/// A batch can be used until two hours after its opening, regardless of its last part.
pub async fn a_batch_lives_two_hours_from_its_opening(ctx: &TestContext) {
    let kept = ctx.open("bookmarks", [payload("a", "one")]).await;
    let lost = ctx.open("bookmarks", [payload("b", "one")]).await;
    ctx.wait(BATCH_TTL_SECONDS - 1);
    ctx.append("bookmarks", &lost, [payload("c", "one")]).await;
    ctx.commit("bookmarks", &kept).await;
    ctx.wait(2);
    assert!(matches!(
        ctx.try_commit("bookmarks", &lost).await,
        Err(EngineError::NoSuchBatch)
    ));
    let appended = ctx.try_stage(part("bookmarks", Some(&lost), [])).await;
    assert!(matches!(appended, Err(EngineError::NoSuchBatch)));
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a"]);
}

/// A batch belongs to the user and the collection it was opened for.
pub async fn a_batch_belongs_to_its_user_and_collection(ctx: &TestContext) {
    let batch = ctx.open("bookmarks", [payload("a", "one")]).await;
    let other_user = ctx.of_user(43);
    for (ctx, name) in [(ctx, "history"), (&other_user, "bookmarks")] {
        assert!(matches!(
            ctx.try_commit(name, &batch).await,
            Err(EngineError::NoSuchBatch)
        ));
        let appended = ctx.try_stage(part(name, Some(&batch), [])).await;
        assert!(matches!(appended, Err(EngineError::NoSuchBatch)));
    }
    for unknown_batch in ["", "0", "1", "true", "nope", "'", "ä", "\0"] {
        let unknown_batch = BatchId(unknown_batch.into());
        assert!(matches!(
            ctx.try_commit("bookmarks", &unknown_batch).await,
            Err(EngineError::NoSuchBatch)
        ));
    }
    assert!(other_user.summary(Detail::Full).await.collections.is_empty());
    ctx.commit("bookmarks", &batch).await;
    assert_eq!(ctx.payload("bookmarks", "a").await, "one");
}

/// A part that would exceed the limits of a batch is refused as a whole; the batch stays usable.
pub async fn a_part_too_large_is_refused_as_a_whole(ctx: &TestContext) {
    let batch = ctx
        .open("bookmarks", [payload("a", "123"), payload("b", "123")])
        .await;
    let mut many = part("bookmarks", Some(&batch), [payload("c", "1"), payload("d", "1")]);
    many.max_objects = 3;
    assert!(matches!(
        ctx.try_stage(many).await,
        Err(EngineError::TooLarge(BatchLimit::Objects))
    ));
    let mut much = part(
        "bookmarks",
        Some(&batch),
        [payload("e", ""), payload("f", "12345")],
    );
    much.max_bytes = 10;
    assert!(matches!(
        ctx.try_stage(much).await,
        Err(EngineError::TooLarge(BatchLimit::Bytes))
    ));
    let mut opening = part("bookmarks", None, [payload("g", "1"), payload("h", "1")]);
    opening.max_objects = 1;
    assert!(matches!(
        ctx.try_stage(opening).await,
        Err(EngineError::TooLarge(BatchLimit::Objects))
    ));

    ctx.append("bookmarks", &batch, [payload("i", "1")]).await;
    ctx.commit("bookmarks", &batch).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a", "b", "i"]);
}

/// A part that fills a batch exactly is accepted; each patch of one object counts.
pub async fn a_full_batch_can_be_committed(ctx: &TestContext) {
    let mut first = part("bookmarks", None, [payload("a", "123"), payload("a", "45")]);
    first.max_objects = 3;
    first.max_bytes = 6;
    let batch = ctx
        .try_stage(first.clone())
        .await
        .expect("a batch can be opened")
        .batch;
    let mut second = first;
    second.batch = Some(batch.clone());
    second.patches = vec![payload("b", "6")];
    assert!(ctx.try_stage(second.clone()).await.is_ok());
    second.patches = vec![Patch::empty(id("c"))];
    let refused = ctx.try_stage(second.clone()).await;
    assert!(matches!(refused, Err(EngineError::TooLarge(BatchLimit::Objects))));
    second.patches.clear();
    assert!(ctx.try_stage(second).await.is_ok());
    ctx.commit("bookmarks", &batch).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a", "b"]);
    assert_eq!(ctx.payload("bookmarks", "a").await, "45");
}

/// A commit whose own patches would exceed the limits of the batch changes nothing, and the batch can be committed without
/// them.
pub async fn a_commit_too_large_is_refused_and_leaves_the_batch_open(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "old").await;
    let batch = ctx
        .open("bookmarks", [payload("a", "123"), payload("b", "123")])
        .await;
    let own = [payload("c", "1"), payload("d", "2")];
    for (most, limit) in [((3, 100), BatchLimit::Objects), ((10, 7), BatchLimit::Bytes)] {
        let refused = ctx
            .try_write(Write::new(commit_within("bookmarks", &batch, own.clone(), most)))
            .await;
        assert!(
            matches!(refused, Err(EngineError::TooLarge(found)) if found == limit),
            "{refused:?}"
        );
        assert_eq!(ctx.payload("bookmarks", "a").await, "old");
        assert_eq!(ctx.store_time().await, time);
    }
    ctx.append("bookmarks", &batch, [payload("e", "1")]).await;
    ctx.write(commit_within("bookmarks", &batch, [], (3, 7))).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a", "b", "e"]);
}

/// A user at the limit of open batches who opens another loses the one opened first; ended batches and those of other users
/// do not count.
pub async fn one_batch_too_many_ends_the_one_opened_first(ctx: &TestContext) {
    let other_user = ctx.of_user(43);
    let theirs = other_user.open("bookmarks", [payload("a", "one")]).await;
    let expired = ctx.open("bookmarks", []).await;
    ctx.wait(BATCH_TTL_SECONDS);
    let theirs_too = other_user.open("bookmarks", [payload("b", "two")]).await;
    let committed = ctx.open("bookmarks", []).await;
    ctx.commit("bookmarks", &committed).await;
    let mut batches = Vec::new();
    for number in 0..MAX_OPEN_BATCHES {
        let name = if number % 2 == 0 { "bookmarks" } else { "tabs" };
        batches.push((name, ctx.open(name, [payload(&number.to_string(), "x")]).await));
    }
    for (name, batch) in &batches {
        ctx.append(name, batch, []).await;
    }
    let refused = ctx.try_stage(BatchPart {
        max_objects: 0,
        ..part("bookmarks", None, [payload("a", "x")])
    });
    assert!(matches!(refused.await, Err(EngineError::TooLarge(_))));
    ctx.append("bookmarks", &batches[0].1, []).await;

    let newest = ctx.open("history", [payload("a", "x")]).await;
    for gone in [&expired, &committed, &batches[0].1] {
        let appended = ctx.try_stage(part("bookmarks", Some(gone), [])).await;
        assert!(matches!(appended, Err(EngineError::NoSuchBatch)));
        let refused = ctx.try_commit("bookmarks", gone).await;
        assert!(matches!(refused, Err(EngineError::NoSuchBatch)));
    }
    for (name, batch) in &batches[1..] {
        ctx.commit(name, batch).await;
    }
    ctx.commit("history", &newest).await;
    let mut kept = sorted((2..MAX_OPEN_BATCHES).step_by(2).map(|number| number.to_string()));
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, kept);
    kept = sorted((1..MAX_OPEN_BATCHES).step_by(2).map(|number| number.to_string()));
    assert_eq!(ctx.ids("tabs", Selection::default()).await, kept);
    assert!(other_user.try_commit("bookmarks", &theirs).await.is_err());
    other_user.commit("bookmarks", &theirs_too).await;
    assert_eq!(other_user.ids("bookmarks", Selection::default()).await, ["b"]);
}

/// A guard that does not hold refuses a part, which is not staged.
pub async fn a_guard_holds_for_a_part(ctx: &TestContext) {
    let time = ctx.put("bookmarks", "a", "one").await;
    let guarded = |batch: Option<&BatchId>, object: &str| {
        let mut part = part("bookmarks", batch, [payload(object, "staged")]);
        part.guard = Some(Guard {
            target: Target::Collection(collection("bookmarks")),
            unmodified_since: time,
        });
        part
    };
    let batch = ctx
        .try_stage(guarded(None, "b"))
        .await
        .expect("the guard holds")
        .batch;
    ctx.put("bookmarks", "a", "two").await;
    for part in [guarded(Some(&batch), "c"), guarded(None, "d")] {
        assert!(matches!(
            ctx.try_stage(part).await,
            Err(EngineError::Stale { .. })
        ));
    }
    ctx.commit("bookmarks", &batch).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a", "b"]);
}

/// Committing an empty batch creates the collection or moves its time.
pub async fn committing_an_empty_batch_moves_the_collections_time(ctx: &TestContext) {
    for _ in 0..2 {
        let batch = ctx.open("bookmarks", []).await;
        ctx.append("bookmarks", &batch, []).await;
        let time = ctx.commit("bookmarks", &batch).await;
        assert_eq!(ctx.modified("bookmarks").await, time);
    }
    assert_eq!(ctx.held("bookmarks").await.map(|held| held.count), Some(0));
}

/// Emptying the store ends all its batches, but not those of other users.
pub async fn emptying_the_store_ends_its_batches(ctx: &TestContext) {
    let other = ctx.of_user(43);
    let mine = ctx.open("bookmarks", [payload("a", "one")]).await;
    let theirs = other.open("bookmarks", [payload("a", "one")]).await;
    ctx.write(Change::DeleteAll).await;
    assert!(matches!(
        ctx.try_commit("bookmarks", &mine).await,
        Err(EngineError::NoSuchBatch)
    ));
    other.commit("bookmarks", &theirs).await;
    assert_eq!(other.payload("bookmarks", "a").await, "one");
}

/// Deleting a collection keeps its open batches; a commit creates it again.
pub async fn deleting_the_collection_leaves_its_batches(ctx: &TestContext) {
    ctx.put("bookmarks", "old", "one").await;
    let batch = ctx.open("bookmarks", [payload("a", "one")]).await;
    ctx.delete_collection("bookmarks", false).await;
    ctx.commit("bookmarks", &batch).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a"]);
}

/// Batches that are open at the same time keep their own parts and ids.
pub async fn open_batches_do_not_mix(ctx: &TestContext) {
    let mut batches = Vec::new();
    for number in 0..5 {
        batches.push(ctx.open("bookmarks", [payload(&format!("a{number}"), "x")]).await);
    }
    for (number, batch) in batches.iter().enumerate() {
        let text = batch
            .0
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        assert!(text && !batch.0.is_empty(), "{batch:?}");
        ctx.append("bookmarks", batch, [payload(&format!("b{number}"), "x")])
            .await;
    }
    ctx.commit("bookmarks", &batches[3]).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a3", "b3"]);
    ctx.commit("bookmarks", &batches[0]).await;
    assert_eq!(
        ctx.ids("bookmarks", Selection::default()).await,
        ["a0", "a3", "b0", "b3"]
    );
}

/// A batch of ten thousand objects is committed in one step.
pub async fn ten_thousand_objects_are_committed_at_once(ctx: &TestContext) {
    let patches = |from: u32| -> Vec<_> {
        (from..from + 500)
            .map(|n| payload(&format!("object{n}"), "x"))
            .collect()
    };
    let batch = ctx.open("history", patches(0)).await;
    for from in (500..10_000).step_by(500) {
        ctx.append("history", &batch, patches(from)).await;
    }
    let one_more = ctx
        .try_stage(part("history", Some(&batch), [payload("more", "x")]))
        .await;
    assert!(matches!(
        one_more,
        Err(EngineError::TooLarge(BatchLimit::Objects))
    ));
    let time = ctx.commit("history", &batch).await;
    let held = ctx.held("history").await.expect("it is listed");
    assert_eq!((held.modified, held.count, held.bytes), (time, 10_000, 10_000));
    let last = ctx.get("history", "object9999").await;
    assert_eq!(last.map(|object| object.modified), Some(time));
}

/// A batch that was opened while the clock was ahead has ended once the clock is corrected; a small correction ends no batch.
pub async fn a_batch_opened_ahead_of_the_clock_has_ended(ctx: &TestContext) {
    ctx.wait(400 * DAY);
    let ahead = ctx.open("bookmarks", [payload("a", "ahead")]).await;
    ctx.wait(-400 * DAY);
    assert!(ctx.try_commit("bookmarks", &ahead).await.is_err());

    let kept = ctx.open("bookmarks", [payload("b", "kept")]).await;
    ctx.wait(-600);
    ctx.commit("bookmarks", &kept).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["b"]);
}
