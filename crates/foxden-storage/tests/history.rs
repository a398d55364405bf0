//! Several clients write and read one user's store at once and note what they asked, when, and what they
//! were answered; one pass over the notes then says whether any order of whole steps explains them.
//!
//! The clock is pushed forwards and back meanwhile. What the pass is able to find is shown by histories
//! spoilt on purpose.

#[path = "history/check.rs"]
mod check;
#[path = "history/load.rs"]
mod load;
#[path = "history/slow.rs"]
mod slow;
#[path = "history/spoil.rs"]
mod spoil;

use std::sync::Arc;

use foxden_storage::conformance::Ground;
use foxden_storage::{Cached, Engine, MemoryEngine, SqliteEngine, SqliteOptions};

/// Makes the test of an engine, opened by an `async fn(&Ground) -> Arc<dyn Engine>`.
macro_rules! explains_its_history {
    ($open:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn concurrent_clients_see_one_order() {
            let ground = Ground::new();
            let engine = $open(&ground).await;
            let history = load::run(ground, engine).await;
            check::check(&history).unwrap_or_else(|fault| panic!("{fault}"));
        }
    };
}

mod memory {
    use super::*;

    #[expect(clippy::unused_async, reason = "other engines have to be waited for")]
    async fn open(ground: &Ground) -> Arc<dyn Engine> {
        Arc::new(MemoryEngine::new(ground.clock.clone(), ground.rng.clone()))
    }

    explains_its_history!(open);
}

mod sqlite {
    use super::*;

    #[expect(clippy::unused_async, reason = "other engines have to be waited for")]
    async fn open(ground: &Ground) -> Arc<dyn Engine> {
        let options = SqliteOptions::new(ground.folder().join("storage"));
        let engine = SqliteEngine::open(options, ground.clock.clone(), ground.rng.clone());
        Arc::new(engine.expect("the folder is fresh"))
    }

    explains_its_history!(open);
}

/// A cache in front of an engine that other clients overtake at every step.
mod cached {
    use super::*;
    use crate::slow::Slow;

    #[expect(clippy::unused_async, reason = "other engines have to be waited for")]
    async fn open(ground: &Ground) -> Arc<dyn Engine> {
        let memory = MemoryEngine::new(ground.clock.clone(), ground.rng.clone());
        Arc::new(Cached::new(Slow::new(memory), ground.clock.clone(), 100))
    }

    explains_its_history!(open);
}
