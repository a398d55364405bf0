//! What each command does.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use tokio::net::TcpListener;

use super::asked::Wanted;
use super::mistake::{check_output, mistake};
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

/// The exit status of a run that exceeds a limit, has a fault, or could not be checked at its end.
const EXCEEDED: u8 = 3;
/// The most turns of each server.
const MOST_TURNS: u32 = 1000;
/// The most workers of a run.
const MOST_WORKERS: u32 = 500;

/// `foxden-load run`.
pub fn run(asked: &Run) -> Result<ExitCode> {
    let (first, again, spread) = mistake(plans(asked))?;
    let (result, cleaned) = runtime()?.block_on(async {
        let mut view = View::new();
        let result = match spread {
            Some(spread) => coordinate(spread, &first, &mut view).await?,
            None => run::run(first, &mut view).await?,
        };
        let cleaned = if asked.clean {
            run::clean(again, &mut view).await.map(|_| ())
        } else {
            Ok(())
        };
        anyhow::Ok((result, cleaned))
    })?;
    // What was found is said before anything can fail.
    print(&summary::text(&result))?;
    if let Some(path) = &asked.json {
        result.write(path)?;
    }
    write_report(&result, asked.report.as_deref())?;
    let verdict = verdict(&result, &asked.fail_if)?;
    cleaned?;
    Ok(verdict)
}

/// Workers that are asked for.
struct Spreading {
    workers: u32,
    seal: Seal,
    listen: SocketAddr,
}

/// The plans of the run and of cleaning up after it, and its workers. The files for what it finds can be written.
fn plans(asked: &Run) -> Result<(Plan, Plan, Option<Spreading>)> {
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
    let spread = asked.spread.workers;
    let spread = spread.map(|workers| spreading(&asked.spread, workers, first.users));
    let spread = spread.transpose()?;
    check_output("--json", asked.json.as_deref())?;
    check_output("--report", asked.report.as_deref())?;
    Ok((first, again, spread))
}

fn spreading(asked: &Spread, workers: u32, users: u32) -> Result<Spreading> {
    ensure!(
        (1..=users.min(MOST_WORKERS)).contains(&workers),
        "--workers: {workers} is not from 1 to {MOST_WORKERS}, or there are fewer users"
    );
    let path = asked
        .shared_secret_file
        .as_ref()
        .context("--shared-secret-file is missing")?;
    Ok(Spreading {
        workers,
        seal: Seal::read(path)?,
        listen: asked.listen,
    })
}

/// Lets workers carry out the plan.
async fn coordinate(spread: Spreading, plan: &Plan, view: &mut View) -> Result<RunResult> {
    let listener = TcpListener::bind(spread.listen)
        .await
        .with_context(|| format!("--listen: {}", spread.listen))?;
    let task = Task {
        workers: usize::try_from(spread.workers)?,
        whole: plan.share(),
        settings: plan.settings(None),
        process: plan.process,
    };
    coordinator::run(listener, spread.seal, task, view).await
}

/// `foxden-load worker`.
pub fn worker(asked: &Worker) -> Result<ExitCode> {
    let target = Target::read(&asked.coordinator).map_err(|error| anyhow!("--coordinator: {error}"));
    let line = Line::new(mistake(target)?, mistake(Seal::read(&asked.shared_secret_file))?)?;
    let plan = |share: &Share| asked::plan_of(share, &asked.access);
    runtime()?.block_on(worker::work(line, plan, &mut View::new()))?;
    Ok(ExitCode::SUCCESS)
}

/// The exit status of a run. A fault, or a final check that could not be made, is a failure without being asked for.
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
    }
    if let Some(missing) = result.missing() {
        print(&format!("{missing}\n"))?;
    }
    is_good &= result.faults() == 0 && result.missing().is_none();
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXCEEDED)
    })
}

/// `foxden-load scenarios`.
pub fn scenarios(name: Option<&str>) -> Result<ExitCode> {
    match name {
        Some(name) => print(&mistake(shipped::text(name))?)?,
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
    let result = mistake(RunResult::read(path))?;
    mistake(check_output("--report", to))?;
    let settings = &result.settings;
    print(&format!(
        "{}, {} users, {}\n{}",
        settings.scenario,
        settings.users,
        settings.target,
        summary::text(&result)
    ))?;
    write_report(&result, to)?;
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
        .collect::<Result<Vec<_>>>();
    mistake(check_output("--report", asked.found.report.as_deref()))?;
    found(&mistake(sides)?, &asked.found)
}

/// Says what a comparison found.
fn found(sides: &[Side], to: &Found) -> Result<ExitCode> {
    let comparison = Comparison::of(sides)?;
    print(&compare::text::text(&comparison))?;
    if let Some(path) = &to.report {
        let page = report::comparison::page(&comparison)?;
        fs::write(path, page).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let is_slower = comparison.against.iter().any(Against::is_slower);
    Ok(if is_slower && to.fail_if_slower {
        ExitCode::from(EXCEEDED)
    } else {
        ExitCode::SUCCESS
    })
}

/// `foxden-load alternate`.
pub fn alternate(asked: &Alternate) -> Result<ExitCode> {
    let (wanted, folders) = mistake(alternation(asked))?;
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

/// What is run in turn, and the folders for its results.
fn alternation(asked: &Alternate) -> Result<(Wanted, Vec<PathBuf>)> {
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
    for target in &asked.target {
        wanted.plan(target, &asked.access, 0, None)?;
    }
    check_output("--report", asked.found.report.as_deref())?;
    let folders = alternate::folders(&asked.into, asked.target.len())?;
    Ok((wanted, folders))
}

/// `foxden-load trend`.
pub fn trend(folder: &Path, to: Option<&Path>) -> Result<ExitCode> {
    let trends = mistake(trend::read(folder))?;
    mistake(check_output("--report", to))?;
    print(&trend::text(&trends))?;
    if let Some(path) = to {
        let page = report::trends::page(&trends)?;
        fs::write(path, page).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `foxden-load clean`.
pub fn clean(asked: &Clean) -> Result<ExitCode> {
    let wanted = mistake(Wanted::nothing(asked.users))?;
    let plan = mistake(wanted.plan(&asked.server.target, &asked.server.access, 0, None))?;
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
