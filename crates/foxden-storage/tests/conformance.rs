//! Every engine keeps every promise: one test for each promise and engine.
//!
//! With a cache in front, one combination of each kind of cache with a server is tested here always; the others run random commands in
//! `model.rs`, and are long here.
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

use behind::{TestCache, behind_local, behind_shared, on_server};

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
        behind("long::postgres-local", &[PG], |fixture| {
            Box::pin(async move { behind_local(TestServer::Postgres, &fixture).await })
        }),
        behind("mariadb-local", &[MARIA], |fixture| {
            Box::pin(async move { behind_local(TestServer::Mariadb, &fixture).await })
        }),
        behind("long::postgres-redis", &[PG, REDIS], |fixture| {
            Box::pin(async move { behind_shared(TestServer::Postgres, TestCache::Redis, &fixture).await })
        }),
        behind("mariadb-redis", &[MARIA, REDIS], |fixture| {
            Box::pin(async move { behind_shared(TestServer::Mariadb, TestCache::Redis, &fixture).await })
        }),
        behind("postgres-memcached", &[PG, MEMCACHED], |fixture| {
            Box::pin(async move { behind_shared(TestServer::Postgres, TestCache::Memcached, &fixture).await })
        }),
        behind("long::mariadb-memcached", &[MARIA, MEMCACHED], |fixture| {
            Box::pin(async move { behind_shared(TestServer::Mariadb, TestCache::Memcached, &fixture).await })
        }),
    ];
    let unreachable = if TestServer::are_required() {
        Unreachable::Failed
    } else {
        Unreachable::Ignored
    };
    run(&engines, unreachable, std::env::args().skip(1))
}

const PG: &str = TestServer::Postgres.variable();
const MARIA: &str = TestServer::Mariadb.variable();
const REDIS: &str = TestCache::Redis.variable();
const MEMCACHED: &str = TestCache::Memcached.variable();

/// An engine behind a cache, if the environment names the servers.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
fn behind(engine: &'static str, variables: &[&str], opener: Opener) -> TestedEngine {
    let missing = variables
        .iter()
        .find(|variable| std::env::var_os(variable).is_none());
    TestedEngine {
        engine,
        opener: missing.map_or(Ok(opener), |missing| Err(format!("{missing} is not set"))),
    }
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
