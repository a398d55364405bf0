//! Random commands leave any engine equal to the one in memory: every answer is compared, with the clock
//! moving forwards and back, and memory itself is held to laws that need no second engine.
//!
//! The cases are the same in each run; `PROPTEST_CASES` makes them more.

#[path = "model/run.rs"]
mod run;
#[path = "model/steps.rs"]
mod steps;

use std::sync::Arc;

use foxden_storage::conformance::Ground;
use foxden_storage::{Cached, Engine, MemoryEngine, SqliteEngine, SqliteOptions};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use run::Run;
use steps::Time;

/// Makes the two tests of an engine, opened by an `async fn(&Ground) -> Arc<dyn Engine>`.
macro_rules! equals_memory {
    ($open:ident) => {
        /// Objects expire, batches end, and the clock only goes on.
        #[test]
        fn equals_memory_while_objects_expire() {
            compare(Time::Forwards, &async |ground: &Ground| $open(ground).await);
        }

        /// The clock jumps to and fro, and nothing expires.
        #[test]
        fn equals_memory_while_the_clock_jumps() {
            compare(Time::ToAndFro, &async |ground: &Ground| $open(ground).await);
        }
    };
}

mod memory {
    use super::*;

    async fn open(ground: &Ground) -> Arc<dyn Engine> {
        Arc::new(MemoryEngine::new(ground.clock.clone(), ground.rng.clone()))
    }

    equals_memory!(open);
}

mod sqlite {
    use super::*;

    async fn open(ground: &Ground) -> Arc<dyn Engine> {
        let options = SqliteOptions {
            files: 2,
            ..SqliteOptions::new(ground.folder().join("storage"))
        };
        let engine = SqliteEngine::open(options, ground.clock.clone(), ground.rng.clone());
        Arc::new(engine.expect("the folder is fresh"))
    }

    equals_memory!(open);
}

mod cached {
    use super::*;

    async fn open(ground: &Ground) -> Arc<dyn Engine> {
        let memory = MemoryEngine::new(ground.clock.clone(), ground.rng.clone());
        Arc::new(Cached::new(memory, ground.clock.clone(), 100))
    }

    equals_memory!(open);
}

fn compare(time: Time, open: &impl AsyncFn(&Ground) -> Arc<dyn Engine>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime can be built");
    let defaults = Config::default();
    let config = Config {
        // A third of what proptest runs by itself: a case is some forty commands.
        cases: defaults.cases.div_ceil(3),
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..defaults
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&steps::sequence(time), |steps| {
        runtime.block_on(async {
            let ground = Ground::new();
            let engine = open(&ground).await;
            Run::new(ground, engine, time).follow(&steps).await
        })
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => panic!("{reason}\nafter {steps:#?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
