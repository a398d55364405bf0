//! Figures of several parts as one.

use crate::measure::latency::LatencySummary;
use crate::number::{fraction, ratio};
use crate::result::{ByName, FaultCount, Figures, Pair, Point};

impl Figures {
    /// All parts as one that took so many seconds. What is over time is left out.
    pub fn merged(parts: &[Self], seconds: f64) -> Self {
        let requests: u64 = parts.iter().map(|part| part.requests).sum();
        Self {
            seconds,
            requests,
            rate: ratio(fraction(requests), seconds),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            all: pair(parts.iter().map(|part| &part.all)),
            reads: pair(parts.iter().map(|part| &part.reads)),
            writes: pair(parts.iter().map(|part| &part.writes)),
            by_request: by_name(parts, |part| &part.by_request, seconds),
            by_operation: by_name(parts, |part| &part.by_operation, seconds),
            timeline: Vec::new(),
            faults: faults(parts),
            examples: parts
                .iter()
                .flat_map(|part| part.examples.iter().cloned())
                .collect(),
            dropped: parts.iter().map(|part| part.dropped).sum(),
        }
    }

    /// Parts that were measured one after the other, each of which began so many seconds after the start.
    pub fn in_turn(parts: &[(f64, Self)]) -> Self {
        let timeline = parts.iter().flat_map(|(begin, part)| {
            part.timeline.iter().map(move |point| Point {
                at: begin + point.at,
                ..point.clone()
            })
        });
        let timeline = timeline.collect();
        let figures: Vec<Self> = parts.iter().map(|(_, part)| part.clone()).collect();
        let seconds = figures.iter().map(|part| part.seconds).sum();
        Self {
            timeline,
            ..Self::merged(&figures, seconds)
        }
    }
}

/// Figures with the latencies of each part of their timeline.
pub type WithTimeline = (Figures, Vec<LatencySummary>);

impl Figures {
    /// Parts that were measured at once.
    pub fn at_once(parts: &[WithTimeline]) -> Self {
        let figures: Vec<Self> = parts.iter().map(|(part, _)| part.clone()).collect();
        let seconds = figures.iter().map(|part| part.seconds).fold(0.0, f64::max);
        let most = parts.iter().map(|(_, timeline)| timeline.len()).max();
        let point = |number: usize| {
            let points = figures.iter().filter_map(|part| part.timeline.get(number));
            let latencies = parts.iter().filter_map(|(_, timeline)| timeline.get(number));
            let latencies = LatencySummary::merged(latencies);
            let first = points.clone().next()?;
            Some(Point {
                at: first.at,
                rate: points.clone().map(|point| point.rate).sum(),
                bytes: points.clone().map(|point| point.bytes).sum(),
                p50: latencies.p50,
                p90: latencies.p90,
                p99: latencies.p99,
                most: latencies.most,
                faults: points.map(|point| point.faults).sum(),
                is_warm_up: first.is_warm_up,
            })
        };
        Self {
            timeline: (0..most.unwrap_or_default()).filter_map(point).collect(),
            ..Self::merged(&figures, seconds)
        }
    }
}

fn pair<'a>(parts: impl Iterator<Item = &'a Pair> + Clone) -> Pair {
    Pair {
        service: LatencySummary::merged(parts.clone().map(|part| &part.service)),
        response: LatencySummary::merged(parts.map(|part| &part.response)),
    }
}

/// The rows of all parts, in the order in which their names come up.
fn by_name(parts: &[Figures], rows: fn(&Figures) -> &Vec<ByName>, seconds: f64) -> Vec<ByName> {
    let mut names: Vec<&String> = Vec::new();
    for row in parts.iter().flat_map(rows) {
        if !names.contains(&&row.name) {
            names.push(&row.name);
        }
    }
    let merged = |name: &String| {
        let rows = parts.iter().flat_map(rows).filter(|row| row.name == *name);
        let latency = pair(rows.map(|row| &row.latency));
        ByName {
            name: name.clone(),
            rate: ratio(fraction(latency.service.count), seconds),
            latency,
        }
    };
    names.into_iter().map(merged).collect()
}

fn faults(parts: &[Figures]) -> Vec<FaultCount> {
    let mut faults = std::collections::BTreeMap::new();
    for fault in parts.iter().flat_map(|part| &part.faults) {
        *faults.entry(fault.kind).or_default() += fault.count;
    }
    let count = |(kind, count)| FaultCount { kind, count };
    faults.into_iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fault::FaultKind;
    use crate::measure::latency::Latencies;

    fn part(milliseconds: std::ops::RangeInclusive<u64>, faults: u64) -> Figures {
        let mut latencies = Latencies::new();
        for latency in milliseconds {
            latencies.record(Duration::from_millis(latency));
        }
        let summary = latencies.summary();
        let all = Pair {
            service: summary.clone(),
            response: summary.clone(),
        };
        Figures {
            seconds: 10.0,
            requests: summary.count,
            by_operation: vec![ByName {
                name: "look".to_owned(),
                rate: 1.0,
                latency: all.clone(),
            }],
            faults: vec![FaultCount {
                kind: FaultKind::Status,
                count: faults,
            }],
            timeline: vec![Point {
                at: 3.0,
                rate: 7.0,
                bytes: 0.0,
                p50: 1,
                p90: 1,
                p99: 1,
                most: 1,
                faults: 0,
                is_warm_up: false,
            }],
            all,
            ..Figures::default()
        }
    }

    #[test]
    fn parts_in_turn_are_as_one_that_took_longer() {
        let merged = Figures::in_turn(&[(0.0, part(1..=100, 1)), (12.0, part(101..=300, 2))]);
        assert_eq!(merged.requests, 300);
        assert!((merged.rate - 15.0).abs() < 1e-9 && (merged.by_operation[0].rate - 15.0).abs() < 1e-9);
        assert_eq!(merged.by_operation.len(), 1);
        assert_eq!(merged.all.service.most, 300_000_000);
        assert_eq!(merged.faults[0].count, 3);
        let times: Vec<f64> = merged.timeline.iter().map(|point| point.at).collect();
        assert!((times[1] - 15.0).abs() < 1e-9 && times.len() == 2, "{times:?}");
    }
    #[test]
    fn parts_at_once_add_up() {
        let timeline = |part: &Figures| vec![part.all.response.clone()];
        let (one, other) = (part(1..=100, 0), part(101..=200, 0));
        let merged = Figures::at_once(&[(one.clone(), timeline(&one)), (other.clone(), timeline(&other))]);
        assert!((merged.rate - 20.0).abs() < 1e-9 && (merged.seconds - 10.0).abs() < 1e-9);
        assert_eq!(merged.timeline.len(), 1);
        assert!((merged.timeline[0].rate - 14.0).abs() < 1e-9);
        assert_eq!(merged.timeline[0].most, 200_000_000);
    }
}
