//! Servers of a test's own, which it may stop.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use foxden_sql::testing::TestServer;

/// A server of a test's own. `cargo xtask engines run` keeps it, and ends it when this is dropped or the test is killed.
pub(super) struct OwnServer {
    name: &'static str,
    keeper: Child,
    /// `None` once the server is to end.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    url: String,
}

impl OwnServer {
    /// A new server of that kind, whose user may do everything.
    pub(super) fn start(kind: TestServer) -> Self {
        match kind {
            TestServer::Postgres => Self::named("postgres", kind.variable()),
            TestServer::Mariadb => Self::named("mariadb", kind.variable()),
        }
    }

    /// A pgbouncer before the PostgreSQL of the tests, for whole transactions.
    pub(super) fn pooler() -> Self {
        Self::named("pgbouncer", "FOXDEN_TEST_PGBOUNCER")
    }

    fn named(name: &'static str, variable: &str) -> Self {
        let mut command = Command::new(keeper());
        command.args(["engines", "run", name]).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = command.spawn().unwrap();
        let mut server = Self {
            name,
            commands: keeper.stdin.take(),
            answers: BufReader::new(keeper.stdout.take().unwrap()),
            keeper,
            url: String::new(),
        };
        let answer = server.answer();
        let (told, url) = answer.split_once('=').unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(told, variable);
        url.clone_into(&mut server.url);
        assert_eq!(server.answer(), "ready");
        server
    }

    /// The URL of its database.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Its address and port.
    pub(super) fn place(&self) -> &str {
        let (_, place) = self.url.split_once('@').unwrap();
        place.split_once('/').unwrap().0
    }

    /// Stops it, whatever its clients do.
    pub(super) fn stop(&mut self) {
        self.order("stop");
    }

    /// Starts it at the same address with all that it has acknowledged.
    pub(super) fn start_again(&mut self) {
        self.order("start");
    }

    fn order(&mut self, what: &str) {
        let order = format!("{what} {}", self.name);
        writeln!(self.commands.as_ref().unwrap(), "{order}").unwrap();
        assert_eq!(self.answer(), order);
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // The end of its input tells it to end.
        drop(self.commands.take());
        let ended = self.keeper.wait();
        assert!(
            ended.is_ok_and(|status| status.success()) || std::thread::panicking(),
            "the server has not ended well"
        );
    }
}

/// The program that starts servers: `cargo xtask test` names itself, and calls by hand find it beside the tested program.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
fn keeper() -> PathBuf {
    let named = std::env::var_os("FOXDEN_TEST_XTASK").map(PathBuf::from);
    let path = named.unwrap_or_else(|| Path::new(env!("CARGO_BIN_EXE_foxden")).with_file_name("xtask"));
    assert!(
        path.exists(),
        "there is no {}: cargo build -p xtask",
        path.display()
    );
    path
}
