//! Several programs on one register file and one folder of objects: of requests that only one may win, one wins.

use std::sync::Barrier;
use std::thread;

use crate::program::{Folder, Start};
use foxden_test_support::client::browser::{Browser, Session, Store};
use foxden_test_support::client::sync_key::OLDSYNC;
use foxden_test_support::client::wire::{Call, Reply, Server};
use serde_json::json;

/// Requests at once.
const CLIENTS: usize = 12;
const ROUNDS: usize = 5;

/// How to start a program with a data folder of its own on the register and the objects that all programs share.
fn sharing<'a>(folder: &'a Folder, name: &'static str) -> Start<'a> {
    let place = folder.path();
    let objects = format!("sqlite:{}", place.join("objects").display());
    let register = format!("sqlite:{}", place.join("register.sqlite").display());
    Start::on(folder)
        .named(name)
        .set("FOXDEN__STORAGE__URL", objects)
        .set("FOXDEN__ACCOUNTS__URL", register)
}

/// How to start a program that shares the register and keeps no objects; `node` is where they are.
fn registration<'a>(folder: &'a Folder, node: &str) -> Start<'a> {
    sharing(folder, "second")
        .with("--surfaces")
        .with("token,user,fxa,pages,ops")
        .set("FOXDEN__TOKENS__NODES", node)
}

/// Caches and times of objects hold for one process. Its own data folder lets a second one start; the objects do not.
#[test]
fn a_second_process_on_the_same_objects_is_refused() {
    let folder = Folder::new();
    let first = sharing(&folder, "first").serve();
    first
        .store(1)
        .send("PUT", "/storage/bookmarks/a", Some(object("x")))
        .expect(200);
    let second = sharing(&folder, "second").run(&["serve"]);
    let text = String::from_utf8_lossy(&second.stderr);
    let expected = format!(
        "the objects in {} are in use by process {}",
        folder.path().join("objects").display(),
        first.id()
    );
    assert!(!second.status.success() && text.contains(&expected), "{text}");
    // So is a command that would close a store.
    let command = sharing(&folder, "second").run(&["user", "remove", "ann@example.org", "--yes"]);
    let text = String::from_utf8_lossy(&command.stderr);
    assert!(!command.status.success() && text.contains(&expected), "{text}");
    let kept = first.store(1).send("GET", "/storage/bookmarks/a", None);
    assert_eq!(kept.expect(200).text_of("payload"), "x");

    // A process that was killed holds no lock.
    first.kill();
    let second = sharing(&folder, "second").serve();
    let kept = second.store(1).send("GET", "/storage/bookmarks/a", None);
    assert_eq!(kept.expect(200).text_of("payload"), "x");
    second.stop();
}

/// One program keeps the objects, and both give out tokens for them.
#[test]
fn first_stores_guards_and_batches_are_won_once() {
    let folder = Folder::new();
    let first = sharing(&folder, "first").serve();
    let second = registration(&folder, first.url()).serve();
    let browsers = [&first, &second].map(|program| {
        let server = Server::at(program.url());
        let session = if program.id() == first.id() {
            Session::sign_up(&server, "ann@example.org", "ann's password")
        } else {
            Session::sign_in(&server, "ann@example.org", "ann's password")
        };
        session.connect("a browser")
    });
    let stores = at_once(|client| browsers[client % browsers.len()].store());
    assert!(stores.iter().all(|store| store.uid() == stores[0].uid()));

    for round in 0..ROUNDS {
        let time = stores[0]
            .put("bookmarks", "a", &round.to_string())
            .expect(200)
            .text();
        let guarded = at_once(|client| {
            let call = Call::new("PUT", "/storage/bookmarks/a").header("X-If-Unmodified-Since", &time);
            stores[client].send(call.body("application/json", object(&client.to_string())))
        });
        assert_eq!(won(&guarded, 412), 1);
        let batch = stores[0].send(upload("?batch=true", &round.to_string()));
        let batch = batch.expect(202).text_of("batch");
        let committed = at_once(|client| {
            stores[client].send(upload(&format!("?batch={batch}&commit=true"), "committed"))
        });
        assert_eq!(won(&committed, 400), 1);
    }
    second.stop();
    first.stop();
}

/// An account that ends at one program has no store at the other one, which keeps it closed.
#[test]
fn an_account_that_one_program_removes_is_refused_by_the_other() {
    let folder = Folder::new();
    // The same address after a restart.
    let address = format!("127.0.0.1:{}", Start::free_port());
    let node = sharing(&folder, "first")
        .without_flags()
        .with("--listen")
        .with(&address);
    let first = node.serve();
    let registration = registration(&folder, first.url());
    let second = registration.serve();
    let session = Session::sign_up(&Server::at(second.url()), "ann@example.org", "ann's password");
    let browser: Browser = session.connect("a browser");
    let access = browser.access_token(OLDSYNC).expect(200).text_of("access_token");
    let store: Store = browser.store();
    store.put("bookmarks", "a", "x").expect(200);
    assert_eq!(store.payload("bookmarks", "a"), "x");

    let removed = registration.run(&["user", "remove", "ann@example.org", "--yes"]);
    assert!(
        removed.status.success(),
        "{}",
        String::from_utf8_lossy(&removed.stderr)
    );
    store.send(Call::get("/storage/bookmarks/a")).expect(404);
    browser.ask_tokenserver_with(&access).expect(401);
    first.stop();

    // From its start on, the program with both closes the stores of removed accounts.
    let first = node.serve();
    store.send(Call::get("/storage/bookmarks/a")).expect(401);
    store.put("bookmarks", "a", "again").expect(401);
    second.stop();
    first.stop();
}

/// The answers to requests that are sent at the same moment.
fn at_once<T: Send>(request: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (start, request) = (Barrier::new(CLIENTS), &request);
    thread::scope(|clients| {
        let waiting: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let start = &start;
                clients.spawn(move || {
                    start.wait();
                    request(client)
                })
            })
            .collect();
        waiting.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

/// How many succeeded; all others were refused with this status.
fn won(replies: &[Reply], refused: u16) -> usize {
    let is_known = |reply: &&Reply| [200, refused].contains(&reply.status);
    let unknown = replies.iter().find(|reply| !is_known(reply));
    assert!(unknown.is_none(), "{unknown:?}");
    replies.iter().filter(|reply| reply.status == 200).count()
}

fn object(payload: &str) -> String {
    json!({ "payload": payload }).to_string()
}

/// A part of a batch with one object.
fn upload(query: &str, payload: &str) -> Call {
    let objects = json!([{ "id": "b", "payload": payload }]);
    Call::post(format!("/storage/bookmarks{query}"), &objects)
}
