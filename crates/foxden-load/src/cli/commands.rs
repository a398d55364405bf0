//! What each command does.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::{Clean, Run, Server};
use crate::client;
use crate::plan::Plan;
use crate::result::RunResult;
use crate::scenario::shipped::{self, SHIPPED};
use crate::scenario::{MOST_USERS, Scenario};
use crate::summary;
use crate::target::Target;
use crate::threshold::Threshold;
use crate::view::View;
use crate::{report, run};

/// The exit status of a run that exceeds a limit, or in which the server answered wrongly.
const EXCEEDED: u8 = 3;
/// The longest run. Tokens of the users are good for a day.
const MOST_LENGTH: Duration = Duration::from_secs(12 * 3600);
/// The longest time that an answer may take.
const MOST_TIMEOUT: Duration = Duration::from_secs(600);
/// The most objects before the start, for all users together.
const MOST_OBJECTS: f64 = 20e6;

/// `foxden-load run`.
pub fn run(asked: &Run) -> Result<ExitCode> {
    let text = shipped::text(&asked.scenario)?;
    let mut scenario = Scenario::read(&text).with_context(|| format!("the scenario {}", asked.scenario))?;
    if let Some(every) = asked.every {
        scenario.set_every(every);
    }
    let users = asked.users.unwrap_or(scenario.users);
    check_users(users)?;
    if let Some(rate) = asked.rate {
        let mean = f64::from(users) / rate;
        ensure!(
            rate > 0.0 && (1e-4..=3600.0).contains(&mean),
            "--rate: {users} users cannot do {rate} operations a second"
        );
        scenario.set_rate(rate, users);
    }
    ensure!(
        asked.ramp <= asked.warm_up + asked.length,
        "--ramp: it is longer than the run"
    );
    ensure!(
        !asked.length.is_zero(),
        "--length: nothing can be measured in no time"
    );
    ensure!(
        asked.length + asked.warm_up <= MOST_LENGTH,
        "--length: a run lasts {} hours at most",
        MOST_LENGTH.as_secs() / 3600
    );
    ensure!(
        scenario.objects(users) <= MOST_OBJECTS,
        "--users: all users together would have more than {MOST_OBJECTS} objects before the start"
    );
    let is_cleaned = asked.clean;
    let plan = || -> Result<Plan> {
        Ok(Plan {
            scenario: scenario.clone(),
            text: text.clone(),
            users,
            every: asked.every,
            length: asked.length,
            warm_up: asked.warm_up,
            ramp: asked.ramp,
            rate: asked.rate,
            process: asked.server_pid,
            seed: asked.seed,
            protocol: asked.server.protocol,
            secret: secret(&asked.server.secret_file)?,
            first_uid: asked.server.first_uid,
            server: server(&asked.server)?,
        })
    };
    let (first, again) = (plan()?, plan()?);
    let result = runtime()?.block_on(async {
        let mut view = View::new();
        let result = run::run(first, &mut view).await?;
        if is_cleaned {
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

/// `foxden-load clean`.
pub fn clean(asked: &Clean) -> Result<ExitCode> {
    check_users(asked.users)?;
    let (scenario, text) = (shipped::find("check")?, String::new());
    let plan = Plan {
        scenario,
        text,
        users: asked.users,
        every: None,
        length: Duration::ZERO,
        warm_up: Duration::ZERO,
        ramp: Duration::ZERO,
        rate: None,
        process: None,
        seed: 0,
        protocol: asked.server.protocol,
        secret: secret(&asked.server.secret_file)?,
        first_uid: asked.server.first_uid,
        server: server(&asked.server)?,
    };
    let removed = runtime()?.block_on(run::clean(plan, &mut View::new()))?;
    print(&format!("{removed} made users removed\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn check_users(users: u32) -> Result<()> {
    ensure!(
        (1..=MOST_USERS).contains(&users),
        "--users: {users} is not from 1 to {MOST_USERS}"
    );
    Ok(())
}

/// The server, if it may be loaded.
fn server(asked: &Server) -> Result<Arc<client::Server>> {
    let target = Target::read(&asked.target).map_err(|error| anyhow!("--target: {error}"))?;
    ensure!(
        target.is_local() || asked.is_own,
        "{} is not on this machine. A load test can bring a server down: add --yes-this-is-my-server if it is yours",
        target.host
    );
    ensure!(
        !asked.timeout.is_zero() && asked.timeout <= MOST_TIMEOUT,
        "--timeout: not from 1 ms to 10 min"
    );
    Ok(Arc::new(client::Server::new(target, asked.timeout)?))
}

fn secret(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("--secret-file: {} cannot be read", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    ensure!(!secret.is_empty(), "--secret-file: {} is empty", path.display());
    Ok(secret.to_owned())
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
