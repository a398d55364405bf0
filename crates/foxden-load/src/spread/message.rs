//! What workers and the coordinator tell each other.

use serde::{Deserialize, Serialize};

use crate::measure::latency::LatencySummary;
use crate::protocol::Protocol;
use crate::result::{Comparison, Figures, LoginKind, Machine};

/// What a worker says about once a second.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The version of its program.
    pub program: String,
    /// A number of its own, by which it is known.
    pub worker: u64,
    /// Rises with each report.
    pub number: u64,
    /// What it is doing.
    pub state: State,
}

/// What a worker is doing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for its users.
    Waiting(Machine),
    /// So many of its users are prepared.
    Preparing(usize),
    /// All are, and it waits for the start.
    Ready,
    /// Its users act: requests and faults until now.
    Running(u64, u64),
    /// The run is over.
    Done(Box<Portion>),
    /// It could not go on.
    Failed(String),
}

/// What a worker is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Go on.
    Wait,
    /// Prepare these users.
    Prepare(Box<Share>),
    /// Let them act, so many milliseconds from now.
    Start(u64),
    /// It is over.
    End,
}

/// A worker's share of the run. The secret of the server is not in it: each worker has its own copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The text of the scenario.
    pub scenario: String,
    /// The address of the server.
    pub target: String,
    /// The protocol.
    pub protocol: Protocol,
    /// How users show who they are.
    pub login: LoginKind,
    /// The uid of the first user of all workers, where users have no accounts.
    pub first_uid: u64,
    /// The number of its first user.
    pub first: u32,
    /// How many users it has.
    pub users: u32,
    /// How many all workers have.
    pub all_users: u32,
    /// The time between operations, in seconds, in place of the scenario's.
    pub every: Option<f64>,
    /// Operations a second of all workers together, in place of the scenario's pauses.
    pub rate: Option<f64>,
    /// How long is measured, in seconds.
    pub length: f64,
    /// How long is waited before that, in seconds.
    pub warm_up: f64,
    /// Over how long users begin, in seconds.
    pub ramp: f64,
    /// The seed.
    pub seed: u64,
    /// How long an answer may take, in seconds.
    pub timeout: f64,
}

/// What a worker measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Portion {
    /// Its figures.
    pub figures: Figures,
    /// The latencies of each part of the timeline.
    pub timeline: Vec<LatencySummary>,
    /// What it compared.
    pub comparison: Comparison,
    /// What the server says of its version.
    pub server: Option<String>,
    /// Whether the run was ended before its time.
    pub is_cut: bool,
}
