//! Charts of cycles: rate and latency against load.

use anyhow::Result;

use super::chart::{self, Chart, Column, Series};
use super::scale::{LatencyScale, Scale};
use crate::display::{milliseconds, rate, thousands};
use crate::number::{fraction, ratio};
use crate::result::{Cycle, RunResult};

/// Requests a second of each cycle.
pub fn rates(result: &RunResult) -> Result<Chart> {
    let most = result.highest().map_or(0.0, |cycle| cycle.rate);
    let value = |cycle: &Cycle| cycle.rate;
    let chart = Against {
        id: "load-rates",
        title: "Requests a second against users",
        says: highest(result),
        key: Vec::new(),
        heads: vec!["Users", "Requests a second", "Faults"],
    };
    let text = |cycle: &Cycle| vec![rate(cycle.rate), thousands(cycle.faults)];
    chart.draw(result, &[&value], &Scale::up_to(most, ""), text)
}

/// What is known of the highest rate.
pub fn highest(result: &RunResult) -> String {
    let (Some(highest), Some(last)) = (result.highest(), result.cycles.last()) else {
        return String::new();
    };
    let found = format!(
        "The highest rate is {} requests a second, with {} users",
        rate(highest.rate),
        thousands(u64::from(highest.users))
    );
    if highest.users == last.users {
        format!("{found}: with more it may rise further.")
    } else {
        format!("{found}. More users only wait longer.")
    }
}

/// Latencies of each cycle.
pub fn latencies(result: &RunResult) -> Result<Chart> {
    let most = result.cycles.iter().map(|cycle| cycle.response.p99).max();
    let y = LatencyScale::up_to(most.unwrap_or_default());
    let half = |cycle: &Cycle| fraction(cycle.response.p50) / y.nanoseconds;
    let usual = |cycle: &Cycle| fraction(cycle.response.p90) / y.nanoseconds;
    let nearly = |cycle: &Cycle| fraction(cycle.response.p99) / y.nanoseconds;
    let chart = Against {
        id: "load-latencies",
        title: "Time to answer against users",
        says: "As long as the server keeps up, the lines are flat.".to_owned(),
        key: chart::key(["half", "90 of 100", "99 of 100"]),
        heads: vec!["Users", "Half", "90 of 100", "99 of 100"],
    };
    let text = |cycle: &Cycle| {
        let response = &cycle.response;
        [response.p50, response.p90, response.p99]
            .map(milliseconds)
            .to_vec()
    };
    chart.draw(result, &[&half, &usual, &nearly], &y.scale, text)
}

/// A chart with the cycles from left to right.
struct Against {
    id: &'static str,
    title: &'static str,
    says: String,
    key: Vec<(String, String)>,
    heads: Vec<&'static str>,
}

impl Against {
    fn draw(
        self,
        result: &RunResult,
        values: &[&dyn Fn(&Cycle) -> f64],
        y: &Scale,
        text: impl Fn(&Cycle) -> Vec<String>,
    ) -> Result<Chart> {
        let cycles = &result.cycles;
        let place = |number: usize| fraction(u64::try_from(number).unwrap_or_default());
        let last = place(cycles.len() - 1);
        let line = |value: &&dyn Fn(&Cycle) -> f64| -> Series {
            let points = cycles.iter().enumerate();
            points
                .map(|(number, cycle)| (place(number), value(cycle)))
                .collect()
        };
        let series: Vec<Series> = values.iter().map(line).collect();
        let users = |cycle: &Cycle| thousands(u64::from(cycle.users));
        let column = |(number, cycle): (usize, &Cycle)| Column {
            at: ratio(place(number), last),
            text: format!("{} users: {}", users(cycle), text(cycle).join(", ")),
        };
        let columns: Vec<Column> = cycles.iter().enumerate().map(column).collect();
        let (picture, view_box) = chart::picture(&series, last, y, &columns)?;
        let row = |cycle: &Cycle| {
            let mut row = vec![users(cycle)];
            row.extend(text(cycle));
            row
        };
        Ok(Chart {
            id: self.id.to_owned(),
            title: self.title,
            says: self.says,
            key: self.key,
            is_tall: false,
            picture,
            view_box,
            y: y.labels.clone(),
            x: cycles.iter().map(users).collect(),
            x_unit: "users",
            heads: self.heads.into_iter().map(str::to_owned).collect(),
            rows: cycles.iter().map(row).collect(),
        })
    }
}
