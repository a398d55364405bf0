//! The page of a comparison.

use anyhow::Result;
use askama::Template;

use super::chart::{self, Chart, Column, Series};
use super::percentiles;
use super::scale::{self, LatencyScale, Scale};
use super::sentences::{Notice, Tile, spaced, tile};
use super::{Facts, Shell, machine};
use crate::compare::figure::Figure;
use crate::compare::side::Side;
use crate::compare::{Against, Compared, Comparison, Difference, text};
use crate::display::{bytes, count, day, milliseconds, rate, seconds, thousands};
use crate::measure::latency::LatencySummary;
use crate::number::{fraction, whole};
use crate::result::{RunResult, ServerUse};

#[derive(Template)]
#[template(path = "compare.html")]
struct Page {
    shell: Shell,
    title: String,
    when: String,
    heading: String,
    lead: Vec<String>,
    tiles: Vec<Tile>,
    notices: Vec<Notice>,
    charts: Vec<Vec<Chart>>,
    tables: Vec<Table>,
    sides: Vec<(String, Facts)>,
    machine: Facts,
}

/// Figures of two sides with their ratio.
struct Table {
    id: String,
    title: String,
    caption: &'static str,
    first: char,
    other: char,
    /// Why a ratio is not that of both columns.
    note: String,
    /// The ends of the axis of ratios.
    span: String,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    first: String,
    other: String,
    ratio: String,
    bounds: String,
    /// Where the bounds and the ratio are on the axis, from 0 to 100.
    low: String,
    high: String,
    at: String,
    tag: &'static str,
    verdict: String,
}

/// The page.
pub fn page(comparison: &Comparison<'_>) -> Result<String> {
    let first = &comparison.sides[0];
    let merged: Vec<(String, LatencySummary)> = comparison.sides.iter().map(merged).collect();
    let groups: Vec<(String, &LatencySummary)> = merged
        .iter()
        .map(|(name, summary)| (name.clone(), summary))
        .collect();
    let headings: Vec<String> = comparison.against.iter().map(text::sentence).collect();
    let page = Page {
        shell: Shell::new("comparison"),
        title: format!("Comparison: {}", first.settings().scenario),
        when: when(comparison),
        heading: headings.join("; "),
        lead: lead(comparison),
        tiles: comparison.against.iter().flat_map(tiles).collect(),
        notices: notices(comparison),
        charts: vec![
            vec![
                by_run(comparison, Figure::Rate)?,
                by_run(comparison, Figure::Half)?,
            ],
            vec![percentiles::chart(&groups)?],
        ],
        tables: comparison.against.iter().flat_map(tables).collect(),
        sides: comparison.sides.iter().map(facts).collect(),
        machine: machine(&first.runs[0]),
    };
    Ok(page.render()?)
}

/// The latencies of all runs of a side.
fn merged(side: &Side) -> (String, LatencySummary) {
    let all = side.runs.iter().map(|run| &run.figures.all.response);
    (format!("answers of {}", side.letter), LatencySummary::merged(all))
}

fn when(comparison: &Comparison<'_>) -> String {
    let began = || {
        comparison
            .sides
            .iter()
            .flat_map(|side| &side.runs)
            .map(|run| run.began)
    };
    let (first, last) = (
        began().min().unwrap_or_default(),
        began().max().unwrap_or_default(),
    );
    match (day(first), day(last)) {
        (first, last) if first == last => first,
        (first, last) => format!("{first} to {last}"),
    }
}

fn lead(comparison: &Comparison<'_>) -> Vec<String> {
    let settings = comparison.sides[0].settings();
    let about = |side: &Side| format!("{} is {}", side.letter, side.about());
    let sides: Vec<String> = comparison.sides.iter().map(about).collect();
    let pairs = comparison.against.iter().map(|against| against.pairs).min();
    let in_turn = if comparison.is_in_turn() {
        ", made in turn"
    } else {
        ""
    };
    let all = || comparison.sides.iter().flat_map(|side| &side.runs);
    let wrong: u64 = all().map(RunResult::wrong).sum();
    let checked = if wrong == 0 {
        "Every answer was checked, and none was wrong."
    } else {
        "Answers were wrong."
    };
    vec![
        format!("{}.", sides.join(", ")),
        format!(
            "Scenario {}, {}, {} each, {} of runs{in_turn}. {checked}",
            settings.scenario,
            count(u64::from(settings.users), "user"),
            spaced(&seconds(settings.length)),
            count(
                u64::try_from(pairs.unwrap_or_default()).unwrap_or(u64::MAX),
                "pair"
            ),
        ),
    ]
}

fn tiles(against: &Against<'_>) -> Vec<Tile> {
    let (first, other) = (against.first.letter, against.other.letter);
    let mut tiles = Vec::new();
    for (name, figure) in [
        ("Requests a second", Figure::Rate),
        ("Half within", Figure::Half),
        ("99 of 100 within", Figure::Nearly),
    ] {
        if let Some(compared) = against.whole(figure) {
            let beside = format!(
                "{first}: {} ({})",
                spaced(&figure.text(compared.first)),
                change(compared)
            );
            tiles.push(tile(name, &figure.text(compared.other), beside));
        }
    }
    let requests = |side: &Side| side.runs.iter().map(|run| run.figures.requests).sum();
    tiles.push(tile(
        "Failed or wrong",
        &thousands(against.other.faults()),
        format!(
            "of {}; {first}: {}",
            count(requests(against.other), "request"),
            thousands(against.first.faults())
        ),
    ));
    let used = |side: &Side, value: fn(&ServerUse) -> f64| {
        let values: Option<Vec<f64>> = side
            .runs
            .iter()
            .map(|run| run.server.as_ref().map(value))
            .collect();
        values.map(|values| values.iter().sum::<f64>() / fraction(u64::try_from(values.len()).unwrap_or(1)))
    };
    let processor = |used: &ServerUse| used.seconds_a_request * 1e6;
    if let (Some(before), Some(now)) = (used(against.first, processor), used(against.other, processor)) {
        let text = |value: f64| format!("{} µs", thousands(whole(value)));
        let beside = format!("{first}: {} ({})", spaced(&text(before)), signed(now / before));
        tiles.push(tile("Processor a request", &text(now), beside));
    }
    let memory = |used: &ServerUse| fraction(used.memory);
    if let (Some(before), Some(now)) = (used(against.first, memory), used(against.other, memory)) {
        let text = |value: f64| bytes(whole(value));
        let beside = format!("{first}: {} ({})", spaced(&text(before)), signed(now / before));
        tiles.push(tile("Memory, highest", &text(now), beside));
    }
    for tile in &mut tiles {
        tile.name = format!("{}, {other}", tile.name);
    }
    tiles
}

/// By how much a figure differs, if it does.
fn change(compared: &Compared) -> String {
    match compared.verdict {
        Difference::Faster | Difference::Slower => signed(compared.interval.ratio),
        Difference::Same | Difference::Unknown => compared.verdict.name().to_owned(),
    }
}

/// A ratio as a change with its sign.
fn signed(ratio: f64) -> String {
    let sign = if ratio < 1.0 { '−' } else { '+' };
    format!("{sign}{}", crate::display::percent(ratio))
}

/// Operations that are slower, and what makes the comparison doubtful.
fn notices(comparison: &Comparison<'_>) -> Vec<Notice> {
    let mut notices = Vec::new();
    for against in &comparison.against {
        let slower = slower(against);
        if !slower.is_empty() {
            notices.push(Notice {
                class: "n-bad",
                title: format!(
                    "{} is slower than {} here",
                    against.other.letter, against.first.letter
                ),
                text: format!("{}.", slower.join("; ")),
            });
        }
    }
    notices.extend(text::warnings(comparison).into_iter().map(|warning| Notice {
        class: "n-warn",
        title: "Look at this first".to_owned(),
        text: warning,
    }));
    notices
}

/// The operations that are slower, each with the first figure that says so.
fn slower(against: &Against<'_>) -> Vec<String> {
    let mut slower: Vec<&Compared> = Vec::new();
    for compared in &against.operations {
        let is_slower = compared.verdict == Difference::Slower;
        if is_slower && slower.iter().all(|other| other.operation != compared.operation) {
            slower.push(compared);
        }
    }
    let name = |compared: &&Compared| {
        let (name, interval) = (self::name(compared), &compared.interval);
        format!(
            "{name} × {:.2} (surely {})",
            interval.ratio,
            text::bounds(interval)
        )
    };
    slower.iter().map(name).collect()
}

/// A figure of each side, run by run.
fn by_run(comparison: &Comparison<'_>, figure: Figure) -> Result<Chart> {
    let value = |run: &RunResult| figure.value(run, None).unwrap_or_default();
    let runs = comparison
        .sides
        .iter()
        .map(|side| side.runs.len())
        .max()
        .unwrap_or_default();
    let all = || comparison.sides.iter().flat_map(|side| &side.runs).map(value);
    let most = all().fold(0.0, f64::max);
    let (y, unit) = match figure {
        Figure::Rate => (Scale::up_to(most, ""), 1.0),
        Figure::Half | Figure::Most | Figure::Nearly => {
            let y = LatencyScale::up_to(whole(most));
            (y.scale, y.nanoseconds)
        }
    };
    let at = |run: usize| fraction(u64::try_from(run).unwrap_or_default());
    let line = |side: &Side| -> Series {
        let runs = side.runs.iter().enumerate();
        runs.map(|(number, run)| (at(number), value(run) / unit))
            .collect()
    };
    let series: Vec<Series> = comparison.sides.iter().map(line).collect();
    let last = at(runs.saturating_sub(1).max(1));
    let cells = |run: usize| -> Vec<String> {
        let cell = |side: &Side| {
            side.runs
                .get(run)
                .map_or("–".to_owned(), |run| figure.text(value(run)))
        };
        comparison.sides.iter().map(cell).collect()
    };
    let column = |run: usize| {
        let named = comparison.sides.iter().zip(cells(run));
        let text: Vec<String> = named
            .map(|(side, cell)| format!("{} {cell}", side.letter))
            .collect();
        Column {
            at: at(run) / last,
            text: format!("pair {}: {}", run + 1, text.join(", ")),
        }
    };
    let columns: Vec<Column> = (0..runs).map(column).collect();
    let (picture, view_box) = chart::picture(&series, last, &y, &columns)?;
    let mut heads = vec!["Pair".to_owned()];
    heads.extend(comparison.sides.iter().map(|side| side.letter.to_string()));
    let row = |run: usize| {
        let mut row = vec![(run + 1).to_string()];
        row.extend(cells(run));
        row
    };
    let (id, title) = match figure {
        Figure::Rate => ("rates", "Requests a second, run by run"),
        Figure::Half | Figure::Most | Figure::Nearly => ("latencies", "Half within, run by run"),
    };
    let says = "What moves both lines comes from the machine; what lies between them, from the servers.";
    Ok(Chart {
        id: id.to_owned(),
        title,
        says: says.to_owned(),
        key: chart::key(comparison.sides.iter().map(|side| side.letter.to_string())),
        is_tall: false,
        picture,
        view_box,
        y: y.labels,
        x: scale::numbers(runs),
        x_unit: "pairs of runs",
        heads,
        rows: (0..runs).map(row).collect(),
    })
}

fn tables(against: &Against<'_>) -> Vec<Table> {
    let (first, other) = (against.first.letter, against.other.letter);
    let table = |id: &str, title: &str, caption, compared: &[Compared]| {
        let reach = compared.iter().map(|compared| {
            compared
                .interval
                .low
                .ln()
                .abs()
                .max(compared.interval.high.ln().abs())
        });
        let end = 1.0 + scale::step(reach.fold(0.01, f64::max).exp() - 1.0);
        Table {
            id: format!("{id}-{other}"),
            title: title.replace('B', &other.to_string()),
            caption,
            first,
            other,
            note: text::about_ratios(against),
            span: format!("{:.2} to {:.2}", 1.0 / end, end),
            rows: compared.iter().map(|compared| row(compared, end)).collect(),
        }
    };
    let mut tables = vec![table(
        "whole",
        "All requests",
        "The bar shows between which bounds the ratio lies surely; the line in its middle is 1.",
        &against.whole,
    )];
    if !against.operations.is_empty() {
        tables.push(table(
            "operations",
            "By operation",
            "What users did, from the begin to the end of each. The bar shows between which bounds the ratio lies surely.",
            &against.operations,
        ));
    }
    tables
}

fn name(compared: &Compared) -> String {
    match &compared.operation {
        Some(operation) => format!("{operation}: {}", compared.figure.name()),
        None => compared.figure.name().to_owned(),
    }
}

fn row(compared: &Compared, end: f64) -> Row {
    let interval = &compared.interval;
    let place = |ratio: f64| format!("{:.1}", 50.0 + 50.0 * ratio.ln() / end.ln());
    let is_known = compared.verdict != Difference::Unknown;
    let tag = match compared.verdict {
        Difference::Faster => "t-ok",
        Difference::Slower => "t-bad",
        Difference::Same | Difference::Unknown => "",
    };
    Row {
        name: name(compared),
        first: compared.figure.text(compared.first),
        other: compared.figure.text(compared.other),
        ratio: format!("{:.2}", interval.ratio),
        bounds: if is_known {
            text::bounds(interval)
        } else {
            String::new()
        },
        low: place(interval.low),
        high: place(interval.high),
        at: place(interval.ratio),
        tag,
        verdict: super::sentences::capital(compared.verdict.name()),
    }
}

/// What is known of a side.
fn facts(side: &Side) -> (String, Facts) {
    let figures = side.runs.iter().map(|run| run.figures.requests);
    let settings = side.settings();
    let half = merged(side).1.p50;
    let facts = vec![
        ("Results", side.path.clone()),
        ("Server", settings.target.clone()),
        (
            "Version",
            settings.server.clone().unwrap_or("not told".to_owned()),
        ),
        (
            "Runs",
            thousands(u64::try_from(side.runs.len()).unwrap_or(u64::MAX)),
        ),
        ("Requests", thousands(figures.sum())),
        ("Half within", milliseconds(half)),
        (
            "A second",
            rate(
                side.runs.iter().map(|run| run.figures.rate).sum::<f64>()
                    / fraction(u64::try_from(side.runs.len()).unwrap_or(1)),
            ),
        ),
    ];
    (side.letter.to_string(), facts)
}
