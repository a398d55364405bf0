//! A chore that panics.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::assemble::tests::TestApp;

/// Panics, fails, and succeeds from the third run on.
struct ThirdTime;

static RUNS: AtomicU32 = AtomicU32::new(0);
static DONE: Notify = Notify::const_new();

#[async_trait]
impl Chore for ThirdTime {
    fn name(&self) -> &'static str {
        "third-time"
    }

    fn description(&self) -> &'static str {
        "succeeds the third time"
    }

    fn every(&self) -> Duration {
        Duration::ZERO
    }

    async fn run(&self, _house: &App) -> anyhow::Result<Done> {
        match RUNS.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("the first time"),
            1 => anyhow::bail!("the second time"),
            2 => Ok(Done::default()),
            _ => {
                DONE.notify_one();
                Ok(Done::default())
            }
        }
    }
}

/// It runs again at its next time, and the history says how often it failed and why.
#[tokio::test]
async fn a_chore_that_panics_runs_again_and_its_failure_is_told() {
    let app = TestApp::open("chores", "http://127.0.0.1:5000").await;
    let app = app.services();
    for (failures, why) in [(1, "it panicked: the first time"), (2, "the second time")] {
        let error = run(&ThirdTime, &app).await.unwrap_err();
        assert_eq!(error.to_string(), why);
        let fared = app.chore_history.all()["third-time"].clone();
        assert_eq!(
            (fared.failures, fared.last_failure.as_deref()),
            (failures, Some(why))
        );
        assert_eq!(fared.last_success, None);
    }
    run(&ThirdTime, &app).await.unwrap();
    let fared = app.chore_history.all()["third-time"].clone();
    assert_eq!((fared.failures, fared.last_failure), (0, None));
    assert!(fared.last_success.is_some());

    RUNS.store(0, Ordering::SeqCst);
    let (tasks, stop) = Tasks::new();
    tasks.spawn(repeat(
        &ThirdTime,
        Arc::clone(&app),
        tasks.clone(),
        Duration::ZERO,
    ));
    drop(tasks);
    DONE.notified().await;
    assert!(stop.stop(Duration::from_secs(5)).await);
}
