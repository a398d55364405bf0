//! Opens engines on database servers behind a cache, for the tests of several programs.

use std::sync::Arc;
use std::time::Duration;

use foxden_model::{Clock, UserId};
use foxden_sql::testing::TestServer;
use foxden_storage::conformance::EngineFixture;
use foxden_storage::{CacheTimes, Detail, Engine, OpenOptions, open};

/// An engine behind a cache of this process, which is in use from the beginning: one for all handles.
pub async fn behind_local(server: TestServer, fixture: &EngineFixture) -> Arc<dyn Engine> {
    let opened = fixture.resource(async {
        let lease = server.lease(fixture.namespace(), &["sync_migration"], "SELECT 1");
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

/// An agreement that holds for one call of a writer, so that a cache can be used at once.
pub const AT_ONCE: CacheTimes = CacheTimes {
    lease: Duration::from_secs(2),
    hold: Duration::from_millis(2500),
    write_lease: Duration::ZERO,
    write_limit: Duration::from_secs(40),
    settle: Duration::ZERO,
    retry: Duration::from_secs(60),
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
    let engine = open(&url, &options, fixture.clock.clone(), fixture.rng.clone()).await;
    engine.expect("the server can be used")
}
