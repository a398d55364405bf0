//! The charts of one run.

use anyhow::Result;

use super::chart::{self, Chart, Column, Series};
use super::scale::{Scale, TimeScale};
use crate::display::{bytes, milliseconds, rate, thousands};
use crate::measure::latency::LatencySummary;
use crate::number::{fraction, ratio, whole};
use crate::result::{Point, RunResult, ServerUse, UsePoint};

/// The most rows of a table beside a chart.
const MOST_ROWS: usize = 20;

/// What is drawn along the time of the run.
struct OverTime<'a> {
    points: &'a [Point],
    scale: TimeScale,
}

impl<'a> OverTime<'a> {
    fn of(result: &'a RunResult) -> Self {
        let points = &result.figures.timeline[..];
        let end = result.settings.warm_up + result.figures.seconds;
        let scale = TimeScale::up_to(end);
        Self { points, scale }
    }

    /// The middle of a part, where its value is drawn.
    fn at(&self, number: usize) -> f64 {
        let next = self
            .points
            .get(number + 1)
            .map_or(self.scale.most, |point| point.at);
        let before = self
            .points
            .get(1)
            .map_or(1.0, |point| point.at - self.points[0].at);
        let at = self.points[number].at;
        at + (next - at).min(before) / 2.0
    }

    fn series(&self, value: impl Fn(&Point) -> f64) -> Series {
        let points = self.points.iter().enumerate();
        points
            .map(|(number, point)| (self.at(number), value(point)))
            .collect()
    }

    fn columns(&self, text: impl Fn(&Point) -> String) -> Vec<Column> {
        let points = self.points.iter().enumerate();
        let column = |(number, point): (usize, &Point)| Column {
            at: ratio(self.at(number), self.scale.most),
            text: format!("second {}: {}", whole(point.at), text(point)),
        };
        points.map(column).collect()
    }

    fn rows(&self, cells: impl Fn(&Point) -> Vec<String>) -> Vec<Vec<String>> {
        let every = self.points.len().div_ceil(MOST_ROWS).max(1);
        let row = |point: &Point| {
            let mut row = vec![thousands(whole(point.at))];
            row.extend(cells(point));
            row
        };
        self.points.iter().step_by(every).map(row).collect()
    }
}

/// All charts of a run.
pub fn all(result: &RunResult) -> Result<Vec<Chart>> {
    let mut charts = vec![rates(result)?, latencies(result)?, percentiles(result)?];
    if let Some(used) = result.server.as_ref().filter(|used| used.points.len() > 1) {
        charts.push(processor(result, used)?);
        charts.push(memory(result, used)?);
    }
    Ok(charts)
}

/// Requests a second, over time.
fn rates(result: &RunResult) -> Result<Chart> {
    let over = OverTime::of(result);
    let measured: Vec<&Point> = over.points.iter().filter(|point| !point.is_warm_up).collect();
    let most = over.points.iter().map(|point| point.rate).fold(0.0, f64::max);
    let y = Scale::up_to(most, "");
    let series = [over.series(|point| point.rate)];
    let columns = over.columns(|point| format!("{} requests", rate(point.rate)));
    let (picture, view_box) = chart::picture(&series, over.scale.most, &y, &columns)?;
    let slowest = measured
        .iter()
        .map(|point| point.rate)
        .fold(f64::INFINITY, f64::min);
    let fastest = measured.iter().map(|point| point.rate).fold(0.0, f64::max);
    let says = if measured.is_empty() {
        "Nothing was measured.".to_owned()
    } else {
        format!(
            "{} on average; {} in the slowest part, {} in the fastest.{}",
            rate(result.figures.rate),
            rate(slowest),
            rate(fastest),
            warm_up(result)
        )
    };
    Ok(Chart {
        id: "rates",
        title: "Requests a second",
        says,
        key: Vec::new(),
        is_tall: false,
        picture,
        view_box,
        y: y.labels,
        x: over.scale.labels.clone(),
        x_unit: over.scale.unit,
        heads: ["Second", "Requests a second", "Bytes a second", "Faults"]
            .map(str::to_owned)
            .to_vec(),
        rows: over.rows(|point| {
            vec![
                rate(point.rate),
                bytes(whole(point.bytes)),
                thousands(point.faults),
            ]
        }),
    })
}

fn warm_up(result: &RunResult) -> String {
    let seconds = whole(result.settings.warm_up);
    match seconds {
        0 => String::new(),
        seconds => format!(" The first {seconds} s are the warm-up and count for nothing."),
    }
}

/// Latencies over time.
fn latencies(result: &RunResult) -> Result<Chart> {
    let over = OverTime::of(result);
    let most = over
        .points
        .iter()
        .map(|point| point.most)
        .max()
        .unwrap_or_default();
    let y = latency_scale(most);
    let names = ["half", "90 of 100", "99 of 100", "slowest"];
    let values: [fn(&Point) -> u64; 4] = [
        |point| point.p50,
        |point| point.p90,
        |point| point.p99,
        |point| point.most,
    ];
    let series = values.map(|value| over.series(|point| fraction(value(point)) / y.nanoseconds));
    let text = |point: &Point| {
        let [half, most, nearly, all] = values.map(|value| milliseconds(value(point)));
        format!("half within {half}, 90 of 100 within {most}, 99 within {nearly}, slowest {all}")
    };
    let (picture, view_box) = chart::picture(&series, over.scale.most, &y.scale, &over.columns(text))?;
    let worst = over
        .points
        .iter()
        .filter(|point| !point.is_warm_up)
        .max_by_key(|point| point.most);
    let says = worst.map_or("Nothing was measured.".to_owned(), |worst| {
        format!(
            "The slowest answer took {}, at second {}; usually half are there within {}.",
            milliseconds(worst.most),
            whole(worst.at),
            milliseconds(result.figures.all.response.p50)
        )
    });
    Ok(Chart {
        id: "latencies",
        title: "Time to answer",
        says,
        key: key(&names),
        is_tall: false,
        picture,
        view_box,
        y: y.scale.labels,
        x: over.scale.labels.clone(),
        x_unit: over.scale.unit,
        heads: ["Second", "Half", "90 of 100", "99 of 100", "Slowest"]
            .map(str::to_owned)
            .to_vec(),
        rows: over.rows(|point| values.map(|value| milliseconds(value(point))).to_vec()),
    })
}

fn key(names: &[&str]) -> Vec<(String, String)> {
    let names = names.iter().enumerate();
    names
        .map(|(number, name)| ((*name).to_owned(), chart::class(number)))
        .collect()
}

/// An axis of latencies, with the nanoseconds that one of its units has.
struct LatencyScale {
    scale: Scale,
    nanoseconds: f64,
}

fn latency_scale(most: u64) -> LatencyScale {
    let most = fraction(most);
    let (nanoseconds, unit) = if most >= 10e9 { (1e9, "s") } else { (1e6, "ms") };
    LatencyScale {
        scale: Scale::up_to(most / nanoseconds, unit),
        nanoseconds,
    }
}

/// The processor time of the server, over time.
fn processor(result: &RunResult, used: &ServerUse) -> Result<Chart> {
    let most = used.points.iter().map(|point| point.cores).fold(0.0, f64::max);
    let says = format!(
        "On average {:.2} cores were busy, which is {} µs for each request.",
        used.cores,
        thousands(whole(used.seconds_a_request * 1e6))
    );
    let cell = |point: &UsePoint| format!("{:.2}", point.cores);
    let chart = UseChart {
        id: "processor",
        title: "Cores that the server keeps busy",
        head: "Cores",
        says,
    };
    chart.draw(result, used, &Scale::up_to(most, ""), |point| point.cores, cell)
}

/// The memory of the server, over time.
fn memory(result: &RunResult, used: &ServerUse) -> Result<Chart> {
    let megabytes = |bytes: u64| fraction(bytes) / 1e6;
    let says = format!(
        "From {} at the start to {} at most.",
        bytes(used.memory_before),
        bytes(used.memory)
    );
    let chart = UseChart {
        id: "memory",
        title: "Memory of the server",
        head: "Memory",
        says,
    };
    let scale = Scale::up_to(megabytes(used.memory), "MB");
    chart.draw(
        result,
        used,
        &scale,
        |point| megabytes(point.memory),
        |point| bytes(point.memory),
    )
}

/// A chart of what the server's process uses.
struct UseChart {
    id: &'static str,
    title: &'static str,
    head: &'static str,
    says: String,
}

impl UseChart {
    fn draw(
        self,
        result: &RunResult,
        used: &ServerUse,
        scale: &Scale,
        value: impl Fn(&UsePoint) -> f64,
        cell: impl Fn(&UsePoint) -> String,
    ) -> Result<Chart> {
        let time = TimeScale::up_to(result.settings.warm_up + result.figures.seconds);
        let series = [used
            .points
            .iter()
            .map(|point| (point.at, value(point)))
            .collect::<Series>()];
        let column = |point: &UsePoint| Column {
            at: ratio(point.at, time.most),
            text: format!("second {}: {}", whole(point.at), cell(point)),
        };
        let columns: Vec<Column> = used.points.iter().map(column).collect();
        let (picture, view_box) = chart::picture(&series, time.most, scale, &columns)?;
        let every = used.points.len().div_ceil(MOST_ROWS).max(1);
        let row = |point: &UsePoint| vec![thousands(whole(point.at)), cell(point)];
        Ok(Chart {
            id: self.id,
            title: self.title,
            says: self.says,
            key: Vec::new(),
            is_tall: false,
            picture,
            view_box,
            y: scale.labels.clone(),
            x: time.labels,
            x_unit: time.unit,
            heads: vec!["Second".to_owned(), self.head.to_owned()],
            rows: used.points.iter().step_by(every).map(row).collect(),
        })
    }
}

/// Steps of a percentile curve for each ten times rarer.
const FINE: u32 = 20;

/// How slow the slow part is: reads and writes, each step to the right ten times rarer.
fn percentiles(result: &RunResult) -> Result<Chart> {
    let groups = [
        ("reads", &result.figures.reads),
        ("writes", &result.figures.writes),
    ];
    let groups: Vec<(&str, &LatencySummary)> = groups
        .into_iter()
        .map(|(name, pair)| (name, &pair.response))
        .filter(|(_, latencies)| latencies.count > 0)
        .collect();
    let depth = groups
        .iter()
        .map(|(_, latencies)| depth(latencies.count))
        .max()
        .unwrap_or(1);
    let most = groups
        .iter()
        .map(|(_, latencies)| latencies.quantile(share(f64::from(depth))))
        .max()
        .unwrap_or_default();
    let y = latency_scale(most);
    let line = |(_, latencies): &(&str, &LatencySummary)| {
        let until = self::depth(latencies.count) * FINE;
        let point = |step: u32| {
            let at = f64::from(step) / f64::from(FINE);
            (at, fraction(latencies.quantile(share(at))) / y.nanoseconds)
        };
        (0..=until).map(point).collect()
    };
    let series: Vec<Series> = groups.iter().map(line).collect();
    let (picture, view_box) = chart::picture(&series, f64::from(depth), &y.scale, &[])?;
    let says: Vec<String> = groups
        .iter()
        .map(|(name, latencies)| rare(name, latencies))
        .collect();
    let shares = ["half", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"];
    let names: Vec<&str> = groups.iter().map(|(name, _)| *name).collect();
    let mut heads = vec!["Share".to_owned()];
    heads.extend(names.iter().map(|name| (*name).to_owned()));
    let shown = usize::try_from(depth).unwrap_or_default();
    let row = |(number, name): (usize, &&str)| {
        let share = if number == 0 {
            0.5
        } else {
            share(fraction(u64::try_from(number).unwrap_or_default()))
        };
        let mut row = vec![name.replace(' ', "\u{a0}")];
        row.extend(
            groups
                .iter()
                .map(|(_, latencies)| milliseconds(latencies.quantile(share))),
        );
        row
    };
    Ok(Chart {
        id: "percentiles",
        title: "How slow is the slow part?",
        says: format!("Each step to the right is ten times rarer. {}", says.join(" ")),
        key: key(&names),
        is_tall: true,
        picture,
        view_box,
        y: y.scale.labels,
        x: [
            "all",
            "90\u{a0}%",
            "99\u{a0}%",
            "99.9\u{a0}%",
            "99.99\u{a0}%",
            "99.999\u{a0}%",
        ][..=shown.min(5)]
            .iter()
            .map(|label| (*label).to_owned())
            .collect(),
        x_unit: "",
        heads,
        rows: shares.iter().take(shown + 1).enumerate().map(row).collect(),
    })
}

/// What is known of the rare ones.
fn rare(name: &str, latencies: &LatencySummary) -> String {
    let (nearly, most) = (milliseconds(latencies.p99), milliseconds(latencies.p999));
    match latencies.count {
        few if few < 100 => format!("There are only {few} {name}."),
        some if some < 1000 => format!("Of the {name} 1 in 100 takes longer than {nearly}."),
        _ => format!("Of the {name} 1 in 100 takes longer than {nearly}, 1 in 1,000 longer than {most}."),
    }
}

/// How rare the rarest is that so many values can show: one in 10, 100, and so on.
fn depth(count: u64) -> u32 {
    count.checked_ilog10().unwrap_or_default().clamp(1, 5)
}

/// The share of all that is left of this place on the axis.
fn share(at: f64) -> f64 {
    1.0 - 10_f64.powf(-at)
}
