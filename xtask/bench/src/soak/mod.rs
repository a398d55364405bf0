//! An ordinary load of fifty people, and all attacks at once beside it: what the people notice, and what the server holds.
//!
//! - [`client`]: a client behind a proxy
//! - [`mailbox`]: where letters go
//! - [`ordinary`]: the fifty people, and one who is timed
//! - [`picture`]: memory over time, drawn
//!
//! It has three parts: quiet, under attack, and beside as many requests for the health page as the attackers sent. All goes
//! to a server of its own on 127.0.0.1.

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
use ordinary::Outcome;

/// Processes that attack, and that ask for the health page.
const PROCESSES: u64 = 4;
/// What one store may hold.
const QUOTA: &str = "5 MB";
/// Bytes of memory that may come to what a fresh server holds, under one attack.
const MEMORY: u64 = 60_000_000;
/// Bytes on disk: the people's stores, six stores of attackers with room for their batches, four logs of writes.
const DISK: u64 = 200_000_000;

/// What one part of the run showed.
struct Part {
    name: &'static str,
    slowest: Duration,
    good: u64,
    refused: BTreeMap<String, u64>,
}

/// All that was seen.
struct Run<'a> {
    parts: Vec<Part>,
    /// What the attackers said.
    told: &'a [String],
    /// Attacks that ran.
    ran: BTreeSet<&'a str>,
    /// Attacks that the security log names, and as what.
    named: BTreeMap<&'static str, BTreeSet<String>>,
    samples: Vec<Sample>,
    /// From when to when the attacks ran, in seconds since the start.
    attacked: [u64; 2],
    fresh: u64,
    picture: &'a Path,
}

/// What is looked at every second.
#[derive(Clone, Copy)]
pub struct Sample {
    /// When, in seconds since the start.
    pub second: f64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes on disk.
    pub disk: u64,
}

/// Runs it all, prints a report, draws memory, and fails where a bound is broken.
pub async fn run(program: &Path, seconds: u64, picture: &Path, wanted: &str) -> Result<()> {
    let mailbox = Mailbox::open().await?;
    let server = Process::public(program, QUOTA, mailbox.port).await?;
    let port = server.port;
    ordinary::register(&server).await?;
    let fresh = server.settled().await?;
    println!("fresh: {}", mb(fresh));

    let outcome = Arc::new(Outcome::default());
    let people = ordinary::sync(port, &outcome);
    let mut samples = Vec::new();
    let start = Instant::now();
    let (quiet, under, beside) = (
        (seconds / 10).max(5),
        (seconds * 7 / 10).max(20),
        (seconds / 5).max(10),
    );
    let mut parts = vec![part("quiet", quiet, &server, &outcome, start, &mut samples).await?];
    let attackers = spawn_all(|number| {
        vec![
            "attack".into(),
            port.to_string(),
            mailbox.port.to_string(),
            under.to_string(),
            number.to_string(),
            wanted.to_owned(),
        ]
    })?;
    parts.push(part("under attack", under, &server, &outcome, start, &mut samples).await?);
    let told = collect(attackers).await?;
    let sent: u64 = told
        .iter()
        .filter_map(|line| line.split(' ').nth(1)?.parse::<u64>().ok())
        .sum();
    let rate = (sent / under / PROCESSES).max(1);
    let askers = spawn_all(|_| {
        vec![
            "health".into(),
            port.to_string(),
            beside.to_string(),
            rate.to_string(),
        ]
    })?;
    parts.push(
        part(
            "beside health pages",
            beside,
            &server,
            &outcome,
            start,
            &mut samples,
        )
        .await?,
    );
    collect(askers).await?;
    outcome.is_over();
    people.join_all().await;

    std::fs::write(picture, picture::draw(&samples, fresh, [quiet, under])).context("the picture")?;
    println!("letters: {}", mailbox.letters());
    let named = named(&server.file("security.log"));
    let ran = told.iter().filter_map(|line| line.split(' ').next()).collect();
    let run = Run {
        parts,
        told: &told,
        ran,
        named,
        samples,
        attacked: [quiet, quiet + under],
        fresh,
        picture,
    };
    run.report(&server)
}

/// Watches the server and times an uninvolved reader for so long.
async fn part(
    name: &'static str,
    seconds: u64,
    server: &Process,
    outcome: &Outcome,
    start: Instant,
    samples: &mut Vec<Sample>,
) -> Result<Part> {
    let until = Instant::now() + Duration::from_secs(seconds);
    let before = outcome.good.load(std::sync::atomic::Ordering::Relaxed);
    let seen = samples.len();
    outcome.take_refused();
    let mut reader = JoinSet::new();
    let port = server.port;
    reader.spawn(async move { ordinary::read_apart(port, until).await });
    while Instant::now() < until {
        samples.push(Sample {
            second: start.elapsed().as_secs_f64(),
            memory: server.memory()?,
            disk: server.disk()?,
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let times = reader.join_next().await.context("the reader")??;
    let mut refused = outcome.take_refused();
    let times = times.unwrap_or_else(|error| {
        refused.insert(format!("uninvolved reader: {error:#}"), 1);
        Vec::new()
    });
    let slowest = times
        .get(times.len() * 99 / 100)
        .copied()
        .unwrap_or(Duration::MAX);
    let memory = samples.iter().skip(seen).map(|sample| sample.memory).max();
    println!(
        "{name}: p99 of {} reads {:.2} ms, memory {} at most",
        times.len(),
        slowest.as_secs_f64() * 1000.0,
        mb(memory.unwrap_or_default())
    );
    Ok(Part {
        name,
        slowest,
        good: outcome.good.load(std::sync::atomic::Ordering::Relaxed) - before,
        refused,
    })
}

/// Starts this program so many times.
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

/// What they said, once they have ended.
async fn collect(children: Vec<Child>) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for child in children {
        // It ends by itself.
        let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await??;
        lines.extend(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned));
    }
    Ok(lines)
}

/// Asks for the health page on eight connections, so often a second in all.
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

/// What a line of the security log has there, if that holds no space.
fn field<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(&format!(" {key}="))?;
    rest.split(' ').next()
}

/// Which attacks the security log names, and as what.
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
    /// Prints what there is to know, and fails where a bound is broken.
    fn report(&self, server: &Process) -> Result<()> {
        println!("\nAttacks: requests sent, and what they were answered");
        for line in self.told {
            println!("  {line}");
        }
        println!("\nThe security log names");
        for name in attacks::NAMES {
            let what = self.named.get(name);
            let what = what.map(|what| what.iter().cloned().collect::<Vec<_>>().join("; "));
            println!("  {name}: {}", what.as_deref().unwrap_or("–"));
        }
        println!("\nThe log says");
        for line in server.file("log").lines().take(40) {
            println!("  {line}");
        }
        println!("\nOrdinary requests");
        for part in &self.parts {
            println!("  {}: {} good, refused: {:?}", part.name, part.good, part.refused);
        }
        println!(
            "\np99 of an uninvolved user's reads: {:.2} times that beside health pages",
            self.slowdown()
        );
        println!(
            "memory: {} fresh, {} at most, {} at the end; disk: {} at most, {} at the end; drawn in {}",
            mb(self.fresh),
            mb(self.most(|sample| sample.memory)),
            mb(server.memory()?),
            mb(self.most(|sample| sample.disk)),
            mb(server.disk()?),
            self.picture.display()
        );
        let broken = self.broken();
        if !broken.is_empty() {
            bail!("{}", broken.join("; "));
        }
        println!("every bound holds");
        Ok(())
    }

    /// Which bounds are broken. One attack has those of memory and time; of all at once memory must not go on rising.
    fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut quiet = BTreeSet::new();
        for part in &self.parts {
            if part.name == "quiet" {
                quiet.extend(part.refused.keys());
            } else if part.refused.keys().any(|why| !quiet.contains(why)) {
                broken.push(format!("ordinary requests failed {}", part.name));
            }
        }
        let memory = self.most(|sample| sample.memory);
        if self.ran.len() == 1 && self.slowdown() > 2.0 {
            broken.push(format!("reads were {:.2} times as slow", self.slowdown()));
        }
        if self.ran.len() == 1 && memory > self.fresh + MEMORY {
            broken.push(format!("memory rose by {}", mb(memory - self.fresh)));
        }
        let [first, second] = self.halves(|sample| sample.memory);
        if second > first + first / 10 {
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
        let is_unnamed = |name: &&&str| !self.named.contains_key(**name);
        let unnamed: Vec<&str> = self.ran.iter().filter(is_unnamed).copied().collect();
        if !unnamed.is_empty() {
            broken.push(format!("the security log does not name {}", unnamed.join(", ")));
        }
        broken
    }

    /// How many times as slow an uninvolved user's reads are under attack as beside as many health pages.
    fn slowdown(&self) -> f64 {
        match &self.parts[..] {
            [_, under, beside] => under.slowest.as_secs_f64() / beside.slowest.as_secs_f64(),
            _ => f64::NAN,
        }
    }

    /// The most within the whole run.
    fn most(&self, value: fn(&Sample) -> u64) -> u64 {
        self.samples.iter().map(value).max().unwrap_or_default()
    }

    /// The most within the first half of the attack, and within the second.
    fn halves(&self, value: fn(&Sample) -> u64) -> [u64; 2] {
        let [begin, end] = self
            .attacked
            .map(|second| Duration::from_secs(second).as_secs_f64());
        let middle = begin.midpoint(end);
        [(begin, middle), (middle, end)].map(|(begin, end)| {
            let within = self.samples.iter();
            let within = within.filter(|sample| (begin..end).contains(&sample.second));
            within.map(value).max().unwrap_or_default()
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size to read")]
fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
