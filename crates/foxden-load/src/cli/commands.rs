//! What each command does.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use tokio::net::TcpListener;

use super::asked::Wanted;
use super::{Alternate, Clean, Compare, Found, Run, Spread, Worker, asked};
use crate::compare::side::Side;
use crate::compare::{self, Against, Comparison};
use crate::plan::Plan;
use crate::result::RunResult;
use crate::run::alternate::{self, Turn};
use crate::scenario::Scenario;
use crate::scenario::shipped::{self, SHIPPED};
use crate::spread::coordinator::{self, Task};
use crate::spread::message::Share;
use crate::spread::seal::Seal;
use crate::spread::worker::{self, Line};
use crate::target::Target;
use crate::threshold::Threshold;
use crate::view::View;
use crate::{report, run, summary, trend};

/// The exit status of a run that exceeds a limit, or in which the server answered wrongly.
const EXCEEDED: u8 = 3;
/// The most turns of each server.
const MOST_TURNS: u32 = 1000;
/// The most workers of a run.
const MOST_WORKERS: u32 = 500;

/// `foxden-load run`.
pub fn run(asked: &Run) -> Result<ExitCode> {
    let wanted = Wanted::read(&asked.scenario, &asked.load, &asked.cycles)?;
    let plan = || {
        wanted.plan(
            &asked.server.target,
            &asked.server.access,
            asked.load.seed,
            asked.server_pid,
        )
    };
    let (first, again) = (plan()?, plan()?);
    let result = runtime()?.block_on(async {
        let mut view = View::new();
        let result = match asked.spread.workers {
            Some(workers) => coordinate(&asked.spread, workers, &first, &mut view).await?,
            None => run::run(first, &mut view).await?,
        };
        if asked.clean {
            run::clean(again, &mut view).await?;
        }
        anyhow::Ok(result)
    })?;
    if let Some(path) = &asked.json {
        result.write(path)?;
    }
    write_report(&result, asked.report.as_deref())?;
    print(&summary::text(&result))?;
    verdict(&result, &asked.fail_if)
}

/// Lets workers carry out the plan.
async fn coordinate(asked: &Spread, workers: u32, plan: &Plan, view: &mut View) -> Result<RunResult> {
    ensure!(
        (1..=plan.users.min(MOST_WORKERS)).contains(&workers),
        "--workers: {workers} is not from 1 to {MOST_WORKERS}, or there are fewer users"
    );
    let path = asked
        .shared_secret_file
        .as_ref()
        .context("--shared-secret-file is missing")?;
    let seal = Seal::read(path)?;
    let listener = TcpListener::bind(asked.listen)
        .await
        .with_context(|| format!("--listen: {}", asked.listen))?;
    let task = Task {
        workers: usize::try_from(workers)?,
        whole: plan.share(),
        settings: plan.settings(None),
        process: plan.process,
    };
    coordinator::run(listener, seal, task, view).await
}

/// `foxden-load worker`.
pub fn worker(asked: &Worker) -> Result<ExitCode> {
    let target = Target::read(&asked.coordinator).map_err(|error| anyhow!("--coordinator: {error}"))?;
    let line = Line::new(target, Seal::read(&asked.shared_secret_file)?)?;
    let plan = |share: &Share| asked::plan_of(share, &asked.access);
    runtime()?.block_on(worker::work(line, plan, &mut View::new()))?;
    Ok(ExitCode::SUCCESS)
}

/// The exit status of a run. An answer that is wrong is a failure without being asked for.
fn verdict(result: &RunResult, limits: &[Threshold]) -> Result<ExitCode> {
    let mut is_good = true;
    for limit in limits.iter().filter(|limit| limit.is_exceeded(result)) {
        print(&format!("Limit exceeded: {limit}\n"))?;
        is_good = false;
    }
    if result.wrong() > 0 {
        print(&format!(
            "The server answered wrongly {} times.\n",
            result.wrong()
        ))?;
        is_good = false;
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXCEEDED)
    })
}

/// `foxden-load scenarios`.
pub fn scenarios(name: Option<&str>) -> Result<ExitCode> {
    match name {
        Some(name) => print(&shipped::text(name)?)?,
        None => {
            for (name, text) in SHIPPED {
                let scenario = Scenario::read(text)?;
                print(&format!("{name:14} {}\n", scenario.about))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `foxden-load show`.
pub fn show(path: &Path, to: Option<&Path>) -> Result<ExitCode> {
    let result = RunResult::read(path)?;
    write_report(&result, to)?;
    let settings = &result.settings;
    print(&format!(
        "{}, {} users, {}\n{}",
        settings.scenario,
        settings.users,
        settings.target,
        summary::text(&result)
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn write_report(result: &RunResult, to: Option<&Path>) -> Result<()> {
    let Some(path) = to else {
        return Ok(());
    };
    fs::write(path, report::page(result)?).with_context(|| format!("{} cannot be written", path.display()))
}

/// `foxden-load compare`.
pub fn compare(asked: &Compare) -> Result<ExitCode> {
    let sides = ('A'..).zip(&asked.results);
    let sides = sides
        .map(|(letter, path)| Side::read(letter, path))
        .collect::<Result<Vec<_>>>()?;
    found(&sides, &asked.found)
}

/// Says what a comparison found.
fn found(sides: &[Side], to: &Found) -> Result<ExitCode> {
    let comparison = Comparison::of(sides)?;
    if let Some(path) = &to.report {
        let page = report::comparison::page(&comparison)?;
        fs::write(path, page).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    print(&compare::text::text(&comparison))?;
    let is_slower = comparison.against.iter().any(Against::is_slower);
    Ok(if is_slower && to.fail_if_slower {
        ExitCode::from(EXCEEDED)
    } else {
        ExitCode::SUCCESS
    })
}

/// `foxden-load alternate`.
pub fn alternate(asked: &Alternate) -> Result<ExitCode> {
    ensure!(
        (2..=4).contains(&asked.target.len()),
        "--target: two to four servers are compared, each with its own --target"
    );
    ensure!(
        (1..=MOST_TURNS).contains(&asked.runs),
        "--runs: {} is not from 1 to {MOST_TURNS}",
        asked.runs
    );
    let wanted = Wanted::read(&asked.scenario, &asked.load, &[])?;
    let folders = alternate::folders(&asked.into, asked.target.len())?;
    let plan = |turn: Turn| {
        // Both runs of a pair have the same users, objects and operations.
        let seed = asked.load.seed.wrapping_add(u64::from(turn.number));
        wanted.plan(&asked.target[turn.side], &asked.access, seed, None)
    };
    let mut view = View::new();
    runtime()?.block_on(alternate::run(&folders, asked.runs, plan, &mut view))?;
    let sides = ('A'..).zip(&folders);
    let sides = sides
        .map(|(letter, path)| Side::read(letter, path))
        .collect::<Result<Vec<_>>>()?;
    found(&sides, &asked.found)
}

/// `foxden-load trend`.
pub fn trend(folder: &Path, to: Option<&Path>) -> Result<ExitCode> {
    let trends = trend::read(folder)?;
    if let Some(path) = to {
        let page = report::trends::page(&trends)?;
        fs::write(path, page).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    print(&trend::text(&trends))?;
    Ok(ExitCode::SUCCESS)
}

/// `foxden-load clean`.
pub fn clean(asked: &Clean) -> Result<ExitCode> {
    let wanted = Wanted::nothing(asked.users)?;
    let plan = wanted.plan(&asked.server.target, &asked.server.access, 0, None)?;
    let removed = runtime()?.block_on(run::clean(plan, &mut View::new()))?;
    print(&format!("{removed} made users removed\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
    }
}
