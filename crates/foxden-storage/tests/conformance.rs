//! Every engine keeps every promise: one test for each promise and engine.
//!
//! An engine whose server is not configured is reported as ignored; with `FOXDEN_TEST_ENGINES=all` its tests fail.

use std::process::ExitCode;
use std::sync::Arc;

use foxden_storage::conformance::{EngineFixture, TestedEngine, Unreachable, run};
use foxden_storage::{Cached, Engine, MemoryEngine, SqliteEngine, SqliteOptions};

fn main() -> ExitCode {
    let engines = [
        TestedEngine {
            engine: "memory",
            opener: Ok(|fixture| Box::pin(async move { memory(&fixture) })),
        },
        TestedEngine {
            engine: "sqlite",
            opener: Ok(|fixture| Box::pin(async move { sqlite(&fixture) })),
        },
        TestedEngine {
            engine: "cached",
            opener: Ok(|fixture| Box::pin(async move { cached(&fixture) })),
        },
    ];
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
    let wanted = std::env::var("FOXDEN_TEST_ENGINES");
    let unreachable = if wanted.is_ok_and(|engines| engines == "all") {
        Unreachable::Failed
    } else {
        Unreachable::Ignored
    };
    run(&engines, unreachable, std::env::args().skip(1))
}

fn memory(fixture: &EngineFixture) -> Arc<dyn Engine> {
    fixture.shared(|| Arc::new(MemoryEngine::new(fixture.clock.clone(), fixture.rng.clone())))
}

/// One engine for all handles: it locks its folder.
fn sqlite(fixture: &EngineFixture) -> Arc<dyn Engine> {
    fixture.shared(|| {
        let options = SqliteOptions::new(fixture.folder().join("storage"));
        let engine = SqliteEngine::open(options, fixture.clock.clone(), fixture.rng.clone());
        Arc::new(engine.expect("the folder can be opened"))
    })
}

/// A cache in front of the engine in memory, one for all handles: it serves one process.
fn cached(fixture: &EngineFixture) -> Arc<dyn Engine> {
    fixture.shared(|| {
        let memory = MemoryEngine::new(fixture.clock.clone(), fixture.rng.clone());
        Arc::new(Cached::new(memory, fixture.clock.clone(), 100))
    })
}
