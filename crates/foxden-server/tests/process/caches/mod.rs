//! The whole program with a cache in front of its database, as docs/caches.md promises it: a cache that is away, hangs or was
//! emptied costs time, never truth.

mod check;
mod faults;
mod load;
mod local;
mod manual;
mod server;
mod start;

use std::time::{Duration, Instant};

use foxden_sql::testing::{TestNamespace, TestServer};

use crate::program::{Folder, Program, Start};

/// How long anything here may take: a cache is used some time after it was announced, and announced once in a minute.
const LIMIT: Duration = Duration::from_secs(300);

const IN_USE: &str = "the cache is in use";
const ENDED: &str = "this process ends the use of the cache";
const NOT_IN_USE: &str = "the cache is not in use any more";

/// How to start a program with a cache in front of a database that no other test has.
struct Setup<'a> {
    server: TestServer,
    namespace: TestNamespace,
    start: Start<'a>,
}

impl<'a> Setup<'a> {
    fn new(folder: &'a Folder, server: TestServer, cache: &str) -> Self {
        let namespace = server.namespace("caches");
        // It is started again at the same address.
        let start = Start::on(folder).without_flags().with("--listen");
        let start = start.with(format!("127.0.0.1:{}", Start::free_port()));
        let start = start.set("FOXDEN__STORAGE__URL", namespace.url());
        Self {
            start: start.set("FOXDEN__STORAGE__CACHE", cache),
            server,
            namespace,
        }
    }

    /// Waits until the cache is in use, but not as long as a process waits after it was announced: no other process writes here,
    /// so it is enough that it was announced.
    fn use_cache_soon(&self, program: &Program) {
        let table = format!("{}.sync_cache", self.namespace.name());
        let settle = format!("UPDATE {table} SET phase = 2, version = version + 1 WHERE phase = 1");
        wait_until("the cache is in use", || {
            self.server.run(&settle);
            is_cache_used(program)
        });
    }

    /// Another program on the same database, with another cache or none.
    fn beside<'b>(&self, folder: &'b Folder, cache: &str) -> Start<'b> {
        let start = Start::on(folder).set("FOXDEN__STORAGE__URL", self.namespace.url());
        start.set("FOXDEN__STORAGE__CACHE", cache)
    }

    /// Has the database say of all users that everything was changed a hundredth later, behind the back of the cache.
    fn change_behind_the_cache(&self) {
        for table in ["sync_user", "sync_collection", "sync_object"] {
            let name = self.namespace.name();
            self.server
                .run(&format!("UPDATE {name}.{table} SET modified = modified + 1"));
        }
    }
}

/// Whether the last word of a program's log is that it uses its cache. It finds out when it is asked something.
fn is_cache_used(program: &Program) -> bool {
    program.store(1).send("GET", "/info/collections", None);
    program.has_cache_in_use()
}

/// Waits until the cache is in use, as long as that takes by itself.
fn await_use(program: &Program) {
    wait_until("the cache is in use", || is_cache_used(program));
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LIMIT, "not so within five minutes: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits for these words in what the log of a program says after so many bytes, and returns their line.
#[track_caller]
fn said_after(program: &Program, start: usize, words: &str) -> String {
    let mut found = String::new();
    wait_until(words, || {
        let log = program.log();
        let line = log[start..].lines().find(|line| line.contains(words));
        line.unwrap_or_default().clone_into(&mut found);
        !found.is_empty()
    });
    found
}
