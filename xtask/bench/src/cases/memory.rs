//! The growth of the memory under heavy loads, and how much of it is freed.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{Figure, USERS, fill, mb, spread};
use crate::load::{self, Expect};
use crate::process::{DiskLatency, Process};
use crate::request::{Basic, Signer, large_object, objects};

/// Accounts that sign up and sign in: a network may have few more in an hour.
const ACCOUNTS: u64 = 400;
/// Requests with a wrong password, no two with the same one.
const WRONG: u64 = 10_000;
/// Clients at once.
const CLIENTS: usize = 64;
/// Users who store one large object each, and how many of them at once.
const LARGE_USERS: u64 = 320;
const LARGE_CLIENTS: usize = 16;
/// How long the server is idle before its memory is read again.
const REST: Duration = Duration::from_secs(60);

/// The memory of one program, in bytes.
struct Sample {
    /// Beyond a fresh process.
    hashing: u64,
    after_hashing: u64,
    mixed: Load,
    large: Load,
}

/// The memory during a load, in bytes.
struct Load {
    peak: u64,
    /// When the last request was answered.
    after: u64,
}

/// One row of the page.
struct Row {
    goal: &'static str,
    floor: &'static str,
    most: u64,
    value: fn(&Sample) -> u64,
    peak: Option<fn(&Sample) -> u64>,
}

const ROWS: [Row; 4] = [
    Row {
        goal: "memory above fresh, at most: 400 sign-ups, 400 sign-ins, 10,000 wrong passwords by Basic, 64 at once",
        floor: "45 MB",
        most: 45_000_000,
        value: |taken| taken.hashing,
        peak: None,
    },
    Row {
        goal: "memory above fresh, one minute later",
        floor: "12 MB",
        most: 12_000_000,
        value: |taken| taken.after_hashing,
        peak: None,
    },
    Row {
        goal: "memory, 64 connections mixed, pages of 1,000 and posts of 100",
        floor: "40 MB",
        most: 40_000_000,
        value: |taken| taken.mixed.after,
        peak: Some(|taken| taken.mixed.peak),
    },
    Row {
        goal: "memory, 320 users store an object of 1.9 MB and read it back, 16 at once",
        floor: "60 MB",
        most: 60_000_000,
        value: |taken| taken.large.after,
        peak: Some(|taken| taken.large.peak),
    },
];

impl Load {
    fn of(server: &Process) -> Result<Self> {
        Ok(Self {
            peak: server.peak()?,
            after: server.memory()?,
        })
    }
}

/// Measures one program and an earlier one.
pub async fn run(
    program: &Path,
    earlier: Option<&Path>,
    length: Duration,
    figures: &mut Vec<Figure>,
) -> Result<()> {
    let before = match earlier {
        Some(earlier) => Some(measure(earlier, length).await?),
        None => None,
    };
    let now = measure(program, length).await?;
    for row in ROWS {
        let Row {
            goal, floor, most, ..
        } = row;
        let value = (row.value)(&now);
        let mut notes = Vec::new();
        if let Some(peak) = row.peak {
            notes.push(format!("at most {} meanwhile", mb(peak(&now))));
        }
        if let Some(before) = &before {
            let peak = row.peak.map(|peak| format!(", at most {}", mb(peak(before))));
            let value = mb((row.value)(before));
            notes.push(format!("before: {value}{}", peak.unwrap_or_default()));
        }
        let note = notes.join("; ");
        println!("{goal}: {} {note}", mb(value));
        figures.push(Figure {
            goal: goal.to_owned(),
            floor,
            moonshot: "–",
            value: mb(value),
            note,
            holds: value <= most,
        });
    }
    Ok(())
}

async fn measure(program: &Path, length: Duration) -> Result<Sample> {
    let (hashing, after_hashing) = hashing(program).await?;
    Ok(Sample {
        hashing,
        after_hashing,
        mixed: mixed(program, length).await?,
        large: large(program).await?,
    })
}

/// Everything that makes the server hash passwords.
async fn hashing(program: &Path) -> Result<(u64, u64)> {
    let server = Process::foxden(program, DiskLatency::Native).await?;
    let port = server.port;
    let fresh = server.settled_memory().await?;
    server.forget_peak()?;
    let sign_ups = (0..ACCOUNTS).map(|n| Basic::registration(n, port)).collect();
    load::first(port, sign_ups, CLIENTS, Expect::Good).await?;
    let sign_ins = (0..ACCOUNTS).map(|n| Basic::sign_in(n, port)).collect();
    load::first(port, sign_ins, CLIENTS, Expect::Good).await?;
    let wrong = (0..WRONG).map(|n| {
        let password = format!("not the password, try {n}");
        Basic::with_password(n % ACCOUNTS, &password, port).request("GET", "/info/collections", "")
    });
    load::first(port, wrong.collect(), CLIENTS, Expect::Refusal).await?;
    let peak = server.peak()?.saturating_sub(fresh);
    tokio::time::sleep(REST).await;
    Ok((peak, server.memory()?.saturating_sub(fresh)))
}

/// Pages and posts, as they come from many devices at once.
async fn mixed(program: &Path, length: Duration) -> Result<Load> {
    let server = Process::foxden(program, DiskLatency::Native).await?;
    fill(&server).await?;
    let scripts = spread(64, server.port, |s, n| {
        vec![
            s.request("GET", "/info/collections", ""),
            s.request("GET", "/storage/history?full=1&limit=1000", ""),
            s.request("POST", "/storage/history", &objects(n * 100, 100)),
        ]
    });
    server.forget_peak()?;
    load::run(server.port, &scripts, length * 4).await?;
    Load::of(&server)
}

/// Objects that are as large as they may be.
async fn large(program: &Path) -> Result<Load> {
    let server = Process::foxden(program, DiskLatency::Native).await?;
    let port = server.port;
    server.forget_peak()?;
    let body = large_object();
    let path = "/storage/bookmarks/largeobject1";
    let users = (0..LARGE_USERS).map(|n| Signer::new(USERS + 1 + n, port));
    let mut puts = Vec::new();
    let mut gets = Vec::new();
    for signer in users {
        puts.push(signer.request("PUT", path, &body));
        gets.push(signer.request("GET", path, ""));
    }
    load::first(port, puts, LARGE_CLIENTS, Expect::Good).await?;
    load::first(port, gets, LARGE_CLIENTS, Expect::Good).await?;
    Load::of(&server)
}
