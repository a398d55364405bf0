//! The page of many runs over time.

use std::fmt::Write as _;

use anyhow::Result;
use askama::Template;

use super::chart::{self, Chart, Column, Series};
use super::scale::{LatencyScale, Scale};
use super::sentences::{Notice, Tile, capital, tile};
use super::{Facts, Shell, machine};
use crate::compare::figure::Figure;
use crate::display::{count, day, hour, percent, short_day, thousands};
use crate::number::{fraction, ratio, whole};
use crate::result::RunResult;
use crate::trend::steps::{FEWEST_RUNS, Step};
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
        when: when(first, last),
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

/// The days, or the times of one day.
fn when(first: i64, last: i64) -> String {
    let (begin, end) = (day(first), day(last));
    if begin != end {
        format!("{begin} to {end}")
    } else if hour(first) == hour(last) {
        format!("{begin}, {} UTC", hour(first))
    } else {
        format!("{begin}, {} to {} UTC", hour(first), hour(last))
    }
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
        (0, 0) if trends.iter().all(Trend::is_short) => {
            format!("Too few runs to say: a step shows in {FEWEST_RUNS} at the earliest")
        }
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
        let beside = if trend.runs.len() == 1 {
            "the first run".to_owned()
        } else {
            let sign = if now < before { '−' } else { '+' };
            format!(
                "{sign}{} since {}",
                percent(now / before),
                time(trend, first.began)
            )
        };
        let name = format!("{}: {}", first.settings.scenario, figure.name());
        Some(tile(&name, &figure.text(now), beside))
    };
    [Figure::Rate, Figure::Half].into_iter().filter_map(of).collect()
}

/// The day of a run, or its time where all were on one day.
fn time(trend: &Trend, began: i64) -> String {
    if is_one_day(&trend.runs) {
        hour(began)
    } else {
        day(began)
    }
}

fn is_one_day(runs: &[RunResult]) -> bool {
    let ends = runs.first().zip(runs.last());
    ends.is_none_or(|(first, last)| day(first.began) == day(last.began))
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
    let mut series: Series = points
        .map(|(number, run)| (place(number), value(run) / unit))
        .collect();
    if let [(at, only)] = series[..] {
        // A line of one point is not seen.
        series.push((at + 0.01, only));
    }
    let about = |run: &RunResult| {
        let version = run.settings.server.as_deref().unwrap_or("a version not told");
        format!(
            "{}, {version}: {}",
            time(trend, run.began),
            figure.text(value(run))
        )
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
        0 if trend.is_short() => "Too few runs to say.".to_owned(),
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
            time(trend, run.began),
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
        heads: [
            if is_one_day(runs) { "Time (UTC)" } else { "Day" },
            "Version",
            title,
            "Faults",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: runs.iter().map(row).collect(),
    })
}

/// Dates below a chart, or times where all runs were on one day. They are evenly spaced: the nearest runs'.
fn dates(runs: &[RunResult]) -> Vec<String> {
    let steps = runs.len().saturating_sub(1);
    // An odd number of labels, since every second one is left out where there is little room.
    let parts = (DATES - 1).min(steps) / 2 * 2;
    let is_one_day = is_one_day(runs);
    if parts == 0 {
        let time = if is_one_day { hour } else { day };
        return runs.iter().map(|run| time(run.began)).collect();
    }
    let time = if is_one_day { hour } else { short_day };
    (0..=parts)
        .map(|part| time(runs[(part * steps + parts / 2) / parts].began))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::latency::LatencySummary;
    use crate::result::{Figures, Machine, Pair, Settings};

    /// Runs at these times, each with 100 requests a second.
    fn trend(times: &[i64]) -> Trend {
        let run = |began: &i64| {
            let response = LatencySummary {
                count: 1000,
                p50: 1_000_000,
                p90: 2_000_000,
                p99: 3_000_000,
                p999: 4_000_000,
                most: 5_000_000,
                ..LatencySummary::default()
            };
            let figures = Figures {
                seconds: 10.0,
                requests: 1000,
                rate: 100.0,
                all: Pair {
                    service: response.clone(),
                    response,
                },
                ..Figures::default()
            };
            RunResult::new(*began, Settings::example(), Machine::default(), figures)
        };
        Trend::of(times.iter().map(run).collect())
    }

    #[test]
    fn one_run_says_nothing_of_steps() {
        let trends = [trend(&[1_780_000_000])];
        let page = page(&trends).unwrap();
        assert!(
            page.contains("Too few runs to say") && page.contains("the first run"),
            "{page}"
        );
        assert!(!page.contains("No step") && !page.contains("since"), "{page}");
        let text = crate::trend::text(&trends);
        assert!(text.contains("1 run, too few to say"), "{text}");
    }

    #[test]
    fn runs_of_one_day_have_their_times() {
        // 28 May 2026, 20:26 UTC.
        let began = 1_780_000_000;
        let times: Vec<i64> = (0..3).map(|run| began + run * 600).collect();
        let runs = trend(&times).runs;
        assert_eq!(dates(&runs), ["20:26", "20:36", "20:46"]);
        assert_eq!(dates(&runs[..2]), ["20:26", "20:36"]);
        assert_eq!(when(times[0], times[2]), "28 May 2026, 20:26 to 20:46 UTC");
        let times: Vec<i64> = (0..12).map(|run| began + run * 86_400).collect();
        let trends = [trend(&times)];
        assert_eq!(
            dates(&trends[0].runs[..3]),
            ["28\u{a0}May", "29\u{a0}May", "30\u{a0}May"]
        );
        let page = page(&trends).unwrap();
        assert!(
            page.contains("No step: nothing became") && page.contains("since 28 May 2026"),
            "{page}"
        );
    }
}
