//! The memory of the program under many expensive requests. The limits are generous, and catch unbounded growth.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::server;
use crate::program::{Folder, Start};
use foxden_test_support::client::legacy::account;
use foxden_test_support::client::wire::Call;

/// The most that the program may hold, in bytes.
const MOST: u64 = 120_000_000;
const CLIENTS: usize = 20;

/// Has twenty clients at once do something for the numbers below a bound.
fn at_once(count: u64, each: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    each(number);
                }
            });
        }
    });
}

/// Each password is hashed in megabytes of memory: no more than as many hashes need as run at once.
#[test]
fn two_hundred_sign_ups_leave_little_behind() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    at_once(200, |number| {
        account::register(
            &server(&program),
            &format!("user{number}@example.org"),
            "a password",
        );
    });
    assert!(program.peak_memory() <= MOST, "{}", program.peak_memory());
    program.stop();
}

/// Uploads and answers are large and short-lived, and taken on many threads.
#[test]
fn large_objects_leave_little_behind() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    let body = json!({ "payload": "x".repeat(1_900_000) }).to_string();
    at_once(100, |user| {
        let store = program.store(1 + user);
        let path = "/storage/bookmarks/large";
        store.send("PUT", path, Some(body.clone())).expect(200);
        let read = store.send("GET", path, None).expect(200);
        assert!(read.body.len() > 1_900_000);
    });
    assert!(program.memory() <= MOST, "{}", program.memory());
    program.stop();
}

/// A connection whose body is read off holds read buffers. There are only so many of them, and they go back to the system
/// when the clients have gone.
#[test]
fn bodies_of_unknown_clients_leave_little_memory_behind() {
    const CONNECTIONS: usize = 400;
    const LEFT: u64 = 12_000_000;
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    server(&program).send(&Call::get("/__lbheartbeat__")).expect(200);
    let fresh = program.memory();
    let mut text =
        b"POST /1.5/1/storage/tabs HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n".to_vec();
    text.resize(text.len() + 100_000, b'x');
    let connections: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(program.address()).unwrap();
            stream.write_all(&text).unwrap();
            stream
        })
        .collect();
    let wait_for = |is_so: &dyn Fn(u64) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so(program.memory()) {
            assert!(
                Instant::now() < deadline,
                "{fresh} before, {} now",
                program.memory()
            );
            thread::sleep(Duration::from_millis(100));
        }
    };
    wait_for(&|memory| memory > fresh + LEFT);
    drop(connections);
    wait_for(&|memory| memory <= fresh + LEFT);
    assert!(program.peak_memory() <= MOST, "{}", program.peak_memory());
    program.stop();
}
