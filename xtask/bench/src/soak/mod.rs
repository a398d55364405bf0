//! An ordinary load of fifty users together with all attacks: measures what the users notice and what the server uses.
//!
//! - [`client`]: a client behind a proxy
//! - [`mailbox`]: where mails go
//! - [`ordinary`]: the fifty users, and one who is measured
//! - [`picture`]: a chart of memory over time
//!
//! It has three parts: without attacks, under attack, and with as many requests for the health page as the attackers sent.
//! The server runs on 127.0.0.1.

pub mod client;
pub mod mailbox;
pub mod ordinary;
mod picture;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;

use crate::attacks;
use crate::process::Process;
use client::Client;
use mailbox::Mailbox;
use ordinary::SyncStats;

/// The number of processes for attacks and for the health page.
const PROCESSES: u64 = 4;
/// The quota of a store.
const QUOTA: &str = "5 MB";
/// Bytes of memory that one attack may add to a fresh server.
const MEMORY: u64 = 60_000_000;
/// Bytes on disk: the users' stores, six stores of attackers with their batches, four WALs.
const DISK: u64 = 200_000_000;

/// The measurements of the parts of one kind.
#[derive(Default)]
struct Part {
    /// The latencies of the reads of an uninvolved user.
    times: Vec<Duration>,
    good: u64,
    refused: BTreeMap<String, u64>,
}

/// A run, and its measurements.
struct Run<'a> {
    server: &'a Process,
    stats: &'a SyncStats,
    start: Instant,
    fresh: u64,
    samples: Vec<Sample>,
    /// The beginning of each part, in seconds since the start.
    begun: Vec<(&'static str, f64)>,
    parts: BTreeMap<&'static str, Part>,
    /// The output of the attackers.
    told: Vec<String>,
}

const QUIET: &str = "quiet";
const UNDER: &str = "under attack";
const BESIDE: &str = "beside health pages";

/// The sample of one second.
#[derive(Clone, Copy)]
pub struct Sample {
    /// The time, in seconds since the start.
    pub second: f64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes on disk.
    pub disk: u64,
}

/// Runs all parts, prints a report, draws memory, and fails if a limit is exceeded. A single attack alternates with the
/// health pages, so that other load on the machine affects both.
pub async fn run(program: &Path, seconds: u64, picture: &Path, wanted: &str) -> Result<()> {
    let attacks: BTreeSet<&str> = match wanted {
        "all" => attacks::NAMES.into(),
        some => some.split(',').collect(),
    };
    if let Some(unknown) = attacks.iter().find(|name| !attacks::NAMES.contains(name)) {
        bail!(
            "no attack is called {unknown}; there are {}",
            attacks::NAMES.join(", ")
        );
    }
    let mailbox = Mailbox::open().await?;
    let server = Process::for_soak(program, QUOTA, mailbox.port).await?;
    ordinary::register(&server, attacks::members()).await?;
    let fresh = server.settled_memory().await?;
    println!("fresh: {}", mb(fresh));

    let stats = Arc::new(SyncStats::default());
    let people = ordinary::sync(server.port, &stats);
    let mut run = Run {
        server: &server,
        stats: &stats,
        start: Instant::now(),
        fresh,
        samples: Vec::new(),
        begun: Vec::new(),
        parts: BTreeMap::new(),
        told: Vec::new(),
    };
    run.part(QUIET, (seconds / 10).max(5)).await?;
    let rounds = if attacks.len() == 1 { 3 } else { 1 };
    let under = (seconds * 6 / 10 / rounds).max(20);
    let beside = (seconds * 3 / 10 / rounds).max(10);
    for _ in 0..rounds {
        let attackers = spawn_all(|number| {
            let [port, mail] = [server.port, mailbox.port].map(|port| port.to_string());
            let [seconds, number] = [under, number].map(|number| number.to_string());
            vec!["attack".into(), port, mail, seconds, number, wanted.to_owned()]
        })?;
        run.part(UNDER, under).await?;
        let told = collect(attackers).await?;
        let sent = told
            .iter()
            .filter_map(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
        let rate = (sent.sum::<u64>() / under / PROCESSES).max(1);
        run.told.extend(told);
        let askers = spawn_all(|_| {
            let [seconds, rate] = [beside, rate].map(|number| number.to_string());
            vec!["health".into(), server.port.to_string(), seconds, rate]
        })?;
        run.part(BESIDE, beside).await?;
        collect(askers).await?;
    }
    stats.is_over();
    people.join_all().await;

    std::fs::write(picture, picture::draw(&run.samples, fresh, &run.begun)).context("the picture")?;
    println!("mails: {}; drawn in {}", mailbox.mails(), picture.display());
    run.report(&attacks)
}

/// Starts this program this many times.
fn spawn_all(words: impl Fn(u64) -> Vec<String>) -> Result<Vec<Child>> {
    let program = std::env::current_exe()?;
    let start = |number| {
        let mut command = Command::new(&program);
        command
            .args(words(number))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command.spawn().context("an attacker cannot be started")
    };
    (0..PROCESSES).map(start).collect()
}

/// Waits for them and returns their output.
async fn collect(children: Vec<Child>) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for child in children {
        // It ends by itself.
        let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await??;
        lines.extend(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned));
    }
    Ok(lines)
}

/// Requests the health page on eight connections, at this rate in total.
pub async fn ask_for_health(port: u16, seconds: u64, rate: u64) -> Result<()> {
    const CONNECTIONS: u32 = 8;
    let until = Instant::now() + Duration::from_secs(seconds);
    let rate = u32::try_from(rate).unwrap_or(u32::MAX);
    let pause = Duration::from_secs(1) * CONNECTIONS / rate;
    let mut all = JoinSet::new();
    for number in 0..CONNECTIONS {
        all.spawn(async move {
            let mut client = Client::new(port, format!("198.19.0.{number}"));
            let request = format!("GET /__heartbeat__ HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
            while Instant::now() < until {
                let next = Instant::now() + pause;
                client.send(request.as_bytes()).await?;
                tokio::time::sleep_until(next.into()).await;
            }
            anyhow::Ok(())
        });
    }
    all.join_all().await.into_iter().collect()
}

/// The value of a field in a line of the security log, without spaces.
fn field<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(&format!(" {key}="))?;
    rest.split(' ').next()
}

/// The attacks that the security log names, and its events.
fn named(log: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut named: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    let known = log
        .lines()
        .filter_map(|line| Some((field(line, "suid")?, field(line, "suser")?)));
    let users: BTreeMap<_, _> = known.collect();
    for line in log.lines().filter(|line| line.contains("outcome=failure")) {
        let what = line.split('|').nth(5).unwrap_or_default();
        for (number, name) in attacks::NAMES.into_iter().enumerate() {
            let v4 = format!("src={}", attacks::network(number));
            let v6 = format!("c6a2={}", attacks::wide_network(number));
            let id = field(line, "suid").and_then(|id| users.get(id).copied());
            let is_own = field(line, "suser")
                .or(id)
                .is_some_and(|user| attacks::is_own(number, user));
            let is_shared = name == "stale" && line.contains(&format!("src={}", ordinary::SHARED_ADDRESS));
            if is_own || line.contains(&v4) || line.contains(&v6) || is_shared {
                named.entry(name).or_default().insert(what.to_owned());
            }
        }
    }
    named
}

impl Run<'_> {
    /// Samples the server and measures an uninvolved reader for this long.
    async fn part(&mut self, name: &'static str, seconds: u64) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(seconds);
        let before = self.stats.good();
        let seen = self.samples.len();
        self.begun.push((name, self.start.elapsed().as_secs_f64()));
        self.stats.take_refused();
        let mut readers = JoinSet::new();
        readers.spawn(ordinary::read_apart(self.server.port, until));
        while Instant::now() < until {
            self.samples.push(Sample {
                second: self.start.elapsed().as_secs_f64(),
                memory: self.server.memory()?,
                disk: self.server.disk_usage()?,
            });
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let times = readers.join_next().await.context("the reader")??;
        let part = self.parts.entry(name).or_default();
        for (why, times) in self.stats.take_refused() {
            *part.refused.entry(why).or_default() += times;
        }
        match times {
            Ok(times) => part.times.extend(times),
            Err(error) => {
                part.refused.insert(format!("uninvolved reader: {error:#}"), 1);
            }
        }
        part.good += self.stats.good() - before;
        let memory = self.samples.iter().skip(seen).map(|sample| sample.memory).max();
        println!(
            "{name}: p99 of {} reads {:.2} ms, memory {} at most",
            part.times.len(),
            part.slowest().as_secs_f64() * 1000.0,
            mb(memory.unwrap_or_default())
        );
        Ok(())
    }

    /// Prints the report, and fails if a limit is exceeded.
    fn report(&self, attacks: &BTreeSet<&str>) -> Result<()> {
        println!("\nAttacks: requests sent, and what they were answered");
        for line in &self.told {
            println!("  {line}");
        }
        let named = named(&self.server.file("security.log"));
        println!("\nThe security log names");
        for name in attacks {
            let what = named.get(name);
            let what = what.map(|what| what.iter().cloned().collect::<Vec<_>>().join("; "));
            println!("  {name}: {}", what.as_deref().unwrap_or("–"));
        }
        println!("\nThe log says");
        for line in self.server.file("log").lines().take(40) {
            println!("  {line}");
        }
        println!("\nOrdinary requests");
        for (name, part) in &self.parts {
            println!("  {name}: {} good, refused: {:?}", part.good, part.refused);
        }
        println!(
            "\np99 of an uninvolved user's reads: {:.2} times that beside health pages",
            self.slowdown()
        );
        println!(
            "memory: {} fresh, {} at most, {} at the end; disk: {} at most, {} at the end",
            mb(self.fresh),
            mb(self.most(|sample| sample.memory)),
            mb(self.server.memory()?),
            mb(self.most(|sample| sample.disk)),
            mb(self.server.disk_usage()?),
        );
        let mut broken = self.broken(attacks.len() == 1);
        let unnamed: Vec<&str> = attacks
            .iter()
            .filter(|name| !named.contains_key(**name))
            .copied()
            .collect();
        if !unnamed.is_empty() {
            broken.push(format!("the security log does not name {}", unnamed.join(", ")));
        }
        if !broken.is_empty() {
            bail!("{}", broken.join("; "));
        }
        println!("every bound holds");
        Ok(())
    }

    /// The exceeded limits. A single attack has limits of memory and time; with several attacks, memory must stop rising.
    fn broken(&self, alone: bool) -> Vec<String> {
        let mut broken = Vec::new();
        let quiet = self.parts.get(QUIET).map(|part| &part.refused);
        for name in [UNDER, BESIDE] {
            let Some(part) = self.parts.get(name).filter(|part| part.good > 0) else {
                broken.push(format!("nothing was seen {name}"));
                continue;
            };
            let is_new = |why: &String| quiet.is_none_or(|quiet| !quiet.contains_key(why));
            if part.refused.keys().any(is_new) {
                broken.push(format!("ordinary requests failed {name}"));
            }
        }
        let memory = self.most(|sample| sample.memory);
        let slowdown = self.slowdown();
        if alone && !(0.0..=2.0).contains(&slowdown) {
            broken.push(format!("reads were {slowdown:.2} times as slow"));
        }
        if alone && memory > self.fresh + MEMORY {
            broken.push(format!("memory rose by {}", mb(memory - self.fresh)));
        }
        let [first, second] = self.halves();
        if !alone && second > first + first / 10 {
            broken.push(format!(
                "memory went on rising, from {} to {}",
                mb(first),
                mb(second)
            ));
        }
        let disk = self.most(|sample| sample.disk);
        if disk > DISK {
            broken.push(format!("the disk took {}", mb(disk)));
        }
        broken
    }

    /// How much slower the reads of an uninvolved user are under attack than with as many health pages.
    fn slowdown(&self) -> f64 {
        let [under, beside] = [UNDER, BESIDE].map(|name| self.parts.get(name).map(Part::slowest));
        match (under, beside) {
            (Some(under), Some(beside)) => under.as_secs_f64() / beside.as_secs_f64(),
            _ => f64::NAN,
        }
    }

    /// The maximum of the whole run.
    fn most(&self, value: fn(&Sample) -> u64) -> u64 {
        self.samples.iter().map(value).max().unwrap_or_default()
    }

    /// The maximum memory in the first half of the attack, and in the second.
    fn halves(&self) -> [u64; 2] {
        let since = |wanted: &str| {
            let part = self.begun.iter().find(|(name, _)| *name == wanted);
            part.map_or(f64::INFINITY, |(_, second)| *second)
        };
        let (begin, end) = (since(UNDER), since(BESIDE));
        let middle = begin.midpoint(end);
        [(begin, middle), (middle, end)].map(|(begin, end)| {
            let within = self.samples.iter();
            let within = within.filter(|sample| (begin..end).contains(&sample.second));
            within.map(|sample| sample.memory).max().unwrap_or_default()
        })
    }
}

impl Part {
    /// The 99th percentile of the latencies.
    fn slowest(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let slowest = times.get(times.len() * 99 / 100);
        slowest.copied().unwrap_or(Duration::MAX)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size to read")]
fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
