//! Caches in front of a database server, beside SQLite and beside no cache.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use foxden_sql::testing::{TestNamespace, TestServer};
use tokio::task::JoinSet;

use super::{Figure, at_least, fill, ms, spread};
use crate::comparison::{compare, median};
use crate::load::{self, Connection};
use crate::process::Process;
use crate::request::{Signer, objects};

/// The caches: their names, what names their servers, and the required share of SQLite's rate.
const CACHES: [(&str, Option<&str>, &str, f64); 3] = [
    ("a local cache", None, "0.90", 0.90),
    ("Redis", Some("FOXDEN_TEST_REDIS"), "0.50", 0.50),
    ("memcached", Some("FOXDEN_TEST_MEMCACHED"), "0.50", 0.50),
];
/// How many times longer a miss may take than the same read without a cache.
const LONGEST_MISS: f64 = 1.15;
/// Connections of the reads that are answered from a cache, and of those that are not.
const CONNECTIONS: u64 = 64;
const CONNECTIONS_OF_MISSES: [u64; 2] = [1, 16];
const ROUNDS: usize = 5;
/// How long a cache may take to be in use.
const LIMIT: Duration = Duration::from_secs(180);
const IN_USE: &str = "the cache is in use";

/// A server with its tables in a namespace of its own.
struct OnServer {
    process: Process,
    _namespace: TestNamespace,
}

/// Measures all caches on PostgreSQL, and prints the rows of the page.
pub async fn run(program: &Path, seconds: f64) -> Result<()> {
    let length = Duration::from_secs_f64(seconds);
    // It writes a log as the others do, which costs a call of the system for each answer.
    let sqlite = Process::with_store(program, "sqlite:", "none").await?;
    fill(&sqlite).await?;
    let plain = OnServer::start(program, "none").await?;
    let mut cached = Vec::new();
    for (_, variable, ..) in CACHES {
        let url = variable.map_or(Ok("local".to_owned()), named)?;
        let server = OnServer::start(program, &url).await?;
        // It is announced by the first read, and in use some time after.
        server.read().await?;
        cached.push(server);
    }
    let mut figures = vec![beside_sqlite("no cache", "–", 0.0, &plain.process, &sqlite, length).await?];
    for ((name, _, floor, least), server) in CACHES.into_iter().zip(&cached) {
        server.wait_for_the_cache().await?;
        figures.push(beside_sqlite(name, floor, least, &server.process, &sqlite, length).await?);
        for connections in CONNECTIONS_OF_MISSES {
            figures.push(misses(name, connections, &server.process, &plain.process, length / 2).await?);
        }
        if server.process.file("log").contains("not in use any more") {
            bail!("{name} went out of use");
        }
    }
    for figure in &figures {
        println!("{figure}");
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the servers are named by the environment"
)]
fn named(variable: &str) -> Result<String> {
    std::env::var(variable).with_context(|| format!("{variable} is not set"))
}

impl OnServer {
    /// A fresh server with this cache, and the stores of all users.
    async fn start(program: &Path, cache: &str) -> Result<Self> {
        let namespace = TestServer::Postgres.fresh("bench").await;
        let namespace = namespace.context("FOXDEN_TEST_POSTGRES is not set")?;
        let process = Process::with_store(program, namespace.url(), cache).await?;
        fill(&process).await?;
        Ok(Self {
            process,
            _namespace: namespace,
        })
    }

    /// Reads until the cache is in use.
    async fn wait_for_the_cache(&self) -> Result<()> {
        let begin = Instant::now();
        while !self.process.file("log").contains(IN_USE) {
            if begin.elapsed() > LIMIT {
                bail!("the cache does not come into use: {}", self.process.file("log"));
            }
            self.read().await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    async fn read(&self) -> Result<()> {
        let request = Signer::new(1, self.process.port).request("GET", "/info/collections", "");
        load::once(self.process.port, &vec![request]).await
    }
}

/// Times of collections, answered from the cache if there is one.
async fn beside_sqlite(
    name: &str,
    floor: &'static str,
    least: f64,
    ours: &Process,
    sqlite: &Process,
    length: Duration,
) -> Result<Figure> {
    let [ours, reference] = [ours, sqlite].map(|process| {
        let scripts = spread(CONNECTIONS, process.port, |signer, _| {
            vec![signer.request("GET", "/info/collections", "")]
        });
        (process.port, scripts)
    });
    let ratio = compare((ours.0, &ours.1), (reference.0, &reference.1), length).await?;
    let goal = format!("PostgreSQL with {name}: `info/collections` / SQLite, {CONNECTIONS} connections");
    Ok(at_least(goal, floor, "–", &ratio, least))
}

/// Times of collections after a write, which a cache does not have.
async fn misses(
    name: &str,
    connections: u64,
    ours: &Process,
    plain: &Process,
    length: Duration,
) -> Result<Figure> {
    let mut rounds = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (process, times) in [plain, ours].into_iter().zip(&mut rounds) {
            let time = after_writes(process.port, connections, length).await?;
            // The first round warms up.
            if round > 0 {
                times.push(ms(time));
            }
        }
    }
    let [plain, ours] = rounds.map(|times| median(times.into_iter()));
    let ratio = ours / plain;
    let s = if connections == 1 { "" } else { "s" };
    let goal = format!(
        "PostgreSQL with {name}: time of `info/collections` that misses / without a cache, {connections} connection{s}"
    );
    println!("{goal}: {ratio:.2}");
    Ok(Figure {
        goal,
        floor: "1.15 ×",
        moonshot: "–",
        value: format!("{ratio:.2} ×"),
        note: format!("half within {ours:.3} beside {plain:.3} ms; {ROUNDS} rounds"),
        holds: ratio <= LONGEST_MISS,
    })
}

/// Has each connection write, and read the times of the collections, in turn. The median time of a read.
async fn after_writes(port: u16, connections: u64, length: Duration) -> Result<Duration> {
    let mut clients = JoinSet::new();
    let end = Instant::now() + length;
    for user in 1..=connections {
        let signer = Signer::new(user, port);
        clients.spawn(async move {
            let write = signer.request("POST", "/storage/tabs", &objects(0, 1));
            let read = signer.request("GET", "/info/collections", "");
            let mut connection = Connection::open(port).await?;
            let mut times = Vec::new();
            while Instant::now() < end {
                connection.ask(&write).await?;
                let start = Instant::now();
                connection.ask(&read).await?;
                times.push(start.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = clients.join_next().await {
        times.extend(done??);
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("nothing was read")
}
