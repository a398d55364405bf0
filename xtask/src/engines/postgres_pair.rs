//! A PostgreSQL that acknowledges nothing before its standby has it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::cluster::{self, Cluster};
use super::files::{Files, prepare};
use super::postgres;
use super::server::Server;
use super::state::State;
use crate::packages::{POSTGRES, Program, find};

const CLUSTER: &str = "postgres";
/// How the standby calls itself.
const STANDBY: &str = "standby";
/// How long the standby waits for the primary.
const LIMIT: Duration = Duration::from_secs(60);

/// The server that accepts writes.
pub struct Primary;

/// The server that takes over.
pub struct Standby;

impl Server for Primary {
    fn name(&self) -> &'static str {
        "postgres-primary"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL, primary"
    }

    fn variable(&self) -> &'static str {
        "FOXDEN_TEST_POSTGRES_PRIMARY"
    }

    fn program(&self) -> &'static Program {
        &POSTGRES
    }

    fn system_user(&self) -> &'static str {
        "postgres"
    }

    fn create(&self, files: &Files) -> Result<()> {
        let cluster = Cluster::join(&files.home, CLUSTER, 0)?;
        postgres::create(files, &cluster.password)
    }

    fn serve(&self, files: &Files, port: u16) -> Result<Command> {
        let mut command = postgres::serve(files, port)?;
        command.args(["-c", &format!("synchronous_standby_names={STANDBY}")]);
        Ok(command)
    }

    fn has_started(&self, state: &State) -> bool {
        postgres::has_started(state)
    }

    fn end_signal(&self) -> &'static str {
        postgres::END_SIGNAL
    }

    fn url(&self, state: &State) -> String {
        url(state)
    }

    fn forget(&self, state: &State) -> Result<()> {
        cluster::forget(&state.folder, CLUSTER)
    }
}

impl Server for Standby {
    fn name(&self) -> &'static str {
        "postgres-standby"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL, standby"
    }

    fn variable(&self) -> &'static str {
        "FOXDEN_TEST_POSTGRES_STANDBY"
    }

    fn program(&self) -> &'static Program {
        &POSTGRES
    }

    fn system_user(&self) -> &'static str {
        "postgres"
    }

    /// Copies the primary, once it runs.
    fn create(&self, files: &Files) -> Result<()> {
        let cluster = Cluster::join(&files.home, CLUSTER, 0)?;
        let begun = Instant::now();
        let copy = || {
            let primary = primary(&files.home)?.context("the primary does not run")?;
            let mut copy = files.command(&find("pg_basebackup").context("pg_basebackup is missing")?);
            copy.env("PGPASSWORD", &cluster.password);
            copy.args(["--host=127.0.0.1", "--username=postgres", "--write-recovery-conf"]);
            copy.args(["--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
            copy.arg(format!("--port={}", primary.port));
            copy.arg("--pgdata").arg(files.data());
            prepare(&mut copy, "")
        };
        loop {
            match copy() {
                Ok(()) => return Ok(()),
                Err(error) if begun.elapsed() > LIMIT => return Err(error),
                Err(_) => sleep(Duration::from_millis(200)),
            }
            // What is left of the attempt.
            let _ = fs::remove_dir_all(files.data());
        }
    }

    fn serve(&self, files: &Files, port: u16) -> Result<Command> {
        let mut command = postgres::serve(files, port)?;
        // The primary knows it by this name.
        command.args(["-c", &format!("cluster_name={STANDBY}")]);
        Ok(command)
    }

    /// It also answers queries before it is promoted.
    fn has_started(&self, state: &State) -> bool {
        postgres::has_started(state)
    }

    fn end_signal(&self) -> &'static str {
        postgres::END_SIGNAL
    }

    fn url(&self, state: &State) -> String {
        url(state)
    }

    fn promote(&self, files: &Files) -> Result<()> {
        let mut promote = files.command(&find("pg_ctl").context("pg_ctl is missing")?);
        promote.arg("promote").arg("-D").arg(files.data());
        prepare(&mut promote, "")
    }

    fn forget(&self, state: &State) -> Result<()> {
        cluster::forget(&state.folder, CLUSTER)
    }
}

/// The primary beside the server with this folder, if it runs.
fn primary(home: &Path) -> Result<Option<State>> {
    let folder = home.parent().context("a server has a folder")?;
    let state = State::read(&folder.join(Primary.name()))?;
    Ok(state.filter(postgres::has_started))
}

fn url(state: &State) -> String {
    let cluster = Cluster::of(&state.folder, CLUSTER);
    postgres::url(
        state,
        &cluster.map(|cluster| cluster.password).unwrap_or_default(),
    )
}
