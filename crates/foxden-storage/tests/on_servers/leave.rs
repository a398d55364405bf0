//! Leaves to write, which the database compares where a write lands.

use std::sync::Arc;
use std::time::Duration;

use foxden_model::{Clock, SeededRng, SyncTime, SystemClock, UserId};
use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_storage::conformance::{EngineFixture, TestContext, collection, id, payload};
use foxden_storage::engine::agreement::{CacheControl, CacheKind, CacheRow, Phase};
use foxden_storage::{
    CacheTimes, Change, Detail, Engine, EngineError, OpenOptions, Pass, SqlEngine, Target, Write, open,
};

use super::guarded;
use super::proxy::{Proxy, Weather};

const USER: UserId = UserId(42);

/// An engine without anything in front of it.
struct Bare {
    ctx: TestContext,
    control: Arc<dyn CacheControl>,
}

impl Bare {
    /// Leave to write in an epoch, as of this many milliseconds ago.
    async fn pass(&self, epoch: i64, millis_ago: i64) -> Pass {
        let clock = self.control.look().await.expect("the server answers").clock;
        Pass::new(epoch, clock - millis_ago, self.ctx.clock.steady_millis(), 50_000)
    }

    /// Makes a plain write, one that takes a transaction, and a deletion: all land, or none does and each comes back as it was.
    async fn expect(&self, lands: bool, pass: Pass, what: &str) {
        let ctx = &self.ctx;
        let before = ctx.payload("bookmarks", "a").await;
        let target = Target::Object(collection("bookmarks"), id("a"));
        let later = ctx.clock.now().plus_seconds(60);
        let deletion = Write::new(Change::DeleteCollection {
            collection: collection("tabs"),
            keeps_name: true,
        });
        for write in [plain(what), guarded(what, target, later), deletion] {
            let write = Write {
                pass: Some(pass),
                ..write
            };
            match ctx.engine.write(USER, write.clone()).await {
                Ok(_) => assert!(lands, "{what}: {write:?}"),
                Err(EngineError::PassEnded(again)) => {
                    assert!(!lands, "{what}: {write:?}");
                    assert_eq!(*again, write);
                }
                Err(error) => panic!("{what}: {error}"),
            }
            ctx.put("tabs", "a", "one").await;
        }
        if lands {
            assert_eq!(ctx.payload("bookmarks", "a").await, what);
        } else {
            assert_eq!(ctx.payload("bookmarks", "a").await, before, "{what}");
        }
        assert_eq!(ctx.held("bookmarks").await.map(|held| held.count), Some(1));
    }

    /// Puts the row into a phase.
    async fn enter(&self, phase: Phase, epoch: i64) {
        let version = self.control.look().await.expect("the server answers").row.version;
        let row = CacheRow {
            phase,
            epoch,
            cache: CacheKind::Redis,
            ..CacheRow::default()
        };
        assert!(
            self.control
                .replace(version, row)
                .await
                .expect("the server answers")
        );
    }
}

fn plain(text: &str) -> Write {
    Write::new(Change::Upsert {
        collection: collection("bookmarks"),
        patches: vec![payload("a", text)],
    })
}

pub async fn a_write_lands_while_its_leave_holds(server: TestServer) {
    let fixture = EngineFixture::new();
    let namespace = server.fresh(fixture.namespace()).await;
    let namespace = namespace.expect("the server is there");
    let url = namespace.url().parse().expect("it is a URL");
    let engine = SqlEngine::open(&url, fixture.clock.clone(), fixture.rng.clone()).await;
    let engine = engine.expect("the server can be used");
    let bare = Bare {
        control: engine.cache_control(),
        ctx: TestContext::new(fixture, Arc::new(engine)),
    };
    bare.ctx.put("bookmarks", "a", "zero").await;
    bare.ctx.put("tabs", "a", "one").await;
    bare.expect(true, bare.pass(0, 0).await, "no cache").await;
    bare.expect(false, bare.pass(5, 0).await, "a cache that is gone")
        .await;
    bare.expect(false, bare.pass(0, 60_000).await, "a leave of the last minute")
        .await;
    bare.enter(Phase::Starting, 5).await;
    bare.expect(false, bare.pass(0, 0).await, "a cache that is announced")
        .await;
    bare.expect(true, bare.pass(5, 0).await, "its own cache").await;
    bare.enter(Phase::On, 5).await;
    bare.expect(false, bare.pass(0, 0).await, "a cache in use").await;
    bare.expect(false, bare.pass(4, 0).await, "another cache").await;
    bare.expect(true, bare.pass(5, 0).await, "its own cache in use")
        .await;
    bare.enter(Phase::Paused, 0).await;
    bare.expect(false, bare.pass(0, 0).await, "a pause").await;
    bare.expect(false, bare.pass(5, 0).await, "a pause of its own cache")
        .await;
    namespace.run("DELETE FROM sync_cache").await;
    bare.expect(true, bare.pass(0, 0).await, "no row").await;
    bare.expect(false, bare.pass(5, 0).await, "a cache without a row")
        .await;
}

/// Two processes: one writes through a proxy and has no cache, the other has one. What the first has seen of the agreement
/// holds for a while.
struct Two {
    writer: Arc<dyn Engine>,
    proxy: Proxy,
    cached: Arc<dyn Engine>,
    namespace: TestNamespace,
}

impl Two {
    async fn new(server: TestServer, write_limit: Duration) -> Self {
        let namespace = server.fresh("leave").await.expect("the server is there");
        let (proxy, through) = Proxy::before(namespace.url()).await;
        let times = CacheTimes {
            lease: Duration::from_millis(200),
            hold: Duration::from_millis(300),
            write_lease: Duration::from_secs(60),
            write_limit,
            settle: Duration::from_millis(300),
            retry: Duration::from_secs(60),
            bar_limit: Duration::ZERO,
        };
        Self {
            writer: process(&through, "none", times, 1).await,
            proxy,
            cached: process(namespace.url(), "local", times, 2).await,
            namespace,
        }
    }

    async fn put(&self, text: &str) -> SyncTime {
        let written = self.writer.write(USER, plain(text)).await;
        written.expect("it is stored").modified
    }

    /// The user's time as the process with the cache tells it.
    async fn told(&self) -> SyncTime {
        let summary = self.cached.summary(USER, Detail::Times).await;
        summary.expect("it is told").modified
    }
}

async fn process(url: &str, cache: &str, cache_times: CacheTimes, seed: u64) -> Arc<dyn Engine> {
    let options = OpenOptions {
        default_folder: std::env::temp_dir(),
        cache: cache.parse().expect("it names a cache"),
        cache_times,
    };
    let url = url.parse().expect("it is a URL");
    let (clock, rng) = (Arc::new(SystemClock), Arc::new(SeededRng::new(seed)));
    let engine = open(&url, &options, clock, rng).await;
    engine.expect("the server can be used")
}

pub async fn a_write_that_is_held_back_lands_in_no_cache_that_is_used_since(server: TestServer) {
    let two = Box::pin(Two::new(server, Duration::from_secs(50))).await;
    let before = two.put("zero").await;
    two.proxy.set(Weather::HoldsNextQuestion);
    let others = async {
        two.proxy.holds().await;
        // Until it answers from its cache, whose entry says what was there before.
        let phase = "SELECT phase FROM sync_cache";
        for _ in 0..200 {
            assert_eq!(two.told().await, before);
            tokio::time::sleep(Duration::from_millis(50)).await;
            if two.namespace.number(phase).await == 2 {
                break;
            }
        }
        assert_eq!(two.namespace.number(phase).await, 2, "the cache is in use");
        assert_eq!(two.told().await, before);
        assert_eq!(two.told().await, before);
        two.proxy.set(Weather::Fair);
    };
    let (written, ()) = tokio::join!(two.put("one"), others);
    assert!(written > before);
    assert_eq!(two.told().await, written);
}

pub async fn a_write_whose_leave_has_ended_takes_another_one(server: TestServer) {
    let two = Box::pin(Two::new(server, Duration::from_secs(3))).await;
    let before = two.put("zero").await;
    two.proxy.set(Weather::HoldsNextQuestion);
    let others = async {
        two.proxy.holds().await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        two.proxy.take_round_trips();
        two.proxy.set(Weather::Fair);
    };
    let (written, ()) = tokio::join!(two.put("one"), others);
    assert!(written > before);
    assert_eq!(two.told().await, written);
    // It was refused, and has looked again.
    let again = two.proxy.take_round_trips();
    assert!(again >= 3, "{again} round trips");
}
