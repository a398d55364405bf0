//! Memory for clients that send without a credential, or do not read their responses: bounded for each
//! network and each account, whatever they do.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::cluster::server;
use crate::program::{Folder, Program, Start};
use crate::raw::read_reply;
use foxden_test_support::client::browser::{Session, signer};
use foxden_test_support::client::wire::Call;

/// The maximum memory for responses of one account or one network.
const MOST: u64 = 60_000_000;

/// A program that has answered once, and its memory then.
fn fresh(folder: &Folder) -> (Program, u64) {
    let program = Start::on(folder).with("--log").with("warn").serve();
    server(&program).send(&Call::get("/__lbheartbeat__")).expect(200);
    let memory = program.memory();
    (program, memory)
}

/// Sends a request on a connection of its own, and does not read the answer.
fn send(program: &Program, head: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(program.address()).unwrap();
    let host = program.address();
    write!(stream, "{head}\r\nHost: {host}\r\n\r\n").unwrap();
    // The server may well end the connection while it is still being sent to.
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let _sent = stream.write_all(body);
    stream
}

/// The status of the answer, once it has begun.
fn status(stream: &TcpStream) -> u16 {
    let mut begin = [0; 12];
    let timeout = Some(Duration::from_secs(20));
    stream.set_read_timeout(timeout).unwrap();
    while stream.peek(&mut begin).unwrap() < begin.len() {
        thread::park_timeout(Duration::from_millis(10));
    }
    std::str::from_utf8(&begin[9..]).unwrap().parse().unwrap()
}

/// The caller is known first: without a credential nothing of a picture is kept.
#[test]
fn six_hundred_pictures_of_unknown_clients_are_not_read() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let (program, before) = fresh(&folder);
    let picture = vec![b'x'; 200_000];
    let head = "POST /v1/avatar/upload HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 250000";
    let connections: Vec<TcpStream> = (0..600).map(|_| send(&program, head, &picture)).collect();
    for stream in &connections {
        assert_eq!(status(stream), 401);
    }
    let added = program.peak_memory().saturating_sub(before);
    assert!(added <= MOST, "{added}");
    program.stop();
}

/// Members with many sessions, large devices and no wish to read.
#[test]
fn eighty_unread_lists_of_devices_are_bounded() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let (program, before) = fresh(&folder);
    let server = server(&program);
    let session = Session::sign_up(&server, "ann@example.org", "a long password");
    let large: serde_json::Map<_, _> = (0..7)
        .map(|number| (format!("c{number}"), "x".repeat(2000).into()))
        .collect();
    let device = json!({ "name": "x", "type": "desktop", "availableCommands": large });
    for _ in 0..250 {
        let copy = session
            .send(Call::post("/v1/session/duplicate", &json!({})))
            .expect(200);
        let other = signer(&copy.text_of("sessionToken"), "sessionToken");
        server
            .send(&Call::post("/v1/account/device", &device).signed(&other))
            .expect(200);
    }
    let listed = session.send(Call::get("/v1/account/devices")).expect(200);
    assert!(listed.body.len() < 700_000, "{}", listed.body.len());
    let head = format!(
        "GET /v1/account/devices HTTP/1.1\r\nAuthorization: Bearer fxs_{}",
        session.signer.id
    );
    let readers: Vec<TcpStream> = (0..80).map(|_| send(&program, &head, b"")).collect();
    for stream in &readers {
        assert!(matches!(status(stream), 200 | 503));
    }
    let added = program.peak_memory().saturating_sub(before);
    assert!(added <= MOST, "{added}");
    drop(readers);
    // Their memory is freed.
    crate::nodes::eventually(|| {
        let reply = session.send(Call::get("/v1/account/devices"));
        reply.status == 200
    });
    program.stop();
}

/// Lists that begin with small pages and go on with large ones are no more at once than those that are large throughout.
#[test]
fn lists_with_growing_pages_stay_within_their_share() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let (program, _) = fresh(&folder);
    let store = program.store(1);
    let path = "/storage/history";
    let post = |first: u32, count: u32, size: usize| {
        let payload = "x".repeat(size);
        let objects: Vec<_> = (first..first + count)
            .map(|number| json!({ "id": format!("o{number}"), "payload": payload }))
            .collect();
        store
            .send("POST", path, Some(json!(objects).to_string()))
            .expect(200);
    };
    // The newest come first: four pages of a thousand small ones, and then the large ones.
    (0..8).for_each(|number| post(number, 1, 2_000_000));
    (0..40).for_each(|number| post(100 + number * 100, 100, 10));
    let before = program.memory();
    let query = "/storage/history?full=1&sort=newest";
    let readers: Vec<TcpStream> = (0..40)
        .map(|_| {
            let head = format!(
                "GET {} HTTP/1.1\r\nAuthorization: {}",
                store.path(query),
                store.authorization("GET", query)
            );
            send(&program, &head, b"")
        })
        .collect();
    let statuses: Vec<u16> = readers.iter().map(status).collect();
    let begun = statuses.iter().filter(|status| **status == 200).count();
    assert!((1..=6).contains(&begun), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 503)));
    let added = program.peak_memory().saturating_sub(before);
    assert!(added <= MOST, "{added}");
    drop(readers);
    program.stop();
}

/// One user has large objects and readers that do not read: others are served, and memory is bounded.
#[test]
fn sixty_unread_long_lists_are_bounded() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let (program, _) = fresh(&folder);
    let store = program.store(1);
    let body = json!({ "payload": "x".repeat(2_400_000) }).to_string();
    // More than the system's buffers take.
    for number in 0..8 {
        let path = format!("/storage/history/large{number}");
        store.send("PUT", &path, Some(body.clone())).expect(200);
    }
    let before = program.memory();
    let path = "/storage/history?full=1";
    let readers: Vec<TcpStream> = (0..60)
        .map(|_| {
            let head = format!(
                "GET {} HTTP/1.1\r\nAuthorization: {}",
                store.path(path),
                store.authorization("GET", path)
            );
            send(&program, &head, b"")
        })
        .collect();
    let statuses: Vec<u16> = readers.iter().map(status).collect();
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 503)));
    let refused = statuses.iter().position(|status| *status == 503).unwrap();
    let mut refused = BufReader::new(&readers[refused]);
    assert_eq!(read_reply(&mut refused).unwrap().0.body, "0");
    let other = program.store(2);
    let small = json!({ "payload": "y".repeat(100_000) }).to_string();
    other.send("PUT", "/storage/tabs/a", Some(small)).expect(200);
    other.send("GET", "/storage/tabs/a", None).expect(200);
    let added = program.peak_memory().saturating_sub(before);
    assert!(added <= MOST, "{added}");
    // A response that has begun is sent completely once its client reads it.
    let begun = statuses.iter().position(|status| *status == 200).unwrap();
    let mut taken = &readers[begun];
    let mut bytes = 0;
    let mut piece = vec![0; 1 << 16];
    while bytes < 8 * 2_400_000 {
        let count = taken.read(&mut piece).unwrap();
        assert!(count > 0, "it broke off after {bytes} bytes");
        bytes += count;
    }
    drop(readers);
    crate::nodes::eventually(|| store.send("GET", "/storage/history/large0", None).status == 200);
    program.stop();
}
