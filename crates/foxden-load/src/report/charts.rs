//! The charts of one run.

use anyhow::Result;

use super::chart::{self, Chart, Column, Series};
use super::scale::{LatencyScale, Scale, TimeScale};
use super::{load, percentiles};
use crate::display::{bytes, milliseconds, rate, thousands};
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
        let scale = TimeScale::up_to(end(result));
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

/// All charts of a run, those of a row together.
pub fn all(result: &RunResult) -> Result<Vec<Vec<Chart>>> {
    let mut charts = Vec::new();
    if result.cycles.len() > 1 {
        charts.push(vec![load::rates(result)?, load::latencies(result)?]);
    }
    charts.push(vec![rates(result)?, latencies(result)?]);
    charts.push(vec![percentiles::chart(&[
        ("reads".to_owned(), &result.figures.reads.response),
        ("writes".to_owned(), &result.figures.writes.response),
    ])?]);
    if let Some(used) = result.server.as_ref().filter(|used| used.points.len() > 1) {
        charts.push(vec![processor(result, used)?, memory(result, used)?]);
    }
    Ok(charts)
}

/// When the run ended, in seconds after its start.
pub fn end(result: &RunResult) -> f64 {
    let parts = u32::try_from(result.cycles.len().max(1)).unwrap_or(u32::MAX);
    result.settings.warm_up * f64::from(parts) + result.figures.seconds
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
        id: "rates".to_owned(),
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
    let each = if result.cycles.is_empty() {
        ""
    } else {
        " of each cycle"
    };
    match seconds {
        0 => String::new(),
        seconds => format!(" The first {seconds} s{each} are the warm-up and count for nothing."),
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
    let y = LatencyScale::up_to(most);
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
        id: "latencies".to_owned(),
        title: "Time to answer",
        says,
        key: chart::key(names),
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
        let time = TimeScale::up_to(end(result));
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
            id: self.id.to_owned(),
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
