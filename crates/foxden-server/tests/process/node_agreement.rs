//! The tokenserver and `node/weave` tell a person the same, from two registration servers, in every state of the nodes.

use foxden_sql::testing::TestServer;

use crate::node_states::{Person, Servers, node_of, wait_of};
use crate::program::Folder;

/// What a client is told at one registration server: a node, or to wait.
type Told = Option<String>;

fn token(person: &Person, at: usize) -> Told {
    let reply = person.ask_tokenserver(at);
    if reply.status == 200 {
        return Some(node_of(&reply.json()));
    }
    assert!(wait_of(&reply) > 0);
    None
}

fn lookup(person: &Person, at: usize) -> Told {
    let reply = person.lookup(at);
    if reply.status == 200 {
        let node = reply.text();
        return (node != "null").then(|| node.strip_suffix('/').unwrap().to_owned());
    }
    assert_eq!(wait_of(&reply), 1800);
    None
}

/// Both protocols tell this at both processes, whichever is asked first.
#[track_caller]
fn assert_told(person: &Person, expected: Option<&String>, first: usize) {
    for at in [first, 1 - first, first] {
        let told = if first == 0 {
            [token(person, at), lookup(person, at)]
        } else {
            [lookup(person, at), token(person, at)]
        };
        assert_eq!(told.each_ref().map(Option::as_ref), [expected; 2], "at {at}");
    }
}

fn uid(person: &Person) -> u64 {
    person.ask_tokenserver(0).expect(200).json()["uid"]
        .as_u64()
        .unwrap()
}

/// Every command is given at one process, and holds at both.
fn the_services_agree(server: TestServer) {
    let folder = Folder::new();
    let servers = Servers::of_the_manual(&folder, server);
    let [first, second] = &servers.urls;
    let _registrations = servers.register();
    let [ann, bea, cai] = ["ann", "bea", "cai"].map(|name| servers.connect(&format!("{name}@example.org")));
    let run = |at, arguments: &[&str]| servers.run_at(at, &[&["node"], arguments].concat());

    // There is no node, then one that takes users.
    assert_told(&ann, None, 0);
    run(0, &["add", first, "--capacity", "10", "--yes"]);
    assert_told(&ann, Some(first), 1);
    // No new users.
    run(1, &["drain", "--keep-users", first]);
    assert_told(&ann, Some(first), 0);
    assert_told(&bea, None, 1);
    run(0, &["up", first]);
    assert_told(&bea, Some(first), 0);
    // Full.
    run(1, &["set", first, "--capacity", "4"]);
    assert!(servers.row(first).starts_with("full "), "{}", servers.row(first));
    assert_told(&ann, Some(first), 1);
    assert_told(&cai, None, 0);
    // Back-off: those who are there stay, and others go there if there is no other room.
    run(0, &["set", first, "--backoff", "1 h"]);
    run(
        1,
        &["add", second, "--capacity", "2", "--backoff", "10 min", "--yes"],
    );
    assert_told(&cai, Some(second), 1);
    assert_told(&ann, Some(first), 0);
    // Down, and up again.
    run(1, &["down", first]);
    assert_told(&ann, None, 0);
    assert_told(&cai, Some(second), 1);
    run(0, &["up", first]);
    assert_told(&ann, Some(first), 1);
    // Draining, while the other one is full, and then has room for one person.
    run(1, &["drain", first]);
    assert_told(&ann, Some(first), 0);
    run(0, &["set", second, "--capacity", "4"]);
    assert_told(&bea, Some(second), 1);
    assert_told(&ann, Some(first), 0);
    // Reset, without room and with room.
    let [before, before_of_bea] = [&ann, &bea].map(uid);
    run(1, &["reset", first, "--yes"]);
    assert_told(&ann, None, 1);
    assert_told(&bea, Some(second), 0);
    run(0, &["set", second, "--capacity", "none"]);
    assert_told(&ann, Some(second), 0);
    assert!(uid(&ann) > before && uid(&bea) == before_of_bea);
    run(0, &["reset", second, "--yes"]);
    for person in [&ann, &bea, &cai] {
        assert_told(person, Some(second), 1);
    }
    assert!(uid(&bea) > before_of_bea);
    // Removed, one and the other.
    run(1, &["remove", first, "--yes"]);
    run(0, &["down", second]);
    assert_told(&bea, None, 0);
    run(1, &["remove", second, "--yes"]);
    assert_told(&bea, None, 1);
    run(0, &["add", first, "--yes"]);
    for person in [&ann, &bea, &cai] {
        assert_told(person, Some(first), 0);
    }
    assert_eq!(servers.row(first), "takes users no limit 3 3 0 – 100 –");
}

#[test]
#[ignore = "needs PostgreSQL: run by cargo xtask test"]
fn the_services_agree_in_every_state_on_postgres() {
    the_services_agree(TestServer::Postgres);
}

#[test]
#[ignore = "needs MariaDB: run by cargo xtask test"]
fn the_services_agree_in_every_state_on_mariadb() {
    the_services_agree(TestServer::Mariadb);
}
