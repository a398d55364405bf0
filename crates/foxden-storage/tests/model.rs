//! Random commands have the same results in any engine as in memory: every answer is compared, with the clock moving forwards
//! and back, and all engines must keep laws that need no second engine.
//!
//! The cases are the same in each run; `PROPTEST_CASES` sets their number.

#[path = "server_engine/behind.rs"]
mod behind;
#[path = "model/commands.rs"]
mod commands;
#[path = "model/run.rs"]
mod run;
#[path = "server_engine/mod.rs"]
mod server_engine;

use std::sync::Arc;

use foxden_sql::testing::TestServer;
use foxden_storage::conformance::EngineFixture;
use foxden_storage::{Cached, Engine, MemoryEngine, SqliteEngine, SqliteOptions};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use commands::ClockMotion;
use run::Run;

/// Defines the two tests of an engine, opened by an `async fn(&EngineFixture) -> Arc<dyn Engine>`. Further attributes follow it.
macro_rules! equals_memory {
    ($open:ident $(, $attribute:meta)?) => {
        /// Objects expire, batches end, and the clock only goes on.
        #[test]
        $(#[$attribute])?
        fn equals_memory_while_objects_expire() {
            compare(ClockMotion::Forward, &async |fixture: &EngineFixture| {
                $open(fixture).await
            });
        }

        /// The clock jumps to and fro, and nothing expires.
        #[test]
        $(#[$attribute])?
        fn equals_memory_while_the_clock_jumps() {
            compare(
                ClockMotion::BackAndForth,
                &async |fixture: &EngineFixture| $open(fixture).await,
            );
        }
    };
}

mod memory {
    use super::*;

    async fn open(fixture: &EngineFixture) -> Arc<dyn Engine> {
        Arc::new(MemoryEngine::new(fixture.clock.clone(), fixture.rng.clone()))
    }

    equals_memory!(open);
}

mod sqlite {
    use super::*;

    async fn open(fixture: &EngineFixture) -> Arc<dyn Engine> {
        let options = SqliteOptions {
            shards: 2,
            ..SqliteOptions::new(fixture.folder().join("storage"))
        };
        let engine = SqliteEngine::open(options, fixture.clock.clone(), fixture.rng.clone());
        Arc::new(engine.expect("the folder is fresh"))
    }

    equals_memory!(open);
}

mod cached {
    use super::*;

    async fn open(fixture: &EngineFixture) -> Arc<dyn Engine> {
        let memory = MemoryEngine::new(fixture.clock.clone(), fixture.rng.clone());
        Arc::new(Cached::new(memory, fixture.clock.clone(), 100))
    }

    equals_memory!(open);
}

/// An engine on a server, by an `async fn(TestServer, &EngineFixture)`.
macro_rules! on_server {
    ($module:ident::$open:ident, $($argument:expr),+) => {
        use super::*;

        async fn open(fixture: &EngineFixture) -> Arc<dyn Engine> {
            $module::$open($($argument,)+ fixture).await
        }

        equals_memory!(open, ignore = "needs a server: cargo xtask test starts one");
    };
}

mod postgres {
    on_server!(behind::on_server, TestServer::Postgres);
}

mod mariadb {
    on_server!(behind::on_server, TestServer::Mariadb);
}

mod postgres_local {
    on_server!(behind::behind_local, TestServer::Postgres);
}

mod postgres_redis {
    on_server!(
        behind::behind_shared,
        TestServer::Postgres,
        behind::TestCache::Redis
    );
}

mod mariadb_memcached {
    on_server!(
        behind::behind_shared,
        TestServer::Mariadb,
        behind::TestCache::Memcached
    );
}

mod long {
    use super::*;

    mod mariadb_local {
        on_server!(behind::behind_local, TestServer::Mariadb);
    }

    mod mariadb_redis {
        on_server!(
            behind::behind_shared,
            TestServer::Mariadb,
            behind::TestCache::Redis
        );
    }

    mod postgres_memcached {
        on_server!(
            behind::behind_shared,
            TestServer::Postgres,
            behind::TestCache::Memcached
        );
    }
}

fn compare(motion: ClockMotion, open: &impl AsyncFn(&EngineFixture) -> Arc<dyn Engine>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let defaults = Config::default();
    let config = Config {
        // A third of proptest's default: a case has some forty commands.
        cases: defaults.cases.div_ceil(3),
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..defaults
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&commands::sequence(motion), |commands| {
        runtime.block_on(async {
            let fixture = EngineFixture::new();
            let engine = open(&fixture).await;
            Run::new(fixture, engine, motion).follow(&commands).await
        })
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, commands)) => panic!("{reason}\nafter {commands:#?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
