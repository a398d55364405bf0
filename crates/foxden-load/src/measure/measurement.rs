//! A whole run, second by second.

use std::collections::BTreeMap;
use std::time::Duration;

use super::latency::{Latencies, LatencySummary};
use super::recorder::Samples;
use crate::fault::{Fault, FaultKind};
use crate::number::{fraction, ratio};
use crate::protocol::RequestKind;
use crate::result::{ByName, FaultCount, Figures, Pair, Point};

/// The most points of a timeline.
const MOST_POINTS: u64 = 600;

/// Latencies in both senses.
#[derive(Clone, Debug)]
struct Both {
    /// From sending to the end of the answer.
    service: Latencies,
    /// From when it was planned.
    response: Latencies,
}

impl Both {
    fn new() -> Self {
        Self {
            service: Latencies::new(),
            response: Latencies::new(),
        }
    }

    fn record(&mut self, took: Duration, late: Duration) {
        self.service.record(took);
        self.response.record(took + late);
    }

    fn pair(&self, is_unpaced: bool) -> Pair {
        let response = if is_unpaced {
            self.service.corrected().summary()
        } else {
            self.response.summary()
        };
        Pair {
            service: self.service.summary(),
            response,
        }
    }
}

/// A part of the timeline.
#[derive(Debug)]
struct Interval {
    response: Latencies,
    bytes: u64,
    faults: u64,
}

/// What was measured.
#[derive(Debug)]
pub struct Measurement {
    warm_up: Duration,
    length: Duration,
    interval: Duration,
    is_unpaced: bool,
    all: Both,
    reads: Both,
    writes: Both,
    requests: BTreeMap<RequestKind, Both>,
    operations: Vec<(String, Both)>,
    timeline: Vec<Interval>,
    faults: BTreeMap<FaultKind, u64>,
    examples: Vec<Fault>,
    bytes: u64,
    dropped: u64,
}

impl Measurement {
    /// For a run of this length after its warm-up. Without a plan for each user latencies are corrected in another way.
    pub fn new(warm_up: Duration, length: Duration, operations: &[String], is_unpaced: bool) -> Self {
        let seconds = (warm_up + length).as_secs().div_ceil(MOST_POINTS).max(1);
        Self {
            warm_up,
            length,
            interval: Duration::from_secs(seconds),
            is_unpaced,
            all: Both::new(),
            reads: Both::new(),
            writes: Both::new(),
            requests: BTreeMap::new(),
            operations: operations
                .iter()
                .map(|name| (name.clone(), Both::new()))
                .collect(),
            timeline: Vec::new(),
            faults: BTreeMap::new(),
            examples: Vec::new(),
            bytes: 0,
            dropped: 0,
        }
    }

    /// Takes what came together, up to this time after the start.
    pub fn add(&mut self, taken: Samples, until: Duration) {
        for sample in taken.requests {
            let at = self.interval(sample.at);
            at.response.record(sample.took + sample.late);
            at.bytes += sample.bytes;
            if !self.is_measured(sample.at) {
                continue;
            }
            self.bytes += sample.bytes;
            self.all.record(sample.took, sample.late);
            let group = if sample.kind.is_read() {
                &mut self.reads
            } else {
                &mut self.writes
            };
            group.record(sample.took, sample.late);
            let kind = self.requests.entry(sample.kind).or_insert_with(Both::new);
            kind.record(sample.took, sample.late);
        }
        for sample in taken.operations {
            if self.is_measured(sample.at)
                && let Some((_, operation)) = self.operations.get_mut(sample.operation)
            {
                operation.record(sample.took, sample.late);
            }
        }
        let faults: u64 = taken.faults.values().sum();
        if faults > 0 {
            self.interval(until).faults += faults;
        }
        for (kind, count) in taken.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.examples.extend(taken.examples);
        self.dropped += taken.dropped;
    }

    fn is_measured(&self, at: Duration) -> bool {
        at >= self.warm_up && at < self.warm_up + self.length
    }

    /// The part of the timeline at this time. What comes after the end belongs to the last.
    fn interval(&mut self, at: Duration) -> &mut Interval {
        let last = (self.warm_up + self.length)
            .as_millis()
            .div_ceil(self.interval.as_millis());
        let last = u64::try_from(last).unwrap_or(u64::MAX);
        let number = (at.as_secs() / self.interval.as_secs()).min(last.saturating_sub(1));
        let number = usize::try_from(number).unwrap_or_default();
        while self.timeline.len() <= number {
            self.timeline.push(Interval {
                response: Latencies::coarse(),
                bytes: 0,
                faults: 0,
            });
        }
        &mut self.timeline[number]
    }

    /// The last whole part of the timeline before this time, for a view.
    pub fn latest(&self, at: Duration) -> Option<Point> {
        let number = (at.as_secs() / self.interval.as_secs()).checked_sub(1)?;
        let number = usize::try_from(number).ok()?;
        let interval = self.timeline.get(number)?;
        Some(self.point(number, interval, at))
    }

    fn point(&self, number: usize, interval: &Interval, end: Duration) -> Point {
        let length = self.interval.as_secs_f64();
        let at = fraction(u64::try_from(number).unwrap_or_default()) * length;
        // The last part may be a short one.
        let length = length.min((end.as_secs_f64() - at).max(0.001));
        let latencies = &interval.response;
        Point {
            at,
            rate: ratio(fraction(latencies.count()), length),
            bytes: ratio(fraction(interval.bytes), length),
            p50: latencies.quantile(0.5),
            p90: latencies.quantile(0.9),
            p99: latencies.quantile(0.99),
            most: latencies.most(),
            faults: interval.faults,
            is_warm_up: at < self.warm_up.as_secs_f64(),
        }
    }

    /// The latencies of each part of the timeline.
    pub fn timeline(&self) -> Vec<LatencySummary> {
        self.timeline
            .iter()
            .map(|interval| interval.response.summary())
            .collect()
    }

    /// All faults until now.
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// All requests until now that are measured.
    pub fn requests(&self) -> u64 {
        self.all.service.count()
    }

    /// The figures of the run, which ended so long after its start.
    pub fn figures(&self, ended: Duration) -> Figures {
        let end = ended.min(self.warm_up + self.length);
        let measured = end.saturating_sub(self.warm_up).as_secs_f64();
        let by_name = |name: &str, both: &Both| ByName {
            name: name.to_owned(),
            rate: ratio(fraction(both.service.count()), measured),
            latency: both.pair(self.is_unpaced),
        };
        Figures {
            seconds: measured,
            requests: self.all.service.count(),
            rate: ratio(fraction(self.all.service.count()), measured),
            bytes: self.bytes,
            all: self.all.pair(self.is_unpaced),
            reads: self.reads.pair(self.is_unpaced),
            writes: self.writes.pair(self.is_unpaced),
            by_request: self
                .requests
                .iter()
                .map(|(kind, both)| by_name(kind.name(), both))
                .collect(),
            by_operation: self
                .operations
                .iter()
                .map(|(name, both)| by_name(name, both))
                .collect(),
            timeline: self
                .timeline
                .iter()
                .enumerate()
                .map(|(number, interval)| self.point(number, interval, end))
                .collect(),
            faults: self
                .faults
                .iter()
                .map(|(kind, count)| FaultCount {
                    kind: *kind,
                    count: *count,
                })
                .collect(),
            examples: self.examples.clone(),
            dropped: self.dropped,
        }
    }
}
