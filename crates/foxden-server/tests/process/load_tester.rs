//! The load tester against the program: every kind of step, in both protocols, and what it made is gone afterwards.

use std::fs;
use std::process::ExitCode;

use serde_json::Value;

use crate::program::{Folder, Program, SECRET, Start};
use foxden_test_support::client::browser::Session;
use foxden_test_support::client::sync_key::OLDSYNC;
use foxden_test_support::client::wire::{Call, Server};

/// Every step that a scenario can have, on few objects.
const SCENARIO: &str = r#"
name = "all steps"
about = "Every step once in a while."
users = 4
every = "5 ms"
[sizes]
bookmarks = { lognormal = { median = 450, p99 = "2 KB", most = "16 KB" } }
[setup]
bookmarks = 150
history = { uniform = [0, 40] }
[[operation]]
name = "reads"
weight = 3
steps = [
  { do = "check" }, { do = "info", page = "collection_counts" }, { do = "info", page = "quota" },
  { do = "read", collection = "bookmarks" }, { do = "nothing-new", collection = "bookmarks" },
  { do = "newest", collection = "history", limit = 10 }, { do = "ids", collection = "bookmarks" },
  { do = "download", collection = "bookmarks" }, { do = "catch-up" }, { do = "new-device" },
]
[[operation]]
name = "writes"
weight = 3
steps = [
  { do = "put", collection = "tabs" }, { do = "post", collection = "history", objects = 7, new = 0.5 },
  { do = "batch", collection = "bookmarks", objects = { uniform = [50, 250] }, new = 0.1 },
]
[[operation]]
name = "deletes"
steps = [{ do = "delete", collection = "bookmarks", objects = 3 }, { do = "clear", collection = "history" }]
[[operation]]
name = "reset"
steps = [{ do = "wipe" }, { do = "check" }]
"#;

/// Runs the load tester, and returns its exit status and its result.
fn run(program: &Program, folder: &Folder, protocol: &str, more: &[&str]) -> (String, Value) {
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("scenario.toml"), SCENARIO).unwrap();
    fs::write(path("secret"), SECRET).unwrap();
    let (scenario, secret, result) = (path("scenario.toml"), path("secret"), path("result.json"));
    let mut words = vec!["foxden-load", "run", &scenario, "--target", program.url()];
    words.extend(["--protocol", protocol, "--json", &result]);
    if !more.contains(&"--bearer-file") {
        words.extend(["--secret-file", &secret]);
    }
    if !more.contains(&"--length") {
        words.extend(["--length", "2s"]);
    }
    words.extend(["--warm-up", "0s", "--fail-if", "faults>0"]);
    words.extend(more);
    let status = foxden_load::main(words.into_iter().map(Into::into));
    let text = fs::read_to_string(&result).unwrap();
    (format!("{status:?}"), serde_json::from_str(&text).unwrap())
}

fn all_is_right(protocol: &str) {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    let (status, result) = run(&program, &folder, protocol, &["--clean"]);
    assert_eq!(status, format!("{:?}", ExitCode::SUCCESS), "{result}");
    assert_eq!(result["figures"]["faults"], Value::Array(Vec::new()), "{result}");
    let number = |pointer: &str| result.pointer(pointer).and_then(Value::as_u64).unwrap();
    assert!(number("/figures/requests") > 50, "{result}");
    assert!(
        number("/comparison/in_run") > 500 && number("/comparison/after") > 0,
        "{result}"
    );
    assert_eq!(number("/comparison/users"), 4);
    let operations = result["figures"]["by_operation"].as_array().unwrap();
    assert_eq!(operations.len(), 4);
    program.stop();
}

/// Nothing is wrong with today's protocol.
#[test]
fn the_load_tester_finds_no_fault_in_storage_1_5() {
    all_is_right("1.5");
}

/// Nothing is wrong with the protocol of old clients, whose accounts are made and removed.
#[test]
fn the_load_tester_finds_no_fault_in_storage_1_1() {
    all_is_right("1.1");
}

/// Runs the program with these words, and returns its exit status.
fn load(words: &[&str]) -> String {
    let words = ["foxden-load"].iter().chain(words);
    format!("{:?}", foxden_load::main(words.map(Into::into)))
}

/// Users have accounts: they sign up, get tokens from the tokenserver, and are gone after `clean`, accounts and all.
#[test]
fn the_load_tester_signs_its_users_up_and_removes_their_accounts() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    let (status, result) = run(&program, &folder, "1.5", &["--accounts"]);
    assert_eq!(status, format!("{:?}", ExitCode::SUCCESS), "{result}");
    assert_eq!(result["figures"]["faults"], Value::Array(Vec::new()), "{result}");
    let accounts = || {
        let listed = Start::on(&folder).run(&["user", "list"]);
        let text = String::from_utf8(listed.stdout).unwrap();
        text.matches("@foxden-load.invalid").count()
    };
    assert_eq!(accounts(), 4);
    let secret = folder.path().join("secret").to_str().unwrap().to_owned();
    let clean = [
        "clean",
        "--accounts",
        "--users",
        "6",
        "--target",
        program.url(),
        "--secret-file",
        &secret,
    ];
    assert_eq!(load(&clean), format!("{:?}", ExitCode::SUCCESS));
    assert_eq!(accounts(), 0);
    program.stop();
}

/// Users bring access tokens, as those of an account server elsewhere do; their accounts stay.
#[test]
fn the_load_tester_takes_access_tokens() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    let server = Server::at(program.url());
    let lines = ["ann@example.org", "ben@example.org"].map(|email| {
        let browser = Session::sign_up(&server, email, "correct horse").connect("a browser");
        let token = browser.access_token(OLDSYNC).expect(200).text_of("access_token");
        format!("{token} {}\n", browser.sync_key.kid)
    });
    let bearers = folder.path().join("bearers").to_str().unwrap().to_owned();
    fs::write(&bearers, lines.concat()).unwrap();
    let more = ["--bearer-file", &bearers, "--users", "2", "--clean"];
    let (status, result) = run(&program, &folder, "1.5", &more);
    assert_eq!(status, format!("{:?}", ExitCode::SUCCESS), "{result}");
    assert_eq!(result["comparison"]["users"], 2);
    let many = [
        "run",
        "check",
        "--target",
        program.url(),
        "--bearer-file",
        &bearers,
        "--users",
        "3",
    ];
    assert_eq!(
        load(&many),
        format!("{:?}", ExitCode::from(2)),
        "there are two access tokens"
    );
    let again = Session::sign_in(&server, "ann@example.org", "correct horse").connect("another browser");
    let left = again
        .store()
        .send(Call::get("/info/collections"))
        .expect(200)
        .json();
    assert_eq!(left, serde_json::json!({}));
    program.stop();
}

/// Runs in turn are compared, and followed over time.
#[test]
fn the_load_tester_compares_runs_made_in_turn() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("secret"), SECRET).unwrap();
    let (secret, runs, page) = (path("secret"), path("runs"), path("comparison.html"));
    let mut words = vec![
        "alternate",
        "one-object",
        "--target",
        program.url(),
        "--target",
        program.url(),
    ];
    words.extend([
        "--secret-file",
        &secret,
        "--into",
        &runs,
        "--report",
        &page,
        "--runs",
        "2",
    ]);
    words.extend(["--users", "2", "--length", "300ms", "--warm-up", "0s"]);
    assert_eq!(load(&words), format!("{:?}", ExitCode::SUCCESS));
    assert_eq!(
        load(&words),
        format!("{:?}", ExitCode::from(2)),
        "results are not written over"
    );
    let written = fs::read_to_string(&page).unwrap();
    assert!(written.contains("Too few pairs of runs"), "{written}");
    let (first, other, again) = (path("runs/a"), path("runs/b"), path("again.html"));
    assert_eq!(
        load(&["compare", &first, &other, "--report", &again]),
        format!("{:?}", ExitCode::SUCCESS)
    );
    assert_eq!(fs::read_to_string(&again).unwrap(), written);
    assert_eq!(
        load(&["trend", &first, "--report", &again]),
        format!("{:?}", ExitCode::SUCCESS)
    );
    assert!(fs::read_to_string(&again).unwrap().contains("oo few runs"));
    program.stop();
}

/// More users from cycle to cycle.
#[test]
fn the_load_tester_runs_cycles() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    let page = folder.path().join("report.html").to_str().unwrap().to_owned();
    let more = ["--cycles", "1,2,4", "--length", "700ms", "--report", &page];
    let (status, result) = run(&program, &folder, "1.5", &more);
    assert_eq!(status, format!("{:?}", ExitCode::SUCCESS), "{result}");
    let cycles = result["cycles"].as_array().unwrap();
    let users: Vec<u64> = cycles
        .iter()
        .map(|cycle| cycle["users"].as_u64().unwrap())
        .collect();
    assert_eq!(users, [1, 2, 4]);
    let counts = cycles
        .iter()
        .map(|cycle| cycle["response"]["count"].as_u64().unwrap());
    assert_eq!(
        counts.sum::<u64>(),
        result["figures"]["requests"].as_u64().unwrap()
    );
    assert!(fs::read_to_string(&page).unwrap().contains("against users"));
    program.stop();
}

/// A store that the load tester did not make is left alone.
#[test]
fn the_load_tester_does_not_touch_a_person() {
    let _turn = crate::turn();
    let folder = Folder::new();
    let program = Start::on(&folder).with("--log").with("warn").serve();
    let body = r#"{"payload":"a person's"}"#.to_owned();
    let person = program.store(7);
    assert_eq!(person.send("PUT", "/storage/bookmarks/a", Some(body)).status, 200);
    fs::write(folder.path().join("secret"), SECRET).unwrap();
    let secret = folder.path().join("secret").to_str().unwrap().to_owned();
    for command in [&["run", "check"][..], &["clean"]] {
        let mut words = vec!["foxden-load"];
        words.extend(command);
        words.extend(["--target", program.url(), "--secret-file", &secret]);
        words.extend(["--first-uid", "7", "--users", "1"]);
        foxden_load::main(words.into_iter().map(Into::into));
    }
    assert_eq!(person.send("GET", "/storage/bookmarks/a", None).status, 200);
    program.stop();
}
