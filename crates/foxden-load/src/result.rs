//! What a run found, as it is written to a file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::display::count;
use crate::fault::{Fault, FaultKind};
use crate::measure::latency::LatencySummary;
use crate::protocol::Protocol;

/// The version of the format.
const FORMAT: u32 = 1;
/// The most bytes of a file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// A whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// The version of the format.
    pub format: u32,
    /// The version of this program.
    pub program: String,
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// What was asked for.
    pub settings: Settings,
    /// On which machine the load was made.
    pub machine: Machine,
    /// What was measured.
    pub figures: Figures,
    /// What was measured in each cycle, where there were several.
    #[serde(default)]
    pub cycles: Vec<Cycle>,
    /// The workers that made the load, where there were any.
    #[serde(default)]
    pub workers: Vec<Worker>,
    /// What the server's process used, where it was told.
    pub server: Option<ServerUse>,
    /// What was compared, and found as it was stored.
    pub comparison: Comparison,
    /// The run was ended before its time.
    pub is_cut: bool,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The name of the scenario.
    pub scenario: String,
    /// What it is about.
    pub about: String,
    /// Its whole text.
    pub text: String,
    /// The address of the server.
    pub target: String,
    /// What the server says of its version.
    pub server: Option<String>,
    /// The protocol.
    pub protocol: Protocol,
    /// How users showed who they are.
    #[serde(default)]
    pub login: LoginKind,
    /// How many users there were.
    pub users: u32,
    /// How many of them acted in each cycle, where there were cycles.
    #[serde(default)]
    pub cycles: Vec<u32>,
    /// The mean time between the begins of a user's operations, in seconds.
    pub every: f64,
    /// The time between operations that was asked for in place of the scenario's, in seconds.
    pub given_every: Option<f64>,
    /// How long was to be measured, in seconds.
    pub length: f64,
    /// How long was waited before that, in seconds.
    pub warm_up: f64,
    /// Over how long users began, one after the other, in seconds.
    pub ramp: f64,
    /// How many operations a second were asked for, in place of the scenario's pauses.
    pub rate: Option<f64>,
    /// The seed.
    pub seed: u64,
    /// How long an answer could take, in seconds.
    pub timeout: f64,
}

/// How users show who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginKind {
    /// By a secret: of the server in 1.5, for passwords in 1.1.
    #[default]
    Secret,
    /// By accounts of 1.5.
    Accounts,
    /// By access tokens that were given.
    Bearers,
}

#[cfg(test)]
impl Settings {
    /// What a test asks for.
    pub fn example() -> Self {
        Self {
            scenario: "everyday".to_owned(),
            about: "A test.".to_owned(),
            text: String::new(),
            target: "http://127.0.0.1:5000".to_owned(),
            server: None,
            protocol: Protocol::V1_5,
            login: LoginKind::Secret,
            users: 10,
            cycles: Vec::new(),
            every: 0.0,
            given_every: None,
            length: 10.0,
            warm_up: 1.0,
            ramp: 0.0,
            rate: None,
            seed: 1,
            timeout: 30.0,
        }
    }
}

/// On which machine the load was made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The system and its version.
    pub system: String,
    /// The processor's name.
    pub processor: String,
    /// How many threads it runs at once.
    pub cores: u32,
    /// Its memory, in bytes.
    pub memory: u64,
    /// Whether the server is on it, too.
    pub is_shared: bool,
}

/// Latencies in both senses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pair {
    /// From sending the request to the end of the answer.
    pub service: LatencySummary,
    /// The same, and the time for which requests waited because answers before them were late.
    pub response: LatencySummary,
}

/// A kind of request or an operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ByName {
    /// Its name.
    pub name: String,
    /// How many a second.
    pub rate: f64,
    /// How long they took.
    pub latency: Pair,
}

/// A part of the timeline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// Its begin, in seconds after the start.
    pub at: f64,
    /// Requests a second.
    pub rate: f64,
    /// Bytes a second, in both directions.
    pub bytes: f64,
    /// Latencies in nanoseconds.
    pub p50: u64,
    /// 90 of 100 are not above it.
    pub p90: u64,
    /// 99 of 100 are not above it.
    pub p99: u64,
    /// The longest.
    pub most: u64,
    /// Faults.
    pub faults: u64,
    /// Whether it belongs to the warm-up.
    pub is_warm_up: bool,
}

/// How often a kind of fault happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCount {
    /// The kind.
    pub kind: FaultKind,
    /// How often.
    pub count: u64,
}

/// What was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// How long was measured, in seconds.
    pub seconds: f64,
    /// How many requests were answered in that time.
    pub requests: u64,
    /// How many a second.
    pub rate: f64,
    /// The bytes of all bodies.
    pub bytes: u64,
    /// All requests.
    pub all: Pair,
    /// Those that read.
    pub reads: Pair,
    /// Those that write.
    pub writes: Pair,
    /// By what was asked for.
    pub by_request: Vec<ByName>,
    /// By operation of the scenario.
    pub by_operation: Vec<ByName>,
    /// Over time.
    pub timeline: Vec<Point>,
    /// Faults in the whole run, preparation and comparison included.
    pub faults: Vec<FaultCount>,
    /// Some of them.
    pub examples: Vec<Fault>,
    /// Answers that this program could not take down for lack of time. Figures with any are not to be trusted.
    pub dropped: u64,
}

/// A part of a run in which so many users acted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cycle {
    /// How many.
    pub users: u32,
    /// Requests a second.
    pub rate: f64,
    /// Their latencies.
    pub response: LatencySummary,
    /// Faults in it.
    pub faults: u64,
}

/// One of several machines or processes that made the load together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Worker {
    /// Where it is.
    pub address: String,
    /// Its machine.
    pub machine: Machine,
    /// How many users it had.
    pub users: u32,
    /// How many requests it measured.
    pub requests: u64,
    /// Why nothing of it is in the figures, where it failed.
    pub failure: Option<String>,
}

/// What the server's process used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerUse {
    /// How many cores it kept busy, on average.
    pub cores: f64,
    /// Seconds of processor time for each request.
    pub seconds_a_request: f64,
    /// The most memory, in bytes.
    pub memory: u64,
    /// The memory at the start, in bytes.
    pub memory_before: u64,
    /// Over time.
    pub points: Vec<UsePoint>,
}

/// What the server's process used at a time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct UsePoint {
    /// When, in seconds after the start.
    pub at: f64,
    /// How many cores it kept busy since the point before.
    pub cores: f64,
    /// Its memory, in bytes.
    pub memory: u64,
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Comparison {
    /// Objects that came back as they were stored, in the run.
    pub in_run: u64,
    /// Objects that were read again after the run, and were as they were stored.
    pub after: u64,
    /// Users of whom everything was read again.
    pub users: u32,
    /// Users of whom something could not be read again.
    #[serde(default)]
    pub unreadable: u32,
}

impl RunResult {
    /// A run that began at this time.
    pub fn new(began: i64, settings: Settings, machine: Machine, figures: Figures) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            began,
            settings,
            machine,
            figures,
            cycles: Vec::new(),
            workers: Vec::new(),
            server: None,
            comparison: Comparison::default(),
            is_cut: false,
        }
    }

    /// The cycle with the highest rate, where there were cycles.
    pub fn highest(&self) -> Option<&Cycle> {
        self.cycles
            .iter()
            .max_by(|one, other| one.rate.total_cmp(&other.rate))
    }

    /// How many faults there were.
    pub fn faults(&self) -> u64 {
        self.figures.faults.iter().map(|fault| fault.count).sum()
    }

    /// How many of them are answers that are wrong, and not refusals or silence.
    pub fn wrong(&self) -> u64 {
        let is_wrong = |kind: FaultKind| !kind.is_silence() && kind != FaultKind::Status;
        let wrong = self.figures.faults.iter().filter(|fault| is_wrong(fault.kind));
        wrong.map(|fault| fault.count).sum()
    }

    /// Of how many users not everything was read again. Those of lost workers do not count.
    pub fn unread(&self) -> u32 {
        let lost = self.workers.iter().filter(|worker| worker.failure.is_some());
        let lost = lost.map(|worker| worker.users).sum();
        let expected = self.settings.users.saturating_sub(lost);
        expected.saturating_sub(self.comparison.users)
    }

    /// What is missing in the final check, in a sentence; nothing where everything was read again.
    pub fn missing(&self) -> Option<String> {
        let unread = self.unread();
        if unread == 0 {
            return None;
        }
        let why = if self.comparison.unreadable > 0 {
            "the server did not answer as it should"
        } else {
            "there was no time for it"
        };
        Some(if self.comparison.users == 0 {
            format!("The final check could not be made: {why}.")
        } else {
            format!(
                "The final check could not be made for {}: {why}.",
                count(u64::from(unread), "user")
            )
        })
    }

    /// Writes it to a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self)?;
        fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Reads it from a file.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = || format!("{} cannot be read", path.display());
        let size = fs::metadata(path).with_context(cannot)?.len();
        ensure!(
            size <= MOST_BYTES,
            "{} is longer than {MOST_BYTES} bytes",
            path.display()
        );
        let text = fs::read_to_string(path).with_context(cannot)?;
        let result: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is no result of a run", path.display()))?;
        ensure!(
            result.format == FORMAT,
            "{} has the format {}, and this program reads {FORMAT}",
            path.display(),
            result.format
        );
        Ok(result)
    }
}
