//! Several clients write and read one user's store concurrently and record their calls and the answers; one pass over the
//! records then checks whether an order of atomic steps explains them.
//!
//! The clock moves forwards and back meanwhile. Histories with planted faults show what the pass can find.

#[path = "history/alternating.rs"]
mod alternating;
#[path = "server_engine/behind.rs"]
mod behind;
#[path = "history/load.rs"]
mod load;
#[path = "server_engine/mod.rs"]
mod server_engine;
#[path = "history/slow.rs"]
mod slow;
#[path = "history/spoil.rs"]
mod spoil;

use std::sync::Arc;

use foxden_sql::testing::TestServer;
use foxden_storage::conformance::EngineFixture;
use foxden_storage::conformance::history::check;
use foxden_storage::{Cached, Engine, MemoryEngine, SqliteEngine, SqliteOptions};

/// Defines the test of an engine, opened by an `async fn(&EngineFixture) -> Arc<dyn Engine>`. Further attributes follow it.
macro_rules! explains_its_history {
    ($open:ident $(, $attribute:meta)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        $(#[$attribute])?
        async fn concurrent_clients_see_one_order() {
            let fixture = EngineFixture::new();
            let engine = $open(&fixture).await;
            let history = load::run(fixture, engine).await;
            check(&history).unwrap_or_else(|fault| panic!("{fault}"));
        }
    };
}

mod memory {
    use super::*;

    #[expect(clippy::unused_async, reason = "other engines have to be waited for")]
    async fn open(fixture: &EngineFixture) -> Arc<dyn Engine> {
        Arc::new(MemoryEngine::new(fixture.clock.clone(), fixture.rng.clone()))
    }

    explains_its_history!(open);
}

mod sqlite {
    use super::*;

    #[expect(clippy::unused_async, reason = "other engines have to be waited for")]
    async fn open(fixture: &EngineFixture) -> Arc<dyn Engine> {
        let options = SqliteOptions::new(fixture.folder().join("storage"));
        let engine = SqliteEngine::open(options, fixture.clock.clone(), fixture.rng.clone());
        Arc::new(engine.expect("the folder is fresh"))
    }

    explains_its_history!(open);
}

/// A cache in front of an engine that other clients overtake at every step.
mod cached {
    use super::*;
    use crate::slow::Slow;

    #[expect(clippy::unused_async, reason = "other engines have to be waited for")]
    async fn open(fixture: &EngineFixture) -> Arc<dyn Engine> {
        let memory = MemoryEngine::new(fixture.clock.clone(), fixture.rng.clone());
        Arc::new(Cached::new(Slow::new(memory), fixture.clock.clone(), 100))
    }

    explains_its_history!(open);
}

/// An engine on a server.
macro_rules! on_server {
    ($server:expr) => {
        use super::*;

        async fn open(fixture: &EngineFixture) -> Arc<dyn Engine> {
            crate::behind::on_server($server, fixture).await
        }

        explains_its_history!(open, ignore = "needs a server: cargo xtask test starts one");
    };
}

mod postgres {
    on_server!(TestServer::Postgres);
}

mod mariadb {
    on_server!(TestServer::Mariadb);
}

/// Two processes with one cache.
macro_rules! with_shared_cache {
    ($server:expr, $cache:expr) => {
        use super::*;
        use crate::alternating::Alternating;
        use crate::behind::{TestCache, behind_shared};

        async fn open(fixture: &EngineFixture) -> Arc<dyn Engine> {
            let first = behind_shared($server, $cache, fixture).await;
            let second = behind_shared($server, $cache, fixture).await;
            Arc::new(Alternating::new([first, second]))
        }

        explains_its_history!(open, ignore = "needs servers: cargo xtask test starts them");
    };
}

mod postgres_redis {
    with_shared_cache!(TestServer::Postgres, TestCache::Redis);
}

mod mariadb_redis {
    with_shared_cache!(TestServer::Mariadb, TestCache::Redis);
}

mod postgres_memcached {
    with_shared_cache!(TestServer::Postgres, TestCache::Memcached);
}

mod mariadb_memcached {
    with_shared_cache!(TestServer::Mariadb, TestCache::Memcached);
}

/// One process with a cache of its own.
macro_rules! with_local_cache {
    ($server:expr) => {
        use super::*;

        async fn open(fixture: &EngineFixture) -> Arc<dyn Engine> {
            crate::behind::behind_local($server, fixture).await
        }

        explains_its_history!(open, ignore = "needs a server: cargo xtask test starts one");
    };
}

mod postgres_local {
    with_local_cache!(TestServer::Postgres);
}

mod mariadb_local {
    with_local_cache!(TestServer::Mariadb);
}
