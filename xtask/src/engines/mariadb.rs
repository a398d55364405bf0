//! MariaDB.

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::files::{Files, prepare};
use super::server::{Server, USER};
use super::state::State;
use crate::packages::{MARIADB, Program, find};

/// MariaDB.
pub struct MariaDb;

impl Server for MariaDb {
    fn name(&self) -> &'static str {
        "mariadb"
    }

    fn title(&self) -> &'static str {
        "MariaDB"
    }

    fn variable(&self) -> &'static str {
        "FOXDEN_TEST_MARIADB"
    }

    fn program(&self) -> &'static Program {
        &MARIADB
    }

    fn system_user(&self) -> &'static str {
        "mysql"
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
        "TERM"
    }

    fn url(&self, state: &State) -> String {
        url(state, &state.password)
    }
}

/// MariaDB with a binary log, as a primary of replicas has it.
pub struct WithBinaryLog;

impl Server for WithBinaryLog {
    fn name(&self) -> &'static str {
        "mariadb-binlog"
    }

    fn title(&self) -> &'static str {
        "MariaDB with a binary log"
    }

    fn variable(&self) -> &'static str {
        "FOXDEN_TEST_MARIADB_BINLOG"
    }

    fn program(&self) -> &'static Program {
        MariaDb.program()
    }

    fn system_user(&self) -> &'static str {
        MariaDb.system_user()
    }

    fn create(&self, files: &Files) -> Result<()> {
        MariaDb.create(files)
    }

    fn serve(&self, files: &Files, port: u16) -> Result<Command> {
        let mut command = MariaDb.serve(files, port)?;
        command.args(["--log-bin=binlog", "--server-id=1"]);
        Ok(command)
    }

    fn has_started(&self, state: &State) -> bool {
        MariaDb.has_started(state)
    }

    fn end_signal(&self) -> &'static str {
        MariaDb.end_signal()
    }

    fn url(&self, state: &State) -> String {
        MariaDb.url(state)
    }
}

/// The file with the statements of the start.
const STATEMENTS: &str = "start.sql";

/// Creates the data of a new server, whose account has this password.
pub fn create(files: &Files, password: &str) -> Result<()> {
    let mut create = files.command(&find("mariadb-install-db").context("mariadb-install-db is missing")?);
    own_temporary_folder(&mut create, files);
    create.args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"]);
    create.arg(format!("--datadir={}", files.data().display()));
    prepare(&mut create, "")?;
    // The anonymous accounts go: for connections from this machine they come before accounts for every machine.
    let statements = format!(
        "DELETE FROM mysql.global_priv WHERE User = '';\nFLUSH PRIVILEGES;\n\
             CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{password}';\n\
             GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n\
             CREATE DATABASE IF NOT EXISTS {USER};\n"
    );
    files.write(STATEMENTS, &statements)?;
    Ok(())
}

/// The call that serves these files.
pub fn serve(files: &Files, port: u16) -> Result<Command> {
    let mut command = files.command(&find("mariadbd").context("mariadbd is missing")?);
    own_temporary_folder(&mut command, files);
    // Settings of the machine do not apply, and what decides about durability stays as it is.
    command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"]);
    command.args([
        "--max-connections=400",
        "--max-allowed-packet=64M",
        "--innodb-buffer-pool-size=128M",
    ]);
    command.arg(format!("--port={port}"));
    for (option, path) in [
        ("datadir", files.data()),
        ("pid-file", files.folder.join("pid")),
        ("socket", files.sockets.join("socket")),
        ("init-file", files.folder.join(STATEMENTS)),
    ] {
        command.arg(format!("--{option}={}", path.display()));
    }
    Ok(command)
}

/// A server that starts deletes all temporary tables in its folder for such, also those of other servers.
fn own_temporary_folder(command: &mut Command, files: &Files) {
    command.env("TMPDIR", &files.sockets);
}

/// It greets clients once the statements of the start have run.
pub fn has_started(state: &State) -> bool {
    let Ok(mut stream) = TcpStream::connect(state.address()) else {
        return false;
    };
    let mut greeting = [0; 5];
    let has_greeted = stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .and_then(|()| stream.read_exact(&mut greeting));
    // After the length: the version of the protocol.
    has_greeted.is_ok() && greeting[4] == 10
}

/// The address of the database.
pub fn url(state: &State, password: &str) -> String {
    format!("mysql://{USER}:{password}@{}/{USER}", state.address())
}
