//! Databases of servers that cannot be used, as `foxden check` and the start say it, and those that go away for a while.

mod encrypted;
mod exhausted;
mod lossy_line;
mod lost_commit;
mod outage;
pub(crate) mod own_server;
mod unfit;

use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use foxden_sql::testing::TestServer;

use crate::program::Start;

/// The variables that name the databases, and what is in each.
const DATABASES: [(&str, &str); 2] = [
    ("FOXDEN__STORAGE__URL", "objects"),
    ("FOXDEN__ACCOUNTS__URL", "accounts"),
];
/// The password of the users that the tests make.
const PASSWORD: &str = "secret-of-the-test";

/// A user of a database server. It is dropped with this, so its schemas must be gone before.
pub struct User {
    server: TestServer,
    pub name: String,
}

impl User {
    pub fn new(server: TestServer) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("foxden_user_{}_{number}", std::process::id());
        match server {
            TestServer::Postgres => server.run(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")),
            TestServer::Mariadb => server.run(&format!("CREATE USER {name} IDENTIFIED BY '{PASSWORD}'")),
        }
        Self { server, name }
    }

    /// The same URL for this user.
    pub fn url(&self, url: &str) -> String {
        with_login(url, &format!("{}:{PASSWORD}", self.name))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let what = match self.server {
            TestServer::Postgres => "ROLE",
            TestServer::Mariadb => "USER",
        };
        self.server.run(&format!("DROP {what} {}", self.name));
    }
}

/// The same URL with another user and password.
fn with_login(url: &str, login: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    format!("{scheme}://{login}@{place}")
}

/// The same URL with another host and port.
pub(crate) fn with_host(url: &str, host: &str) -> String {
    let (login, place) = url.split_once('@').unwrap();
    let (_, database) = place.split_once('/').unwrap();
    format!("{login}@{host}/{database}")
}

/// The same URL with another database.
fn with_database(url: &str, database: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

/// The same URL with one more option.
fn with_option(url: &str, option: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{option}").replace("&&", "&")
}

/// The URL of the server.
fn url(server: TestServer) -> String {
    server.url().expect("the environment names the server")
}

/// Both streams of a command.
fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr];
    texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

/// Serves, and expects the start to fail soon.
#[track_caller]
pub fn failed_start(start: &Start<'_>) -> String {
    let mut command = start.command(&["serve"]);
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}
