//! Slow clients are disconnected and delay no other client.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::program::{Folder, Program, Start};
use crate::raw::{connect, read_reply};

/// Slow clients at once: half of them drip headers, most others a body, some never read.
const SLOW: usize = 500;

/// The server's timeout for slow clients in these tests. A client that they delay waits at most that long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A program with shorter timeouts than by default.
fn impatient(folder: &Folder) -> Program {
    let mut start = Start::on(folder);
    for (name, value) in [
        ("HEADER_TIMEOUT", "5 s"),
        ("STALL_TIMEOUT", "5 s"),
        ("IDLE_TIMEOUT", "20 s"),
        ("MIN_RATE", "1 KB"),
    ] {
        start = start.set(&format!("FOXDEN__HTTP__{name}"), value);
    }
    start.serve()
}

#[test]
fn five_hundred_slow_clients_delay_no_other_and_are_closed() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = impatient(&folder);
    fill(&program);
    let mut slow: Vec<TcpStream> = (0..SLOW).map(|number| slow_client(&program, number)).collect();

    // Others are served meanwhile, each within a moment.
    let store = program.store(2);
    for number in 0..100 {
        let began = Instant::now();
        let body = json!({ "payload": format!("{number}") }).to_string();
        store.send("PUT", "/storage/tabs/a", Some(body)).expect(200);
        store.send("GET", "/info/collections", None).expect(200);
        let took = began.elapsed();
        assert!(took < TIMEOUT, "a request took {took:?}");
    }

    // A client that sends single bytes is disconnected as well: that is no progress.
    let began = Instant::now();
    while !slow.is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{} clients are still there",
            slow.len()
        );
        slow.retain_mut(|stream| !is_cut_off(stream));
        thread::park_timeout(Duration::from_millis(200));
    }
    store.send("GET", "/storage/tabs/a", None).expect(200);
    program.stop();
}

/// When all connections are in use, an idle one is closed for a new client.
#[test]
fn a_full_house_makes_room() {
    let folder = Folder::new();
    let program = Start::on(&folder)
        .set("FOXDEN__HTTP__MAX_CONNECTIONS", "8")
        .serve();
    let idle: Vec<TcpStream> = (0..30).map(|_| connect(program.address()).unwrap()).collect();
    for user in 1..=5 {
        program
            .store(user)
            .send("GET", "/info/collections", None)
            .expect(200);
    }
    drop(idle);
    program.stop();
}

/// Stores large objects, which take long to read.
fn fill(program: &Program) {
    let payload = "x".repeat(200_000);
    for number in 0..20 {
        let body = json!({ "payload": payload }).to_string();
        let store = program.store(1);
        store
            .send("PUT", &format!("/storage/history/object{number}"), Some(body))
            .expect(200);
    }
}

fn slow_client(program: &Program, number: usize) -> TcpStream {
    let mut stream = connect(program.address()).unwrap();
    let store = program.store(1);
    let host = program.address();
    let text = match number % 8 {
        0..4 => format!("GET /__heartbeat__ HTTP/1.1\r\nHost: {host}\r\nX-Long: "),
        4..7 => format!(
            "PUT {} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
             Content-Length: 100000\r\n\r\n{{\"payload\":\"",
            store.path("/storage/tabs/slow"),
            store.authorization("PUT", "/storage/tabs/slow"),
        ),
        _ => format!(
            "GET {} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {}\r\n\r\n",
            store.path("/storage/history?full=1"),
            store.authorization("GET", "/storage/history?full=1"),
        ),
    };
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// Sends one byte more, reads none of an answer, and sees whether the server has gone.
fn is_cut_off(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let written = stream.write(b"x");
    // Peeking leaves the answer where it is, so that the server's side stays full.
    let mut byte = [0];
    let peeked = stream.peek(&mut byte);
    let is_gone = |kind: ErrorKind| kind != ErrorKind::WouldBlock;
    matches!(peeked, Ok(0))
        || [written.err(), peeked.err()]
            .into_iter()
            .flatten()
            .any(|e| is_gone(e.kind()))
}

/// A body that comes at a fair rate is taken, however long it takes; the same connection goes on after it.
#[test]
fn a_steady_client_is_not_cut_off() {
    let folder = Folder::new();
    let program = impatient(&folder);
    let store = program.store(3);
    let body = json!({ "payload": "y".repeat(60_000) }).to_string();
    let mut stream = connect(program.address()).unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        store.path("/storage/tabs/steady"),
        program.address(),
        store.authorization("PUT", "/storage/tabs/steady"),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    for chunk in body.as_bytes().chunks(2500) {
        stream.write_all(chunk).unwrap();
        // Six seconds in all, more than the timeout for a stalled client.
        thread::park_timeout(Duration::from_millis(250));
    }
    let mut stream = BufReader::new(stream);
    let (reply, stays) = read_reply(&mut stream).unwrap();
    assert_eq!((reply.status, stays), (200, true), "{}", reply.body);
    let again = format!(
        "GET /__lbheartbeat__ HTTP/1.1\r\nHost: {}\r\n\r\n",
        program.address()
    );
    stream.get_mut().write_all(again.as_bytes()).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().0.body, "{}");
    let mut rest = Vec::new();
    program.stop();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "a stop ends an idle connection without a word");
}

/// The received part of an upload counts for it; one that exceeds its user's share gets a 503.
#[test]
fn uploads_share_the_memory_there_is_for_them() {
    let folder = Folder::new();
    let program = Start::on(&folder)
        .set("FOXDEN__HTTP__MAX_BODY_MEMORY", "800 KB")
        .serve();
    let store = program.store(4);
    let body = json!({ "payload": "z".repeat(60_000) }).to_string();
    // The server sends 100 Continue once it has memory for the body.
    let announce = |path: &str| {
        let mut stream = connect(program.address()).unwrap();
        let head = format!(
            "PUT {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            store.path(path),
            program.address(),
            store.authorization("PUT", path),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        (stream, answer)
    };
    let (mut stream, answer) = announce("/storage/tabs/first");
    assert_eq!(&answer, b"HTTP/1.1 100");
    let mut rest = [0; 13];
    stream.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b" Continue\r\n\r\n");

    // The bytes that have arrived are held once they are read.
    let (begin, rest) = body.as_bytes().split_at(45_000);
    stream.write_all(begin).unwrap();
    let second = || store.send("PUT", "/storage/tabs/second", Some(body.clone()));
    // One that sent its body before that would push the first out.
    crate::nodes::eventually(|| announce("/storage/tabs/second").1 == *b"HTTP/1.1 503");
    let refused = second().expect(503);
    assert_eq!(refused.text(), "0");
    assert_eq!(refused.header("retry-after"), Some("10"));
    assert!(refused.header("x-weave-timestamp").is_some());
    // Another user's share is another.
    program
        .store(5)
        .send("PUT", "/storage/tabs/second", Some(body.clone()))
        .expect(200);
    store
        .send(
            "PUT",
            "/storage/tabs/small",
            Some(json!({ "payload": "z" }).to_string()),
        )
        .expect(200);

    stream.write_all(rest).unwrap();
    let (reply, _) = read_reply(&mut BufReader::new(stream)).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    store.send("PUT", "/storage/tabs/second", Some(body)).expect(200);
    program.stop();
}
