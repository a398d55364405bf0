//! What the load tester finds: a small server answers rightly or with one planted fault, and the program, run as a whole, must
//! find that fault and no other.

#![allow(clippy::unwrap_used, reason = "a test ends where its script cannot go on")]

mod command;
mod server;
mod spread;

use std::fs;
use std::path::PathBuf;

use server::{Fault, Server};

/// A little of everything, on few objects, so that each fault comes up soon.
const SCENARIO: &str = r#"
name = "little"
about = "A little of everything."
users = 3
[sizes]
bookmarks = { uniform = [150, 400] }
[setup]
bookmarks = 20
[[operation]]
name = "writes"
weight = 4
steps = [
  { do = "check" },
  { do = "post", collection = "bookmarks", objects = { uniform = [1, 5] }, new = 0.2 },
  { do = "put", collection = "tabs" },
]
[[operation]]
name = "reads"
weight = 4
steps = [
  { do = "read", collection = "bookmarks" },
  { do = "nothing-new", collection = "bookmarks" },
  { do = "catch-up" },
  { do = "newest", collection = "bookmarks", limit = 10 },
  { do = "ids", collection = "bookmarks" },
]
[[operation]]
name = "deletes"
steps = [{ do = "delete", collection = "bookmarks", objects = 1 }, { do = "new-device" }]
"#;

/// What a run wrote down.
struct Found {
    result: serde_json::Value,
}

impl Found {
    /// The kinds of faults.
    fn kinds(&self) -> Vec<&str> {
        let faults = self.result["figures"]["faults"].as_array().unwrap();
        faults
            .iter()
            .map(|fault| fault["kind"].as_str().unwrap())
            .collect()
    }

    /// What the examples say.
    fn examples(&self) -> String {
        self.result["figures"]["examples"].to_string()
    }

    fn number(&self, pointer: &str) -> u64 {
        self.result
            .pointer(pointer)
            .and_then(serde_json::Value::as_u64)
            .unwrap()
    }
}

/// A folder for one run.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the program against a server with this fault, for longer on a busy machine: until the fault has happened some times,
/// or a server without one has answered enough.
fn run(fault: Fault) -> Found {
    for length in ["1s", "4s", "16s"] {
        let server = Server::start(fault);
        let found = run_on(&server, fault, length);
        let is_honest = matches!(fault, Fault::None | Fault::Closes);
        if server.happened() > 2 || (is_honest && found.number("/figures/requests") > 200) {
            return found;
        }
    }
    panic!("too few requests for {fault:?}");
}

fn run_on(server: &Server, fault: Fault, length: &str) -> Found {
    let folder = folder(&format!("{fault:?}"));
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(path("scenario.toml"), SCENARIO).unwrap();
    fs::write(path("secret"), "a secret").unwrap();
    let arguments = [
        "foxden-load".to_owned(),
        "run".to_owned(),
        path("scenario.toml"),
        "--target".to_owned(),
        server.url(),
        "--secret-file".to_owned(),
        path("secret"),
        "--length".to_owned(),
        length.to_owned(),
        "--warm-up".to_owned(),
        "0s".to_owned(),
        "--timeout".to_owned(),
        "5s".to_owned(),
        "--json".to_owned(),
        path("result.json"),
        "--report".to_owned(),
        path("report.html"),
    ];
    foxden_load::main(arguments.map(Into::into));
    let text = fs::read_to_string(path("result.json")).unwrap();
    let page = fs::read_to_string(path("report.html")).unwrap();
    assert!(
        page.contains("<h1") && page.trim_end().ends_with("</html>"),
        "the report is no whole page"
    );
    fs::remove_dir_all(&folder).unwrap();
    Found {
        result: serde_json::from_str(&text).unwrap(),
    }
}

#[test]
fn a_server_without_a_fault_passes() {
    let found = run(Fault::None);
    assert_eq!(found.kinds(), Vec::<&str>::new(), "{}", found.examples());
    assert!(found.number("/figures/requests") > 100);
    assert!(found.number("/comparison/in_run") > 100 && found.number("/comparison/after") > 20);
    assert_eq!(found.number("/comparison/users"), 3);
}

#[test]
fn a_lost_write_is_found() {
    let found = run(Fault::LostWrite);
    let kinds = found.kinds();
    // The object is missing, or is still what it was before.
    assert!(kinds.contains(&"lost") || kinds.contains(&"changed"), "{kinds:?}");
}

#[test]
fn a_time_that_goes_back_is_found() {
    let found = run(Fault::TimeBack);
    assert!(found.kinds().contains(&"time"), "{:?}", found.kinds());
    assert!(found.examples().contains("after one at"), "{}", found.examples());
}

#[test]
fn a_wrong_payload_is_found() {
    let found = run(Fault::WrongPayload);
    assert_eq!(found.kinds(), ["changed"], "{}", found.examples());
}

#[test]
fn an_object_that_is_left_out_of_lists_is_found() {
    let found = run(Fault::ShortList);
    assert_eq!(found.kinds(), ["lost"], "{}", found.examples());
}

#[test]
fn a_deleted_object_that_comes_back_is_found() {
    let found = run(Fault::KeepsDeleted);
    assert!(found.kinds().contains(&"surplus"), "{:?}", found.kinds());
}

#[test]
fn a_time_with_one_decimal_is_found() {
    let found = run(Fault::OneDecimal);
    assert_eq!(found.kinds(), ["form"], "{}", found.examples());
}

#[test]
fn a_refusal_is_found_and_is_no_wrong_answer() {
    let found = run(Fault::Refuses);
    assert_eq!(found.kinds(), ["status"], "{}", found.examples());
}

#[test]
fn a_server_that_closes_its_connections_passes() {
    let found = run(Fault::Closes);
    assert_eq!(found.kinds(), Vec::<&str>::new(), "{}", found.examples());
}

#[test]
fn an_answer_that_breaks_off_is_found() {
    let found = run(Fault::BreaksOff);
    assert_eq!(found.kinds(), ["broken"], "{}", found.examples());
}
