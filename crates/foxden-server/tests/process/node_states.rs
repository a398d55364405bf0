//! Storage nodes as docs/nodes.md sets them up, with two registration servers and the accounts on a database server: drained under
//! load, down, reset, asked to back off.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use foxden_sql::testing::{TestNamespace, TestServer};
use foxden_test_support::client::browser::{Browser, Session, Store};
use foxden_test_support::client::legacy::account::{self, StorageLocation, basic};
use foxden_test_support::client::legacy::name;
use foxden_test_support::client::wire::{Call, Reply, Server};
use serde_json::Value;

use crate::cluster::{configured, start};
use crate::nodes::eventually;
use crate::program::{Folder, Program, Start};

const PASSWORD: &str = "a long password";
const MANUAL: &str = include_str!("../../../../docs/nodes.md");
const DATABASE: &str = "postgres://foxden@db.example.org/foxden?password_file=/etc/foxden/database-password";

/// The servers of the manual, with a second registration server.
pub(crate) struct Servers<'a> {
    registrations: [Start<'a>; 2],
    /// The address of both registration servers, and where the second one listens.
    public: String,
    other: String,
    nodes: [Start<'a>; 2],
    pub(crate) urls: [String; 2],
    database: TestNamespace,
}

/// The configurations in the manual.
fn configurations() -> Vec<&'static str> {
    let blocks = MANUAL.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

impl<'a> Servers<'a> {
    pub(crate) fn of_the_manual(folder: &'a Folder, server: TestServer) -> Self {
        let database = server.namespace("nodes");
        let [own, other, first, second] = [(); 4].map(|()| format!("127.0.0.1:{}", Start::free_port()));
        let urls = [&first, &second].map(|address| format!("http://{address}"));
        let public = format!("http://{own}");
        let mut replaced = vec![
            ("\"https://sync.example.org\"", format!("\"{public}\"")),
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
        let started = |name, text, replaced: &[(&str, String)]| {
            start(folder, name, &configured(folder, text, name, replaced))
        };
        let registration = started("registration", files[0], &replaced);
        let nodes = [1, 2].map(|at| started(["node1", "node2"][at - 1], files[at], &replaced));
        replaced[1].1.clone_from(&other);
        replaced.push(("/foxden-registration\"", "/foxden-registration-2\"".to_owned()));
        Self {
            registrations: [registration, started("registration-2", files[0], &replaced)],
            public,
            other,
            nodes,
            urls,
            database,
        }
    }

    /// Starts both registration servers.
    pub(crate) fn register(&self) -> [Program; 2] {
        self.registrations.each_ref().map(Start::serve)
    }

    /// A person who has an account, and no store yet.
    pub(crate) fn connect(&self, address: &str) -> Person {
        let server = Server::at(&self.public);
        let first = Session::sign_up(&server, address, PASSWORD).connect("a browser");
        let mut second = first.clone();
        second.session.server = server.through(&self.other);
        Person {
            browsers: [first, second],
            name: name::of_account(address),
        }
    }

    /// A person with a store for either protocol.
    fn sign_up(&self, address: &str) -> Person {
        let person = self.connect(address);
        person.store(0).put("tabs", "a", "x").expect(200);
        person.legacy(&person.weave(), "PUT").expect(200);
        person
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.run_at(0, arguments)
    }

    /// Runs a command where one of the registration servers is.
    #[track_caller]
    pub(crate) fn run_at(&self, at: usize, arguments: &[&str]) -> String {
        let output = self.registrations[at].run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        text
    }

    /// The row of a node in the list, without its address.
    pub(crate) fn row(&self, url: &str) -> String {
        let text = self.run(&["node", "list"]);
        let row = text.lines().find(|line| line.starts_with(url));
        let cells: Vec<&str> = row.unwrap().split_whitespace().skip(1).collect();
        cells.join(" ")
    }
}

/// A person with a browser of today and an old one.
pub(crate) struct Person {
    /// The same browser, as it reaches the one registration server and the other.
    browsers: [Browser; 2],
    name: String,
}

impl Person {
    fn server(&self, at: usize) -> &Server {
        &self.browsers[at].session.server
    }

    /// What the tokenserver answers.
    pub(crate) fn ask_tokenserver(&self, at: usize) -> Reply {
        self.browsers[at].ask_tokenserver()
    }

    /// The store that the tokenserver assigns, reached at its own address.
    fn store(&self, at: usize) -> Store {
        let store = self.browsers[at].store();
        store.at(&Server::at(&node_of(&store.token)))
    }

    /// What `node/weave` answers.
    pub(crate) fn lookup(&self, at: usize) -> Reply {
        let path = format!("/user/1.0/{}/node/weave", self.name);
        self.server(at).send(&Call::get(path))
    }

    /// The node that `node/weave` names.
    fn weave(&self) -> String {
        match account::storage_location(self.server(1), &self.name) {
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
        node_of(&self.store(0).token)
    }

    /// Syncs with both browsers until told to stop, each as a client does, and writes down what it was answered.
    fn sync_until(&self, stop: &AtomicBool, answers: &Mutex<BTreeSet<(&'static str, u16)>>) {
        let record = |what, reply: &Reply| {
            answers.lock().unwrap().insert((what, reply.status));
            reply.status
        };
        let (mut store, mut node) = (self.store(0), self.weave());
        for round in 0.. {
            let at = round / 8 % 2;
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let status = record("object", &store.put("tabs", "b", &format!("{round}")));
            // As a client whose token is about to expire.
            let is_due = status == 401 || round % 4 == 0;
            if is_due && record("token", &self.ask_tokenserver(at)) == 200 {
                store = self.store(at);
            }
            let status = record("old object", &self.legacy(&node, "PUT"));
            if status == 401 || round % 8 == 0 {
                let lookup = self.lookup(at);
                if record("look-up", &lookup) == 200 {
                    lookup.text().trim_end_matches('/').clone_into(&mut node);
                }
            }
        }
    }
}

/// The node that a token is for.
pub(crate) fn node_of(token: &Value) -> String {
    let endpoint = token["api_endpoint"].as_str().unwrap();
    endpoint.rsplit_once("/1.5/").unwrap().0.to_owned()
}

/// The seconds that a 503 asks a client to wait.
#[track_caller]
pub(crate) fn wait_of(reply: &Reply) -> u32 {
    assert_eq!(reply.status, 503, "{}", reply.text());
    reply.header("retry-after").unwrap().parse().unwrap()
}

/// Both protocols, under load: every client gets to the other node, and all answers are such as the protocols know.
fn a_node_drained_under_load_empties_as_its_users_come(server: TestServer) {
    let folder = Folder::new();
    let servers = Servers::of_the_manual(&folder, server);
    let [first, second] = &servers.urls;
    let registrations = servers.register();
    let log = registrations[0].log();
    assert!(log.contains("there is no storage node yet"), "{log}");
    // Old clients are sent to either node.
    let second_start = servers.nodes[1]
        .clone()
        .set("FOXDEN__STORAGE__LEGACY", "true")
        .set("FOXDEN__ACCOUNTS__URL", servers.database.url());
    servers.run(&["node", "add", first, "--yes", "--capacity", "40"]);
    let _nodes = [servers.nodes[0].serve(), second_start.serve()];
    let people: Vec<Person> = (0..4)
        .map(|number| servers.sign_up(&format!("ann{number}@example.org")))
        .collect();
    assert_eq!(servers.row(first), "takes users ██░░░░░░░░ 20 % 4 4 0 40 100 –");
    servers.run(&["node", "add", second, "--yes", "--weight", "200"]);
    let old_tokens: Vec<Store> = people.iter().map(|person| person.store(1)).collect();

    let (stop, answers) = (AtomicBool::new(false), Mutex::default());
    std::thread::scope(|clients| {
        for person in &people {
            clients.spawn(|| person.sync_until(&stop, &answers));
        }
        servers.run_at(1, &["node", "drain", first]);
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
        person.store(1).put("tabs", "c", "z").expect(200);
        // The client may have been stopped before it wrote there.
        person.legacy(second, "PUT").expect(200);
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

#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn a_node_drained_under_load_empties_as_its_users_come_on_postgres() {
    a_node_drained_under_load_empties_as_its_users_come(TestServer::Postgres);
}

#[test]
#[ignore = "needs MariaDB: run by cargo xtask test"]
fn a_node_drained_under_load_empties_as_its_users_come_on_mariadb() {
    a_node_drained_under_load_empties_as_its_users_come(TestServer::Mariadb);
}

/// A node that is named and does not answer: clients are told to wait, and the log says why. Its data are lost, and people
/// begin anew elsewhere.
#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn users_of_a_node_that_is_down_wait_until_it_is_up_or_reset() {
    let folder = Folder::new();
    let servers = Servers::of_the_manual(&folder, TestServer::Postgres);
    let [first, second] = &servers.urls;
    let registrations = servers.register();
    servers.run(&["node", "add", first, "--yes"]);
    let node = servers.nodes[0].serve();
    let ann = servers.sign_up("ann@example.org");
    let before = ann.store(0);
    let check = || {
        let checked = servers.registrations[1].run(&["check"]);
        String::from_utf8_lossy(&checked.stdout).into_owned()
    };

    node.kill();
    // Clients are sent to a node as long as the operator has not said that it is down, and try again by themselves.
    assert_eq!((&ann.token_node(), &ann.weave()), (first, first));
    let checked = check();
    assert!(
        checked.contains(&format!("BAD   {first} cannot be reached from this machine"))
            && checked.contains("foxden node down has its users wait until then"),
        "{checked}"
    );
    servers.run(&["node", "down", first]);
    for at in 0..2 {
        let token = ann.ask_tokenserver(at);
        assert_eq!(wait_of(&token), 1800);
        assert_eq!(token.json()["status"], "error", "{}", token.text());
        assert_eq!(wait_of(&ann.lookup(at)), 1800);
    }
    let cause = format!("the operator has marked the node {first} as down");
    for registration in &registrations {
        assert!(registration.log().contains(&cause), "{}", registration.log());
    }
    let checked = check();
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
    assert_eq!(ann.store(1).uid(), before.uid());
    eventually(|| before.send(Call::get("/info/collections")).status == 200);

    servers.run(&["node", "add", second, "--yes"]);
    let _second = servers.nodes[1].serve();
    servers.run(&["node", "drain", "--keep-users", first]);
    let reset = servers.run(&["node", "reset", first, "--yes"]);
    assert!(reset.contains("2 stores begin anew"), "{reset}");
    let after = ann.store(1);
    assert!(after.uid() > before.uid() && node_of(&after.token) == *second);
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
    let servers = Servers::of_the_manual(&folder, TestServer::Postgres);
    let [first, second] = &servers.urls;
    let _registrations = servers.register();
    let _nodes = servers.nodes.each_ref().map(Start::serve);
    let asked = |store: &Store| {
        let reply = store.send(Call::get("/info/collections")).expect(200);
        let told: Option<u32> = reply.header("x-weave-backoff").map(|text| text.parse().unwrap());
        assert_eq!(reply.header("x-backoff"), reply.header("x-weave-backoff"));
        told
    };

    servers.run(&["node", "add", first, "--yes"]);
    let ann = servers.connect("ann@example.org").store(0);
    assert_eq!((node_of(&ann.token), asked(&ann)), (first.clone(), None));
    servers.run(&["node", "set", first, "--backoff", "10 min"]);
    eventually(|| asked(&ann).is_some_and(|seconds| (600..=630).contains(&seconds)));

    // Others go elsewhere, as long as there is room.
    servers.run(&["node", "add", second, "--yes", "--capacity", "1"]);
    let bea = servers.connect("bea@example.org");
    let token = bea.store(0);
    assert_eq!((node_of(&token.token), asked(&token)), (second.clone(), None));
    let cai = servers.connect("cai@example.org");
    assert_eq!(cai.token_node(), *first);

    servers.run(&["node", "set", second, "--backoff", "1 h"]);
    assert_eq!(asked(&token), None, "its token does not say so");
    assert!(asked(&bea.store(1)).is_some_and(|seconds| (3600..=3780).contains(&seconds)));
    servers.run(&["node", "set", second, "--backoff", "none"]);
    assert_eq!(asked(&bea.store(1)), None);
    servers.run(&["node", "set", first, "--backoff", "none"]);
    eventually(|| asked(&ann).is_none());
    assert_eq!(servers.row(second), "full ██████████ 100 % 1 0 0 1 100 –");
}
