//! Answers that are made before a request's body has come reach the client as they are.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::program::proxy::{Kind, Proxy, Setup};
use crate::program::{Folder, Program, Start, Store};
use foxden_test_support::client::wire::{Call, Reply, Server};

/// The greatest upload by default.
const GREATEST: usize = 2_625_536;

/// Bytes of the bodies that are sent.
const SIZES: [usize; 6] = [1000, 20_000, 300_000, 2_500_000, GREATEST, GREATEST + 1];

/// How often each is sent.
const TIMES: usize = 9;

/// Which of the ways from nginx to the program.
fn nginx(backend: &str, is_buffered: bool, is_kept: bool) -> Setup {
    // Larger than the manual's limit, so that the refused request reaches the program.
    let setup = Setup::of_the_manual(Kind::Nginx, backend);
    let mut setup = setup.with("client_max_body_size 4m;", "client_max_body_size 40m;");
    if is_buffered {
        setup = setup.with("proxy_request_buffering off;", "");
    }
    if is_kept {
        setup = setup.with_keepalive();
    }
    setup
}

/// The program, or one that refuses every request of storage for a while, and a proxy in front.
struct Behind {
    program: Program,
    resting: Program,
    /// In front of the one and of the other.
    _proxies: [Proxy; 2],
}

impl Behind {
    fn start(folder: &Folder, setup: impl Fn(&str) -> Setup) -> Self {
        let serve = |name: &'static str, rests: &str| {
            let (port, backend) = (Start::free_port(), format!("127.0.0.1:{}", Start::free_port()));
            let start = Start::on(folder).named(name).without_flags();
            let start = start.with("--listen").with(&backend).with("--public-url");
            let start = start.with(format!("http://127.0.0.1:{port}"));
            let program = start.set("FOXDEN__STORAGE__MAINTENANCE", rests).serve();
            (program, setup(&backend).start(port))
        };
        let (program, first) = serve("works", "false");
        let (resting, second) = serve("rests", "true");
        Self {
            program,
            resting,
            _proxies: [first, second],
        }
    }

    /// Sends bodies of every size to every refusal.
    fn refuse_everything(&self) {
        refuse_everything(self.program.url(), self.resting.url());
        for _ in 0..TIMES {
            assert_eq!(ask_first(self.program.url()), 401);
        }
    }
}

/// Sends bodies of every size to every refusal of these two.
fn refuse_everything(url: &str, resting: &str) {
    for size in SIZES {
        let body = vec![b'x'; size];
        for _ in 0..TIMES {
            refuse(url, resting, &body);
        }
    }
    for size in [5_000_000, 12_000_000, 30_000_000] {
        expect(
            &Server::at(url).send(&post("/1.5/1/storage/tabs", &vec![b'x'; size])),
            401,
        );
    }
}

fn post(target: &str, body: &[u8]) -> Call {
    Call::new("POST", target).body("application/json", body)
}

#[track_caller]
fn expect(reply: &Reply, status: u16) {
    // A proxy's own answer may have the right status as well.
    assert!(
        reply.header("x-request-id").is_some(),
        "not ours: {}",
        reply.text()
    );
    assert_eq!(reply.status, status, "{}", reply.text());
}

fn refuse(url: &str, resting: &str, body: &[u8]) {
    let server = Server::at(url);
    for (target, status) in [
        ("/1.5/1/storage/tabs", 401),
        ("/1.1/a/storage/tabs", 401),
        ("/nowhere", 404),
        ("/1.0/sync/1.5", 405),
        ("/jpake/abcd", 400),
    ] {
        let reply = server.send(&post(target, body));
        expect(&reply, status);
    }
    let store = Store::at(url, 1);
    let reply = store.send_as("POST", "/storage/tabs", "image/png", body);
    expect(&reply, 415);
    if body.len() > GREATEST {
        expect(
            &store.send_as("POST", "/storage/tabs", "application/json", body),
            413,
        );
        expect(
            &store.send_as("PUT", "/storage/tabs/a", "application/json", body),
            413,
        );
    }
    if body.len() >= 300_000 {
        let login = server.send(&post("/v1/account/login", body));
        expect(&login, 413);
        expect(
            &server.send(&Call::new("PUT", "/user/1.0/a").body("application/json", body)),
            413,
        );
    }
    let reply = Store::at(resting, 1).send_as("POST", "/storage/tabs", "application/json", body);
    expect(&reply, 503);
    assert!(
        reply
            .header("retry-after")
            .is_some_and(|seconds| seconds.parse::<u32>().is_ok())
    );
}

/// Sends a large body only if it is asked for: by the proxy, which may ask by itself, or by the program, which does not.
fn ask_first(url: &str) -> u16 {
    const BYTES: usize = 2_000_000;
    let host = url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut stream = BufReader::new(stream);
    let head = format!(
        "POST /1.5/1/storage/tabs HTTP/1.1\r\nHost: {host}\r\nContent-Length: {BYTES}\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.get_mut().write_all(head.as_bytes()).unwrap();
    let mut status = read_head(&mut stream);
    if status == 100 {
        stream.get_mut().write_all(&vec![b'x'; BYTES]).unwrap();
        status = read_head(&mut stream);
    }
    status
}

/// Reads the head of an answer; its status.
fn read_head(stream: &mut impl BufRead) -> u16 {
    let mut lines = stream
        .lines()
        .map(Result::unwrap)
        .take_while(|line| !line.is_empty());
    let first = lines.next().expect("an answer");
    assert_eq!(lines.count() > 1, !first.contains(" 100 "), "{first}");
    first.split(' ').nth(1).unwrap().parse().unwrap()
}

fn through(setup: impl Fn(&str) -> Setup) {
    let folder = Folder::new();
    Behind::start(&folder, setup).refuse_everything();
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn through_nginx_as_in_the_book() {
    through(|backend| nginx(backend, false, false));
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn through_nginx_that_buffers() {
    through(|backend| nginx(backend, true, false));
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn through_nginx_with_kept_connections() {
    through(|backend| nginx(backend, false, true));
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn through_nginx_that_buffers_with_kept_connections() {
    through(|backend| nginx(backend, true, true));
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn through_apache() {
    through(|backend| Setup::of_the_manual(Kind::Apache, backend));
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn through_haproxy() {
    through(|backend| Setup::of_the_manual(Kind::HaProxy, backend));
}

/// The last hop is a socket in the file system.
#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn through_nginx_and_a_socket() {
    let folder = Folder::new();
    let serve = |name: &'static str, rests: &str| {
        let (port, socket) = (Start::free_port(), folder.path().join(format!("{name}.sock")));
        let start = Start::on(&folder).named(name).without_flags();
        let start = start.with("--listen").with(format!("unix:{}", socket.display()));
        let start = start
            .with("--public-url")
            .with(format!("http://127.0.0.1:{port}"));
        let program = start.set("FOXDEN__STORAGE__MAINTENANCE", rests).serve();
        let setup = nginx(&format!("unix:{}:", socket.display()), false, false);
        (program, setup.start(port))
    };
    let (works, rests) = (serve("works", "false"), serve("rests", "true"));
    refuse_everything(works.0.url(), rests.0.url());
}

/// The same with nothing between.
#[test]
fn directly() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let resting = Start::on(&folder)
        .named("rests")
        .set("FOXDEN__STORAGE__MAINTENANCE", "true")
        .serve();
    for size in SIZES {
        refuse(program.url(), resting.url(), &vec![b'x'; size]);
    }
    assert_eq!(ask_first(program.url()), 401);
    let store = program.store(1);
    store
        .send(
            "PUT",
            "/storage/tabs/a",
            Some(json!({ "payload": "x" }).to_string()),
        )
        .expect(200);
}
