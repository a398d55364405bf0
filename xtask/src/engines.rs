//! Database servers and cache servers for the tests: installed from Debian's packages, each on a free loopback port and with files
//! of its own.
//!
//! `up` leaves them running until `down`. [`run`] starts others, which end with the process that asked for them: so
//! `cargo xtask test` leaves no server behind, also when it is killed.

mod cluster;
mod files;
mod galera;
mod mariadb;
mod memcached;
mod pgbouncer;
mod postgres;
mod postgres_pair;
pub mod process;
mod redis;
mod server;
mod start;
mod state;
mod system_user;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use crate::cargo::target_dir;
use mariadb::{MariaDb, WithBinaryLog};
use memcached::Memcached;
use pgbouncer::PgBouncer;
use postgres::Postgres;
use postgres_pair::{Primary, Standby};
use process::Process;
use redis::Redis;
use server::Server;
use start::Started;
use state::State;

/// Every kind of database server and of cache server.
pub const SERVERS: [&dyn Server; 4] = [&Postgres, &MariaDb, &Redis, &Memcached];

/// Servers that make up clusters: they start together.
const CLUSTERS: [&dyn Server; 5] = [
    &galera::ALL[0],
    &galera::ALL[1],
    &galera::ALL[2],
    &Primary,
    &Standby,
];

/// What is started by its name alone: a pooler before one of them, and a server with another setting.
const BY_NAME: [&dyn Server; 2] = [&PgBouncer, &WithBinaryLog];

const USAGE: &str = "\
usage: cargo xtask engines up|down|status [--clusters] [NAME...]

  up             start servers for the tests, and print the variables that name them:
                 set -a; eval \"$(cargo xtask engines up)\"; set +a
  down           end them and delete their files
  status         print which run

Without names they are postgres, mariadb, redis and memcached. With --clusters they are three members of a
Galera cluster of MariaDB (galera1, galera2, galera3), and a PostgreSQL that acknowledges nothing before its
standby has it (postgres-primary, postgres-standby). pgbouncer stands before the PostgreSQL that
FOXDEN_TEST_POSTGRES names; mariadb-binlog is a MariaDB that keeps a binary log.
";

/// Names all servers of clusters.
const CLUSTERS_FLAG: &str = "--clusters";

/// The last line of [`run`] once every server runs or has failed.
pub const IS_READY: &str = "ready";
/// How a line of [`run`] about a server that does not run begins.
pub const HAS_FAILED: &str = "failed ";

/// Runs one of the commands; without names, for every server.
pub fn command(words: &[&str]) -> Result<bool> {
    let [what, names @ ..] = words else {
        bail!("{USAGE}");
    };
    let servers = named(names)?;
    let folder = target_dir().join("engines");
    match *what {
        "up" => up(&folder, &servers),
        "down" => down(&folder, &servers),
        "status" => status(&folder, &servers),
        "run" => run(&folder, &servers),
        _ => bail!("{USAGE}"),
    }
}

fn every() -> impl Iterator<Item = &'static dyn Server> {
    SERVERS.into_iter().chain(CLUSTERS).chain(BY_NAME)
}

fn named(names: &[&str]) -> Result<Vec<&'static dyn Server>> {
    let (flags, names): (Vec<&str>, Vec<&str>) =
        names.iter().copied().partition(|name| *name == CLUSTERS_FLAG);
    let mut chosen = if flags.is_empty() {
        Vec::new()
    } else {
        CLUSTERS.to_vec()
    };
    if names.is_empty() && flags.is_empty() {
        return Ok(SERVERS.to_vec());
    }
    for name in names {
        let server = every().find(|server| server.name() == name);
        chosen.push(server.with_context(|| {
            let known: Vec<&str> = every().map(Server::name).collect();
            format!("there is no server {name}, only {}", known.join(", "))
        })?);
    }
    Ok(chosen)
}

/// Starts those that do not run yet. Progress goes to the standard error stream, variables to the standard output.
fn up(folder: &Path, servers: &[&'static dyn Server]) -> Result<bool> {
    let _lock = lock(folder)?;
    let mut is_good = true;
    for (server, started) in start_all(folder, servers) {
        match started {
            Ok(state) => println!("{}={}", server.variable(), server.url(&state)),
            Err(error) => {
                is_good = false;
                eprintln!("  {:<12} does not run: {error:#}", server.title());
            }
        }
    }
    Ok(is_good)
}

fn down(folder: &Path, servers: &[&'static dyn Server]) -> Result<bool> {
    let _lock = lock(folder)?;
    for server in servers {
        let text = match State::read(&folder.join(server.name()))? {
            Some(state) => start::end(*server, &state)?,
            None => "does not run",
        };
        eprintln!("  {:<12} {text}", server.title());
    }
    Ok(true)
}

fn status(folder: &Path, servers: &[&'static dyn Server]) -> Result<bool> {
    for server in servers {
        let text = match State::read(&folder.join(server.name()))? {
            Some(state) if !state.process.is_running() => {
                "does not run any more: it crashed, or the machine has started anew since".to_owned()
            }
            Some(state) if !server.has_started(&state) => {
                format!(
                    "{}   does not answer; see {}",
                    state.address(),
                    state.log().display()
                )
            }
            Some(state) => format!(
                "{:<17} process {:<7} {}",
                state.address(),
                state.process.pid,
                state.files.display()
            ),
            None => "does not run".to_owned(),
        };
        println!("  {:<12} {text}", server.title());
    }
    Ok(true)
}

/// Starts servers of its own, tells the variables, and ends the servers when its input ends: when its parent has closed the pipe
/// or is gone. Until then it obeys the lines of its input and answers each: `stop NAME`, `kill NAME`, `start NAME` after either,
/// `pause NAME` and `continue NAME`, and `promote NAME` for a standby.
/// It must be in a process group of its own, else an interrupt of the parent ends it as well.
fn run(folder: &Path, servers: &[&'static dyn Server]) -> Result<bool> {
    end_forgotten(folder)?;
    let own = Process::this()?;
    let folder = folder.join(format!("run-{}", own.pid));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(OWNER), own.to_string())?;
    let mut started = start_all(&folder, servers);
    for (server, started) in &started {
        let line = match started {
            Ok(state) => format!("{}={}", server.variable(), server.url(state)),
            Err(error) => failed(*server, error),
        };
        // The parent may be gone; then the input ends at once.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
    let _ = writeln!(std::io::stdout(), "{IS_READY}");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let _ = writeln!(std::io::stdout(), "{}", obey(&mut started, &line));
    }
    for (server, started) in &started {
        if let Ok(state) = started {
            start::end(*server, state)?;
        }
    }
    fs::remove_dir_all(folder)?;
    Ok(true)
}

/// Stops, kills, starts, pauses or continues one of the servers of [`run`]. The answer is the command itself, or says why it
/// failed.
fn obey(servers: &mut [(&'static dyn Server, Result<State>)], command: &str) -> String {
    let words = command.split_once(' ');
    let named = words.and_then(|(what, name)| {
        let found = servers.iter_mut().find(|(server, _)| server.name() == name);
        found.map(|(server, started)| (what, *server, started))
    });
    let Some((what, server, Ok(state))) = named else {
        return format!("{HAS_FAILED}{command}: no such server runs");
    };
    let done = match what {
        "stop" => start::stop(server, state),
        "kill" => state.process.kill_with_children(),
        "pause" => state.process.send_with_children("STOP"),
        "continue" => state.process.send_with_children("CONT"),
        "promote" => start::files(server, state).and_then(|files| server.promote(&files)),
        "start" => start::start_again(server, state).map(|again| *state = again),
        _ => Err(anyhow!("there is no command {what}")),
    };
    match done {
        Ok(()) => command.to_owned(),
        Err(error) => failed(server, &error),
    }
}

fn failed(server: &dyn Server, error: &anyhow::Error) -> String {
    format!("{HAS_FAILED}{}: {error:#}", server.title()).replace('\n', " ")
}

/// The file that names the process of [`run`] in the folder of its servers.
const OWNER: &str = "owner";

/// Ends the servers of each [`run`] that was killed, and deletes their files.
fn end_forgotten(folder: &Path) -> Result<()> {
    let _lock = lock(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_run = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("run-"));
        let owner = fs::read_to_string(path.join(OWNER)).ok();
        let owner = owner.and_then(|text| text.parse::<Process>().ok());
        // Without an owner it may be a folder that is being made.
        if !is_run || owner.is_none_or(|owner| owner.is_running()) {
            continue;
        }
        for server in every() {
            if let Some(state) = State::read(&path.join(server.name()))? {
                start::end(server, &state)?;
            }
        }
        fs::remove_dir_all(&path)?;
    }
    Ok(())
}

/// Starts the servers side by side, once their packages are installed.
fn start_all(folder: &Path, servers: &[&'static dyn Server]) -> Vec<(&'static dyn Server, Result<State>)> {
    let titles: Vec<&str> = servers.iter().map(|server| server.title()).collect();
    let installed: Vec<Result<()>> = servers.iter().map(|server| install(*server)).collect();
    eprintln!("starting {} in {}", titles.join(" and "), folder.display());
    std::thread::scope(|scope| {
        let threads: Vec<_> = servers
            .iter()
            .zip(installed)
            .map(|(server, installed)| {
                let folder = folder.join(server.name());
                let start = move || installed.and_then(|()| start_one(*server, &folder));
                (*server, scope.spawn(start))
            })
            .collect();
        let join = |(server, thread): (_, std::thread::ScopedJoinHandle<'_, Result<State>>)| {
            let started = thread.join();
            (
                server,
                started.unwrap_or_else(|_| Err(anyhow!("its thread panicked"))),
            )
        };
        threads.into_iter().map(join).collect()
    })
}

fn install(server: &dyn Server) -> Result<()> {
    server
        .program()
        .ensure()?
        .map_err(|what_to_do| anyhow!(what_to_do))
}

fn start_one(server: &dyn Server, folder: &Path) -> Result<State> {
    let begun = Instant::now();
    let (state, text) = match start::start(server, folder)? {
        Started::Now(state) => (state, format!("{:.1} s", begun.elapsed().as_secs_f32())),
        Started::Before(state) => (state, "runs already".to_owned()),
    };
    eprintln!("  {:<12} {:<17} {text}", server.title(), state.address());
    Ok(state)
}

/// One command at a time starts or ends servers.
fn lock(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path: PathBuf = folder.join("lock");
    let file = File::create(&path)?;
    file.lock()
        .with_context(|| format!("{} cannot be locked", path.display()))?;
    Ok(file)
}
