//! A closed store stays closed, whoever asks and through whichever handle.

use tokio::task::JoinSet;

use super::lab::{commit, delete, part, upsert};
use super::{Lab, collection, id, payload};
use crate::command::{BatchId, Change, Detail, Fields, Query, Selection, Target, Write};
use crate::engine::EngineError;
use crate::page::Budget;

async fn close(lab: &Lab) {
    lab.write(Change::Close).await;
}

/// Asserts that every kind of request but those which only empty the store is refused.
async fn assert_closed(lab: &Lab, batch: &BatchId) {
    let (engine, user) = (&lab.engine, lab.user);
    let writes = [
        upsert("bookmarks", [payload("b", "two")]),
        upsert("bookmarks", []),
        delete("bookmarks", Selection::default(), false),
        Change::DeleteCollection {
            collection: collection("bookmarks"),
            keeps_name: true,
        },
        commit("bookmarks", batch, []),
    ];
    let mut answers = Vec::new();
    for change in writes {
        answers.push(lab.try_write(Write::new(change)).await.map(drop));
    }
    for detail in [Detail::Times, Detail::Full] {
        answers.push(engine.summary(user, detail).await.map(drop));
    }
    for query in [
        Query::all(collection("bookmarks"), Fields::Whole),
        Query::all(collection("missing"), Fields::Ids),
        Query::one(collection("bookmarks"), id("a")),
    ] {
        answers.push(engine.read(user, &query).await.map(drop));
    }
    for batch in [None, Some(batch)] {
        let part = part("bookmarks", batch, [payload("b", "two")]);
        answers.push(lab.try_stage(part).await.map(drop));
    }
    for (number, answer) in answers.into_iter().enumerate() {
        assert!(
            matches!(answer, Err(EngineError::Closed)),
            "request {number}: {answer:?}"
        );
    }
}

/// Every read and write of a closed user is refused.
pub async fn a_closed_user_is_refused(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    let batch = lab.open("bookmarks", [payload("b", "two")]).await;
    assert_eq!(lab.payload("bookmarks", "a").await, "one");
    close(lab).await;
    assert_closed(lab, &batch).await;
}

/// Other users do not notice.
pub async fn closing_leaves_other_users_alone(lab: &Lab) {
    let other = lab.of_user(43);
    other.put("bookmarks", "a", "one").await;
    close(lab).await;
    assert_eq!(other.payload("bookmarks", "a").await, "one");
    other.put("bookmarks", "a", "two").await;
    assert_eq!(other.payload("bookmarks", "a").await, "two");
}

/// A user who has stored nothing yet can be closed.
pub async fn a_user_never_heard_of_can_be_closed(lab: &Lab) {
    close(lab).await;
    assert_closed(lab, &BatchId("none".into())).await;
}

/// A closed store can be closed and emptied again, and stays closed.
pub async fn a_closed_store_can_be_closed_and_emptied_again(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    let batch = lab.open("bookmarks", [payload("b", "two")]).await;
    for _ in 0..2 {
        close(lab).await;
        lab.write(Change::DeleteAll).await;
        assert_closed(lab, &batch).await;
    }
}

/// What a closed store held is removed by and by, and the store stays closed.
pub async fn what_a_closed_store_held_is_purged(lab: &Lab) {
    for object in ["a", "b", "c"] {
        lab.put("bookmarks", object, "one").await;
    }
    let batch = lab.open("bookmarks", [payload("d", "two")]).await;
    close(lab).await;
    let purged = lab.engine.purge(Budget::of(1000)).await;
    let purged = purged.expect("a purge succeeds");
    assert!(purged.rows >= 4 && !purged.has_more, "{purged:?}");
    assert_closed(lab, &batch).await;
}

/// Of several reasons to refuse a write, the closing comes first.
pub async fn a_closing_is_told_before_any_other_reason(lab: &Lab) {
    let before = lab.put("bookmarks", "a", "one").await.before();
    close(lab).await;
    let refused = lab
        .upsert_if("bookmarks", [payload("a", "two")], Target::Store, before)
        .await;
    assert!(matches!(refused, Err(EngineError::Closed)), "{refused:?}");
}

/// Of writes beside the closing, none is seen after it.
pub async fn writes_beside_a_closing_leave_nothing_behind(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    let batch = lab.open("bookmarks", [payload("b", "two")]).await;
    let mut writers = JoinSet::new();
    for client in 0..8 {
        let lab = lab.clone();
        writers.spawn(async move {
            loop {
                let change = upsert("bookmarks", [payload(&format!("{client}"), "x")]);
                match lab.try_write(Write::new(change)).await {
                    Ok(_) | Err(EngineError::Busy) => tokio::task::yield_now().await,
                    Err(EngineError::Closed) => break,
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    close(lab).await;
    assert_closed(lab, &batch).await;
    while let Some(writer) = writers.join_next().await {
        writer.expect("every writer is refused in the end");
    }
}

/// The closing is a fact of the store: handles that were opened before it and after it refuse the user.
pub async fn a_closing_holds_for_every_handle_on_the_store(lab: &Lab) {
    lab.put("bookmarks", "a", "one").await;
    let batch = lab.open("bookmarks", [payload("b", "two")]).await;
    let before = lab.another_handle().await;
    close(lab).await;
    let after = lab.another_handle().await;
    for handle in [&before, &after, lab] {
        assert_closed(handle, &batch).await;
    }
}
