//! A closed load: a fixed number of users, each of which does one thing after the other.
//!
//! A user has a plan: the times at which its operations begin. It follows from the seed and not from the answers. Where an
//! answer comes late, the next operation is late too, and that time counts as part of its latency: it is what a person would
//! have waited. (Otherwise a server that stops for a second would be asked less in that second, and look better: coordinated
//! omission.) Without a time between operations there is no plan, and each follows the answer before it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::fault::Fault;
use crate::number::ratio;
use crate::plan::Plan;
use crate::user::User;

/// How long a user waits after a fault, times the number of faults in a row.
const AFTER_FAULT: Duration = Duration::from_millis(100);
/// The most such waits.
const MOST_WAITS: u32 = 20;

/// Users that act.
#[derive(Debug)]
pub struct Crowd {
    users: JoinSet<User>,
    stop: watch::Sender<bool>,
}

/// Lets the users begin.
pub fn start(plan: &Arc<Plan>, users: Vec<User>, start: Instant) -> Crowd {
    let (stop, stopped) = watch::channel(false);
    let mut set = JoinSet::new();
    for user in users {
        let (plan, stopped) = (Arc::clone(plan), stopped.clone());
        set.spawn(act(plan, user, start, stopped));
    }
    Crowd { users: set, stop }
}

impl Crowd {
    /// Lets each user end what it is in, and gives them back.
    pub async fn stop(&mut self) -> Vec<User> {
        // No user waits for it if all have ended.
        let _ = self.stop.send(true);
        let mut users = Vec::new();
        while let Some(done) = self.users.join_next().await {
            users.extend(done);
        }
        users
    }
}

async fn act(plan: Arc<Plan>, mut user: User, start: Instant, mut stopped: watch::Receiver<bool>) -> User {
    let scenario = &plan.scenario;
    let is_unpaced = scenario.is_unpaced();
    // Not all at once: the first one at any point of its first pause.
    let before = ratio(f64::from(user.ordinal() - plan.first), f64::from(plan.users));
    let mut planned =
        start + plan.ramp.mul_f64(before) + scenario.pause(&user.random).mul_f64(user.random.unit());
    let mut faults = 0;
    loop {
        if is_unpaced {
            planned = planned.max(Instant::now());
        }
        tokio::select! {
            biased;
            _ = stopped.wait_for(|is_stopped| *is_stopped) => break,
            () = tokio::time::sleep_until(planned.into()), if planned > Instant::now() => {}
            () = std::future::ready(()), if planned <= Instant::now() => {}
        }
        let late = Instant::now().saturating_duration_since(planned);
        let number = scenario.choose(&user.random);
        match operation(&plan, &mut user, number, late).await {
            Ok(()) => faults = 0,
            Err(fault) => {
                user.report(fault);
                faults = MOST_WAITS.min(faults + 1);
                tokio::time::sleep(AFTER_FAULT * faults).await;
            }
        }
        planned += scenario.pause(&user.random);
    }
    user
}

async fn operation(plan: &Plan, user: &mut User, number: usize, late: Duration) -> Result<(), Fault> {
    user.renew().await?;
    let began = Instant::now();
    user.client().begin(late);
    for step in &plan.scenario.operations[number].steps {
        user.take(step, &plan.scenario).await?;
    }
    user.client().recorder().operation(number, began, late);
    Ok(())
}
