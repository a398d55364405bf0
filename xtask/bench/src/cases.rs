//! The measurements: the goals for SQLite, each compared with its reference.

pub mod caches;
mod earlier;
mod legacy;
mod memory;
mod size;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::comparison::{compare_scripts, median_round};
use crate::load::{self, Script};
use crate::process::{DiskLatency, Process};
use crate::request::{COLLECTIONS, Signer, id, objects};

/// Users that the load is spread over.
const USERS: u64 = 100;
/// Objects each of them has in `history` before anything is measured.
const OBJECTS: u64 = 2000;

/// One row of the page.
pub struct Figure {
    /// The measured operation.
    pub goal: String,
    /// The required value.
    pub floor: &'static str,
    /// The goal.
    pub moonshot: &'static str,
    /// The measured value.
    pub value: String,
    /// A remark.
    pub note: String,
    /// Whether the required value is reached.
    pub holds: bool,
}

/// Measures everything, and the memory of an earlier build. Each round takes this many seconds.
pub async fn run(program: &Path, earlier: Option<&Path>, seconds: f64) -> Result<Vec<Figure>> {
    let length = Duration::from_secs_f64(seconds);
    let mut figures = Vec::new();
    let size = std::fs::metadata(program)
        .with_context(|| program.display().to_string())?
        .len();
    figures.push(at_most(
        "release binary, stripped",
        "18 MB",
        "15 MB",
        size,
        18_000_000,
        "with every engine",
    ));
    let fresh = Process::foxden(program, DiskLatency::Native).await?;
    figures.push(at_most(
        "memory, fresh, everything in one process",
        "25 MB",
        "12 MB",
        fresh.settled_memory().await?,
        25_000_000,
        "",
    ));
    drop(fresh);
    memory::run(program, earlier, length, &mut figures).await?;
    if let Some(earlier) = earlier {
        earlier::run(program, earlier, length, &mut figures).await?;
    }
    reads(program, length, &mut figures).await?;
    writes(program, length, DiskLatency::Native, &mut figures).await?;
    writes(program, length, DiskLatency::Slow, &mut figures).await?;
    group(program, length, &mut figures).await?;
    legacy::run(program, length, &mut figures).await?;
    size::run(program, length, &mut figures).await?;
    size::instructions(program, &mut figures).await?;
    Ok(figures)
}

/// A part of the measurements that can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Memory under heavy loads, beside an earlier build if there is one.
    Memory,
    /// Rates beside those of an earlier build.
    Speed,
    /// Reads beside bare hyper.
    Reads,
    /// Writes beside a raw log server.
    Writes,
    /// The old dialects beside Sync 1.5, and Basic beside bare hyper.
    Legacy,
    /// Ten million objects.
    Size,
    /// Instructions of reads in one file of ten million objects.
    Depth,
}

impl Part {
    /// The part of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "memory" => Self::Memory,
            "speed" => Self::Speed,
            "reads" => Self::Reads,
            "writes" => Self::Writes,
            "legacy" => Self::Legacy,
            "size" => Self::Size,
            "depth" => Self::Depth,
            _ => return None,
        })
    }
}

/// Measures one part and prints it.
pub async fn part(what: Part, program: &Path, earlier: Option<&Path>, seconds: f64) -> Result<()> {
    let (length, mut figures) = (Duration::from_secs_f64(seconds), Vec::new());
    let figures = &mut figures;
    match what {
        Part::Memory => memory::run(program, earlier, length, figures).await,
        Part::Speed => {
            let earlier = earlier.context("name the program of an earlier build, too")?;
            earlier::run(program, earlier, length, figures).await
        }
        Part::Reads => reads(program, length, figures).await,
        Part::Writes => writes(program, length, DiskLatency::Native, figures).await,
        Part::Legacy => legacy::run(program, length, figures).await,
        Part::Size => {
            size::run(program, length, figures).await?;
            size::instructions(program, figures).await
        }
        Part::Depth => size::instructions(program, figures).await,
    }
}

/// Gives every user ten collections and a history.
async fn fill(server: &Process) -> Result<()> {
    let script = |user: u64| {
        let signer = Signer::new(user, server.port);
        let mut script: Script = COLLECTIONS
            .map(|name| signer.request("POST", &format!("/storage/{name}"), &objects(0, 5)))
            .into();
        let histories = (0..OBJECTS).step_by(100);
        script
            .extend(histories.map(|first| signer.request("POST", "/storage/history", &objects(first, 100))));
        script
    };
    for user in 1..=USERS {
        load::once(server.port, &script(user)).await?;
    }
    Ok(())
}

/// One connection's script for each of `count` connections, spread over the users.
fn spread(count: u64, port: u16, script: impl Fn(&Signer, u64) -> Script) -> Vec<Script> {
    (0..count)
        .map(|n| script(&Signer::new(n % USERS + 1, port), n))
        .collect()
}

async fn reads(program: &Path, length: Duration, figures: &mut Vec<Figure>) -> Result<()> {
    let filled = Process::foxden(program, DiskLatency::Native).await?;
    fill(&filled).await?;
    let each = filled.stop()? / (USERS * (OBJECTS + 45));
    figures.push(at_most(
        "disk per 300-byte object",
        "400 B",
        "370 B",
        each,
        400,
        "new ids; after a stop, all files",
    ));
    let ours = Process::foxden(program, DiskLatency::Native).await?;
    fill(&ours).await?;
    let bare = Process::reference("bare", DiskLatency::Native).await?;
    let get = |path: &'static str| move |signer: &Signer, _| vec![signer.request("GET", path, "")];
    let one = |signer: &Signer, n| {
        (0..50)
            .map(|k| {
                signer.request(
                    "GET",
                    &format!("/storage/history/{}", id((n * 31 + k * 37) % OBJECTS)),
                    "",
                )
            })
            .collect()
    };
    let port = ours.port;
    let cases: [(&str, &str, &str, f64, Vec<Script>); 3] = [
        (
            "`info/collections` with Hawk / bare hyper, 64 connections",
            "0.85",
            "0.92",
            0.85,
            spread(64, port, get("/info/collections")),
        ),
        (
            "`newer=T` with nothing new / bare hyper, 64 connections",
            "0.85",
            "0.92",
            0.85,
            spread(
                64,
                port,
                get("/storage/history?full=1&newer=4102444800.00&limit=1000"),
            ),
        ),
        (
            "one object with Hawk / bare hyper, 64 connections",
            "0.75",
            "0.85",
            0.75,
            spread(64, port, one),
        ),
    ];
    for (goal, floor, moonshot, least, scripts) in cases {
        let ratio = compare_scripts(&ours, &bare, &scripts, length).await?;
        figures.push(at_least(goal.to_owned(), floor, moonshot, &ratio, least));
    }
    drop(bare);
    let full = spread(16, port, get("/storage/history?full=1&limit=1000"));
    let before = ours.cpu()?;
    let round = load::run(port, &full, length * 2).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of answers")]
    let each = ours.cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / (round.times.len() as f64 * 1000.0);
    println!("1,000 full objects: processor time per object: {each:.2} µs");
    figures.push(Figure {
        goal: "1,000 full objects: processor time per object".into(),
        floor: "0.35 µs",
        moonshot: "0.25 µs",
        value: format!("{each:.2} µs"),
        note: format!("{:.0} answers a second at 16 connections", round.rate),
        holds: each <= 0.35,
    });
    absolute(&ours, length, figures).await?;
    mixed(&ours, length, figures).await
}

/// Plain rates, to compare servers rather than ratios.
async fn absolute(ours: &Process, length: Duration, figures: &mut Vec<Figure>) -> Result<()> {
    let port = ours.port;
    let cases: [(&str, Vec<Script>); 3] = [
        (
            "`info/collections`",
            spread(16, port, |s, _| vec![s.request("GET", "/info/collections", "")]),
        ),
        (
            "one object",
            spread(16, port, |s, n| {
                vec![s.request("GET", &format!("/storage/history/{}", id(n)), "")]
            }),
        ),
        (
            "POST of 100, ids overwritten",
            spread(16, port, |s, n| {
                vec![s.request("POST", "/storage/history", &objects(n * 100, 100))]
            }),
        ),
    ];
    for (goal, scripts) in cases {
        let round = median_round(ours, &scripts, length).await?;
        figures.push(Figure {
            goal: format!("{goal}, 16 connections over 100 users"),
            floor: "–",
            moonshot: "–",
            value: format!("{:.0} a second", round.rate),
            note: format!(
                "half within {:.2} ms, 99 of 100 within {:.2} ms",
                ms(round.percentile(0.5)),
                ms(round.percentile(0.99))
            ),
            holds: true,
        });
    }
    Ok(())
}

/// Reads while others write.
async fn mixed(ours: &Process, length: Duration, figures: &mut Vec<Figure>) -> Result<()> {
    let port = ours.port;
    let reading = spread(8, port, |s, n| {
        vec![
            s.request("GET", &format!("/storage/history/{}", id(n * 7)), ""),
            s.request("GET", "/info/collections", ""),
        ]
    });
    let writing = spread(8, port, |s, n| {
        vec![s.request("POST", "/storage/history", &objects(n * 100, 5))]
    });
    let (reads, writes) = tokio::try_join!(
        load::run(port, &reading, length * 2),
        load::run(port, &writing, length * 2)
    )?;
    let slowest = ms(reads.percentile(0.99));
    figures.push(Figure {
        goal: "99 of 100 reads under mixed load, 16 connections".into(),
        floor: "10 ms",
        moonshot: "3 ms",
        value: format!("{slowest:.2} ms"),
        note: format!("{:.0} reads and {:.0} writes a second", reads.rate, writes.rate),
        holds: slowest <= 10.0,
    });
    Ok(())
}

async fn writes(
    program: &Path,
    length: Duration,
    disk: DiskLatency,
    figures: &mut Vec<Figure>,
) -> Result<()> {
    let post = |count: u64| {
        move |signer: &Signer, n: u64| -> Script {
            (0..20)
                .map(|k| signer.request("POST", "/storage/history", &objects(n * 2000 + k * count, count)))
                .collect()
        }
    };
    let stage = |signer: &Signer, n: u64| {
        vec![signer.request("POST", "/storage/history?batch=true", &objects(n * 100, 100))]
    };
    // Clients, objects in a request (0: staged parts of 100), floor, moonshot, least.
    let cases: &[(u64, u64, &str, &str, f64)] = match disk {
        DiskLatency::Native => &[
            (1, 1, "0.85", "0.95", 0.85),
            (64, 1, "0.85", "0.95", 0.85),
            (1, 100, "0.30", "0.45", 0.30),
            (16, 100, "0.10", "0.20", 0.10),
            (64, 100, "0.10", "0.20", 0.10),
            (1, 0, "0.95", "1.0", 0.95),
            (16, 0, "0.35", "0.60", 0.35),
        ],
        DiskLatency::Slow => &[
            (1, 100, "0.65", "0.80", 0.65),
            (16, 100, "0.28", "0.50", 0.28),
            (64, 100, "0.28", "0.50", 0.28),
        ],
    };
    for &(clients, count, floor, moonshot, least) in cases {
        let ours = Process::foxden(program, disk).await?;
        let log = Process::reference("log", disk).await?;
        let (what, scripts) = match count {
            0 => (
                "staged batch POST of 100".to_owned(),
                spread(clients, ours.port, stage),
            ),
            _ => (
                format!("durable POST of {count}"),
                spread(clients, ours.port, post(count)),
            ),
        };
        let ratio = compare_scripts(&ours, &log, &scripts, length).await?;
        let syncs = if disk == DiskLatency::Slow {
            ", 2 ms syncs"
        } else {
            ""
        };
        let goal = format!(
            "{what} / raw log server{syncs}, {clients} client{}",
            if clients == 1 { "" } else { "s" }
        );
        figures.push(at_least(goal, floor, moonshot, &ratio, least));
    }
    Ok(())
}

/// The gain of many writers from shared commits, on a slow disk.
async fn group(program: &Path, length: Duration, figures: &mut Vec<Figure>) -> Result<()> {
    let ours = Process::foxden(program, DiskLatency::Slow).await?;
    let post = |signer: &Signer, n| vec![signer.request("POST", "/storage/history", &objects(n * 5, 5))];
    let one = median_round(&ours, &spread(1, ours.port, post), length)
        .await?
        .rate;
    let many = median_round(&ours, &spread(64, ours.port, post), length)
        .await?
        .rate;
    figures.push(Figure {
        goal: "POST of 5 with 2 ms syncs, 64 clients / 1 client".into(),
        floor: "15 ×",
        moonshot: "30 ×",
        value: format!("{:.1} ×", many / one),
        note: format!("{one:.0} and {many:.0} a second"),
        holds: many / one >= 15.0,
    });
    Ok(())
}

fn at_least(
    goal: String,
    floor: &'static str,
    moonshot: &'static str,
    ratio: &crate::comparison::Ratio,
    least: f64,
) -> Figure {
    println!("{goal}: {:.2}", ratio.median);
    Figure {
        goal,
        floor,
        moonshot,
        value: format!("{:.2}", ratio.median),
        note: format!(
            "best {:.2}; {:.0} beside {:.0} a second; {} rounds",
            ratio.best, ratio.ours, ratio.reference, ratio.rounds
        ),
        holds: ratio.median >= least,
    }
}

fn at_most(
    goal: &str,
    floor: &'static str,
    moonshot: &'static str,
    bytes: u64,
    most: u64,
    note: &str,
) -> Figure {
    let value = if bytes < 10_000 {
        format!("{bytes} B")
    } else {
        mb(bytes)
    };
    println!("{goal}: {value}");
    Figure {
        goal: goal.to_owned(),
        floor,
        moonshot,
        value,
        note: note.to_owned(),
        holds: bytes <= most,
    }
}

/// Formats bytes for reading.
fn mb(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size to read")]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.1} MB")
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
