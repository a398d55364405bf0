//! The log, sockets for proxies, and clients that speak another protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use crate::databases::failed_start;
use crate::nodes::eventually;
use crate::program::{Folder, Start};
use crate::raw::{connect, read_reply};

#[test]
fn the_log_has_one_line_a_request_and_no_query() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let store = program.store(9);
    store
        .send("GET", "/storage/bookmarks?newer=12345.67", None)
        .expect(200);
    let ids = store.authorization("GET", "/x");
    let token = ids.split('"').nth(1).unwrap();
    let reply = foxden_test_support::client::wire::Server::at(program.url()).send(
        &foxden_test_support::client::wire::Call::get("/__version__?secret=hush")
            .header("X-Forwarded-For", "203.0.113.5"),
    );
    let id = reply.header("x-request-id").unwrap().to_owned();
    let log = program.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&id)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("203.0.113.5 GET /__version__ 200 "), "{log}");
    assert!(log.contains("GET /1.5/9/storage/bookmarks 200 "), "{log}");
    for secret in ["12345.67", "hush", token, crate::program::SECRET] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
    program.stop();
}

/// A proxy on the same machine may come through a socket in the file system; the server trusts its header.
#[test]
fn a_socket_in_the_file_system_serves_a_proxy() {
    let folder = Folder::new();
    let socket = folder.path().join("http.sock");
    let start = Start::on(&folder)
        .without_flags()
        .with("--public-url")
        .with("https://sync.example.org");
    let start = start.with("--listen").with(format!("unix:{}", socket.display()));
    for _ in 0..2 {
        let program = start.serve();
        assert_eq!(program.url(), "https://sync.example.org");
        let mut stream = UnixStream::connect(&socket).unwrap();
        let request =
            "GET /__lbheartbeat__ HTTP/1.1\r\nHost: sync.example.org\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let (reply, stays) = read_reply(&mut BufReader::new(stream)).unwrap();
        assert_eq!((reply.status, reply.body.as_str(), stays), (200, "{}", true));
        assert!(
            program.log().contains("192.0.2.7 GET /__lbheartbeat__ 200"),
            "{}",
            program.log()
        );
        // Files that a crash leaves behind do not prevent the next start.
        program.kill();
    }
}

/// A proxy that is set up wrongly is named in the log: once, however often it tries.
#[test]
fn other_protocols_are_named_in_the_log() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let hello = [
        &[0x16, 3, 1, 0, 61, 1, 0, 0, 57, 3, 3][..],
        &[7; 32],
        &[0, 0, 2, 0x13, 1, 1, 0, 0, 14, 0, 0x2b, 0, 3, 2, 3, 4],
    ]
    .concat();
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let second = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x09\0\x09",
        get.as_bytes(),
    ]
    .concat();
    let first = format!("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n{get}");
    for (bytes, expected) in [
        (
            hello.as_slice(),
            "127.0.0.1 speaks TLS, but this listener takes plain HTTP",
        ),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            "127.0.0.1 speaks HTTP/2, but",
        ),
        (first.as_bytes(), "127.0.0.1 speaks the PROXY protocol, which"),
        (&second, "127.0.0.1 speaks the PROXY protocol, which"),
    ] {
        for _ in 0..3 {
            let mut stream = connect(program.address()).unwrap();
            stream.write_all(bytes).unwrap();
            let mut answer = Vec::new();
            // An end of either kind will do.
            let _ = stream.read_to_end(&mut answer);
            assert!(!answer.starts_with(b"HTTP/1.1 2"), "it was taken for a request");
        }
        eventually(|| program.log().contains(expected));
        assert_eq!(program.log().matches(expected).count(), 1, "{}", program.log());
    }
    foxden_test_support::client::wire::Server::at(program.url())
        .send(&foxden_test_support::client::wire::Call::get("/__lbheartbeat__"))
        .expect(200);
    program.stop();
}

#[test]
fn other_protocols_get_an_error_and_a_closed_connection() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let endless = format!("GET / HTTP/1.1\r\nX-Long: {}", "x".repeat(300_000));
    let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(500));
    for (text, status) in [
        ("nonsense\r\n\r\n", 400),
        (endless.as_str(), 431),
        (headers.as_str(), 431),
        (
            "GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            400,
        ),
    ] {
        let mut stream = connect(program.address()).unwrap();
        // A client that is still sending learns of the reason, too.
        stream.write_all(text.as_bytes()).unwrap();
        let (reply, stays) = read_reply(&mut BufReader::new(stream)).unwrap();
        assert_eq!((reply.status, stays), (status, false), "{}", &text[..20]);
    }
    program.stop();
}

/// An answer that nothing has changed has no body, and so neither its type nor its length.
#[test]
fn a_304_has_neither_type_nor_length() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let store = program.store(9);
    let body = Some("{\"payload\":\"x\"}".to_owned());
    let written = store.send("PUT", "/storage/bookmarks/a", body).expect(200);
    let mut stream = BufReader::new(connect(program.address()).unwrap());
    for (method, target) in [
        ("GET", "/storage/bookmarks/a"),
        ("HEAD", "/storage/bookmarks/a"),
        ("GET", "/storage/bookmarks?full=1"),
        ("GET", "/info/collections"),
    ] {
        let head = format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nX-If-Modified-Since: {}\r\n\r\n",
            store.path(target),
            program.address(),
            store.authorization(method, target),
            written.text()
        );
        stream.get_mut().write_all(head.as_bytes()).unwrap();
        let lines = stream.by_ref().lines().map(Result::unwrap);
        let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        assert_eq!(lines[0], "HTTP/1.1 304 Not Modified", "{method} {target}");
        for line in &lines[1..] {
            let name = line.split(':').next().unwrap().to_ascii_lowercase();
            let is_of_a_body = name.starts_with("content-") || name == "transfer-encoding";
            assert!(!is_of_a_body, "{method} {target}: {line}");
        }
    }
    program.stop();
}

#[test]
fn a_port_that_is_taken_is_told_with_the_cure() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Start::on(&folder).without_flags().with("--listen");
    let text = failed_start(&start.with(taken.local_addr().unwrap().to_string()));
    assert!(
        text.contains("another program has that port") && text.contains("--listen"),
        "{text}"
    );
}
