//! The cost of Sync 1.1, which sends a password with every request, compared with Sync 1.5.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use super::{Figure, at_least, ms};
use crate::comparison::{compare, compare_scripts};
use crate::load::{self, Expect, Round, Script};
use crate::process::{DiskLatency, Process};
use crate::request::{Basic, COLLECTIONS, Signer, id, objects};

/// The number of accounts.
const PEOPLE: u64 = 100;
/// The uid of the first store for Sync 1.5; those of the accounts count from one.
const OTHERS: u64 = 1_000_001;
/// Objects in each history.
const OBJECTS: u64 = 2000;
/// Connections of most cases.
const CONNECTIONS: u64 = 64;

/// Writes the request of one dialect: method, path, body.
type Writer<'a> = &'a dyn Fn(&str, &str, &str) -> Vec<u8>;
/// Builds the requests of one connection, in any dialect.
type Maker = fn(Writer<'_>, u64) -> Script;

/// Measures both dialects in one process, and the first requests after a start.
pub async fn run(program: &Path, length: Duration, figures: &mut Vec<Figure>) -> Result<()> {
    let ours = Process::foxden(program, DiskLatency::Native).await?;
    register(ours.port).await?;
    for number in 0..PEOPLE {
        load::once(
            ours.port,
            &filling(&|m, p, b| Basic::new(number, ours.port).request(m, p, b)),
        )
        .await?;
        let signer = Signer::new(OTHERS + number, ours.port);
        load::once(ours.port, &filling(&|m, p, b| signer.request(m, p, b))).await?;
    }
    let bare = Process::reference("bare", DiskLatency::Native).await?;
    let goal = "`info/collections` with memoised Basic / bare hyper, 64 connections";
    let ratio = compare_scripts(&ours, &bare, &basic(ours.port, CONNECTIONS, collections), length).await?;
    figures.push(at_least(goal.to_owned(), "0.88", "0.94", &ratio, 0.88));
    drop(bare);

    let cases: [(&str, u64, Maker); 6] = [
        ("`info/collections`", CONNECTIONS, collections),
        ("one object", CONNECTIONS, one_object),
        ("`newer=T` with nothing new", CONNECTIONS, poll),
        ("1,000 full objects", 16, full),
        ("POST of 1", CONNECTIONS, |write, n| post(write, n, 1)),
        ("POST of 100", 16, |write, n| post(write, n, 100)),
    ];
    for (what, connections, maker) in cases {
        let old = basic(ours.port, connections, maker);
        let new = hawk(ours.port, connections, maker);
        let ratio = compare((ours.port, &old), (ours.port, &new), length).await?;
        let goal = format!("{what}, 1.1 with Basic / 1.5 with Hawk, {connections} connections");
        figures.push(at_least(goal, "0.83", "1.0", &ratio, 1.0 / 1.2));
    }
    cold_start(ours.restart(program).await?, length, figures).await
}

/// All users' passwords are uncached: each first request needs a password hash, while other requests continue.
async fn cold_start(ours: Process, length: Duration, figures: &mut Vec<Figure>) -> Result<()> {
    let port = ours.port;
    let others = hawk(port, 4, collections);
    let calm = load::run(port, &others, length).await?;
    let requests = (0..PEOPLE).map(|n| Basic::new(n, port).request("GET", "/info/collections", ""));
    let requests: Vec<Vec<u8>> = requests.collect();
    let mut all = JoinSet::new();
    all.spawn(async move { load::first(port, requests, 64, Expect::Good).await });
    let mut busy = Round::default();
    let first = loop {
        if let Some(done) = all.try_join_next() {
            break done??;
        }
        let round = load::run(port, &others, Duration::from_millis(100)).await?;
        busy.times.extend(round.times);
    };
    busy.times.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "a count of people")]
    let rate = PEOPLE as f64 / first.all.as_secs_f64();
    println!(
        "first requests of {PEOPLE} people: {:.2} s",
        first.all.as_secs_f64()
    );
    figures.push(Figure {
        goal: format!("first Basic requests of {PEOPLE} people after a start, 64 connections"),
        floor: "–",
        moonshot: "–",
        value: format!("all remembered after {:.2} s", first.all.as_secs_f64()),
        note: format!(
            "{rate:.0} a second; {} asked to come back; 99 of 100 others within {:.2} ms meanwhile, {:.2} ms otherwise",
            first.refused,
            ms(busy.percentile(0.99)),
            ms(calm.percentile(0.99))
        ),
        holds: true,
    });
    Ok(())
}

/// Creates all accounts.
async fn register(port: u16) -> Result<()> {
    let requests = (0..PEOPLE)
        .map(|number| Basic::registration(number, port))
        .collect();
    load::first(port, requests, 4, Expect::Good).await?;
    Ok(())
}

/// Ten collections and a history.
fn filling(write: Writer<'_>) -> Script {
    let mut script: Script = COLLECTIONS
        .map(|name| write("POST", &format!("/storage/{name}"), &objects(0, 5)))
        .into();
    let histories = (0..OBJECTS).step_by(100);
    script.extend(histories.map(|first| write("POST", "/storage/history", &objects(first, 100))));
    script
}

fn basic(port: u16, connections: u64, maker: Maker) -> Vec<Script> {
    let script = |n| {
        let person = Basic::new(n % PEOPLE, port);
        maker(&|method, path, body| person.request(method, path, body), n)
    };
    (0..connections).map(script).collect()
}

fn hawk(port: u16, connections: u64, maker: Maker) -> Vec<Script> {
    let script = |n| {
        let signer = Signer::new(OTHERS + n % PEOPLE, port);
        maker(&|method, path, body| signer.request(method, path, body), n)
    };
    (0..connections).map(script).collect()
}

fn collections(write: Writer<'_>, _: u64) -> Script {
    vec![write("GET", "/info/collections", "")]
}

fn one_object(write: Writer<'_>, n: u64) -> Script {
    let ids = (0..50).map(|k| id((n * 31 + k * 37) % OBJECTS));
    ids.map(|id| write("GET", &format!("/storage/history/{id}"), ""))
        .collect()
}

fn poll(write: Writer<'_>, _: u64) -> Script {
    vec![write("GET", "/storage/history?newer=4102444800.00&full=1", "")]
}

fn full(write: Writer<'_>, _: u64) -> Script {
    vec![write("GET", "/storage/history?full=1&limit=1000", "")]
}

fn post(write: Writer<'_>, n: u64, count: u64) -> Script {
    let bodies = (0..20).map(|k| objects((n * 100 + k * count) % (OBJECTS - 100), count));
    bodies
        .map(|body| write("POST", "/storage/history", &body))
        .collect()
}
