//! What was acknowledged is there after a crash, and nothing is there by halves.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{Folder, Program, SECRET, Start};
use crate::raw::Client;
use crate::token;

/// Writers at once, a user each.
const WRITERS: u64 = 8;
/// Objects in one request; they come to be together or not at all.
const TOGETHER: u64 = 5;

/// For each user and each group of objects, the round in which it was last acknowledged.
type Acknowledged = Mutex<BTreeMap<(u64, u64), u64>>;

#[test]
fn a_crash_loses_nothing_acknowledged_and_keeps_nothing_half() {
    crash_over_and_over(3);
}

#[test]
#[ignore = "twenty crashes take a while; cargo xtask test runs it"]
fn twenty_crashes_lose_nothing_acknowledged_and_keep_nothing_half() {
    crash_over_and_over(20);
}

fn crash_over_and_over(rounds: u64) {
    let _turn = crate::turn();
    let folder = Folder::new();
    let acknowledged = Acknowledged::default();
    for round in 0..rounds {
        let program = Start::on(&folder).with("--log").with("warn").serve();
        check(&program, &acknowledged);
        write_until_killed(program, round, &acknowledged, 100 + round * 37 % 100);
    }
    let program = Start::on(&folder).serve();
    check(&program, &acknowledged);
    program.stop();
}

/// A stop finishes what is under way: a writer sees a connection end only between requests.
#[test]
fn a_stop_under_load_loses_nothing() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let acknowledged = Acknowledged::default();
    let mut program = Start::on(&folder).serve();
    let (count, is_ending) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for user in 1..=WRITERS {
            let writer = Writer::new(&program, user, 0);
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
    check(&program, &acknowledged);
    program.stop();
}

/// Lets writers write until so many writes were acknowledged, then kills the program in the middle of it.
fn write_until_killed(program: Program, round: u64, acknowledged: &Acknowledged, enough: u64) {
    let count = AtomicU64::new(0);
    thread::scope(|scope| {
        for user in 1..=WRITERS {
            let writer = Writer::new(&program, user, round);
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
    user: u64,
    round: u64,
}

impl Writer {
    fn new(program: &Program, user: u64, round: u64) -> Self {
        let client = Client::new(program.address(), token::mint(SECRET, user, program.url()));
        Self { client, user, round }
    }

    /// Writes until the server is gone, and says how it went.
    fn run(mut self, acknowledged: &Acknowledged, count: &AtomicU64) -> String {
        for group in (0..40).cycle() {
            let payload = format!("round {} of group {group}", self.round);
            let objects: Vec<Value> = (0..TOGETHER)
                .map(|n| json!({ "id": format!("group{group}object{n}"), "payload": payload }))
                .collect();
            let target = format!("/1.5/{}/storage/history", self.user);
            let body = Value::from(objects).to_string();
            match self.client.send("POST", &target, &body) {
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

/// Every acknowledged group is there, at least as new as acknowledged, and whole.
fn check(program: &Program, acknowledged: &Acknowledged) {
    let acknowledged = acknowledged.lock().unwrap();
    for user in 1..=WRITERS {
        let listed = program
            .store(user)
            .send("GET", "/storage/history?full=1", None)
            .expect(200)
            .json();
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
