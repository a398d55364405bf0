//! Opens engines on database servers, for the tests of several programs.

use std::sync::Arc;

use foxden_storage::conformance::EngineFixture;
use foxden_storage::{Engine, SqlEngine};

/// An engine at this URL, with the clock of the fixture.
pub async fn open(url: &str, fixture: &EngineFixture) -> Arc<dyn Engine> {
    let url = url.parse().expect("the URL is one of a server");
    let engine = SqlEngine::open(&url, fixture.clock.clone(), fixture.rng.clone()).await;
    Arc::new(engine.expect("the server can be used"))
}
