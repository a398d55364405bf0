//! Servers of a test's own, which it may stop.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use foxden_sql::testing::TestServer;

/// Servers of a test's own. `cargo xtask engines run` keeps them, and ends them when this is dropped or the test is killed.
pub(crate) struct OwnServers {
    keeper: Child,
    /// `None` once they are to end.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// One server of a test's own.
pub(crate) struct OwnServer {
    name: &'static str,
    servers: OwnServers,
    url: String,
}

impl OwnServers {
    /// Starts these, and returns them with their URLs.
    pub(crate) fn start(names: &[&str]) -> (Self, Vec<String>) {
        let mut command = Command::new(keeper());
        command.args(["engines", "run"]).args(names).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = command.spawn().unwrap();
        let mut servers = Self {
            commands: keeper.stdin.take(),
            answers: BufReader::new(keeper.stdout.take().unwrap()),
            keeper,
        };
        let urls = names.iter().map(|_| {
            let answer = servers.answer();
            let url = answer.split_once('=').map(|(_, url)| url.to_owned());
            url.unwrap_or_else(|| panic!("{answer}"))
        });
        let urls = urls.collect();
        assert_eq!(servers.answer(), "ready");
        (servers, urls)
    }

    /// Has one of them stop, start, and so on.
    pub(crate) fn order(&mut self, what: &str, name: &str) {
        let order = format!("{what} {name}");
        writeln!(self.commands.as_ref().unwrap(), "{order}").unwrap();
        assert_eq!(self.answer(), order);
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// The address and port in a URL.
pub(crate) fn place(url: &str) -> &str {
    let (_, place) = url.split_once('@').unwrap();
    place.split_once('/').unwrap().0
}

impl OwnServer {
    /// A new server of that kind, whose user may do everything.
    pub(crate) fn start(kind: TestServer) -> Self {
        Self::named(match kind {
            TestServer::Postgres => "postgres",
            TestServer::Mariadb => "mariadb",
        })
    }

    /// A pgbouncer before the PostgreSQL of the tests, for whole transactions.
    pub(crate) fn pooler() -> Self {
        Self::named("pgbouncer")
    }

    /// A new MariaDB that keeps a binary log.
    pub(crate) fn with_binary_log() -> Self {
        Self::named("mariadb-binlog")
    }

    fn named(name: &'static str) -> Self {
        let (servers, mut urls) = OwnServers::start(&[name]);
        let url = urls.remove(0);
        Self { name, servers, url }
    }

    /// The URL of its database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its address and port.
    pub(crate) fn place(&self) -> &str {
        place(&self.url)
    }

    /// Stops it, whatever its clients do.
    pub(crate) fn stop(&mut self) {
        self.order("stop");
    }

    /// Starts it at the same address with all that it has acknowledged.
    pub(crate) fn start_again(&mut self) {
        self.order("start");
    }

    /// Kills it and its children.
    pub(crate) fn kill(&mut self) {
        self.order("kill");
    }

    /// Its processes stand still.
    pub(crate) fn pause(&mut self) {
        self.order("pause");
    }

    /// Its processes run again.
    pub(crate) fn run_on(&mut self) {
        self.order("continue");
    }

    fn order(&mut self, what: &str) {
        self.servers.order(what, self.name);
    }
}

impl Drop for OwnServers {
    fn drop(&mut self) {
        // The end of its input tells it to end.
        drop(self.commands.take());
        let ended = self.keeper.wait();
        assert!(
            ended.is_ok_and(|status| status.success()) || std::thread::panicking(),
            "the servers have not ended well"
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
