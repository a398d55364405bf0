//! Opens engines on database servers, with and without a cache, for the tests of several programs.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use foxden_model::{Clock, SeededRng, UserId};
use foxden_sql::testing::{Lease, TestServer};
use foxden_storage::conformance::EngineFixture;
use foxden_storage::{CacheTimes, Detail, Engine, OpenOptions, open};

use crate::server_engine;

/// An engine on a server; each handle has connections of its own, as another process would.
pub async fn on_server(server: TestServer, fixture: &EngineFixture) -> Arc<dyn Engine> {
    let lease = Box::pin(fixture.resource(async { lease(server, fixture) })).await;
    server_engine::open(lease.namespace().url(), fixture).await
}

/// An empty namespace of a server, with the tables that an earlier test made.
fn lease(server: TestServer, fixture: &EngineFixture) -> Lease {
    server.lease(fixture.namespace(), &["sync_migration"], "SELECT 1")
}

/// An engine behind a cache of this process, which is in use from the beginning: one for all handles.
pub async fn behind_local(server: TestServer, fixture: &EngineFixture) -> Arc<dyn Engine> {
    let opened = fixture.resource(async {
        let lease = lease(server, fixture);
        let engine = open_behind(lease.namespace().url(), "local", AT_ONCE, fixture).await;
        // What is told for this is before all that the test is told.
        let now = fixture.clock.millis();
        fixture.clock.set_millis(now - 3_600_000);
        let summary = engine.summary(UserId(u64::MAX >> 2), Detail::Times).await;
        fixture.clock.set_millis(now);
        assert!(summary.is_ok(), "the server can be used");
        (engine, lease)
    });
    let (engine, _) = Box::pin(opened).await;
    Arc::clone(engine)
}

/// A cache server for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestCache {
    /// Redis.
    Redis,
    /// memcached.
    Memcached,
}

impl TestCache {
    /// The environment variable that names it.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Redis => "FOXDEN_TEST_REDIS",
            Self::Memcached => "FOXDEN_TEST_MEMCACHED",
        }
    }

    /// Its URL, if the environment names one.
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
    pub fn found(self) -> Option<String> {
        std::env::var(self.variable()).ok()
    }
}

/// An engine behind a cache that processes share, which is in use from the beginning. Each handle is an engine of its own.
pub async fn behind_shared(server: TestServer, cache: TestCache, fixture: &EngineFixture) -> Arc<dyn Engine> {
    let cache = cache.found().expect("the environment names the cache");
    let leased = fixture.resource(async {
        let lease = lease(server, fixture);
        let now = fixture.clock.millis();
        fixture.clock.set_millis(now - 3_600_000);
        // On a busy machine the cache or the database may not answer in time.
        for _ in 0..TRIES {
            let engine = open_behind(lease.namespace().url(), &cache, AT_ONCE, fixture).await;
            let summary = engine.summary(UserId(u64::MAX >> 2), Detail::Times).await;
            assert!(summary.is_ok(), "the server can be used");
            engine.close().await;
            let used = "SELECT COUNT(*) FROM sync_cache WHERE phase = 2";
            if lease.namespace().number(used).await == 1 {
                fixture.clock.set_millis(now);
                return lease;
            }
        }
        panic!("the cache is not used");
    });
    let lease = Box::pin(leased).await;
    open_behind(lease.namespace().url(), &cache, AT_ONCE, fixture).await
}

/// How often a cache may fail to answer in time.
const TRIES: usize = 20;

/// An agreement that holds for one call of a writer, so that a cache can be used at once.
pub const AT_ONCE: CacheTimes = CacheTimes {
    lease: Duration::from_secs(2),
    hold: Duration::from_millis(2500),
    write_lease: Duration::ZERO,
    write_limit: Duration::from_secs(40),
    settle: Duration::ZERO,
    retry: Duration::from_secs(60),
    bar_limit: Duration::from_secs(2),
};

/// An engine at this URL behind a cache, with the clock of the fixture.
pub async fn open_behind(
    url: &str,
    cache: &str,
    cache_times: CacheTimes,
    fixture: &EngineFixture,
) -> Arc<dyn Engine> {
    let url = url.parse().expect("the URL is one of a server");
    let options = OpenOptions {
        default_folder: fixture.folder().to_owned(),
        cache: cache.parse().expect("it names a cache"),
        cache_times,
    };
    // A cache server outlives the process of a test: other tests must not meet the same epochs.
    let rng = SeededRng::new(RandomState::new().build_hasher().finish());
    let engine = open(&url, &options, fixture.clock.clone(), Arc::new(rng)).await;
    engine.expect("the server can be used")
}
