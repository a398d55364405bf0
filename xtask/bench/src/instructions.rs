//! Instructions that one request costs, counted by callgrind: the same on every run, whatever else the machine does.
//!
//! Each server runs twice under valgrind and answers few requests, then many, on one connection. The difference is what
//! the requests cost; what a start costs falls out.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::load;
use crate::process::Process;
use crate::request::{Basic, Signer};

/// The user of Sync 1.5 whose store is asked for.
const USER: u64 = 42;
/// The person of Sync 1.1, and of accounts.
const PERSON: u64 = 7;
/// Collections of a store, each with one object.
const COLLECTIONS: [&str; 10] = [
    "addons",
    "bookmarks",
    "clients",
    "crypto",
    "forms",
    "history",
    "meta",
    "passwords",
    "prefs",
    "tabs",
];

/// How a client says who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Hawk,
    Basic,
}

/// A request that is counted.
struct Case {
    name: &'static str,
    dialect: Dialect,
    method: &'static str,
    /// After the user's root; a log-in has none.
    path: Option<&'static str>,
    /// Objects in the body.
    objects: usize,
    /// Requests of the first run, and of the second.
    runs: [usize; 2],
}

const CASES: [Case; 6] = [
    read("info/collections, Hawk", Dialect::Hawk, "/info/collections"),
    read("info/collections, Basic", Dialect::Basic, "/info/collections"),
    read(
        "one object, Hawk",
        Dialect::Hawk,
        "/storage/bookmarks/aaaaaaaaaaaa",
    ),
    read(
        "one object, Basic",
        Dialect::Basic,
        "/storage/bookmarks/aaaaaaaaaaaa",
    ),
    Case {
        name: "POST of 100, Hawk",
        dialect: Dialect::Hawk,
        method: "POST",
        path: Some("/storage/bookmarks"),
        objects: 100,
        runs: [100, 600],
    },
    Case {
        name: "log-in",
        dialect: Dialect::Basic,
        method: "POST",
        path: None,
        objects: 0,
        runs: [2, 10],
    },
];

const fn read(name: &'static str, dialect: Dialect, path: &'static str) -> Case {
    Case {
        name,
        dialect,
        method: "GET",
        path: Some(path),
        objects: 0,
        runs: [2_000, 12_000],
    }
}

/// Counts every case for each program and prints a table; the second program is what the first is compared with.
pub async fn run(program: &Path, earlier: Option<&Path>) -> Result<()> {
    println!(
        "{:<26}{:>12}{:>12}{:>8}",
        "instructions", "this build", "earlier", "ratio"
    );
    for case in &CASES {
        let ours = count(program, case).await?;
        let Some(earlier) = earlier else {
            println!("{:<26}{ours:>12.0}", case.name);
            continue;
        };
        let theirs = count(earlier, case).await?;
        println!(
            "{:<26}{ours:>12.0}{theirs:>12.0}{:>8.3}",
            case.name,
            ours / theirs
        );
    }
    Ok(())
}

/// The instructions of one request of this case.
async fn count(program: &Path, case: &Case) -> Result<f64> {
    let [few, many] = case.runs;
    let less = total(program, case, few).await?;
    let more = total(program, case, many).await?;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    let each = more.saturating_sub(less) as f64 / (many - few) as f64;
    Ok(each)
}

/// The instructions of a server that answers so many requests, from its start to its end.
async fn total(program: &Path, case: &Case, requests: usize) -> Result<u64> {
    let server = Process::under_callgrind(program).await?;
    load::once(server.port, &preparation(server.port, case)).await?;
    let request = request(server.port, case);
    load::once(server.port, &vec![request; requests]).await?;
    let counts = server.counts()?;
    let line = counts
        .lines()
        .find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    let Some(total) = line else {
        bail!("callgrind wrote no total");
    };
    total.trim().parse().context("callgrind's total")
}

/// Fills the store, and makes the account where the case needs one.
fn preparation(port: u16, case: &Case) -> load::Script {
    let mut script = Vec::new();
    if case.dialect == Dialect::Basic {
        script.push(Basic::registration(PERSON, port));
    }
    if case.path.is_some() {
        let object = format!(r#"{{"id":"aaaaaaaaaaaa","payload":"{}"}}"#, "x".repeat(300));
        for collection in COLLECTIONS {
            let path = format!("/storage/{collection}/aaaaaaaaaaaa");
            script.push(written(port, case.dialect, "PUT", &path, &object));
        }
    }
    script
}

fn request(port: u16, case: &Case) -> Vec<u8> {
    let Some(path) = case.path else {
        return Basic::sign_in(PERSON, port);
    };
    let object = |number| format!(r#"{{"id":"a{number:011}","payload":"{}"}}"#, "x".repeat(300));
    let objects: Vec<String> = (0..case.objects).map(object).collect();
    let body = format!("[{}]", objects.join(","));
    written(port, case.dialect, case.method, path, &body)
}

fn written(port: u16, dialect: Dialect, method: &str, path: &str, body: &str) -> Vec<u8> {
    match dialect {
        Dialect::Hawk => Signer::new(USER, port).request(method, path, body),
        Dialect::Basic => Basic::new(PERSON, port).request(method, path, body),
    }
}
