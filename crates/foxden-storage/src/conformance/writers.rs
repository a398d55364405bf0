//! Concurrent requests: the writes of one user queue, and readers see complete states that never go back.

use std::collections::BTreeSet;

use foxden_model::{Clock, SyncTime};
use tokio::task::JoinSet;

use super::{TestContext, collection, id, payload};
use crate::command::{Detail, Fields, Query, Selection, Target};
use crate::engine::EngineError;

const CLIENTS: usize = 8;
const ROUNDS: usize = 20;

/// Concurrent writes all succeed, each with its own time.
pub async fn writers_at_once_all_succeed_at_different_times(ctx: &TestContext) {
    let mut writers = JoinSet::new();
    for client in 0..CLIENTS {
        let ctx = ctx.clone();
        writers.spawn(async move {
            let mut times = Vec::new();
            for round in 0..ROUNDS {
                times.push(ctx.put("bookmarks", &format!("{client}-{round}"), "x").await);
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
    assert_eq!(all.last(), Some(&ctx.store_time().await));
    assert_eq!(
        ctx.held("bookmarks").await.map(|held| held.count),
        Some((CLIENTS * ROUNDS) as u64)
    );
}

/// Of concurrent writes with the same guard, by two handles, one succeeds and the others are refused with its time or a later
/// one.
pub async fn of_guarded_writers_at_once_one_succeeds(ctx: &TestContext) {
    let handles = [ctx.clone(), ctx.another_handle().await];
    let mut time = ctx.put("bookmarks", "a", "first").await;
    for _ in 0..ROUNDS {
        let mut writers = JoinSet::new();
        for client in 0..CLIENTS {
            let ctx = handles[client % handles.len()].clone();
            writers.spawn(async move {
                let target = Target::Object(collection("bookmarks"), id("a"));
                let patches = [payload("a", &client.to_string())];
                ctx.upsert_if("bookmarks", patches, target, time).await
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

/// A write of many objects is visible completely or not at all, in a page and in a summary.
pub async fn readers_never_see_half_a_write(ctx: &TestContext) {
    let objects = ["a", "b", "c", "d", "e"];
    let write = move |text: String| objects.map(|object| payload(object, &text));
    ctx.upsert("bookmarks", write("0".to_owned())).await;
    let writer = ctx.clone();
    let mut writing = JoinSet::new();
    writing.spawn(async move {
        for round in 1..=CLIENTS * ROUNDS {
            writer.upsert("bookmarks", write("x".repeat(round))).await;
        }
    });
    while writing.try_join_next().is_none() {
        let page = ctx
            .page(&Query::all(collection("bookmarks"), Fields::Whole))
            .await;
        let texts: BTreeSet<_> = page.rows.iter().map(|row| row.payload).collect();
        let times: BTreeSet<_> = page.rows.iter().map(|row| Some(row.modified)).collect();
        assert_eq!((page.rows.len(), texts.len()), (5, 1), "half a write");
        assert_eq!(times, BTreeSet::from([page.modified]), "a page of two states");
        let held = ctx.held("bookmarks").await.expect("it is listed");
        assert_eq!((held.count, held.bytes % 5), (5, 0), "a summary of half a write");
        tokio::task::yield_now().await;
    }
    assert_eq!(ctx.payload("bookmarks", "c").await.len(), CLIENTS * ROUNDS);
}

/// Of consecutive reads of any kind, none returns an earlier time than the one before.
pub async fn times_of_consecutive_reads_never_decrease(ctx: &TestContext) {
    ctx.put("bookmarks", "a", "x").await;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let ctx = ctx.clone();
        clients.spawn(async move {
            let mut seen = SyncTime::ZERO;
            for round in 0..ROUNDS {
                let wrote = match client % 2 {
                    0 => {
                        ctx.put("bookmarks", &format!("{client}"), &round.to_string())
                            .await
                    }
                    _ => SyncTime::ZERO,
                };
                let page = ctx.page(&Query::one(collection("bookmarks"), id("a"))).await;
                let summary = ctx.summary(Detail::Times).await.collections[0].modified;
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

/// Of concurrent commits of a batch, by two handles, one succeeds.
pub async fn one_commit_wins(ctx: &TestContext) {
    let handles = [ctx.clone(), ctx.another_handle().await];
    for _ in 0..ROUNDS {
        let batch = ctx.open("bookmarks", [payload("a", "x")]).await;
        let mut commits = JoinSet::new();
        for client in 0..CLIENTS {
            let (ctx, batch) = (handles[client % handles.len()].clone(), batch.clone());
            commits.spawn(async move { ctx.try_commit("bookmarks", &batch).await });
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
        ctx.clock.tick();
    }
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await, ["a"]);
}

/// Parts that are appended to a batch concurrently are all kept.
pub async fn parts_appended_at_once_are_all_kept(ctx: &TestContext) {
    let batch = ctx.open("bookmarks", []).await;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (ctx, batch) = (ctx.clone(), batch.clone());
        clients.spawn(async move {
            for round in 0..ROUNDS {
                let patches = ["a", "b"].map(|half| payload(&format!("{client}-{round}-{half}"), half));
                ctx.append("bookmarks", &batch, patches).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("every part is taken");
    }
    ctx.commit("bookmarks", &batch).await;
    let held = ctx.held("bookmarks").await.map(|held| held.count);
    assert_eq!(held, Some((CLIENTS * ROUNDS * 2) as u64));
}

/// Users who write concurrently have their own objects and times.
pub async fn concurrent_users_are_isolated(ctx: &TestContext) {
    let now = ctx.clock.now();
    let mut users = JoinSet::new();
    for user in 1..=CLIENTS as u64 {
        let ctx = ctx.of_user(user);
        users.spawn(async move {
            for round in 0..ROUNDS as u64 {
                let time = ctx.put("bookmarks", "a", &format!("{user} {round}")).await;
                assert_eq!(ctx.payload("bookmarks", "a").await, format!("{user} {round}"));
                assert_eq!(ctx.store_time().await, time);
            }
            ctx.store_time().await
        });
    }
    let last = (0..ROUNDS).fold(now.before(), |time, _| time.next());
    while let Some(time) = users.join_next().await {
        let time = time.expect("no user meets another");
        assert_eq!(time, last);
    }
}
