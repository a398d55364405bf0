//! Pages: one file each, nothing fetched from anywhere.
//!
//! - this file: the page of a run; [`comparison`]: that of several runs side by side; [`trends`]: that of many over time
//! - [`sentences`]: what the page of a run says in words
//! - [`chart`], [`charts`], [`mod@load`], [`percentiles`], [`scale`]: its pictures

mod chart;
mod charts;
pub mod comparison;
mod load;
mod percentiles;
mod scale;
mod sentences;
pub mod trends;

use anyhow::Result;
use askama::Template;
use data_encoding::BASE64;
use ring::digest::{SHA256, digest};

use crate::display::{bytes, count, milliseconds, rate, seconds, thousands};
use crate::fault::Fault;
use crate::number::{fraction, ratio, whole};
use crate::result::{ByName, RunResult, Worker};
use chart::Chart;
use sentences::{Notice, Tile};

/// The style sheet of all of Foxden's pages, and what only this page needs.
const STYLE: &str = concat!(
    include_str!("../../../foxden-http/assets/foxden.css"),
    include_str!("../../templates/report.css")
);
/// The mark, drawn.
const MARK: &str = include_str!("../../../foxden-http/assets/mark.svg");

/// Names with what is so.
type Facts = Vec<(&'static str, String)>;

/// What is around every page.
struct Shell {
    style: &'static str,
    style_hash: String,
    mark: &'static str,
    icon: String,
    /// What the page is.
    kind: &'static str,
    /// The version of this program.
    program: &'static str,
}

impl Shell {
    fn new(kind: &'static str) -> Self {
        Self {
            style: STYLE,
            style_hash: BASE64.encode(digest(&SHA256, STYLE.as_bytes()).as_ref()),
            mark: MARK,
            icon: BASE64.encode(MARK.as_bytes()),
            kind,
            program: env!("CARGO_PKG_VERSION"),
        }
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    shell: Shell,
    result: &'a RunResult,
    title: String,
    when: String,
    heading: String,
    lead: Vec<String>,
    tiles: Vec<Tile>,
    notices: Vec<Notice>,
    charts: Vec<Vec<Chart>>,
    tables: Vec<Table>,
    examples: &'a [Fault],
    machine: Facts,
    run: Facts,
    command: String,
}

/// A table of latencies by name.
struct Table {
    id: &'static str,
    title: &'static str,
    caption: &'static str,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    count: String,
    rate: String,
    half: String,
    most: String,
    nearly: String,
    all: String,
    /// The width of the bar, from 0 to 100.
    bar: u64,
}

pub use load::highest;

/// The page of a run.
pub fn page(result: &RunResult) -> Result<String> {
    let page = Page {
        shell: Shell::new("load report"),
        result,
        title: format!("Load report: {}", result.settings.scenario),
        when: sentences::when(result),
        heading: sentences::heading(result),
        lead: sentences::lead(result),
        tiles: sentences::tiles(result),
        notices: sentences::notices(result),
        charts: charts::all(result)?,
        tables: tables(result),
        examples: &result.figures.examples,
        machine: machine(result),
        run: run(result),
        command: sentences::command(result),
    };
    Ok(page.render()?)
}

fn tables(result: &RunResult) -> Vec<Table> {
    let table = |id, title, caption, rows: &[ByName]| Table {
        id,
        title,
        caption,
        rows: self::rows(rows),
    };
    vec![
        table(
            "operations",
            "By operation",
            "What users did, from the begin to the end of each. Most operations take several requests. The bar shows within which time 99 of 100 were done.",
            &result.figures.by_operation,
        ),
        table(
            "requests",
            "By request",
            "What the requests asked for. The bar shows within which time 99 of 100 were answered.",
            &result.figures.by_request,
        ),
    ]
}

fn rows(rows: &[ByName]) -> Vec<Row> {
    let longest = rows
        .iter()
        .map(|row| row.latency.response.p99)
        .max()
        .unwrap_or_default();
    let row = |row: &ByName| {
        let latency = &row.latency.response;
        // What one of so many exceeds is not known from fewer.
        let rare = |value, of| match row.latency.service.count {
            count if count < of => "–".to_owned(),
            _ => milliseconds(value),
        };
        Row {
            name: row.name.clone(),
            count: thousands(row.latency.service.count),
            rate: rate(row.rate),
            half: milliseconds(latency.p50),
            most: rare(latency.p90, 10),
            nearly: rare(latency.p99, 100),
            all: milliseconds(latency.most),
            bar: whole(ratio(100.0 * fraction(latency.p99), fraction(longest))),
        }
    };
    rows.iter()
        .filter(|row| row.latency.service.count > 0)
        .map(row)
        .collect()
}

fn machine(result: &RunResult) -> Facts {
    let machine = &result.machine;
    let known = |text: &str| {
        if text.is_empty() {
            "not known".to_owned()
        } else {
            text.to_owned()
        }
    };
    let shared = if machine.is_shared {
        "the same machine: both share its processor, and the server could do more alone"
    } else {
        "another machine"
    };
    vec![
        (
            "Processor",
            format!("{}, {} cores", known(&machine.processor), machine.cores),
        ),
        ("Memory", bytes(machine.memory)),
        ("System", known(&machine.system)),
        ("Server on", shared.to_owned()),
    ]
}

fn run(result: &RunResult) -> Facts {
    let settings = &result.settings;
    let pause = if let Some(rate) = settings.rate {
        format!(
            "{rate} a second from all users, by chance and whether or not those before were done (an open load)"
        )
    } else if settings.every > 0.0 {
        format!("on average every {} from each user", seconds(settings.every))
    } else {
        "each user begins the next when the last is done".to_owned()
    };
    let server = settings.server.as_deref().unwrap_or("not told");
    vec![
        ("Server", format!("{}, version {server}", settings.target)),
        ("Protocol", format!("Sync {}", settings.protocol)),
        ("Users", thousands(u64::from(settings.users))),
        ("Operations", pause),
        (
            "Measured",
            format!(
                "{} after a warm-up of {}",
                seconds(result.figures.seconds),
                seconds(settings.warm_up)
            ),
        ),
        ("Load made by", load(result)),
        ("Seed", settings.seed.to_string()),
        (
            "Longest wait",
            format!("{} for an answer", seconds(settings.timeout)),
        ),
        (
            "Bytes",
            format!("{}, in both directions", bytes(result.figures.bytes)),
        ),
        ("Latencies", sentences::corrected(result)),
    ]
}

/// Who made the load.
fn load(result: &RunResult) -> String {
    match &result.workers[..] {
        [] => "one process".to_owned(),
        workers => {
            let of = |worker: &Worker| {
                let requests = worker.failure.as_ref().map_or_else(
                    || format!("{} requests", thousands(worker.requests)),
                    |_| "lost".to_owned(),
                );
                format!(
                    "{} ({}, {requests})",
                    worker.address,
                    count(u64::from(worker.users), "user")
                )
            };
            workers.iter().map(of).collect::<Vec<_>>().join(", ")
        }
    }
}
