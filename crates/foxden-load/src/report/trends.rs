//! The page of many runs over time.

use std::fmt::Write as _;

use anyhow::Result;
use askama::Template;

use super::chart::{self, Chart, Column, Series};
use super::scale::{LatencyScale, Scale};
use super::sentences::{Notice, Tile, capital, tile};
use super::{Facts, Shell, machine};
use crate::compare::figure::Figure;
use crate::display::{count, day, percent, short_day, thousands};
use crate::number::{fraction, ratio, whole};
use crate::result::RunResult;
use crate::trend::steps::Step;
use crate::trend::{Trend, is_worse};

/// The most dates below a chart.
const DATES: usize = 7;

#[derive(Template)]
#[template(path = "trend.html")]
struct Page {
    shell: Shell,
    title: String,
    when: String,
    heading: String,
    lead: Vec<String>,
    tiles: Vec<Tile>,
    notices: Vec<Notice>,
    sections: Vec<Section>,
    machine: Facts,
}

struct Section {
    id: String,
    name: String,
    notices: Vec<Notice>,
    charts: Vec<Chart>,
}

/// The page.
pub fn page(trends: &[Trend]) -> Result<String> {
    let runs = || trends.iter().flat_map(|trend| &trend.runs);
    let began = || runs().map(|run| run.began);
    let (first, last) = (
        began().min().unwrap_or_default(),
        began().max().unwrap_or_default(),
    );
    let newest = runs().max_by_key(|run| run.began);
    let sections = trends.iter().enumerate();
    let sections: Result<Vec<Section>> = sections.map(|(number, trend)| section(number, trend)).collect();
    let page = Page {
        shell: Shell::new("trend"),
        title: "Trend".to_owned(),
        when: format!("{} to {}", day(first), day(last)),
        heading: heading(trends),
        lead: vec![format!(
            "{} of {}.",
            count(u64::try_from(runs().count()).unwrap_or(u64::MAX), "run"),
            trends.iter().map(Trend::name).collect::<Vec<_>>().join("; ")
        )],
        tiles: trends.iter().flat_map(tiles).collect(),
        notices: Vec::new(),
        sections: sections?,
        machine: newest.map(machine).unwrap_or_default(),
    };
    Ok(page.render()?)
}

fn heading(trends: &[Trend]) -> String {
    let worse = trends
        .iter()
        .flat_map(Trend::sentences)
        .filter(|(is_worse, _)| *is_worse)
        .count();
    let better = trends.iter().flat_map(Trend::sentences).count() - worse;
    let steps = |number: usize| count(u64::try_from(number).unwrap_or(u64::MAX), "step");
    match (worse, better) {
        (0, 0) => "No step: nothing became faster or slower for good".to_owned(),
        (0, better) => format!("{} for the better", steps(better)),
        (worse, 0) => format!("{} for the worse", steps(worse)),
        (worse, better) => format!("{} for the worse, {better} for the better", steps(worse)),
    }
}

/// The newest run of each, compared with the first.
fn tiles(trend: &Trend) -> Vec<Tile> {
    let (Some(first), Some(last)) = (trend.runs.first(), trend.runs.last()) else {
        return Vec::new();
    };
    let of = |figure: Figure| {
        let (before, now) = (figure.value(first, None)?, figure.value(last, None)?);
        let sign = if now < before { '−' } else { '+' };
        let beside = format!("{sign}{} since {}", percent(now / before), day(first.began));
        let name = format!("{}: {}", first.settings.scenario, figure.name());
        Some(tile(&name, &figure.text(now), beside))
    };
    [Figure::Rate, Figure::Half].into_iter().filter_map(of).collect()
}

fn section(number: usize, trend: &Trend) -> Result<Section> {
    let notices = trend.sentences().into_iter().map(|(is_worse, text)| Notice {
        class: if is_worse { "n-bad" } else { "n-ok" },
        title: if is_worse { "Slower" } else { "Faster" }.to_owned(),
        text: format!("{}.", capital(&text)),
    });
    let mut charts = Vec::new();
    for (figure, steps) in &trend.found {
        charts.push(chart(
            &format!("{}-{number}", id(*figure)),
            trend,
            *figure,
            steps,
        )?);
    }
    Ok(Section {
        id: format!("scenario-{number}"),
        name: capital(&trend.name()),
        notices: notices.collect(),
        charts,
    })
}

const fn id(figure: Figure) -> &'static str {
    match figure {
        Figure::Rate => "rate",
        Figure::Half => "half",
        Figure::Most => "most",
        Figure::Nearly => "nearly",
    }
}

/// A figure of all runs, with a line where it steps.
fn chart(id: &str, trend: &Trend, figure: Figure, steps: &[Step]) -> Result<Chart> {
    let runs = &trend.runs;
    let value = |run: &RunResult| figure.value(run, None).unwrap_or_default();
    let most = runs.iter().map(value).fold(0.0, f64::max);
    let (y, unit) = match figure {
        Figure::Rate => (Scale::up_to(most, ""), 1.0),
        Figure::Half | Figure::Most | Figure::Nearly => {
            let y = LatencyScale::up_to(whole(most));
            (y.scale, y.nanoseconds)
        }
    };
    let place = |number: usize| fraction(u64::try_from(number).unwrap_or_default());
    let last = place(runs.len().saturating_sub(1)).max(1.0);
    let points = runs.iter().enumerate();
    let series: Series = points
        .map(|(number, run)| (place(number), value(run) / unit))
        .collect();
    let about = |run: &RunResult| {
        let version = run.settings.server.as_deref().unwrap_or("a version not told");
        format!("{}, {version}: {}", day(run.began), figure.text(value(run)))
    };
    let columns = runs.iter().enumerate().map(|(number, run)| Column {
        at: ratio(place(number), last),
        text: about(run),
    });
    let columns: Vec<Column> = columns.collect();
    let (mut picture, view_box) = chart::picture(&[series], last, &y, &columns)?;
    let (width, height) = chart::LAST;
    for step in steps {
        // Between the run before it and the one after it.
        let at = (place(step.at) - 0.5) / last * f64::from(width);
        let class = if is_worse(figure, step) { "limit" } else { "gain" };
        // Writing to a text does not fail.
        let _ = write!(picture, "<path class=\"{class}\" d=\"M{at:.0} 0V{height}\"/>");
    }
    let says = match steps.len() {
        0 => "No step.".to_owned(),
        some => format!(
            "{}, each where a dotted line is.",
            count(u64::try_from(some).unwrap_or(u64::MAX), "step")
        ),
    };
    let title = match figure {
        Figure::Rate => "Requests a second",
        Figure::Half => "Half within",
        Figure::Most => "90 of 100 within",
        Figure::Nearly => "99 of 100 within",
    };
    let row = |run: &RunResult| {
        vec![
            day(run.began),
            run.settings.server.clone().unwrap_or("not told".to_owned()),
            figure.text(value(run)),
            thousands(run.faults()),
        ]
    };
    Ok(Chart {
        id: id.to_owned(),
        title,
        says,
        key: Vec::new(),
        is_tall: false,
        picture,
        view_box,
        y: y.labels,
        x: dates(runs),
        x_unit: "",
        heads: ["Day", "Version", title, "Faults"].map(str::to_owned).to_vec(),
        rows: runs.iter().map(row).collect(),
    })
}

/// Dates below a chart, evenly spaced: the nearest runs'.
fn dates(runs: &[RunResult]) -> Vec<String> {
    let steps = runs.len().saturating_sub(1);
    // An odd number of labels, since every second one is left out where there is little room.
    let parts = (DATES - 1).min(steps) / 2 * 2;
    if parts == 0 {
        return runs.iter().map(|run| day(run.began)).collect();
    }
    (0..=parts)
        .map(|part| short_day(runs[(part * steps + parts / 2) / parts].began))
        .collect()
}
