//! Histories of the whole program: clients of several users write and read concurrently through two processes on one database
//! server, while the server, the proxies before it, the processes and their clocks fail. The check explains every answer by an order of
//! atomic steps, or names one that it cannot explain.
//!
//! `cargo xtask history` runs it. A seed decides what the clients do and which faults happen.

mod cache;
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
use foxden_storage::conformance::history::{Call, Rules, check_with};

use self::cache::{Cache, await_use};
use self::client::Client;
use self::database::Single;
use self::dice::Dice;
use self::report::Report;
use self::testbed::{Database, FAULTS, FAULTS_WITHOUT_KILLS, Testbed};
use crate::program::{Folder, SECRET};
use crate::token;

const USERS: u64 = 4;
const CLIENTS: u64 = 3;
/// How long clients work, unless the environment says it.
const SECONDS: u64 = 22;
const LONG_SECONDS: u64 = 300;
/// A write whose answer takes the engine longer than eight seconds is made again with a later time (record 40). None lands more than
/// a minute after its client has given up.
const RULES: Rules = Rules {
    lands_again_after: Some(8_000_000_000),
    lands_within: Some(60_000_000_000),
};
/// A day, which no clock here leaves.
const TOKEN_SECONDS: i64 = 86_400;

/// What a history is made of.
struct Plan {
    name: &'static str,
    seed: u64,
    time: Duration,
    /// What happens beside what happens to the database.
    faults: &'static [&'static str],
    /// The cache in front of the database.
    cache: Option<&'static str>,
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
            cache: None,
        }
        .with_cache(text("FOXDEN_HISTORY_CACHE").as_deref())
    }
}

/// The caches that a history may have.
const CACHES: [&str; 3] = ["local", "redis", "memcached"];

impl Plan {
    /// The same with a cache.
    fn with_cache(self, name: Option<&str>) -> Self {
        let Some(name) = name else { return self };
        let known = CACHES.into_iter().find(|known| *known == name);
        let cache = known.unwrap_or_else(|| panic!("there is no cache {name}"));
        // A cache of one program is in use again only 30 seconds after each start.
        let is_of_one = cache == "local";
        Self {
            cache: Some(cache),
            faults: if is_of_one {
                &FAULTS_WITHOUT_KILLS
            } else {
                self.faults
            },
            ..self
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = text(variable)?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment what to test with"
)]
fn text(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
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
        cache,
    } = *plan;
    eprintln!("history of {name}: seed {seed}, {} s", time.as_secs());
    let folders = [Folder::new(), Folder::new()];
    let mut cache = cache.map(Cache::start);
    let testbed = Testbed::new(&folders, &database, cache.as_ref());
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
                scope.spawn(move || add(user, client.work()));
            }
        }
        let _end = testbed.end();
        if cache.is_some() {
            await_use(&testbed);
        }
        let until = Instant::now() + time;
        testbed.trouble(&mut database, cache.as_mut(), faults, seed, until);
    });
    testbed.set_alone(false);
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
            .map(|history| scope.spawn(|| check_with(history, RULES)))
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
        attempts: &testbed.attempts.lock().unwrap(),
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
    #[ignore = "starts a PostgreSQL and a Redis of its own: run by cargo xtask test --long"]
    fn history_of_postgres_behind_redis() {
        let plan = Plan::new("postgres-redis", LONG_SECONDS).with_cache(Some("redis"));
        explains_its_history(&plan, Single::start(TestServer::Postgres));
    }

    #[test]
    #[ignore = "starts a MariaDB and a memcached of its own: run by cargo xtask test --long"]
    fn history_of_mariadb_behind_memcached() {
        let plan = Plan::new("mariadb-memcached", LONG_SECONDS).with_cache(Some("memcached"));
        explains_its_history(&plan, Single::start(TestServer::Mariadb));
    }

    #[test]
    #[ignore = "starts a PostgreSQL of its own: run by cargo xtask test --long"]
    fn history_of_postgres_with_a_local_cache() {
        let plan = Plan::new("postgres-local", LONG_SECONDS).with_cache(Some("local"));
        explains_its_history(&plan, Single::start(TestServer::Postgres));
    }

    #[test]
    #[ignore = "starts a MariaDB of its own: run by cargo xtask test --long"]
    fn history_of_mariadb() {
        let plan = Plan::new("mariadb", LONG_SECONDS);
        explains_its_history(&plan, Single::start(TestServer::Mariadb));
    }
}
