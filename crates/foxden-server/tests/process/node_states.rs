//! Storage nodes as docs/nodes.md sets them up, with the accounts on PostgreSQL: drained under load, down, reset, asked to
//! back off.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_test_support::client::browser::{Browser, Session, Store};
use foxden_test_support::client::legacy::account::{self, StorageLocation, basic};
use foxden_test_support::client::legacy::name;
use foxden_test_support::client::wire::{Call, Reply, Server};

use crate::cluster::{configured, server, start};
use crate::nodes::eventually;
use crate::program::{Folder, Program, Start};

const PASSWORD: &str = "a long password";
const MANUAL: &str = include_str!("../../../../docs/nodes.md");
const DATABASE: &str = "postgres://foxden@db.example.org/foxden?password_file=/etc/foxden/database-password";

/// The three servers of the manual.
struct Servers<'a> {
    registration: Start<'a>,
    nodes: [Start<'a>; 2],
    urls: [String; 2],
    database: TestNamespace,
}

/// The configurations in the manual.
fn configurations() -> Vec<&'static str> {
    let blocks = MANUAL.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

impl<'a> Servers<'a> {
    fn of_the_manual(folder: &'a Folder) -> Self {
        let database = TestServer::Postgres.namespace("nodes");
        let [own, first, second] = [(); 3].map(|()| format!("127.0.0.1:{}", Start::free_port()));
        let urls = [&first, &second].map(|address| format!("http://{address}"));
        let url = format!("\"http://{own}\"");
        let mut replaced = vec![
            ("\"https://sync.example.org\"", url.clone()),
            ("127.0.0.1:5000", own),
            ("127.0.0.1:5001", first),
            ("127.0.0.1:5002", second),
            ("\"https://node1.example.org\"", format!("\"{}\"", urls[0])),
            ("\"https://node2.example.org\"", format!("\"{}\"", urls[1])),
            ("\"invite\"", "\"open\"".to_owned()),
        ];
        replaced.push((DATABASE, database.url().to_owned()));
        let files = configurations();
        assert_eq!(files.len(), 3);
        let names = ["registration", "node1", "node2"];
        let mut starts = names.into_iter().zip(files).map(|(name, text)| {
            let file = configured(folder, text, name, &replaced);
            start(folder, name, &file)
        });
        Self {
            registration: starts.next().unwrap(),
            nodes: [starts.next().unwrap(), starts.next().unwrap()],
            urls,
            database,
        }
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.registration.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        text
    }

    /// The row of a node in the list, without its address.
    fn row(&self, url: &str) -> String {
        let text = self.run(&["node", "list"]);
        let row = text.lines().find(|line| line.starts_with(url));
        let cells: Vec<&str> = row.unwrap().split_whitespace().skip(1).collect();
        cells.join(" ")
    }
}

/// A person with a browser of today and an old one.
struct Person {
    browser: Browser,
    name: String,
}

impl Person {
    fn sign_up(registration: &Program, address: &str) -> Self {
        let server = server(registration);
        let browser = Session::sign_up(&server, address, PASSWORD).connect("a browser");
        browser.store().put("tabs", "a", "x").expect(200);
        let person = Self {
            browser,
            name: name::of_account(address),
        };
        person.legacy(&person.weave(), "PUT").expect(200);
        person
    }

    fn server(&self) -> &Server {
        &self.browser.session.server
    }

    fn lookup(&self) -> Reply {
        let path = format!("/user/1.0/{}/node/weave", self.name);
        self.server().send(&Call::get(path))
    }

    /// The node that `node/weave` names.
    fn weave(&self) -> String {
        match account::storage_location(self.server(), &self.name) {
            StorageLocation::At(url) => url.strip_suffix('/').unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    fn legacy(&self, node: &str, method: &str) -> Reply {
        let call = Call::new(method, format!("/1.1/{}/storage/tabs/a", self.name));
        let call = call.header("Authorization", basic(&self.name, PASSWORD));
        Server::at(node).send(&match method {
            "PUT" => call.body("text/plain", r#"{"payload":"x"}"#),
            _ => call,
        })
    }

    /// The node of the token.
    fn token_node(&self) -> String {
        node_of(&self.browser.store())
    }

    /// Syncs with both browsers until told to stop, each as a client does, and writes down what it was answered.
    fn sync_until(&self, stop: &AtomicBool, answers: &Mutex<BTreeSet<(&'static str, u16)>>) {
        let record = |what, reply: &Reply| {
            answers.lock().unwrap().insert((what, reply.status));
            reply.status
        };
        let (mut store, mut node) = (self.browser.store(), self.weave());
        for round in 0.. {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let status = record("object", &store.put("tabs", "b", &format!("{round}")));
            // As a client whose token is about to expire.
            if status == 401 || round % 4 == 0 {
                let token = self.browser.ask_tokenserver();
                if record("token", &token) == 200 {
                    store = self.browser.store();
                }
            }
            let status = record("old object", &self.legacy(&node, "PUT"));
            if status == 401 || round % 8 == 0 {
                let lookup = self.lookup();
                if record("look-up", &lookup) == 200 {
                    lookup.text().trim_end_matches('/').clone_into(&mut node);
                }
            }
        }
    }
}

fn node_of(store: &Store) -> String {
    let endpoint = store.token["api_endpoint"].as_str().unwrap();
    endpoint.rsplit_once("/1.5/").unwrap().0.to_owned()
}

/// The seconds that a 503 asks a client to wait.
#[track_caller]
fn wait_of(reply: &Reply) -> u32 {
    assert_eq!(reply.status, 503, "{}", reply.text());
    reply.header("retry-after").unwrap().parse().unwrap()
}

/// Both protocols, under load: every client gets to the other node, and all answers are such as the protocols know.
#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn a_node_drained_under_load_empties_as_its_users_come() {
    let folder = Folder::new();
    let servers = Servers::of_the_manual(&folder);
    let [first, second] = &servers.urls;
    let registration = servers.registration.serve();
    let log = registration.log();
    assert!(log.contains("there is no storage node yet"), "{log}");
    // Old clients are sent to either node.
    let second_start = servers.nodes[1]
        .clone()
        .set("FOXDEN__STORAGE__LEGACY", "true")
        .set("FOXDEN__ACCOUNTS__URL", servers.database.url());
    servers.run(&["node", "add", first, "--capacity", "40"]);
    let _nodes = [servers.nodes[0].serve(), second_start.serve()];
    let people: Vec<Person> = (0..4)
        .map(|number| Person::sign_up(&registration, &format!("ann{number}@example.org")))
        .collect();
    assert_eq!(servers.row(first), "takes users ██░░░░░░░░ 20 % 4 4 0 40 100 –");
    servers.run(&["node", "add", second, "--weight", "200"]);
    let old_tokens: Vec<Store> = people.iter().map(|person| person.browser.store()).collect();

    let (stop, answers) = (AtomicBool::new(false), Mutex::default());
    std::thread::scope(|clients| {
        for person in &people {
            clients.spawn(|| person.sync_until(&stop, &answers));
        }
        servers.run(&["node", "drain", first]);
        eventually(|| servers.row(first).starts_with("draining ██░░░░░░░░ 20 % 0 0 8 "));
        stop.store(true, Ordering::SeqCst);
    });
    let known = [
        ("object", 200),
        ("token", 200),
        ("old object", 200),
        // The look-up of either browser moved the store: the client asks where it is now.
        ("old object", 401),
        ("look-up", 200),
    ];
    let answers = answers.into_inner().unwrap();
    let unknown: Vec<_> = answers.iter().filter(|answer| !known.contains(answer)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");

    for (person, old) in people.iter().zip(&old_tokens) {
        assert_eq!((&person.token_node(), &person.weave()), (second, second));
        person.browser.store().put("tabs", "c", "z").expect(200);
        person.legacy(second, "GET").expect(200);
        // A sync under way ends well.
        assert_eq!(old.payload("tabs", "a"), "x");
    }
    assert_eq!(servers.row(second), "takes users no limit 4 4 0 – 200 –");
    let removed = servers.run(&["node", "remove", first, "--yes"]);
    assert!(removed.contains("0 stores begin anew"), "{removed}");
    for person in &people {
        assert_eq!((&person.token_node(), &person.weave()), (second, second));
    }
}

/// A node that is named and does not answer: clients are told to wait, and the log says why. Its data are lost, and people
/// begin anew elsewhere.
#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn users_of_a_node_that_is_down_wait_until_it_is_up_or_reset() {
    let folder = Folder::new();
    let servers = Servers::of_the_manual(&folder);
    let [first, second] = &servers.urls;
    let registration = servers.registration.serve();
    servers.run(&["node", "add", first]);
    let node = servers.nodes[0].serve();
    let ann = Person::sign_up(&registration, "ann@example.org");
    let before = ann.browser.store();

    node.kill();
    servers.run(&["node", "down", first]);
    for _ in 0..2 {
        let token = ann.browser.ask_tokenserver();
        assert_eq!(wait_of(&token), 1800);
        assert_eq!(token.json()["status"], "error", "{}", token.text());
        assert_eq!(wait_of(&ann.lookup()), 1800);
    }
    let cause = format!("the operator has marked the node {first} as down");
    assert!(registration.log().contains(&cause), "{}", registration.log());
    let checked = servers.registration.run(&["check"]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.contains(&format!("the node {first} is marked as down"))
            && checked.contains("no node takes new users"),
        "{checked}"
    );

    // A node that is up again before the operator says so tells clients to wait itself.
    let node = servers.nodes[0].serve();
    eventually(|| before.send(Call::get("/info/collections")).status == 503);
    assert!(wait_of(&ann.legacy(first, "GET")) >= 1800);
    assert!(
        node.log().contains("as down: all clients are told to wait"),
        "{}",
        node.log()
    );
    servers.run(&["node", "up", first]);
    assert_eq!(ann.browser.store().uid(), before.uid());
    eventually(|| before.send(Call::get("/info/collections")).status == 200);

    servers.run(&["node", "add", second]);
    let _second = servers.nodes[1].serve();
    servers.run(&["node", "drain", "--keep-users", first]);
    let reset = servers.run(&["node", "reset", first, "--yes"]);
    assert!(reset.contains("2 stores begin anew"), "{reset}");
    let after = ann.browser.store();
    assert!(after.uid() > before.uid() && node_of(&after) == *second);
    after.put("tabs", "a", "y").expect(200);
    assert_eq!(&ann.weave(), second);
    // What the node still has of the old store is emptied at once.
    servers.run(&["chore", "run", "wipe-deleted-stores"]);
    let left = before.send(Call::get("/info/collections")).expect(200);
    assert_eq!(left.text(), "{}");
}

/// A node that reads the accounts is told within seconds, one with nothing but the secret by the tokens of its clients.
#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn a_node_asks_its_clients_to_back_off_as_the_operator_says() {
    let folder = Folder::new();
    let servers = Servers::of_the_manual(&folder);
    let [first, second] = &servers.urls;
    let registration = servers.registration.serve();
    let _nodes = servers.nodes.each_ref().map(Start::serve);
    let asked = |store: &Store| {
        let reply = store.send(Call::get("/info/collections")).expect(200);
        let told: Option<u32> = reply.header("x-weave-backoff").map(|text| text.parse().unwrap());
        assert_eq!(reply.header("x-backoff"), reply.header("x-weave-backoff"));
        told
    };
    let sign_up =
        |address: &str| Session::sign_up(&server(&registration), address, PASSWORD).connect("a browser");

    servers.run(&["node", "add", first]);
    let ann = sign_up("ann@example.org").store();
    assert_eq!((node_of(&ann), asked(&ann)), (first.clone(), None));
    servers.run(&["node", "set", first, "--backoff", "10 min"]);
    eventually(|| asked(&ann).is_some_and(|seconds| (600..=630).contains(&seconds)));

    // Others go elsewhere, as long as there is room.
    servers.run(&["node", "add", second, "--capacity", "1"]);
    let bea = sign_up("bea@example.org");
    let token = bea.store();
    assert_eq!((node_of(&token), asked(&token)), (second.clone(), None));
    let cai = sign_up("cai@example.org").store();
    assert_eq!(node_of(&cai), *first);

    servers.run(&["node", "set", second, "--backoff", "1 h"]);
    assert_eq!(asked(&token), None, "its token does not say so");
    assert!(asked(&bea.store()).is_some_and(|seconds| (3600..=3780).contains(&seconds)));
    servers.run(&["node", "set", second, "--backoff", "none"]);
    assert_eq!(asked(&bea.store()), None);
    servers.run(&["node", "set", first, "--backoff", "none"]);
    eventually(|| asked(&ann).is_none());
    assert_eq!(servers.row(second), "full ██████████ 100 % 1 0 0 1 100 –");
}
