//! Paths reach the program as clients sign them.

use serde_json::json;

use crate::program::proxy::{Kind, Proxy, Setup};
use crate::program::{Folder, Program, Start, Store};

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

/// A program below a path behind a proxy that passes on what it was sent, or cuts the path off.
fn serve(folder: &Folder, setup: impl Fn(&str) -> Setup, path: &str) -> (Program, Proxy) {
    let (port, backend) = (Start::free_port(), format!("127.0.0.1:{}", Start::free_port()));
    let start = Start::on(folder).without_flags().with("--listen").with(&backend);
    let start = start
        .with("--public-url")
        .with(format!("http://127.0.0.1:{port}{path}"));
    let program = start.serve();
    (program, setup(&backend).start(port))
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn every_proxy_passes_paths_on_as_they_came() {
    let folder = Folder::new();
    let program = Start::on(&folder).serve();
    let directly = statuses(&program.store(1));
    let taken = directly.iter().filter(|(_, status)| *status == 200).count();
    assert!(taken > 100, "{directly:?}");
    program.stop();
    for kind in [Kind::Nginx, Kind::Apache, Kind::HaProxy] {
        for (path, is_cut) in [("", false), ("/node1", false), ("/node1", true)] {
            let folder = Folder::new();
            let setup = |backend: &str| {
                let setup = Setup::of_the_book(kind, backend);
                if is_cut { setup.cutting("node1") } else { setup }
            };
            let (program, _proxy) = serve(&folder, setup, path);
            let store = program.store(1);
            assert_eq!(statuses(&store), directly, "{kind:?} {path} {is_cut}");
        }
    }
}
