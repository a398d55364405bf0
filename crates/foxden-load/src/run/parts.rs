//! The users act: all of them for the time of the run, or so many in each cycle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::closed;
use crate::measure::measurement::Measurement;
use crate::measure::process::Process;
use crate::measure::recorder::Recorder;
use crate::plan::Plan;
use crate::result::Figures;
use crate::user::User;
use crate::view::View;

/// How often samples are taken from the users.
const TICK: Duration = Duration::from_millis(200);

/// What happened while users acted.
#[derive(Debug)]
pub struct Acted {
    /// Each cycle.
    pub parts: Vec<Part>,
    /// All users again.
    pub users: Vec<User>,
    /// The server's process, if it was told.
    pub process: Option<Process>,
    /// The run was ended before its time.
    pub is_cut: bool,
}

/// A part of a run with a fixed number of users.
#[derive(Debug)]
pub struct Part {
    /// When it began, after the start of the run.
    begin: Duration,
    /// What was measured.
    pub measurement: Measurement,
    /// When it ended, after its begin.
    pub ended: Duration,
}

impl Part {
    /// Its begin in seconds, and its figures.
    pub fn figures(&self) -> (f64, Figures) {
        (self.begin.as_secs_f64(), self.measurement.figures(self.ended))
    }
}

/// Lets the users act, and tells of requests and faults until now.
pub async fn all(
    plan: &Arc<Plan>,
    mut users: Vec<User>,
    recorder: &Arc<Recorder>,
    view: &mut View,
    tell: &mut impl FnMut(u64, u64),
) -> Result<Acted> {
    let all = plan.parts();
    let whole = plan.part_length() * u32::try_from(all.len()).unwrap_or(u32::MAX);
    let mut process = plan.process.map(|id| Process::new(id, whole)).transpose()?;
    let operations = plan.scenario.operations.iter();
    let names: Vec<String> = operations.map(|operation| operation.name.clone()).collect();
    let (mut parts, mut is_cut) = (Vec::new(), false);
    let first = Instant::now();
    for count in all {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(users.len());
        let idle = users.split_off(count);
        let mut measurement = Measurement::new(plan.warm_up, plan.length, &names, plan.scenario.is_unpaced());
        let start = Instant::now();
        recorder.start(start);
        let mut crowd = closed::start(plan, users, start);
        let end = start + plan.part_length();
        while Instant::now() < end && !is_cut {
            tokio::select! {
                () = tokio::time::sleep(TICK.min(end.saturating_duration_since(Instant::now()))) => {}
                _ = tokio::signal::ctrl_c() => is_cut = true,
            }
            measurement.add(recorder.take(), start.elapsed());
            if let Some(process) = &mut process {
                process.look(first.elapsed());
            }
            tell(measurement.requests(), measurement.faults());
            view.running(plan, count, &measurement, start.elapsed());
        }
        let ended = start.elapsed();
        // Answers to what was sent before the end are still waited for; each has its own time limit.
        users = crowd.stop().await;
        recorder.stop();
        measurement.add(recorder.take(), ended);
        users.extend(idle);
        parts.push(Part {
            begin: start.saturating_duration_since(first),
            measurement,
            ended,
        });
        if is_cut {
            break;
        }
    }
    Ok(Acted {
        parts,
        users,
        process,
        is_cut,
    })
}
