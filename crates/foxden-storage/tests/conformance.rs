//! Every engine keeps every promise: one test for each promise and engine.
//!
//! An engine whose server is not configured is reported as ignored; with `FOXDEN_TEST_ENGINES=all` its tests fail.

#[path = "server_engine/behind.rs"]
mod behind;
#[path = "server_engine/mod.rs"]
mod server_engine;

use std::process::ExitCode;
use std::sync::Arc;

use foxden_sql::testing::TestServer;
use foxden_storage::conformance::{EngineFixture, Opener, TestedEngine, Unreachable, run};
use foxden_storage::{Cached, Engine, MemoryEngine, SqliteEngine, SqliteOptions};

use behind::behind_local;
use server_engine::on_server;

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
        TestedEngine {
            engine: "postgres",
            opener: opener(TestServer::Postgres, |fixture| {
                Box::pin(async move { on_server(TestServer::Postgres, &fixture).await })
            }),
        },
        TestedEngine {
            engine: "mariadb",
            opener: opener(TestServer::Mariadb, |fixture| {
                Box::pin(async move { on_server(TestServer::Mariadb, &fixture).await })
            }),
        },
        TestedEngine {
            engine: "postgres-local",
            opener: opener(TestServer::Postgres, |fixture| {
                Box::pin(async move { behind_local(TestServer::Postgres, &fixture).await })
            }),
        },
        TestedEngine {
            engine: "mariadb-local",
            opener: opener(TestServer::Mariadb, |fixture| {
                Box::pin(async move { behind_local(TestServer::Mariadb, &fixture).await })
            }),
        },
    ];
    let unreachable = if TestServer::are_required() {
        Unreachable::Failed
    } else {
        Unreachable::Ignored
    };
    run(&engines, unreachable, std::env::args().skip(1))
}

/// The opener of an engine on a server, if the environment names that.
fn opener(server: TestServer, opener: Opener) -> Result<Opener, String> {
    match server.found() {
        Some(_) => Ok(opener),
        None => Err(format!("{} is not set", server.variable())),
    }
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
