//! Engines on database servers: round trips, lost connections, several processes.
//!
//! The tests are ignored unless `cargo xtask test` has started the servers.

#[path = "on_servers/leave.rs"]
mod leave;
#[path = "on_servers/partitions.rs"]
mod partitions;
#[path = "on_servers/proxy.rs"]
mod proxy;
#[path = "server_engine/mod.rs"]
mod server_engine;

use std::time::Duration;

use foxden_model::{Clock, SyncTime};
use foxden_sql::server::{PooledConnection, PostgresPool};
use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_storage::conformance::{EngineFixture, TestContext, collection, id, payload};
use foxden_storage::{
    BatchPart, Budget, Change, Detail, EngineError, Field, Fields, Guard, Patch, Query, Selection, Target,
    Write,
};

use leave::{
    a_write_lands_while_its_leave_holds, a_write_that_is_held_back_lands_in_no_cache_that_is_used_since,
    a_write_whose_leave_has_ended_takes_another_one,
};
use proxy::{Proxy, Weather};
use server_engine::open;
use sqlx::Executor;

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
    /// What a look sees is acknowledged by a commit of its own, whose answer may be lost as well.
    a_write_whose_answer_was_lost_twice_has_happened_once;
    a_commit_that_did_not_arrive_is_made_again;
    /// A server may show what it still forgets: a primary that lost its standby, a page that is not on disk.
    a_write_that_finds_nothing_to_do_commits_what_it_saw;
    a_write_that_finds_nothing_to_do_is_made_again;
    /// What was seen in time is not late because the answer to its confirmation was.
    a_deletion_that_was_seen_in_time_is_known;
    a_part_that_did_not_arrive_is_shut_out;
    /// One that took over may lack what another one had.
    a_user_whom_the_server_has_lost_begins_anew;
    a_plain_write_whose_answer_was_lost_has_happened_once;
    a_plain_write_that_did_not_arrive_is_made_again;
    a_write_that_arrives_after_its_connection_was_cut_changes_nothing_more;
    a_part_whose_answer_was_lost_is_in_its_batch_once;
    service_returns_with_the_server;
    /// After a cut in the network nothing comes, not even an end.
    a_check_does_not_wait_for_ever;
    processes_create_the_tables_at_once;
    /// As a later version does while this one still serves.
    another_process_adds_a_column;
    deleted_data_is_removed_while_others_write;
    one_user_does_not_take_all_connections;
    a_write_lands_while_its_leave_holds;
    /// What a network holds back may arrive when other processes have begun to use a cache.
    a_write_that_is_held_back_lands_in_no_cache_that_is_used_since;
    /// A process may stand still for any time.
    a_write_whose_leave_has_ended_takes_another_one;
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
    let (known, unknown) = (1, 3);
    // A script that fails leaves a transaction.
    let missed = match server {
        TestServer::Postgres => 1,
        TestServer::Mariadb => 2,
    };
    ctx.upsert("history", hundred("c")).await;
    assert_eq!(proxy.take_round_trips(), known, "new objects");
    ctx.upsert("history", hundred("b")).await;
    assert_eq!(proxy.take_round_trips(), known, "objects that exist");
    store
        .another()
        .await
        .put("history", "z", "written elsewhere")
        .await;
    ctx.upsert("history", hundred("b")).await;
    // The state that was known is not the current one.
    assert_eq!(
        proxy.take_round_trips(),
        unknown + missed,
        "after another process"
    );
    ctx.upsert("tabs", hundred("d")).await;
    assert!(proxy.take_round_trips() <= unknown, "a new collection");
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
    let before = ctx.put("history", "a", "one").await;
    store.proxy.set(Weather::LosesAnswer);
    ctx.clock.advance_millis(1000);
    // A new collection takes a transaction.
    let time = ctx.put("bookmarks", "a", "two").await;
    assert!(store.proxy.has_lost() && time > before);
    let other = store.another().await;
    let stored = other.get("bookmarks", "a").await.expect("it is stored");
    assert_eq!((stored.payload.as_str(), stored.modified), ("two", time));
    assert_eq!(other.held("bookmarks").await.map(|held| held.count), Some(1));
}

async fn a_write_whose_answer_was_lost_twice_has_happened_once(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    let before = ctx.put("history", "a", "one").await;
    store.proxy.set(Weather::LosesTwoAnswers);
    ctx.clock.advance_millis(1000);
    let time = ctx.put("bookmarks", "a", "two").await;
    assert!(store.proxy.has_lost() && time > before);
    let other = store.another().await;
    let stored = other.get("bookmarks", "a").await.expect("it is stored");
    assert_eq!((stored.payload.as_str(), stored.modified), ("two", time));
    assert_eq!(other.held("bookmarks").await.map(|held| held.count), Some(1));
}

async fn a_write_that_finds_nothing_to_do_commits_what_it_saw(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    let deletion = || Change::DeleteCollection {
        collection: collection("bookmarks"),
        keeps_name: false,
    };
    ctx.put("bookmarks", "a", "one").await;
    store.another().await.write(deletion()).await;
    store.proxy.set(Weather::LosesAnswer);
    assert!(!ctx.write(deletion()).await.changed);
    assert!(store.proxy.has_lost(), "it has committed");
    // What this process knows to be committed takes none.
    store.proxy.set(Weather::LosesAnswer);
    assert!(!ctx.write(deletion()).await.changed);
    assert!(!store.proxy.has_lost());
}

async fn a_write_that_finds_nothing_to_do_is_made_again(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    ctx.put("bookmarks", "a", "one").await;
    store.another().await.delete_collection("bookmarks", false).await;
    store.proxy.set(Weather::LosesCommit);
    assert!(!ctx.delete_collection("bookmarks", false).await.changed);
    assert!(store.proxy.has_lost());
}

async fn a_deletion_that_was_seen_in_time_is_known(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    ctx.put("bookmarks", "a", "one").await;
    store.proxy.set(Weather::LosesAnswerAndConfirmation);
    let late = async {
        while !store.proxy.has_lost() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ctx.clock.advance_millis(9000);
    };
    let (written, ()) = tokio::join!(ctx.delete_collection("bookmarks", false), late);
    assert!(written.changed);
    assert_eq!(ctx.held("bookmarks").await, None);
}

async fn a_user_whom_the_server_has_lost_begins_anew(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    ctx.put("bookmarks", "a", "one").await;
    ctx.put("bookmarks", "a", "two").await;
    let loss = ["sync_user", "sync_collection", "sync_object"].map(|table| format!("DELETE FROM {table}"));
    store.namespace.run(&loss.join("; ")).await;
    ctx.put("bookmarks", "b", "three").await;
    let other = store.another().await;
    assert_eq!(other.ids("bookmarks", Selection::default()).await.len(), 1);
    assert_eq!(other.held("bookmarks").await.map(|held| held.count), Some(1));
}

async fn a_part_that_did_not_arrive_is_shut_out(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    let batch = ctx.open("bookmarks", [payload("a", "one")]).await;
    let mark = "SELECT mark FROM sync_user";
    let before = store.namespace.number(mark).await;
    store.proxy.set(Weather::LosesCommit);
    let part = BatchPart {
        collection: collection("bookmarks"),
        batch: Some(batch.clone()),
        guard: None,
        patches: vec![payload("b", "two")],
        max_objects: 100,
        max_bytes: 1000,
        max_open_bytes: 1000,
        quota: None,
    };
    let part = ctx.try_stage(part).await;
    assert!(matches!(part, Err(EngineError::Unavailable(_))), "{part:?}");
    assert!(store.proxy.has_lost());
    assert_ne!(store.namespace.number(mark).await, before);
    ctx.commit("bookmarks", &batch).await;
    assert_eq!(ctx.ids("bookmarks", Selection::default()).await.len(), 1);
}

/// The server says that it took the write back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn a_commit_that_the_server_refuses_is_no_unknown_outcome() {
    let store = Box::pin(TestStore::new(TestServer::Postgres)).await;
    let ctx = &store.ctx;
    ctx.put("bookmarks", "a", "one").await;
    let trigger = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                   'BEGIN RAISE disk_full; END';
                   CREATE TRIGGER refuse BEFORE UPDATE ON sync_user FOR EACH ROW EXECUTE FUNCTION refuse()";
    store.namespace.run(trigger).await;
    let target = Target::Object(collection("bookmarks"), id("a"));
    let write = guarded("two", target, ctx.clock.now().plus_seconds(60));
    let refused = ctx.try_write(write).await;
    assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
    assert_eq!(ctx.payload("bookmarks", "a").await, "one");
}

async fn a_commit_that_did_not_arrive_is_made_again(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    let before = ctx.put("bookmarks", "a", "one").await;
    store.proxy.set(Weather::LosesCommit);
    // This guard takes a transaction.
    let target = Target::Object(collection("bookmarks"), id("a"));
    let write = guarded("two", target, before);
    let written = ctx.try_write(write).await.expect("it is made again");
    assert!(store.proxy.has_lost() && written.modified > before);
    assert_eq!(ctx.payload("bookmarks", "a").await, "two");
    assert_eq!(ctx.store_time().await, written.modified);
    assert_eq!(ctx.held("bookmarks").await.map(|held| held.count), Some(1));
}

/// A write of the object *a* of the bookmarks.
fn guarded(text: &str, target: Target, unmodified_since: SyncTime) -> Write {
    let guard = Guard {
        target,
        unmodified_since,
    };
    Write {
        guard: Some(guard),
        ..Write::new(Change::Upsert {
            collection: collection("bookmarks"),
            patches: vec![payload("a", text)],
        })
    }
}

async fn a_plain_write_whose_answer_was_lost_has_happened_once(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    let before = ctx.put("bookmarks", "a", "one").await;
    ctx.put("bookmarks", "b", "one").await;
    store.proxy.set(Weather::LosesNextAnswer);
    ctx.clock.advance_millis(1000);
    let written = ctx
        .write(Change::Upsert {
            collection: collection("bookmarks"),
            patches: vec![payload("a", "second"), payload("c", "third")],
        })
        .await;
    assert!(store.proxy.has_lost() && written.modified > before);
    assert_eq!((written.bytes_before, written.bytes_after), (6, 14));
    let other = store.another().await;
    let stored = other.get("bookmarks", "a").await.expect("it is stored");
    assert_eq!(
        (stored.payload.as_str(), stored.modified),
        ("second", written.modified)
    );
    let held = other.held("bookmarks").await.expect("it is there");
    assert_eq!((held.count, held.bytes), (3, 14));
}

async fn a_plain_write_that_did_not_arrive_is_made_again(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    ctx.put("bookmarks", "a", "one").await;
    let before = ctx.put("bookmarks", "a", "two").await;
    store.proxy.set(Weather::LosesNextQuestion);
    let time = ctx.put("bookmarks", "a", "three").await;
    assert!(store.proxy.has_lost() && time > before);
    assert_eq!(ctx.payload("bookmarks", "a").await, "three");
    assert_eq!(ctx.store_time().await, time);
    assert_eq!(ctx.held("bookmarks").await.map(|held| held.count), Some(1));
}

async fn a_write_that_arrives_after_its_connection_was_cut_changes_nothing_more(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    let ctx = &store.ctx;
    ctx.put("bookmarks", "a", "one").await;
    store.proxy.set(Weather::DelaysNextQuestion);
    let time = ctx.put("bookmarks", "a", "two").await;
    while !store.proxy.has_lost() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stored = ctx.get("bookmarks", "a").await.expect("it is stored");
    assert_eq!((stored.payload.as_str(), stored.modified), ("two", time));
    assert_eq!(ctx.store_time().await, time);
}

/// Readers may have passed the time that it was given before it waited. Made again, it is not refused because of itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn a_plain_write_that_lands_late_gets_a_later_time() {
    let store = Box::pin(TestStore::new(TestServer::Postgres)).await;
    let ctx = &store.ctx;
    let before = ctx.put("bookmarks", "a", "one").await;
    let mut holder = connection(&store.url).await;
    let lock = "BEGIN; SELECT uid FROM sync_user WHERE uid = 42 FOR UPDATE";
    holder.execute(sqlx::raw_sql(lock)).await.expect("it locks");
    store.proxy.take_round_trips();
    let pass = async {
        while store.proxy.take_round_trips() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ctx.clock.advance_millis(9000);
        let unlocked = holder.execute(sqlx::raw_sql("ROLLBACK")).await;
        unlocked.expect("it unlocks");
        ctx.clock.now()
    };
    let write = Write {
        quota: Some(5),
        ..guarded("second", Target::Collection(collection("bookmarks")), before)
    };
    let (written, passed) = tokio::join!(ctx.try_write(write), pass);
    let time = written.expect("it is made again").modified;
    assert!(time >= passed, "{time:?} is before {passed:?}");
    let stored = ctx.get("bookmarks", "a").await.expect("it is stored");
    assert_eq!((stored.payload.as_str(), stored.modified), ("second", time));
}

/// Both choose the same objects, and one finds them gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn processes_that_purge_at_once_leave_nothing() {
    let store = Box::pin(TestStore::new(TestServer::Postgres)).await;
    let other = store.another().await;
    let patches: Vec<Patch> = (0..20_000)
        .map(|number| payload(&format!("{number:010}"), ""))
        .collect();
    store.ctx.upsert("history", patches).await;
    store.ctx.delete_collection("history", false).await;
    let all = Budget::of(100_000);
    while {
        let (here, there) = tokio::join!(store.ctx.engine.purge(all), other.engine.purge(all));
        here.expect("it serves").has_more || there.expect("it serves").has_more
    } {}
    let mut connection = connection(&store.url).await;
    let left = sqlx::query_scalar("SELECT count(*) FROM sync_object");
    let left: i64 = left
        .fetch_one(&mut *connection)
        .await
        .expect("the server answers");
    assert_eq!(left, 0);
}

/// Without statistics the server thinks that the index by time is as good as the key, and reads whole collections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn objects_are_found_by_their_key() {
    let store = Box::pin(TestStore::new(TestServer::Postgres)).await;
    let ids = [id("a0000000001"), id("a0000000002")];
    let named = Selection {
        ids: Some(ids.to_vec()),
        ..Selection::default()
    };
    let ctx = store.another().await;
    for _ in 0..3 {
        ctx.upsert("history", hundred("a")).await;
        let sorted = Patch {
            sortindex: Field::Set(7),
            ..Patch::empty(id("a0000000001"))
        };
        ctx.upsert("history", [sorted]).await;
        ctx.page(&Query::one(collection("history"), id("a0000000001")))
            .await;
        assert_eq!(ctx.ids("history", named.clone()).await.len(), 2);
    }
    ctx.delete("history", named).await;
    // The server counts what a connection has done when that ends.
    ctx.engine.close().await;
    wait_for_scans(&store, "sync_object_pkey").await;
    assert_eq!(scans(&store, "sync_object_modified").await, 0);
    let ctx = store.another().await;
    assert_eq!(ctx.ids("history", Selection::default()).await.len(), 98);
    ctx.engine.close().await;
    wait_for_scans(&store, "sync_object_modified").await;
}

async fn wait_for_scans(store: &TestStore, index: &str) {
    let looked = async {
        while scans(store, index).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), looked).await;
    found.unwrap_or_else(|_| panic!("{index} is not searched"));
}

/// How often an index was searched.
async fn scans(store: &TestStore, index: &str) -> i64 {
    let mut connection = connection(&store.url).await;
    let scans =
        "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = $1 AND schemaname = current_schema()";
    let scans = sqlx::query_scalar(scans).bind(index);
    scans
        .fetch_one(&mut *connection)
        .await
        .expect("the server answers")
}

async fn connection(url: &str) -> PooledConnection<sqlx::Postgres> {
    let url = url.parse().expect("it is the URL of a server");
    let pool = PostgresPool::open(&url, "test").await.expect("it is fit");
    pool.acquire().await.expect("it serves")
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

async fn a_check_does_not_wait_for_ever(server: TestServer) {
    let store = Box::pin(TestStore::new(server)).await;
    store.ctx.engine.check().await.expect("it serves");
    store.proxy.set(Weather::Swallows);
    let checked = tokio::time::timeout(Duration::from_secs(60), store.ctx.engine.check()).await;
    let checked = checked.expect("there is an answer");
    assert!(matches!(checked, Err(EngineError::Unavailable(_))), "{checked:?}");
}

async fn processes_create_the_tables_at_once(server: TestServer) {
    let fixture = EngineFixture::new();
    let fresh = server.fresh(fixture.namespace()).await;
    let namespace = fresh.expect("the server is there");
    let url = namespace.url();
    let opened = tokio::join!(
        open(url, &fixture),
        open(url, &fixture),
        open(url, &fixture),
        open(url, &fixture)
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
    let held = store
        .namespace
        .hold("SELECT uid FROM sync_user WHERE uid = 42 FOR UPDATE");
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..20 {
        let ctx = ctx.clone();
        writes.spawn(async move { ctx.put("bookmarks", "a", &number.to_string()).await });
    }
    // They have begun to wait, and one connection is left for others.
    tokio::time::sleep(Duration::from_millis(200)).await;
    ctx.of_user(7).put("bookmarks", "a", "one").await;
    assert!(writes.try_join_next().is_none(), "the user is locked");
    drop(held);
    assert_eq!(writes.join_all().await.len(), 20);
}
