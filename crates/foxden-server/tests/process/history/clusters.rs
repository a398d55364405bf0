//! Clusters of database servers: members that are killed and stand still, and a standby that takes over.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use foxden_test_support::client::wire::{Call, Server};
use serde_json::json;

use super::dice::Dice;
use super::fault_proxy::FaultProxy;
use super::testbed::{Database, Testbed};
use super::{Plan, explains_its_history};
use crate::databases::own_server::{OwnServers, place};
use crate::databases::with_host;
use crate::program::{Folder, SECRET, Start};
use crate::token;

const SECONDS: u64 = 60;

/// Three members, of which both programs use one.
struct Galera {
    servers: OwnServers,
    urls: Vec<String>,
    used: usize,
}

const MEMBERS: [&str; 3] = ["galera1", "galera2", "galera3"];

impl Galera {
    fn start() -> Self {
        let (servers, urls) = OwnServers::start(&MEMBERS);
        Self {
            servers,
            urls,
            used: 0,
        }
    }

    /// Has both programs use another member.
    fn move_to(&mut self, member: usize, testbed: &Testbed<'_>) {
        self.used = member;
        testbed.move_to(place(&self.urls[member]));
    }
}

impl Database for Galera {
    fn url(&self) -> String {
        self.urls[0].clone()
    }

    fn faults(&self) -> &'static [&'static str] {
        &[
            "member in use killed",
            "member in use paused",
            "other member killed",
            "other member paused",
        ]
    }

    fn strike(&mut self, fault: usize, dice: &Dice, testbed: &Testbed<'_>) {
        let used = self.used;
        let next = (used + 1 + dice.draw(2)) % MEMBERS.len();
        let struck = if fault < 2 { used } else { next };
        let (begin, end) = if fault.is_multiple_of(2) {
            ("kill", "start")
        } else {
            ("pause", "continue")
        };
        self.servers.order(begin, MEMBERS[struck]);
        std::thread::sleep(dice.millis(1, 2000));
        if struck == used {
            self.move_to(next, testbed);
        }
        // The others exclude it after five seconds.
        std::thread::sleep(dice.millis(500, 9000));
        self.servers.order(end, MEMBERS[struck]);
        std::thread::sleep(dice.millis(1000, 3000));
    }
}

/// A primary whose standby takes over once.
struct Pair {
    servers: OwnServers,
    urls: Vec<String>,
    has_failed_over: bool,
    /// How the primary fails.
    end: &'static str,
}

const PAIR: [&str; 2] = ["postgres-primary", "postgres-standby"];

impl Pair {
    fn start(end: &'static str) -> Self {
        let (servers, urls) = OwnServers::start(&PAIR);
        Self {
            servers,
            urls,
            has_failed_over: false,
            end,
        }
    }
}

impl Database for Pair {
    fn url(&self) -> String {
        self.urls[0].clone()
    }

    fn faults(&self) -> &'static [&'static str] {
        if self.has_failed_over {
            &[]
        } else {
            &["standby paused"]
        }
    }

    fn strike(&mut self, _fault: usize, dice: &Dice, _testbed: &Testbed<'_>) {
        self.servers.order("pause", PAIR[1]);
        // Some longer than a statement may take.
        std::thread::sleep(dice.millis(500, 11_000));
        self.servers.order("continue", PAIR[1]);
    }

    fn once(&self) -> Option<&'static str> {
        Some("the standby takes over")
    }

    /// The standby stands still for longer than a statement may take, then the primary fails and the standby takes over: it
    /// must have all that clients were told.
    fn strike_once(&mut self, dice: &Dice, testbed: &Testbed<'_>) {
        let is_behind = dice.draw(2) == 0;
        if is_behind {
            self.servers.order("pause", PAIR[1]);
            std::thread::sleep(dice.millis(8500, 14_000));
        }
        self.servers.order(self.end, PAIR[0]);
        if is_behind {
            self.servers.order("continue", PAIR[1]);
        }
        std::thread::sleep(dice.millis(1, 2000));
        self.servers.order("promote", PAIR[1]);
        testbed.move_to(place(&self.urls[1]));
        self.has_failed_over = true;
        if self.end == "pause" {
            std::thread::sleep(dice.millis(500, 3000));
            self.servers.order("continue", PAIR[0]);
        }
    }
}

#[test]
#[ignore = "starts three MariaDB: run by cargo xtask test --clusters"]
fn galera() {
    explains_its_history(&Plan::new("galera", SECONDS), Galera::start());
}

#[test]
#[ignore = "starts two PostgreSQL: run by cargo xtask test --clusters"]
fn failover() {
    explains_its_history(&Plan::new("failover", SECONDS), Pair::start("kill"));
}

#[test]
#[ignore = "starts two PostgreSQL: run by cargo xtask test --clusters"]
fn failover_from_a_primary_that_returns() {
    explains_its_history(&Plan::new("failover-returns", SECONDS), Pair::start("pause"));
}

/// A primary that starts again shows what its standby lacks. Until the standby has it, the write is not acknowledged.
#[test]
#[ignore = "starts two PostgreSQL: run by cargo xtask test --clusters"]
fn what_a_restarted_primary_shows_is_no_acknowledgement() {
    let mut pair = Pair::start("kill");
    let folder = Folder::new();
    let line = FaultProxy::to(place(&pair.urls[0]));
    let url = with_host(&pair.urls[0], &line.place());
    let program = Start::on(&folder).set("FOXDEN__STORAGE__URL", url).serve();
    let server = Server::at(program.url());
    let signer = token::mint(SECRET, 42, program.url());
    let put = |id: &str| {
        let object = json!({ "payload": "sealed" }).to_string();
        let put = Call::new("PUT", format!("/1.5/42/storage/bookmarks/{id}"));
        put.body("application/json", object).signed(&signer)
    };
    let finds = |id: &str| {
        let get = Call::get(format!("/1.5/42/storage/bookmarks/{id}")).signed(&signer);
        let found = server.try_send(&get);
        found
            .ok()
            .map(|reply| reply.status)
            .filter(|status| *status < 500)
    };
    server.send(&put("first")).expect(200);
    // One that stands still would find in its socket what the primary has sent.
    pair.servers.order("kill", PAIR[1]);
    let (told, answer) = mpsc::channel();
    std::thread::scope(|scope| {
        let (server, put) = (&server, &put);
        scope.spawn(move || {
            let reply = server.try_send(&put("second"));
            told.send(reply.ok().map(|reply| reply.status)).unwrap();
        });
        // It waits for the standby now, or it will.
        assert!(answer.recv_timeout(Duration::from_secs(2)).is_err());
        pair.servers.order("kill", PAIR[0]);
        pair.servers.order("start", PAIR[0]);
        until("the primary shows it", || finds("second") == Some(200));
        let before = answer.recv_timeout(Duration::from_secs(6)).ok().flatten();
        pair.servers.order("kill", PAIR[0]);
        pair.servers.order("start", PAIR[1]);
        pair.servers.order("promote", PAIR[1]);
        line.move_to(place(&pair.urls[1]));
        until("the standby answers", || finds("first") == Some(200));
        let acknowledged = before.or_else(|| answer.recv().ok().flatten());
        if acknowledged == Some(200) {
            assert_eq!(finds("second"), Some(200), "an acknowledged write is lost");
        }
    });
    program.stop();
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}: not in time");
        std::thread::sleep(Duration::from_millis(50));
    }
}
