//! Many at once: writes of one user queue, and readers see whole states that never go back.

use std::collections::BTreeSet;

use foxden_model::{Clock, SyncTime};
use tokio::task::JoinSet;

use super::{Lab, collection, id, payload};
use crate::command::{Detail, Fields, Query, Selection, Target};
use crate::engine::EngineError;

const CLIENTS: usize = 8;
const ROUNDS: usize = 20;

/// Writers that meet all succeed, each at a time of its own, and nothing is lost.
pub async fn writers_at_once_all_succeed_at_different_times(lab: &Lab) {
    let mut writers = JoinSet::new();
    for client in 0..CLIENTS {
        let lab = lab.clone();
        writers.spawn(async move {
            let mut times = Vec::new();
            for round in 0..ROUNDS {
                times.push(lab.put("bookmarks", &format!("{client}-{round}"), "x").await);
            }
            times
        });
    }
    let mut all = BTreeSet::new();
    while let Some(times) = writers.join_next().await {
        let times = times.expect("no writer panics");
        assert!(times.is_sorted(), "one client's times fall");
        all.extend(times);
    }
    assert_eq!(all.len(), CLIENTS * ROUNDS);
    assert_eq!(all.last(), Some(&lab.store_time().await));
    assert_eq!(
        lab.held("bookmarks").await.map(|held| held.count),
        Some((CLIENTS * ROUNDS) as u64)
    );
}

/// Of writers guarded by the same time, one succeeds and the others learn its time or a later one.
pub async fn of_guarded_writers_at_once_one_succeeds(lab: &Lab) {
    let mut time = lab.put("bookmarks", "a", "first").await;
    for _ in 0..ROUNDS {
        let mut writers = JoinSet::new();
        for client in 0..CLIENTS {
            let lab = lab.clone();
            writers.spawn(async move {
                let target = Target::Object(collection("bookmarks"), id("a"));
                let patches = [payload("a", &client.to_string())];
                lab.upsert_if("bookmarks", patches, target, time).await
            });
        }
        let mut winner = None;
        let mut refused_at = Vec::new();
        while let Some(answer) = writers.join_next().await {
            match answer.expect("no writer panics") {
                Ok(written) => assert_eq!(
                    winner.replace(written.modified),
                    None,
                    "two guarded writes passed"
                ),
                Err(EngineError::Stale { modified }) => refused_at.push(modified),
                Err(other) => panic!("{other}"),
            }
        }
        time = winner.expect("one passes");
        assert!(refused_at.iter().all(|told| *told == time));
    }
}

/// A write of many objects is seen wholly or not at all, in a page and in a summary.
pub async fn readers_never_see_half_a_write(lab: &Lab) {
    let objects = ["a", "b", "c", "d", "e"];
    let write = move |text: String| objects.map(|object| payload(object, &text));
    lab.upsert("bookmarks", write("0".to_owned())).await;
    let writer = lab.clone();
    let mut writing = JoinSet::new();
    writing.spawn(async move {
        for round in 1..=CLIENTS * ROUNDS {
            writer.upsert("bookmarks", write("x".repeat(round))).await;
        }
    });
    while writing.try_join_next().is_none() {
        let page = lab
            .page(&Query::all(collection("bookmarks"), Fields::Whole))
            .await;
        let texts: BTreeSet<_> = page.rows.iter().map(|row| row.payload).collect();
        let times: BTreeSet<_> = page.rows.iter().map(|row| Some(row.modified)).collect();
        assert_eq!((page.rows.len(), texts.len()), (5, 1), "half a write");
        assert_eq!(times, BTreeSet::from([page.modified]), "a page of two states");
        let held = lab.held("bookmarks").await.expect("it is listed");
        assert_eq!((held.count, held.bytes % 5), (5, 0), "a summary of half a write");
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.payload("bookmarks", "c").await.len(), CLIENTS * ROUNDS);
}

/// Reads one after the other, of any kind, never tell an earlier time than the one before.
pub async fn summaries_and_pages_never_go_back(lab: &Lab) {
    lab.put("bookmarks", "a", "x").await;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let lab = lab.clone();
        clients.spawn(async move {
            let mut seen = SyncTime::ZERO;
            for round in 0..ROUNDS {
                let wrote = match client % 2 {
                    0 => {
                        lab.put("bookmarks", &format!("{client}"), &round.to_string())
                            .await
                    }
                    _ => SyncTime::ZERO,
                };
                let page = lab.page(&Query::one(collection("bookmarks"), id("a"))).await;
                let summary = lab.summary(Detail::Times).await.collections[0].modified;
                let page = page.modified.expect("the collection is there");
                assert!(
                    wrote.max(seen) <= page && page <= summary,
                    "{wrote} {seen} {page} {summary}"
                );
                seen = summary;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("no client is told an earlier time");
    }
}

/// A batch that several commit at once is committed by one of them.
pub async fn one_commit_wins(lab: &Lab) {
    for _ in 0..ROUNDS {
        let batch = lab.open("bookmarks", [payload("a", "x")]).await;
        let mut commits = JoinSet::new();
        for _ in 0..CLIENTS {
            let (lab, batch) = (lab.clone(), batch.clone());
            commits.spawn(async move { lab.try_commit("bookmarks", &batch).await });
        }
        let mut won = 0;
        while let Some(answer) = commits.join_next().await {
            match answer.expect("no client panics") {
                Ok(_) => won += 1,
                Err(EngineError::NoSuchBatch) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(won, 1);
        lab.clock.tick();
    }
    assert_eq!(lab.ids("bookmarks", Selection::default()).await, ["a"]);
}

/// Parts appended to one batch at once are all kept, each whole.
pub async fn parts_appended_at_once_are_all_kept(lab: &Lab) {
    let batch = lab.open("bookmarks", []).await;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (lab, batch) = (lab.clone(), batch.clone());
        clients.spawn(async move {
            for round in 0..ROUNDS {
                let patches = ["a", "b"].map(|half| payload(&format!("{client}-{round}-{half}"), half));
                lab.append("bookmarks", &batch, patches).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("every part is taken");
    }
    lab.commit("bookmarks", &batch).await;
    let held = lab.held("bookmarks").await.map(|held| held.count);
    assert_eq!(held, Some((CLIENTS * ROUNDS * 2) as u64));
}

/// Users who write at once each find their own, at times that only their own writes moved.
pub async fn users_at_once_do_not_meet(lab: &Lab) {
    let now = lab.clock.now();
    let mut users = JoinSet::new();
    for user in 1..=CLIENTS as u64 {
        let lab = lab.of_user(user);
        users.spawn(async move {
            for round in 0..ROUNDS as u64 {
                let time = lab.put("bookmarks", "a", &format!("{user} {round}")).await;
                assert_eq!(lab.payload("bookmarks", "a").await, format!("{user} {round}"));
                assert_eq!(lab.store_time().await, time);
            }
            lab.store_time().await
        });
    }
    let last = (0..ROUNDS).fold(now.before(), |time, _| time.next());
    while let Some(time) = users.join_next().await {
        let time = time.expect("no user meets another");
        assert_eq!(time, last);
    }
}
