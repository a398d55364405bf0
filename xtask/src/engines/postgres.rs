//! PostgreSQL.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::files::{Files, prepare};
use super::server::{Server, USER};
use super::state::State;
use crate::packages::{POSTGRES, Program, find};

/// PostgreSQL.
pub struct Postgres;

impl Server for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL"
    }

    fn variable(&self) -> &'static str {
        "FOXDEN_TEST_POSTGRES"
    }

    fn program(&self) -> &'static Program {
        &POSTGRES
    }

    fn system_user(&self) -> &'static str {
        "postgres"
    }

    fn create(&self, files: &Files) -> Result<()> {
        create(files, &files.password)
    }

    fn serve(&self, files: &Files, port: u16) -> Result<Command> {
        serve(files, port)
    }

    fn has_started(&self, state: &State) -> bool {
        has_started(state)
    }

    fn end_signal(&self) -> &'static str {
        END_SIGNAL
    }

    fn url(&self, state: &State) -> String {
        url(state, &state.password)
    }
}

/// Ends it without waiting for clients.
pub const END_SIGNAL: &str = "INT";

/// Creates the data of a new server, whose accounts have this password.
pub fn create(files: &Files, password: &str) -> Result<()> {
    let mut create = files.command(&find("initdb").context("initdb is missing")?);
    create.arg("--pgdata").arg(files.data());
    create.arg("--pwfile").arg(files.write("password", password)?);
    // The superuser has the same password, for tests that need one. A client hashes it four thousand times for SCRAM, which takes code
    // without optimisation longer than most tests. Roles that tests create have SCRAM.
    create.args(["--username=postgres", "--auth=md5"]);
    create.args([
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
    ]);
    prepare(&mut create, "")?;
    let mut single = files.command(&find("postgres").context("postgres is missing")?);
    single.arg("--single").arg("-D").arg(files.data()).arg("postgres");
    // One statement a line.
    let statements = format!(
        "CREATE ROLE {USER} LOGIN CREATEDB CREATEROLE PASSWORD '{password}'\nCREATE DATABASE {USER} OWNER {USER}\n"
    );
    prepare(&mut single, &statements)
}

/// The call that serves these files.
pub fn serve(files: &Files, port: u16) -> Result<Command> {
    let mut command = files.command(&find("postgres").context("postgres is missing")?);
    command
        .arg("-D")
        .arg(files.data())
        .arg("-p")
        .arg(port.to_string());
    command.arg("-k").arg(&files.sockets);
    // What decides about durability stays as it is.
    for setting in [
        "listen_addresses=127.0.0.1",
        "max_connections=400",
        "shared_buffers=64MB",
        "max_wal_size=4GB",
        "password_encryption=scram-sha-256",
    ] {
        command.args(["-c", setting]);
    }
    Ok(command)
}

/// The last line of its own state file says it, as `pg_ctl` reads it. A server that was killed leaves its file behind.
pub fn has_started(state: &State) -> bool {
    let text = fs::read_to_string(state.files.join("data/postmaster.pid")).unwrap_or_default();
    let line = |number: usize| text.lines().nth(number).unwrap_or_default().trim();
    line(0) == state.process.pid.to_string() && line(7) == "ready"
}

/// The address of the database.
pub fn url(state: &State, password: &str) -> String {
    format!("postgres://{USER}:{password}@{}/{USER}", state.address())
}
