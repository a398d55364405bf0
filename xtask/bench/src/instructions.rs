//! Instructions and allocations that one request costs, counted by callgrind: the same on every run, whatever else the machine
//! does.
//!
//! A server runs under valgrind. For each operation it answers some requests, its counters are set to zero, it answers the
//! requests that count, and the counters are read.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::callgrind::Counts;
use crate::load::Connection;
use crate::operations::{OPERATIONS, Operation, Users};
use crate::process::Process;

/// How many seconds' worth of what the server does by itself may come more or less than the length of a phase says: twice what
/// comes most rarely.
const OWN_SECONDS: f64 = 10.0;
/// How long the server is left idle. What it does by itself comes each second, or five seconds after it was done last: twice in this
/// time.
const IDLE: Duration = Duration::from_secs(11);

/// What one request of an operation costs.
struct Cost {
    operation: &'static str,
    instructions: f64,
    allocations: f64,
    /// The smallest difference in allocations that is one: what the server does by itself comes at any time.
    least_allocations: f64,
}

/// Counts every operation and prints a table; the second program is what the first is compared with.
pub async fn run(program: &Path, earlier: Option<&Path>) -> Result<()> {
    let ours = count(program, None).await?;
    let Some(earlier) = earlier else {
        println!("{:<36}{:>14}{:>14}", "one request", "instructions", "allocations");
        for cost in &ours {
            println!("{cost}");
        }
        return Ok(());
    };
    let theirs = count(earlier, None).await?;
    println!(
        "{:<36}{:>14}{:>14}{:>14}{:>14}{:>8}",
        "one request", "instructions", "allocations", "earlier", "earlier", "ratio"
    );
    for (ours, theirs) in ours.iter().zip(&theirs) {
        println!(
            "{ours}{:>14.0}{:>14.1}{:>8.3}",
            theirs.instructions,
            theirs.allocations,
            ours.instructions / theirs.instructions
        );
    }
    Ok(())
}

/// Counts every operation and prints a line for each, with tabs between: its name, instructions, allocations, and the smallest
/// difference in allocations that is one. The profiles go into that folder.
pub async fn print_counts(program: &Path, profiles: &Path) -> Result<()> {
    for cost in count(program, Some(profiles)).await? {
        println!(
            "{}\t{:.0}\t{:.1}\t{:.1}",
            cost.operation, cost.instructions, cost.allocations, cost.least_allocations
        );
    }
    Ok(())
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            operation,
            instructions,
            allocations,
            ..
        } = self;
        write!(f, "{operation:<36}{instructions:>14.0}{allocations:>14.1}")
    }
}

/// What one request of each operation costs.
async fn count(program: &Path, profiles: Option<&Path>) -> Result<Vec<Cost>> {
    let mut server = Process::under_callgrind(program).await?;
    let costs = count_all(&mut server, profiles).await;
    costs.with_context(|| format!("a counted server failed{}", server.quoted()))
}

async fn count_all(server: &mut Process, profiles: Option<&Path>) -> Result<Vec<Cost>> {
    let mut users = Users::prepare(server.port).await?;
    let idle = idle(server).await?;
    let mut costs = Vec::new();
    for operation in &OPERATIONS {
        let phase = phase(server, &mut users, operation).await;
        let phase = phase.with_context(|| operation.name)?;
        let counts = Counts::read(&phase.profile)?;
        if let Some(folder) = profiles {
            let file = operation.name.replace(['/', ' ', ','], "-");
            std::fs::write(folder.join(format!("{file}.callgrind")), &phase.profile)?;
            // Only here: other programs may have no names of functions.
            ensure!(
                !operation.is_uncached() || counts.statements >= operation.counted as u64,
                "{}: {} steps of SQL statements, so a cache answered",
                operation.name,
                counts.statements
            );
        }
        costs.push(phase.cost(operation, counts, &idle));
    }
    Ok(costs)
}

/// What was counted in some time, and how long that was.
struct Phase {
    profile: String,
    length: Duration,
}

impl Phase {
    /// What one request costs, without what the server does while it is asked nothing.
    fn cost(&self, operation: &Operation, counts: Counts, idle: &Rates) -> Cost {
        let seconds = self.length.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let requests = operation.counted as f64;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let each = |count: u64, rate: f64| (count as f64 - rate * seconds) / requests;
        Cost {
            operation: operation.name,
            instructions: each(counts.instructions, idle.instructions),
            allocations: each(counts.allocations, idle.allocations),
            least_allocations: OWN_SECONDS * idle.allocations / requests,
        }
    }
}

/// What an idle server does in a second.
struct Rates {
    instructions: f64,
    allocations: f64,
}

/// Counts what the server does while it is asked nothing.
async fn idle(server: &mut Process) -> Result<Rates> {
    server.settle()?;
    server.reset_counts()?;
    let begin = Instant::now();
    tokio::time::sleep(IDLE).await;
    let counts = Counts::read(&server.counts()?)?;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    let rate = |count: u64| count as f64 / begin.elapsed().as_secs_f64();
    Ok(Rates {
        instructions: rate(counts.instructions),
        allocations: rate(counts.allocations),
    })
}

/// Counts the requests of one operation. The server rests between two requests, so that what it does after an answer does not meet
/// the next request, sometimes.
async fn phase(server: &mut Process, users: &mut Users, operation: &Operation) -> Result<Phase> {
    let [before, counted] = users.scripts(operation).await?;
    let mut connection = Connection::open(server.port).await?;
    for request in &before {
        connection.ask(request).await?;
        server.settle()?;
    }
    server.reset_counts()?;
    let begin = Instant::now();
    for request in &counted {
        connection.ask(request).await?;
        server.settle()?;
    }
    let length = begin.elapsed();
    Ok(Phase {
        profile: server.counts()?,
        length,
    })
}
