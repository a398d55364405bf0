//! Every engine keeps every promise: one test for each promise and engine.
//!
//! An engine that needs a server is reported as ignored where no server is named; with `FOXDEN_TEST_ENGINES=all` its tests fail.

use std::process::ExitCode;
use std::sync::Arc;

use foxden_storage::conformance::{EngineFixture, Ground, Unreachable, run};
use foxden_storage::{Cached, Engine, MemoryEngine, SqliteEngine, SqliteOptions};

fn main() -> ExitCode {
    let fixtures = [
        EngineFixture {
            engine: "memory",
            opener: Ok(|ground| Box::pin(async move { memory(&ground) })),
        },
        EngineFixture {
            engine: "sqlite",
            opener: Ok(|ground| Box::pin(async move { sqlite(&ground) })),
        },
        EngineFixture {
            engine: "cached",
            opener: Ok(|ground| Box::pin(async move { cached(&ground) })),
        },
    ];
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
    let engines = std::env::var("FOXDEN_TEST_ENGINES");
    let unreachable = if engines.is_ok_and(|engines| engines == "all") {
        Unreachable::Failed
    } else {
        Unreachable::Ignored
    };
    run(&fixtures, unreachable, std::env::args().skip(1))
}

fn memory(ground: &Ground) -> Arc<dyn Engine> {
    ground.shared(|| Arc::new(MemoryEngine::new(ground.clock.clone(), ground.rng.clone())))
}

fn sqlite(ground: &Ground) -> Arc<dyn Engine> {
    let options = SqliteOptions::new(ground.folder().join("storage"));
    let engine = SqliteEngine::open(options, ground.clock.clone(), ground.rng.clone());
    Arc::new(engine.expect("the folder can be opened"))
}

/// A cache in front of the engine in memory, one for all handles: it serves one process.
fn cached(ground: &Ground) -> Arc<dyn Engine> {
    ground.shared(|| {
        let memory = MemoryEngine::new(ground.clock.clone(), ground.rng.clone());
        Arc::new(Cached::new(memory, ground.clock.clone(), 100))
    })
}
