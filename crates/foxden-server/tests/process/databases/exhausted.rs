//! A pool whose connections all wait for locks: other users are told to wait, and the log says which pool it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foxden_sql::testing::TestServer;
use foxden_test_support::client::wire::Reply;

use super::with_option;
use crate::program::{Folder, Program, SECRET, Start};
use crate::raw::{Client, Proof};
use crate::token;

/// The users whose rows are locked. A write waits for its row for four seconds or five, so with two connections the last of them would
/// have to wait for its connection for longer than it may.
const LOCKED: [u64; 6] = [1, 2, 3, 4, 5, 6];
/// Another user.
const OTHER: u64 = 7;

const EXHAUSTED: &str = "all connections of the pool have been in use";

const BODY: &str = r#"{"payload":"x"}"#;

/// Whether the request was served. If not, the client is told when to come back.
#[track_caller]
fn is_served(reply: &Reply) -> bool {
    if reply.status == 200 {
        return true;
    }
    assert_eq!((reply.status, reply.text().as_str()), (503, "0"));
    let wait: u32 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 0);
    false
}

/// Writes for a user again and again, until the last attempt after the locks were released.
fn write_until(program: &Program, user: u64, is_released: &AtomicBool) {
    let target = format!("/1.5/{user}/storage/tabs/a");
    loop {
        let is_last = is_released.load(Ordering::SeqCst);
        let proof = Proof::Signature(token::mint(SECRET, user, program.url()));
        // A write may be repeated for longer than this client waits.
        if let Ok(reply) = Client::new(program.address(), proof).send("PUT", &target, BODY) {
            let is_refused = reply.status == 503 && reply.body == "0";
            assert!(is_refused || reply.status == 200, "{reply:?}");
            if is_last && reply.status == 200 {
                return;
            }
        }
    }
}

/// Ends the writers once it is dropped.
struct Release<'a>(&'a AtomicBool);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Tries until it is so. It gives up where a test would not end at all.
fn until(mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(
            begin.elapsed() < Duration::from_secs(120),
            "it does not become so"
        );
    }
}

fn other_users_wait_while_all_connections_do(server: TestServer) {
    let namespace = server.namespace("exhausted");
    let folder = Folder::new();
    let program = Start::on(&folder)
        .with("--surfaces")
        .with("sync,ops")
        .set("FOXDEN__STORAGE__URL", with_option(namespace.url(), "pool=2"))
        .serve();
    for user in LOCKED.into_iter().chain([OTHER]) {
        let written = program
            .store(user)
            .send("PUT", "/storage/tabs/a", Some(BODY.into()));
        written.expect(200);
    }
    let other = program.store(OTHER);
    let read = || is_served(&other.send("GET", "/storage/tabs/a", None));
    let write = || is_served(&other.send("PUT", "/storage/tabs/a", Some(BODY.into())));
    let is_released = AtomicBool::new(false);
    let users = LOCKED.map(|user| user.to_string()).join(", ");
    let lock = namespace.hold(&format!(
        "SELECT uid FROM sync_user WHERE uid IN ({users}) FOR UPDATE"
    ));
    std::thread::scope(|scope| {
        for user in LOCKED {
            let (program, is_released) = (&program, &is_released);
            scope.spawn(move || write_until(program, user, is_released));
        }
        // Also where an assertion fails: else it would wait for the writers for ever.
        let release = Release(&is_released);
        // The other user may be served in between.
        until(|| {
            read();
            write();
            program.log().contains(EXHAUSTED)
        });
        drop(lock);
        drop(release);
        until(read);
        until(write);
    });
    let log = program.log();
    let line = log.lines().find(|line| line.contains(EXHAUSTED));
    let line = line.unwrap_or_else(|| panic!("no line: {log}"));
    assert!(line.contains("pool=2") && line.contains("server="), "{line}");
    assert!(line.contains("raise pool= in the URL"), "{line}");
    // Meanwhile the server was neither thought to be down nor left.
    assert!(!log.contains("cannot be reached"), "{log}");
    program.stop();
}

#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn other_users_wait_while_all_connections_to_postgresql_do() {
    other_users_wait_while_all_connections_do(TestServer::Postgres);
}

#[test]
#[ignore = "needs MariaDB: run by cargo xtask test"]
fn other_users_wait_while_all_connections_to_mariadb_do() {
    other_users_wait_while_all_connections_do(TestServer::Mariadb);
}
