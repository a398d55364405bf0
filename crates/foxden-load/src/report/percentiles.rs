//! The curve of percentiles: how slow the slow part is.

use anyhow::Result;

use super::chart::{self, Chart, Series};
use super::scale::LatencyScale;
use crate::display::milliseconds;
use crate::measure::latency::LatencySummary;
use crate::number::fraction;

/// Steps of a percentile curve for each ten times rarer.
const FINE: u32 = 20;

/// How slow the slow part of each group is, each step to the right ten times rarer.
pub fn chart(groups: &[(String, &LatencySummary)]) -> Result<Chart> {
    let groups: Vec<&(String, &LatencySummary)> = groups
        .iter()
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
    let y = LatencyScale::up_to(most);
    let line = |(_, latencies): &&(String, &LatencySummary)| {
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
    let names = || groups.iter().map(|(name, _)| name.clone());
    let mut heads = vec!["Share".to_owned()];
    heads.extend(names());
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
        id: "percentiles".to_owned(),
        title: "How slow is the slow part?",
        says: format!("Each step to the right is ten times rarer. {}", says.join(" ")),
        key: chart::key(names()),
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
