//! Many at once, and one in a hurry.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use foxden_model::SyncTime;
use serde_json::json;

use crate::program::{Folder, Start, Store};

const CONNECTIONS: u64 = 64;
const REQUESTS: u64 = 10_000;

/// Ten thousand requests from 64 connections over a hundred users, writes and reads mixed.
#[test]
fn ten_thousand_mixed_requests_find_a_server_that_serves() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (next, program) = (&next, &program);
            scope.spawn(move || {
                let stores: Vec<Store> = (0..4)
                    .map(|n| program.store(1 + (connection * 4 + n) % 100))
                    .collect();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= REQUESTS {
                        return;
                    }
                    let store = &stores[usize::try_from(number).unwrap() % stores.len()];
                    let (reply, expected) = one_of_many(store, number);
                    assert!(expected.contains(&reply), "request {number} was answered {reply}");
                }
            });
        }
    });
    program.stop();
}

/// One request of the mixture, its status and the expected ones.
fn one_of_many(store: &Store, number: u64) -> (u16, &'static [u16]) {
    let object = |id: u64| json!({ "id": format!("object{id}"), "payload": format!("payload {number}") });
    let id = number % 50;
    match number % 10 {
        0..3 => {
            let body = object(id).to_string();
            let reply = store.send("PUT", &format!("/storage/history/object{id}"), Some(body));
            (reply.status, &[200])
        }
        3 | 4 => {
            let body = json!([object(id), object(id + 1), object(id + 2)]).to_string();
            (
                store.send("POST", "/storage/bookmarks", Some(body)).status,
                &[200],
            )
        }
        5 => (
            store
                .send("DELETE", &format!("/storage/history/object{id}"), None)
                .status,
            &[200, 404],
        ),
        6 => (
            store
                .send("GET", "/storage/bookmarks?full=1&limit=20", None)
                .status,
            &[200],
        ),
        7 => (
            store
                .send("GET", &format!("/storage/history/object{id}"), None)
                .status,
            &[200, 404],
        ),
        _ => (store.send("GET", "/info/collections", None).status, &[200]),
    }
}

/// A thousand objects posted one after the other, as fast as answers come, all get a time of their own.
#[test]
fn a_thousand_posts_in_a_row_get_rising_times() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    let store = program.store(7);
    let mut last = SyncTime::ZERO;
    for number in 0..1000 {
        let body = json!([{ "id": format!("object{number}"), "payload": "x" }]).to_string();
        let reply = store.send("POST", "/storage/history", Some(body)).expect(200);
        let modified: SyncTime = reply.header("x-last-modified").unwrap().parse().unwrap();
        assert!(modified > last, "object {number} got {modified} after {last}");
        last = modified;
    }
    let counts = store
        .send("GET", "/info/collection_counts", None)
        .expect(200)
        .json();
    assert_eq!(counts["history"], 1000);
    program.stop();
}
