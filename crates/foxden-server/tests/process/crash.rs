//! Tests of crashes: acknowledged writes survive, and no write survives in part.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, server};
use crate::program::{Folder, Program, SECRET, Start};
use crate::raw::{Client, Proof};
use crate::token;
use foxden_test_support::client::legacy::account::{self, basic};
use foxden_test_support::client::legacy::name;
use foxden_test_support::client::wire::{Call, Server};

/// Writers at once, a user each.
const WRITERS: u64 = 8;
/// Objects in one request; they come to be together or not at all.
const TOGETHER: u64 = 5;

/// For each user and each group of objects, the round in which it was last acknowledged.
type Acknowledged = Mutex<BTreeMap<(u64, u64), u64>>;

/// Which protocol the writers speak.
#[derive(Clone, Copy)]
enum Dialect {
    /// Requests are signed.
    Today,
    /// Each request brings the password.
    Old,
}

/// The password of every user of an old client.
const PASSWORD: &str = "a long password";

#[test]
fn a_crash_loses_nothing_acknowledged_and_keeps_nothing_half() {
    let folder = Folder::new();
    crash_over_and_over(&Start::on(&folder), Dialect::Today, 3);
}

#[test]
#[ignore = "twenty crashes take a while; cargo xtask test runs it"]
fn twenty_crashes_lose_nothing_acknowledged_and_keep_nothing_half() {
    let folder = Folder::new();
    crash_over_and_over(&Start::on(&folder), Dialect::Today, 20);
}

/// A storage node crashes while old clients write, and loses its cache of their passwords.
#[test]
fn a_crash_of_a_node_loses_nothing_of_old_clients() {
    let folder = Folder::new();
    let cluster = Cluster::new(&folder, 1);
    let registration = cluster.registration.serve();
    for user in 1..=WRITERS {
        account::register(&server(&registration), &address(user), PASSWORD);
    }
    crash_over_and_over(&cluster.nodes[0], Dialect::Old, 3);
    registration.stop();
}

fn address(user: u64) -> String {
    format!("user{user}@example.org")
}

fn crash_over_and_over(start: &Start<'_>, dialect: Dialect, rounds: u64) {
    let _turn = crate::turn();
    let acknowledged = Acknowledged::default();
    let quiet = start.clone().with("--log").with("warn");
    for round in 0..rounds {
        let program = quiet.serve();
        dialect.check(&program, &acknowledged);
        let enough = 100 + round * 37 % 100;
        write_until_killed(program, dialect, round, &acknowledged, enough);
    }
    let program = start.serve();
    dialect.check(&program, &acknowledged);
    program.stop();
}

/// A stop finishes requests in progress: a writer sees a connection end only between requests.
#[test]
fn a_stop_under_load_loses_nothing() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let acknowledged = Acknowledged::default();
    let mut program = Start::on(&folder).serve();
    let (count, is_ending) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for user in 1..=WRITERS {
            let writer = Writer::new(&program, Dialect::Today, user, 0);
            let (acknowledged, count, is_ending) = (&acknowledged, &count, &is_ending);
            scope.spawn(move || {
                let broke_off = writer.run(acknowledged, count);
                assert!(
                    is_ending.load(Ordering::SeqCst),
                    "user {user}: {broke_off} before the stop"
                );
            });
        }
        while count.load(Ordering::SeqCst) < 200 {
            thread::yield_now();
        }
        is_ending.store(true, Ordering::SeqCst);
        program.ask_to_stop();
        assert!(
            program.wait(Duration::from_secs(40)),
            "it stopped badly: {}",
            program.log()
        );
    });
    let program = Start::on(&folder).serve();
    Dialect::Today.check(&program, &acknowledged);
    program.stop();
}

/// Lets writers write until so many writes were acknowledged, then kills the program in the middle of it.
fn write_until_killed(
    program: Program,
    dialect: Dialect,
    round: u64,
    acknowledged: &Acknowledged,
    enough: u64,
) {
    let count = AtomicU64::new(0);
    thread::scope(|scope| {
        for user in 1..=WRITERS {
            let writer = Writer::new(&program, dialect, user, round);
            let count = &count;
            scope.spawn(move || writer.run(acknowledged, count));
        }
        while count.load(Ordering::SeqCst) < enough {
            thread::yield_now();
        }
        program.kill();
    });
}

/// One user who writes groups of objects, over and over.
struct Writer {
    client: Client,
    target: String,
    user: u64,
    round: u64,
}

impl Writer {
    fn new(program: &Program, dialect: Dialect, user: u64, round: u64) -> Self {
        let (target, proof) = match dialect {
            Dialect::Today => {
                let signer = token::mint(SECRET, user, program.url());
                (format!("/1.5/{user}"), Proof::Signature(signer))
            }
            Dialect::Old => {
                let name = name::of_account(&address(user));
                (format!("/1.1/{name}"), Proof::Basic(basic(&name, PASSWORD)))
            }
        };
        Self {
            client: Client::new(program.address(), proof),
            target: format!("{target}/storage/history"),
            user,
            round,
        }
    }

    /// Writes until the server is gone, and says how it went.
    fn run(mut self, acknowledged: &Acknowledged, count: &AtomicU64) -> String {
        for group in (0..40).cycle() {
            let payload = format!("round {} of group {group}", self.round);
            let objects: Vec<Value> = (0..TOGETHER)
                .map(|n| json!({ "id": format!("group{group}object{n}"), "payload": payload }))
                .collect();
            let body = Value::from(objects).to_string();
            match self.client.send("POST", &self.target, &body) {
                Ok(reply) if reply.status == 200 => {}
                // A server that stops says so instead of taking a write.
                Ok(reply) if reply.status == 503 => return "503".to_owned(),
                Ok(reply) => panic!("a write was answered {}: {}", reply.status, reply.body),
                Err(error) => return error.to_string(),
            }
            acknowledged
                .lock()
                .unwrap()
                .insert((self.user, group), self.round);
            count.fetch_add(1, Ordering::SeqCst);
        }
        unreachable!("the groups go round for ever")
    }
}

impl Dialect {
    /// All that a user has stored.
    fn list(self, program: &Program, user: u64) -> Value {
        let target = "/storage/history?full=1";
        let reply = match self {
            Self::Today => program.store(user).send("GET", target, None),
            Self::Old => {
                let name = name::of_account(&address(user));
                let call = Call::get(format!("/1.1/{name}{target}"));
                Server::at(program.url()).send(&call.header("Authorization", basic(&name, PASSWORD)))
            }
        };
        reply.expect(200).json()
    }

    /// Every acknowledged group is there, at least as new as acknowledged, and whole.
    fn check(self, program: &Program, acknowledged: &Acknowledged) {
        let acknowledged = acknowledged.lock().unwrap();
        for user in 1..=WRITERS {
            let listed = self.list(program, user);
            let mut groups: BTreeMap<u64, Vec<String>> = BTreeMap::new();
            for object in listed.as_array().unwrap() {
                let id = object["id"].as_str().unwrap().strip_prefix("group").unwrap();
                let (group, _) = id.split_once("object").unwrap();
                let payload = object["payload"].as_str().unwrap().to_owned();
                groups.entry(group.parse().unwrap()).or_default().push(payload);
            }
            for (group, payloads) in &groups {
                let first = &payloads[0];
                let is_whole =
                    payloads.len() as u64 == TOGETHER && payloads.iter().all(|payload| payload == first);
                assert!(is_whole, "user {user} has half of group {group}: {payloads:?}");
            }
            for ((_, group), round) in acknowledged.range((user, 0)..(user + 1, 0)) {
                let payloads = groups.get(group);
                let payload = &payloads.unwrap_or_else(|| panic!("user {user} lost group {group}"))[0];
                let kept: u64 = payload.split(' ').nth(1).unwrap().parse().unwrap();
                assert!(
                    kept >= *round,
                    "user {user} lost round {round} of group {group}, has {kept}"
                );
            }
        }
    }
}
