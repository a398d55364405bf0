//! Engines on database servers: round trips, lost connections, several processes.
//!
//! The tests are ignored unless `cargo xtask test` has started the servers.

#[path = "on_servers/proxy.rs"]
mod proxy;
#[path = "server_engine/mod.rs"]
mod server_engine;

use std::time::Duration;

use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_storage::conformance::{EngineFixture, TestContext, collection, id, payload};
use foxden_storage::{Budget, Change, Detail, EngineError, Fields, Patch, Query, Selection, Write};

use proxy::{Proxy, Weather};
use server_engine::{on_server, open};

/// A store on a server, behind a proxy.
struct TestStore {
    ctx: TestContext,
    proxy: Proxy,
    /// The URL of the server itself.
    url: String,
    namespace: TestNamespace,
}

impl TestStore {
    async fn new(server: TestServer) -> Self {
        Self::with(server, "").await
    }

    /// A store whose URL has further options.
    async fn with(server: TestServer, options: &str) -> Self {
        let fixture = EngineFixture::new();
        let namespace = server
            .fresh(fixture.namespace())
            .await
            .expect("the server is there");
        let url = namespace.url().to_owned();
        let (proxy, through) = Proxy::before(&format!("{url}{options}")).await;
        let engine = open(&through, &fixture).await;
        Self {
            ctx: TestContext::new(fixture, engine),
            proxy,
            url,
            namespace,
        }
    }

    /// The same store as another process sees it, without the proxy.
    async fn another(&self) -> TestContext {
        let fixture = EngineFixture::new();
        let engine = open(&self.url, &fixture).await;
        TestContext::new(fixture, engine)
    }
}

fn hundred(prefix: &str) -> Vec<Patch> {
    (0..100)
        .map(|number| payload(&format!("{prefix}{number:010}"), &"x".repeat(300)))
        .collect()
}

/// Defines each test for each server.
macro_rules! on_servers {
    ($($(#[$about:meta])* $name:ident;)*) => {
        mod postgres {
            use super::*;
            $($(#[$about])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs a server: cargo xtask test starts one"]
            async fn $name() {
                Box::pin(super::$name(TestServer::Postgres)).await;
            })*
        }
        mod mariadb {
            use super::*;
            $($(#[$about])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs a server: cargo xtask test starts one"]
            async fn $name() {
                Box::pin(super::$name(TestServer::Mariadb)).await;
            })*
        }
    };
}

on_servers! {
    /// Each round trip to a server on another machine costs time.
    calls_take_few_round_trips;
    /// A write that waits for another one must not compute with the rows from before.
    writers_of_the_same_objects_count_them_once;
    a_write_whose_answer_was_lost_has_happened_once;
    a_commit_that_did_not_arrive_changes_nothing;
    a_part_whose_answer_was_lost_is_in_its_batch_once;
    service_returns_with_the_server;
    processes_create_the_tables_at_once;
    /// As a later version does while this one still serves.
    another_process_adds_a_column;
    deleted_data_is_removed_while_others_write;
    one_user_does_not_take_all_connections;
}

async fn calls_take_few_round_trips(server: TestServer) {
    let store = Box::pin(TestStore::with(server, "&pool=1")).await;
    let TestStore { ctx, proxy, .. } = &store;
    let one = Query::one(collection("history"), id("b0000000001"));
    let all = Query::all(collection("history"), Fields::Whole);
    // The first of each prepares its statements.
    for round in ["a", "b"] {
        ctx.upsert("history", hundred(round)).await;
        ctx.summary(Detail::Times).await;
        ctx.page(&one).await;
        ctx.page(&all).await;
    }
    proxy.take_round_trips();
    ctx.summary(Detail::Times).await;
    assert_eq!(proxy.take_round_trips(), 1, "a summary");
    ctx.summary(Detail::Full).await;
    // Its statement is prepared.
    assert!(proxy.take_round_trips() <= 2, "a summary in full");
    assert_eq!(ctx.page(&one).await.rows.len(), 1);
    assert_eq!(proxy.take_round_trips(), 1, "one object");
    assert_eq!(ctx.page(&all).await.rows.len(), 200);
    assert_eq!(proxy.take_round_trips(), 1, "a page");
    let wanted = match server {
        TestServer::Postgres => 3,
        TestServer::Mariadb => 4,
    };
    ctx.upsert("history", hundred("c")).await;
    assert_eq!(proxy.take_round_trips(), wanted, "new objects");
    ctx.upsert("history", hundred("b")).await;
    assert_eq!(proxy.take_round_trips(), wanted, "objects that exist");
}

async fn writers_of_the_same_objects_count_them_once(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let other = store.another().await;
    for round in 0..20 {
        let patches = hundred(&format!("r{round}x"));
        let (here, there) = tokio::join!(
            store.ctx.upsert("history", patches.clone()),
            other.upsert("history", patches)
        );
        assert_ne!(here, there);
    }
    let held = other.held("history").await.expect("it is there");
    assert_eq!((held.count, held.bytes), (2000, 2000 * 300));
    assert_eq!(other.ids("history", Selection::default()).await.len(), 2000);
}

async fn a_write_whose_answer_was_lost_has_happened_once(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    let before = ctx.put("bookmarks", "a", "one").await;
    store.proxy.set(Weather::LosesAnswer);
    ctx.clock.advance_millis(1000);
    let time = ctx.put("bookmarks", "a", "two").await;
    assert!(time > before);
    let other = store.another().await;
    let stored = other.get("bookmarks", "a").await.expect("it is stored");
    assert_eq!((stored.payload.as_str(), stored.modified), ("two", time));
    assert_eq!(other.held("bookmarks").await.map(|held| held.count), Some(1));
}

async fn a_commit_that_did_not_arrive_changes_nothing(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    let before = ctx.put("bookmarks", "a", "one").await;
    store.proxy.set(Weather::LosesCommit);
    let lost = ctx
        .try_write(Write::new(Change::Upsert {
            collection: collection("bookmarks"),
            patches: vec![payload("a", "two")],
        }))
        .await;
    assert!(matches!(lost, Err(EngineError::Unavailable(_))), "{lost:?}");
    assert_eq!(ctx.payload("bookmarks", "a").await, "one");
    assert_eq!(ctx.store_time().await, before);
    assert!(ctx.put("bookmarks", "a", "three").await > before);
}

async fn a_part_whose_answer_was_lost_is_in_its_batch_once(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    let batch = ctx.open("bookmarks", [payload("a", "one")]).await;
    store.proxy.set(Weather::LosesAnswer);
    ctx.append("bookmarks", &batch, [payload("b", "two")]).await;
    store.proxy.set(Weather::LosesAnswer);
    ctx.commit("bookmarks", &batch).await;
    assert_eq!(ctx.held("bookmarks").await.map(|held| held.count), Some(2));
    let again = ctx.try_commit("bookmarks", &batch).await;
    assert!(matches!(again, Err(EngineError::NoSuchBatch)), "{again:?}");
}

async fn service_returns_with_the_server(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    ctx.put("bookmarks", "a", "one").await;
    store.proxy.set(Weather::Down);
    for _ in 0..3 {
        let refused = ctx.engine.summary(ctx.user, Detail::Times).await;
        assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
        let refused = ctx.engine.check().await;
        assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
    }
    store.proxy.set(Weather::Fair);
    let mut tries = 0;
    while ctx.engine.summary(ctx.user, Detail::Times).await.is_err() {
        tries += 1;
        assert!(tries < 100, "service does not return");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ctx.payload("bookmarks", "a").await, "one");
    ctx.put("bookmarks", "a", "two").await;
    ctx.engine.check().await.expect("it serves");
}

async fn processes_create_the_tables_at_once(server: TestServer) {
    let fixture = EngineFixture::new();
    let opened = tokio::join!(
        on_server(server, &fixture),
        on_server(server, &fixture),
        on_server(server, &fixture),
        on_server(server, &fixture)
    );
    let ctx = TestContext::new(fixture, opened.3);
    ctx.put("bookmarks", "a", "one").await;
}

async fn another_process_adds_a_column(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    let whole = Query::all(collection("bookmarks"), Fields::Whole);
    ctx.put("bookmarks", "a", "one").await;
    ctx.page(&whole).await;
    for table in ["sync_object", "sync_user", "sync_collection", "sync_batch"] {
        store
            .namespace
            .run(&format!("ALTER TABLE {table} ADD COLUMN later bigint"))
            .await;
    }
    ctx.put("bookmarks", "b", "two").await;
    assert_eq!(ctx.page(&whole).await.rows.len(), 2);
    let batch = ctx.open("bookmarks", [payload("c", "three")]).await;
    ctx.commit("bookmarks", &batch).await;
    assert_eq!(ctx.summary(Detail::Full).await.collections[0].count, 3);
}

async fn deleted_data_is_removed_while_others_write(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    let big: Vec<Patch> = (0..4)
        .map(|number| payload(&format!("big{number}"), &"x".repeat(1 << 20)))
        .collect();
    for _ in 0..8 {
        ctx.upsert("bookmarks", big.clone()).await;
        ctx.delete_collection("bookmarks", false).await;
    }
    ctx.of_user(7).put("bookmarks", "a", "one").await;
    // The last two at most are left for the purge.
    let purged = ctx.engine.purge(Budget::of(1000)).await.expect("it serves");
    assert!(purged.rows <= 10 && !purged.has_more, "{purged:?}");
}

async fn one_user_does_not_take_all_connections(server: TestServer) {
    let store = Box::pin(TestStore::with(server, "&pool=2")).await;
    let ctx = &store.ctx;
    ctx.put("bookmarks", "a", "one").await;
    let sleep = match server {
        TestServer::Postgres => "SELECT pg_sleep(3)",
        TestServer::Mariadb => "DO SLEEP(3)",
    };
    let lock = format!("BEGIN; SELECT uid FROM sync_user WHERE uid = 42 FOR UPDATE; {sleep}; ROLLBACK");
    let others = async {
        // A write that waits shows that the user's row is locked.
        let blocked = || tokio::time::timeout(Duration::from_millis(200), ctx.put("bookmarks", "a", "two"));
        while blocked().await.is_ok() {}
        let mut writes = tokio::task::JoinSet::new();
        for number in 0..20 {
            let ctx = ctx.clone();
            writes.spawn(async move { ctx.put("bookmarks", "a", &number.to_string()).await });
        }
        // They have begun to wait, and one connection is left for others.
        tokio::time::sleep(Duration::from_millis(200)).await;
        ctx.of_user(7).put("bookmarks", "a", "one").await;
        assert!(writes.try_join_next().is_none(), "the lock was held meanwhile");
        assert_eq!(writes.join_all().await.len(), 20);
    };
    tokio::join!(store.namespace.run(&lock), others);
}
