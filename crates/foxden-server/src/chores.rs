//! Background work: the timetable, and how each piece fared.
//!
//! The server holds the *when*, the services the *how*. Every chore may run twice, even at once, without
//! harm, and keeps to a budget. One file each in `chores/`, one line each in the timetable.

pub mod history;
pub mod horizon;
mod purge_expired_credentials;
mod purge_expired_objects;
mod wipe_deleted_stores;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::app::App;
use crate::tasks::{Tasks, catch_panic};
use history::{ChoreHistory, ChoreStatus};

/// The timetable.
pub const TIMETABLE: [&dyn Chore; 3] = [
    &purge_expired_objects::PurgeExpiredObjects,
    &purge_expired_credentials::PurgeExpiredCredentials,
    &wipe_deleted_stores::WipeDeletedStores,
];

/// A piece of background work.
#[async_trait]
pub trait Chore: Send + Sync {
    /// How it is called on the command line.
    fn name(&self) -> &'static str;
    /// Its purpose.
    fn description(&self) -> &'static str;
    /// How much time lies between two runs.
    fn every(&self) -> Duration;
    /// Does one budget's worth of it.
    async fn run(&self, app: &App) -> anyhow::Result<Done>;
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows or stores it dealt with.
    pub count: u64,
    /// Whether the budget ended it with work left.
    pub has_more: bool,
}

/// A chore, and how it fared.
#[derive(Clone, Debug)]
pub struct ChoreReport {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its purpose.
    pub description: &'static str,
    /// How it fared since the start.
    pub status: ChoreStatus,
}

/// How long a chore rests when its budget ended it: long enough for others to get their turn.
const YIELD: Duration = Duration::from_secs(1);
/// How long after the start the first chore runs; a start has better things to do.
const AFTER_START: Duration = Duration::from_secs(10);

/// Does every chore in its time until the program stops.
pub fn start(app: &Arc<App>, tasks: &Tasks) {
    for chore in TIMETABLE {
        tasks.spawn(repeat(chore, Arc::clone(app), tasks.clone(), AFTER_START));
    }
}

async fn repeat(chore: &'static dyn Chore, app: Arc<App>, mut tasks: Tasks, mut pause: Duration) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = tasks.stopped() => return,
        }
        pause = match run(chore, &app).await {
            Ok(done) if done.has_more => YIELD,
            Ok(_) | Err(_) => chore.every(),
        };
    }
}

/// Does a budget's worth, and writes down how it went. A panic is a failure like any other, but for its weight in the log.
async fn run(chore: &dyn Chore, app: &App) -> anyhow::Result<Done> {
    let name = chore.name();
    let failure = match catch_panic(chore.run(app)).await {
        Ok(Ok(done)) => {
            if done.count > 0 {
                tracing::info!("chore {name}: {} cleared", done.count);
            }
            app.chore_history.succeeded(name, app.clock.millis());
            return Ok(done);
        }
        Ok(Err(error)) => {
            tracing::warn!("chore {name} failed: {error:#}");
            error
        }
        Err(panic) => {
            tracing::error!("chore {name} panicked and runs again at its next time: {panic}");
            anyhow::anyhow!("it panicked: {panic}")
        }
    };
    app.chore_history.failed(name, format!("{failure:#}"));
    Err(failure)
}

/// Does a chore until nothing of it is left.
pub async fn run_to_the_end(chore: &dyn Chore, app: &App) -> anyhow::Result<Done> {
    let mut all = Done::default();
    loop {
        let done = run(chore, app).await?;
        all.count += done.count;
        // A run that did nothing will not do more when asked again at once.
        if !done.has_more || done.count == 0 {
            return Ok(all);
        }
    }
}

/// The chore of that name.
pub fn find(name: &str) -> Option<&'static dyn Chore> {
    TIMETABLE.into_iter().find(|chore| chore.name() == name)
}

/// Lists the chores, and how each fared.
pub fn list(chore_history: &ChoreHistory) -> Vec<ChoreReport> {
    let all = chore_history.all();
    let chores = TIMETABLE.iter().map(|chore| ChoreReport {
        name: chore.name(),
        description: chore.description(),
        status: all.get(chore.name()).cloned().unwrap_or_default(),
    });
    chores.collect()
}

#[cfg(test)]
mod tests;
