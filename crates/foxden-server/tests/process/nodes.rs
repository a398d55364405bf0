//! Several storage nodes: users are spread over them, and each serves its own alone.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, server};
use crate::program::{Folder, Program, Start};
use foxden_test_support::client::browser::{Session, Store};
use foxden_test_support::client::legacy::account::{self, StorageLocation, basic};
use foxden_test_support::client::legacy::name;
use foxden_test_support::client::wire::{Call, Reply, Server};

const PASSWORD: &str = "ann's password";

/// One person's request to a node.
fn request(url: &str, name: &str, password: &str, method: &str, target: &str) -> Reply {
    let call = Call::new(method, format!("/1.1/{name}{target}"));
    let call = call.header("Authorization", basic(name, password));
    Server::at(url).send(&match method {
        "PUT" => call.body("text/plain", r#"{"payload":"x"}"#),
        _ => call,
    })
}

/// The node that `node/weave` names, without the slash at its end.
fn node_of(registration: &Program, name: &str) -> String {
    match account::storage_location(&server(registration), name) {
        StorageLocation::At(url) => url.strip_suffix('/').unwrap().to_owned(),
        other => panic!("{name} has no node: {other:?}"),
    }
}

/// Users of old clients and users of Firefox are spread over both nodes alike.
#[test]
fn users_are_spread_and_each_node_serves_its_own_alone() {
    let folder = Folder::new();
    let cluster = Cluster::new(&folder, 2);
    let (registration, nodes) = cluster.serve();
    let mut old = Vec::new();
    for number in 0..4 {
        let address = format!("user{number}@example.org");
        let name = account::register(&server(&registration), &address, PASSWORD);
        let node = node_of(&registration, &name);
        let other = cluster.urls.iter().find(|url| **url != node).unwrap();
        request(&node, &name, PASSWORD, "PUT", "/storage/tabs/a").expect(200);
        request(&node, &name, PASSWORD, "GET", "/storage/tabs/a").expect(200);
        request(other, &name, PASSWORD, "GET", "/storage/tabs/a").expect(401);
        request(other, &name, PASSWORD, "PUT", "/storage/tabs/a").expect(401);
        old.push(node);
    }
    let counted = |nodes: &[String]| {
        let on = |url: &String| nodes.iter().filter(|node| *node == url).count();
        cluster.urls.iter().map(on).collect::<Vec<_>>()
    };
    assert_eq!(counted(&old), [2, 2]);

    let mut new = Vec::new();
    for name in ["ann@example.org", "bea@example.org"] {
        let session = Session::sign_up(&server(&registration), name, PASSWORD);
        let store = session.connect("first").store();
        store.put("tabs", "a", "x").expect(200);
        let endpoint = store.token["api_endpoint"].as_str().unwrap();
        let at = cluster
            .urls
            .iter()
            .find(|url| endpoint.starts_with(*url))
            .unwrap();
        let other = nodes.iter().find(|node| node.url() != at).unwrap();
        // A token for the node that is theirs, brought to the other one.
        let foreign = crate::program::Store::between(other.url(), at, store.uid());
        foreign.send("GET", "/info/collections", None).expect(401);
        new.push(at.clone());
    }
    assert_eq!(counted(&new), [1, 1]);
    for node in &nodes {
        let log = node.log();
        assert!(
            log.contains(": the store is at node ") && log.contains(": the token is for node "),
            "{log}"
        );
    }
    let listed = cluster.registration.run(&["node", "list"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    for url in &cluster.urls {
        let row = text.lines().find(|line| line.starts_with(url.as_str())).unwrap();
        let cells: Vec<&str> = row.split_whitespace().skip(1).collect();
        assert_eq!(cells.join(" "), "takes users no limit 1 2 0 – 100 –", "{text}");
    }
}

/// A typing error would have users sent to nowhere at once.
#[test]
fn a_node_that_does_not_answer_is_added_only_if_that_is_meant() {
    let folder = Folder::new();
    let registration = Start::on(&folder).named("registration").with("--surfaces");
    let registration = registration
        .with("token,user,fxa,pages,ops")
        .set("FOXDEN__TOKENS__NODES", "commands");
    let _serving = registration.serve();
    let run = |command: &[&str]| {
        let output = registration.run(command);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let away = format!("http://127.0.0.1:{}", Start::free_port());
    let (is_added, text) = run(&["node", "add", &away]);
    assert!(
        !is_added && text.contains("cannot be reached") && text.contains("start the node"),
        "{text}"
    );
    assert!(
        text.contains("nothing was added") && text.contains("--yes"),
        "{text}"
    );
    assert!(!run(&["node", "list"]).1.contains(&away));
    let other = Start::on(&folder)
        .named("other")
        .with("--surfaces")
        .with("sync,ops");
    let other = other
        .set(
            "FOXDEN__MASTER_SECRET",
            "not the secret of the registration server",
        )
        .serve();
    let (is_added, text) = run(&["node", "add", other.url()]);
    assert!(!is_added && text.contains("the same master_secret"), "{text}");
    let (is_added, text) = run(&["node", "add", &away, "--yes"]);
    assert!(is_added, "{text}");
    assert!(run(&["node", "list"]).1.contains(&away));
    let node = Start::on(&folder)
        .named("node")
        .with("--surfaces")
        .with("sync,ops")
        .serve();
    let (is_added, text) = run(&["node", "add", node.url()]);
    assert!(is_added, "{text}");
}

/// Both stores of a user move to another node, where they begin empty; the old node refuses all requests for them.
#[test]
fn a_user_is_moved_with_both_stores() {
    let folder = Folder::new();
    let cluster = Cluster::new(&folder, 2);
    let (registration, _nodes) = cluster.serve();
    let address = "ann@example.org";
    let browser = Session::sign_up(&server(&registration), address, PASSWORD).connect("first");
    browser.store().put("tabs", "a", "x").expect(200);
    let name = name::of_account(address);
    let before = node_of(&registration, &name);
    request(&before, &name, PASSWORD, "PUT", "/storage/tabs/a").expect(200);

    let after = cluster.urls.iter().find(|url| **url != before).unwrap();
    let moved = cluster
        .registration
        .run(&["user", "move", address, "--to", after]);
    assert!(
        moved.status.success(),
        "{}",
        String::from_utf8_lossy(&moved.stderr)
    );
    assert_eq!(node_of(&registration, &name), *after);
    eventually(|| request(&before, &name, PASSWORD, "GET", "/storage/tabs/a").status == 401);
    request(after, &name, PASSWORD, "GET", "/storage/tabs/a").expect(404);
    request(after, &name, PASSWORD, "PUT", "/storage/tabs/a").expect(200);
    let store = browser.store();
    assert!(
        store.token["api_endpoint"]
            .as_str()
            .unwrap()
            .starts_with(after.as_str())
    );
    store.put("tabs", "b", "y").expect(200);

    let shown = cluster.registration.run(&["user", "show", address]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(text.matches(after.as_str()).count(), 2, "{text}");
    let unknown = cluster
        .registration
        .run(&["user", "move", address, "--to", "http://nowhere"]);
    let text = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        !unknown.status.success() && text.contains("there is no node http://nowhere"),
        "{text}"
    );
}

/// A node that keeps its users gets no new one; one that is struck off loses them to others.
#[test]
fn a_node_is_drained_and_struck_off() {
    let folder = Folder::new();
    let cluster = Cluster::new(&folder, 2);
    let (registration, _nodes) = cluster.serve();
    let [first, second] = [0, 1].map(|at| cluster.urls[at].clone());
    let register = |address: &str| {
        let name = account::register(&server(&registration), address, PASSWORD);
        (node_of(&registration, &name), name)
    };
    let command = |arguments: &[&str]| {
        let output = cluster.registration.run(arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let homes = [register("ann@example.org"), register("bea@example.org")];
    let (_, there) = homes.iter().find(|(node, _)| *node == second).unwrap();
    command(&["node", "drain", "--keep-users", &second]);
    for number in 0..2 {
        assert_eq!(register(&format!("drained{number}@example.org")).0, first);
    }
    assert_eq!(node_of(&registration, there), second);
    request(&second, there, PASSWORD, "GET", "/info/collections").expect(200);
    command(&["node", "resume", &second]);
    assert_eq!(register("cai@example.org").0, second);
    command(&["node", "down", &second]);
    assert_eq!(register("dan@example.org").0, first);

    let early = cluster.registration.run(&["node", "remove", &second, "--yes"]);
    let text = String::from_utf8(early.stderr).unwrap();
    assert!(
        !early.status.success() && text.contains("out of tokens.nodes"),
        "{text}"
    );
    command(&["node", "up", &second]);
    registration.stop();
    // A command that is given the data folder alone reads the accounts, and renames nothing.
    let data = folder.path().join("foxden-registration");
    let looked = Start::on(&folder)
        .bare()
        .run(&["user", "list", "--data-dir", data.to_str().unwrap()]);
    assert!(
        looked.status.success(),
        "{}",
        String::from_utf8_lossy(&looked.stderr)
    );
    cluster.list(&[&first]);
    let registration = cluster.registration.serve();
    assert_eq!(node_of(&registration, there), second);
    command(&["node", "remove", &second, "--yes"]);
    eventually(|| request(&second, there, PASSWORD, "GET", "/info/collections").status == 401);
    assert_eq!(node_of(&registration, there), first);
    request(&first, there, PASSWORD, "GET", "/info/collections").expect(200);
}

/// A node that takes connections and answers nothing is asked for one store, and all others there wait with it.
#[test]
fn stores_of_other_nodes_are_emptied_while_one_does_not_answer() {
    let folder = Folder::new();
    let cluster = Cluster::new(&folder, 2);
    let (registration, mut nodes) = cluster.serve();
    let stores: Vec<Store> = (0..6)
        .map(|number| {
            let address = format!("user{number}@example.org");
            let session = Session::sign_up(&server(&registration), &address, PASSWORD);
            let store = session.connect("a browser").store();
            store.put("tabs", "a", "x").expect(200);
            store
        })
        .collect();
    let [first, silent] = [0, 1].map(|at| cluster.urls[at].clone());
    let address = nodes[1].address().to_owned();
    nodes.remove(1).kill();
    let (listener, asked) = (TcpListener::bind(address).unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    // It lasts as long as the tests.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    for url in [&silent, &first] {
        let reset = cluster.registration.run(&["node", "reset", url, "--yes"]);
        let text = String::from_utf8_lossy(&reset.stdout).into_owned();
        assert!(text.contains("3 stores begin anew"), "{text}");
    }
    // The server does it by itself, too.
    cluster.registration.run(&["chore", "run", "wipe-deleted-stores"]);
    for store in &stores {
        if store.token["api_endpoint"].as_str().unwrap().starts_with(&first) {
            let left = || store.send(Call::get("/info/collections")).expect(200).text();
            eventually(|| left() == "{}");
        }
    }
    let why = format!("cannot reach {silent}");
    eventually(|| registration.log().contains(&why));
    assert!((1..=2).contains(&asked.load(Ordering::SeqCst)), "{asked:?}");
}

/// A node that the registration server does not know, or whose registration server is down, is reported before a client
/// gets a 401.
#[test]
fn a_node_says_whether_the_accounts_know_it() {
    let folder = Folder::new();
    let cluster = Cluster::new(&folder, 1);
    let node = &cluster.nodes[0];
    let check = || String::from_utf8(node.run(&["check"]).stdout).unwrap();
    let unknown = format!(
        "node {} is not in tokens.nodes of the registration server",
        cluster.urls[0]
    );
    let early = node.serve();
    let warned = format!("node {} is not in tokens.nodes", cluster.urls[0]);
    assert!(early.log().contains(&warned), "{}", early.log());
    assert!(check().contains(&unknown), "{}", check());

    let registration = cluster.registration.serve();
    let known = format!("the accounts can be read and send users to {}", cluster.urls[0]);
    assert!(check().contains(&known), "{}", check());
    let refused = node.run(&["user", "list"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && text.contains("keeps no accounts"),
        "{text}"
    );
    account::register(&server(&registration), "ann@example.org", PASSWORD);
    let name = name::of_account("ann@example.org");
    request(&cluster.urls[0], &name, PASSWORD, "GET", "/info/collections").expect(200);
}

/// Waits for what other processes learn of within a second. How soon they do is a matter of rules, which have a clock of
/// their own; here it takes as long as the machine is busy.
pub fn eventually(mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "it is not so after a minute"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
