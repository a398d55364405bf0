//! Histograms of latencies, with exact extremes.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::number::whole;

/// The finest difference between two latencies, in nanoseconds.
const LEAST: u64 = 100;
/// The greatest latency, in nanoseconds: longer than any request may take.
const MOST: u64 = 3_600_000_000_000;
/// The digits that are exact.
const DIGITS: u8 = 3;

/// Many latencies.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
    // The histogram's own are the edges of its buckets.
    least: u64,
    most: u64,
}

/// Latencies as they are written down. All times are nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// How many there are.
    pub count: u64,
    /// The least, exactly.
    pub least: u64,
    /// The mean.
    pub mean: u64,
    /// Half of all are not above it.
    pub p50: u64,
    /// 90 of 100 are not above it.
    pub p90: u64,
    /// 99 of 100 are not above it.
    pub p99: u64,
    /// 999 of 1,000 are not above it.
    pub p999: u64,
    /// 9,999 of 10,000 are not above it.
    pub p9999: u64,
    /// The most, exactly.
    pub most: u64,
    /// The histogram: values, each with its count.
    pub buckets: Vec<(u64, u64)>,
}

impl Latencies {
    /// None yet.
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(LEAST, MOST, DIGITS);
        Self {
            histogram: histogram.expect("the bounds are constants that fit"),
            least: u64::MAX,
            most: 0,
        }
    }

    /// None yet, and with two exact digits: a twentieth of the memory.
    pub fn coarse() -> Self {
        let histogram = Histogram::new_with_bounds(LEAST * 100, MOST, 2);
        Self {
            histogram: histogram.expect("the bounds are constants that fit"),
            least: u64::MAX,
            most: 0,
        }
    }

    /// One more.
    pub fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(MOST);
        self.histogram.saturating_record(nanoseconds);
        self.least = self.least.min(nanoseconds);
        self.most = self.most.max(nanoseconds);
    }

    /// All those of a summary. Each falls into the bucket from which it came.
    pub fn add(&mut self, summary: &LatencySummary) {
        for (value, count) in &summary.buckets {
            self.histogram.saturating_record_n(*value, *count);
        }
        if summary.count > 0 {
            self.least = self.least.min(summary.least);
            self.most = self.most.max(summary.most);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency that this share of all does not exceed, in nanoseconds.
    pub fn quantile(&self, share: f64) -> u64 {
        if self.count() == 0 {
            return 0;
        }
        // A bucket has an upper edge, which may lie beyond everything that was recorded.
        self.histogram
            .value_at_quantile(share)
            .clamp(self.least, self.most)
    }

    /// The most, exactly, in nanoseconds.
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// The same with those that were not sent because their user waited: for users without a plan. An answer that took
    /// several times as long as usual stands for several requests that would have been sent meanwhile.
    pub fn corrected(&self) -> Self {
        let usual = self.quantile(0.5);
        if usual == 0 {
            return self.clone();
        }
        Self {
            histogram: self.histogram.clone_correct(usual),
            least: self.least,
            most: self.most,
        }
    }

    /// As it is written down.
    pub fn summary(&self) -> LatencySummary {
        if self.count() == 0 {
            return LatencySummary::default();
        }
        LatencySummary {
            count: self.count(),
            least: self.least,
            mean: whole(self.histogram.mean()),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            p9999: self.quantile(0.9999),
            most: self.most,
            buckets: self
                .histogram
                .iter_recorded()
                .map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()))
                .collect(),
        }
    }
}

impl LatencySummary {
    /// All those of several.
    pub fn merged<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut latencies = Latencies::new();
        for summary in all {
            latencies.add(summary);
        }
        latencies.summary()
    }

    /// The latency that this share of all does not exceed, in nanoseconds.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = whole((share * crate::number::fraction(self.count)).ceil()).max(1);
        let mut seen = 0;
        for (value, count) in &self.buckets {
            seen += count;
            if seen >= wanted {
                return (*value).clamp(self.least, self.most);
            }
        }
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        for latency in milliseconds {
            latencies.record(Duration::from_millis(latency));
        }
        latencies
    }

    fn is_near(nanoseconds: u64, milliseconds: u64) -> bool {
        nanoseconds.abs_diff(milliseconds * 1_000_000) <= milliseconds * 1_000
    }

    #[test]
    fn quantiles_and_exact_extremes() {
        let mut latencies = of(1..=1000);
        latencies.record(Duration::from_nanos(1_234_567_891));
        let summary = latencies.summary();
        assert_eq!((summary.least, summary.most), (1_000_000, 1_234_567_891));
        assert_eq!(summary.count, 1001);
        assert!(
            is_near(summary.p50, 501) && is_near(summary.p99, 991),
            "{summary:?}"
        );
        assert_eq!(summary.quantile(1.0), summary.most);
        assert!(is_near(summary.quantile(0.9), 901));
        assert_eq!(Latencies::new().summary(), LatencySummary::default());
    }

    #[test]
    fn summaries_are_merged_as_if_they_were_one() {
        let (some, others) = (of(1..=400), of(401..=1000));
        let merged = LatencySummary::merged([&some.summary(), &others.summary(), &LatencySummary::default()]);
        let whole = of(1..=1000).summary();
        assert_eq!(
            LatencySummary { mean: 0, ..merged },
            LatencySummary { mean: 0, ..whole }
        );
    }

    #[test]
    fn a_long_answer_stands_for_those_that_waited_behind_it() {
        let latencies = of(std::iter::repeat_n(1, 1000).chain([100]));
        let corrected = latencies.corrected().summary();
        // 100 ms, 99, 98 and so on: a hundred requests that were not sent.
        assert!((1095..=1101).contains(&corrected.count), "{}", corrected.count);
        assert!(corrected.p99 > 50_000_000, "{}", corrected.p99);
        assert!(is_near(latencies.quantile(0.99), 1));
    }
}
