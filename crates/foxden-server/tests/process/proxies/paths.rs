//! Paths reach the program as clients sign them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::program::proxy::{Kind, Proxy, Setup};
use crate::program::{Folder, Program, Start, Store};
use foxden_test_support::client::legacy::account::{basic, register};
use foxden_test_support::client::wire::{Call, Server};

/// Ids as clients write them into a path: what may stand there as it is, escaped or not, and what must be escaped.
const IDS: [&str; 16] = [
    "a~b",
    "a%7Eb",
    "a%7eb",
    "a!b",
    "a%21b",
    "a;b",
    "a%3Bb",
    "a%7Bb%7D",
    "a%7Cb",
    "a%25b",
    "a%20b",
    "a+b",
    "a%2Bb",
    "a%2Fb",
    "a:b@c,d=e$f'(g)*",
    "..b",
];

/// Writes, reads and deletes an object under each of these ids; the statuses.
fn statuses(store: &Store) -> Vec<(String, u16)> {
    let body = json!({ "payload": "x" }).to_string();
    let mut statuses = Vec::new();
    for id in IDS {
        for query in ["", "?", "?a=%7E%2F%25/+"] {
            let target = format!("/storage/tabs/{id}{query}");
            for (method, body) in [("PUT", Some(body.clone())), ("GET", None), ("DELETE", None)] {
                let status = store.send(method, &target, body).status;
                statuses.push((format!("{method} {target}"), status));
            }
        }
    }
    statuses
}

/// Ids of form history as 1.x clients write them into a path: slashes escaped or as they are.
const FORMS: [&str; 6] = [
    "Qk3%2FaB7x+Zr9LmWd",
    "Qk3%2faB7x%2BZr9LmWd",
    "Qk3/aB7x+Zr9LmWd",
    "%2B%2F8%3D",
    "+/8=",
    "a%2F%2Fb==",
];

/// The same in Sync 1.x, and by the list that browsers leave unencoded. Accounts are made where no proxy stands between.
fn legacy_statuses(program: &Program) -> Vec<(String, u16)> {
    let registry = Server::at(&format!("http://{}", program.log_address()));
    let name = register(&registry, "ann@example.org", "correct horse");
    let server = Server::at(program.url());
    let mut statuses = Vec::new();
    for (version, id) in ["1.0", "1", "1.1"]
        .into_iter()
        .flat_map(|v| FORMS.map(|id| (v, id)))
    {
        let forms = format!("/{version}/{name}/storage/forms");
        let (path, raw) = (format!("{forms}/{id}"), "Qk3/aB7x+Zr9LmWd,+/8=,a//b==");
        for (method, target) in [
            ("PUT", path.clone()),
            ("GET", path.clone()),
            ("DELETE", path.clone()),
            ("PUT", path.clone()),
            ("DELETE", format!("{forms}?ids={raw}")),
            ("GET", path),
        ] {
            let mut call =
                Call::new(method, target.as_str()).header("Authorization", basic(&name, "correct horse"));
            if method == "PUT" {
                call = call.body("text/plain", r#"{"payload":"x"}"#);
            }
            statuses.push((format!("{method} {target}"), server.send(&call).status));
        }
    }
    statuses
}

/// A program below a path behind a proxy that passes on what it was sent, or cuts the path off.
fn serve(folder: &Folder, setup: impl Fn(&str) -> Setup, path: &str) -> (Program, Proxy) {
    let (port, backend) = (Start::free_port(), format!("127.0.0.1:{}", Start::free_port()));
    let start = Start::on(folder).without_flags().with("--listen").with(&backend);
    let start = start
        .with("--public-url")
        .with(format!("http://127.0.0.1:{port}{path}"))
        // Once a proxy was seen the server stays public.
        .set("FOXDEN__ACCOUNTS__SIGN_UP", "open");
    let program = start.serve();
    (program, setup(&backend).start(port))
}

/// HTTP/2 names the whole address in every request, and HTTP/1.1 may: a rule that cuts a path off must find it there, too.
#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn a_path_is_cut_off_however_the_address_is_named() {
    for kind in [Kind::Nginx, Kind::Apache, Kind::HaProxy] {
        let folder = Folder::new();
        let setup = |backend: &str| Setup::of_the_manual(kind, backend).cutting("node1");
        let (program, _proxy) = serve(&folder, setup, "/node1");
        let host = program.address().trim_end_matches("/node1");
        for origin in [String::new(), format!("http://{host}")] {
            let stream = TcpStream::connect(host).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let mut stream = BufReader::new(stream);
            // Only the root of the program has this page.
            let target = format!("{origin}/node1/__lbheartbeat__");
            write!(stream.get_mut(), "GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
            let mut status = String::new();
            stream.read_line(&mut status).unwrap();
            assert!(status.starts_with("HTTP/1.1 200 "), "{kind:?} {target}: {status}");
        }
    }
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn every_proxy_passes_paths_on_as_they_came() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let directly = statuses(&program.store(1));
    let taken = directly.iter().filter(|(_, status)| *status == 200).count();
    assert!(taken > 100, "{directly:?}");
    let legacy = legacy_statuses(&program);
    for chunk in legacy.chunks(6) {
        let found: Vec<u16> = chunk.iter().map(|(_, status)| *status).collect();
        assert_eq!(found, [200, 200, 200, 200, 200, 404], "{chunk:?}");
    }
    program.stop();
    for kind in [Kind::Nginx, Kind::Apache, Kind::HaProxy] {
        for (path, is_cut) in [("", false), ("/node1", false), ("/node1", true)] {
            let folder = Folder::new();
            let setup = |backend: &str| {
                let setup = Setup::of_the_manual(kind, backend);
                if is_cut { setup.cutting("node1") } else { setup }
            };
            let (program, _proxy) = serve(&folder, setup, path);
            let store = program.store(1);
            assert_eq!(statuses(&store), directly, "{kind:?} {path} {is_cut}");
            assert_eq!(legacy_statuses(&program), legacy, "{kind:?} {path} {is_cut}");
        }
    }
}
