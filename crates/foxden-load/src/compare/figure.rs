//! What of a run is compared.

use crate::display::{milliseconds, rate};
use crate::number::{fraction, whole};
use crate::result::RunResult;

/// A figure of all requests or of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// How many a second.
    Rate,
    /// The latency that half do not exceed.
    Half,
    /// That which 90 of 100 do not exceed.
    Most,
    /// That which 99 of 100 do not exceed.
    Nearly,
}

impl Figure {
    /// All figures.
    pub const ALL: [Self; 4] = [Self::Rate, Self::Half, Self::Most, Self::Nearly];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rate => "a second",
            Self::Half => "half within",
            Self::Most => "90 of 100 within",
            Self::Nearly => "99 of 100 within",
        }
    }

    /// Whether less of it is better.
    pub fn is_less_better(self) -> bool {
        self != Self::Rate
    }

    /// Its value as people read it.
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Rate => rate(value),
            Self::Half | Self::Most | Self::Nearly => milliseconds(whole(value)),
        }
    }

    /// Its value in a run: a number a second, or nanoseconds. None if there is too little to know it.
    pub fn value(self, run: &RunResult, operation: Option<&str>) -> Option<f64> {
        let (found, latency) = match operation {
            None => (run.figures.rate, &run.figures.all.response),
            Some(name) => {
                let mut rows = run.figures.by_operation.iter();
                let row = rows.find(|row| row.name == name)?;
                (row.rate, &row.latency.response)
            }
        };
        // What one of so many exceeds is not known from fewer.
        let (value, fewest) = match self {
            Self::Rate => (found, 10),
            Self::Half => (fraction(latency.p50), 10),
            Self::Most => (fraction(latency.p90), 100),
            Self::Nearly => (fraction(latency.p99), 1000),
        };
        (latency.count >= fewest && value > 0.0).then_some(value)
    }
}
