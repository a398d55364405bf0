//! Histories of the whole program: clients of several users write and read concurrently through two processes on one database
//! server, while the server, the proxies before it, the processes and their clocks fail. The check explains every answer by an order of
//! atomic steps, or names one that it cannot explain.
//!
//! `cargo xtask history` runs it. A seed decides what the clients do and which faults happen.

mod client;
mod clusters;
mod database;
mod dice;
mod fault_proxy;
mod report;
mod testbed;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use foxden_sql::testing::TestServer;
use foxden_storage::conformance::history::{Call, check};

use self::client::Client;
use self::database::Single;
use self::dice::Dice;
use self::report::Report;
use self::testbed::{Database, FAULTS, Testbed};
use crate::program::{Folder, SECRET};
use crate::token;

const USERS: u64 = 4;
const CLIENTS: u64 = 3;
/// How long clients work, unless the environment says it.
const SECONDS: u64 = 22;
const LONG_SECONDS: u64 = 300;
/// A day, which no clock here leaves.
const TOKEN_SECONDS: i64 = 86_400;

/// What a history is made of.
struct Plan {
    name: &'static str,
    seed: u64,
    time: Duration,
    /// What happens beside what happens to the database.
    faults: &'static [&'static str],
}

impl Plan {
    /// The environment may say the seed and the time.
    fn new(name: &'static str, seconds: u64) -> Self {
        let seed = number("FOXDEN_HISTORY_SEED").unwrap_or_else(|| u64::from(std::process::id()));
        let seconds = number("FOXDEN_HISTORY_SECONDS").unwrap_or(seconds);
        let time = Duration::from_secs(seconds);
        Self {
            name,
            seed,
            time,
            faults: &FAULTS,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment what to test with"
)]
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// Runs clients while faults happen, and expects that what they saw can be explained.
fn explains_its_history(plan: &Plan, database: impl Database) {
    if let Some(folder) = run(plan, database) {
        let Plan { name, seed, .. } = plan;
        panic!("the history of {name} with seed {seed} cannot be explained; it is kept in {folder}");
    }
}

/// Runs clients while faults happen, and checks what they saw. Returns where a history is kept that cannot be explained.
fn run(plan: &Plan, mut database: impl Database) -> Option<String> {
    let Plan {
        name,
        seed,
        time,
        faults,
    } = *plan;
    eprintln!("history of {name}: seed {seed}, {} s", time.as_secs());
    let folders = [Folder::new(), Folder::new()];
    let testbed = Testbed::new(&folders, &database);
    let until = Instant::now() + time;
    let histories = Mutex::new(vec![Vec::new(); usize::try_from(USERS).unwrap()]);
    let add = |user: u64, calls: Vec<Call>| {
        histories.lock().unwrap()[usize::try_from(user).unwrap()].extend(calls);
    };
    let client = |user: u64, number: u64| {
        let signer = token::mint_for(SECRET, user + 1, &testbed.url, TOKEN_SECONDS);
        let dice = Dice::new(seed, 1 + user * (CLIENTS + 1) + number);
        Client::new(&testbed, user + 1, number, dice, signer)
    };
    std::thread::scope(|scope| {
        for user in 0..USERS {
            for number in 0..CLIENTS {
                let (client, add) = (client(user, number), &add);
                scope.spawn(move || add(user, client.work(until)));
            }
        }
        testbed.trouble(&mut database, faults, &Dice::new(seed, 0), until);
    });
    std::thread::scope(|scope| {
        for user in 0..USERS {
            let (client, add) = (client(user, CLIENTS), &add);
            scope.spawn(move || add(user, client.read_all()));
        }
    });
    let histories = histories.into_inner().unwrap();
    let checks: Vec<_> = std::thread::scope(|scope| {
        let checks: Vec<_> = histories
            .iter()
            .map(|history| scope.spawn(|| check(history)))
            .collect();
        checks.into_iter().map(|check| check.join().unwrap()).collect()
    });
    let mut faults: Vec<String> = testbed.odd.lock().unwrap().clone();
    for (user, check) in (1..).zip(checks) {
        faults.extend(check.err().map(|fault| format!("user {user}: {fault}")));
    }
    let report = Report {
        name,
        seed,
        histories: &histories,
        spans: &testbed.spans.lock().unwrap(),
        faults: &faults,
    };
    report.print();
    if faults.is_empty() {
        report.assert_is_worth_something();
        testbed.stop();
        return None;
    }
    Some(report.keep(&testbed.logs()))
}

#[test]
#[ignore = "starts a PostgreSQL of its own: run by cargo xtask test"]
fn postgres() {
    let plan = Plan::new("postgres", SECONDS);
    explains_its_history(&plan, Single::start(TestServer::Postgres));
}

#[test]
#[ignore = "starts a MariaDB of its own: run by cargo xtask test"]
fn mariadb() {
    let plan = Plan::new("mariadb", SECONDS);
    explains_its_history(&plan, Single::start(TestServer::Mariadb));
}

mod long {
    use super::*;

    /// What is lost in the tenth of a second before a kill is found.
    #[test]
    #[ignore = "starts a PostgreSQL of its own: run by cargo xtask test --long"]
    fn finds_what_a_careless_postgresql_forgets() {
        let plan = Plan {
            faults: &[],
            ..Plan::new("careless", SECONDS)
        };
        let kept = run(&plan, Single::careless_postgres());
        assert!(kept.is_some(), "nothing was lost");
    }

    #[test]
    #[ignore = "starts a PostgreSQL of its own: run by cargo xtask test --long"]
    fn history_of_postgres() {
        let plan = Plan::new("postgres", LONG_SECONDS);
        explains_its_history(&plan, Single::start(TestServer::Postgres));
    }

    #[test]
    #[ignore = "starts a MariaDB of its own: run by cargo xtask test --long"]
    fn history_of_mariadb() {
        let plan = Plan::new("mariadb", LONG_SECONDS);
        explains_its_history(&plan, Single::start(TestServer::Mariadb));
    }
}
