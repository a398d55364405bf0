//! Background work: the timetable, and when each piece last succeeded.
//!
//! The server holds the *when*, the services the *how*. Every chore may run twice, even at once, without
//! harm, and keeps to a budget. One file each in `chores/`, one line each in the timetable.

mod clear_sign_ins;
mod empty_closed_stores;
mod purge_expired;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use foxden_model::{Clock, SystemClock};

use crate::control::order;
use crate::house::House;
use crate::tasks::Tasks;

/// The timetable.
pub const TIMETABLE: [&dyn Chore; 3] = [
    &purge_expired::PurgeExpired,
    &clear_sign_ins::ClearSignIns,
    &empty_closed_stores::EmptyClosedStores,
];

/// A piece of background work.
#[async_trait]
pub trait Chore: Send + Sync {
    /// How it is called on the command line.
    fn name(&self) -> &'static str;
    /// What it does.
    fn about(&self) -> &'static str;
    /// How much time lies between two runs.
    fn every(&self) -> Duration;
    /// Does one budget's worth of it.
    async fn run(&self, house: &House) -> anyhow::Result<Done>;
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows or stores it dealt with.
    pub count: u64,
    /// Whether the budget ended it with work left.
    pub has_more: bool,
}

/// When each chore of the timetable last succeeded, in milliseconds since 1970; zero for never.
#[derive(Debug, Default)]
pub struct Ledger([AtomicI64; TIMETABLE.len()]);

/// How long a chore rests when its budget ended it: long enough for others to get their turn.
const BREATH: Duration = Duration::from_secs(1);
/// How long after the start the first chore runs; a start has better things to do.
const AFTER_START: Duration = Duration::from_secs(10);

/// Does every chore in its time until the program stops.
pub fn start(house: &Arc<House>, tasks: &Tasks) {
    for chore in TIMETABLE {
        tasks.spawn(repeat(chore, Arc::clone(house), tasks.clone()));
    }
}

async fn repeat(chore: &'static dyn Chore, house: Arc<House>, mut tasks: Tasks) {
    let mut pause = AFTER_START;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = tasks.stopped() => return,
        }
        pause = match run(chore, &house).await {
            Ok(done) if done.has_more => BREATH,
            Ok(_) => chore.every(),
            Err(error) => {
                tracing::warn!("chore {} failed: {error:#}", chore.name());
                chore.every()
            }
        };
    }
}

async fn run(chore: &dyn Chore, house: &House) -> anyhow::Result<Done> {
    let done = chore.run(house).await?;
    if done.count > 0 {
        tracing::info!("chore {}: {done}", chore.name());
    }
    house.ledger.succeeded(chore.name());
    Ok(done)
}

/// Does a chore until nothing of it is left.
pub async fn run_to_the_end(chore: &dyn Chore, house: &House) -> anyhow::Result<Done> {
    let mut all = Done::default();
    loop {
        let done = run(chore, house).await?;
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

/// Every chore, and when it last succeeded.
pub fn list(ledger: &Ledger) -> Vec<order::Chore> {
    let chores = TIMETABLE.iter().zip(&ledger.0).map(|(chore, last)| order::Chore {
        name: chore.name().to_owned(),
        about: chore.about().to_owned(),
        last_success: Some(last.load(Ordering::Relaxed)).filter(|last| *last != 0),
    });
    chores.collect()
}

impl Ledger {
    fn succeeded(&self, name: &str) {
        for (chore, last) in TIMETABLE.iter().zip(&self.0) {
            if chore.name() == name {
                last.store(SystemClock.millis(), Ordering::Relaxed);
            }
        }
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 => f.write_str("nothing to do"),
            count => write!(f, "{count} cleared"),
        }
    }
}
