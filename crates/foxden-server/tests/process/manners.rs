//! How the program behaves towards proxies, curious clients and whoever reads its log.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;

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
    let reply = crate::peer::wire::Server::at(program.url()).send(
        &crate::peer::wire::Call::get("/__version__?secret=hush").header("X-Forwarded-For", "203.0.113.5"),
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

/// A proxy on the same machine may come through a socket in the file system; what it names is believed.
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
        // What a crash leaves behind is no obstacle to the next start.
        program.kill();
    }
}

#[test]
fn what_is_not_http_gets_an_error_and_an_end() {
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
        let answer = stream.write_all(text.as_bytes());
        match answer.and_then(|()| read_reply(&mut BufReader::new(stream))) {
            Ok((reply, stays)) => assert_eq!((reply.status, stays), (status, false), "{}", &text[..20]),
            // A client that is still sending may learn of the end before it learns of the reason.
            Err(error) => assert!(text.len() > 64 * 1024, "{}: {error}", &text[..20]),
        }
    }
    program.stop();
}
