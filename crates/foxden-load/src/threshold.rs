//! Limits that a run must keep: `p99>20ms`, `rate<500`, `reads.p999>50ms`, `faults>0`.

use std::fmt;
use std::str::FromStr;

use crate::measure::latency::LatencySummary;
use crate::number::fraction;
use crate::quantity::Unit;
use crate::result::RunResult;

/// A limit. The run fails where it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    text: String,
    figure: Figure,
    is_above: bool,
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    Latency(Group, Share),
    Rate,
    Faults,
    Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    All,
    Reads,
    Writes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    P50,
    P90,
    P99,
    P999,
    P9999,
    Most,
    Mean,
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text
            .find(['<', '>'])
            .ok_or_else(|| format!("{text:?} has neither < nor >"))?;
        let (name, limit) = text.split_at(at);
        let is_above = limit.starts_with('>');
        let figure = Figure::read(name.trim())?;
        let unit = match figure {
            Figure::Latency(..) => Unit::Seconds,
            _ => Unit::Count,
        };
        let limit = limit[1..].trim();
        if unit == Unit::Seconds && limit.ends_with(|letter: char| letter.is_ascii_digit()) {
            return Err(format!("{text:?}: a latency needs a unit, such as {limit}ms"));
        }
        Ok(Self {
            text: text.to_owned(),
            figure,
            is_above,
            limit: unit.read(limit)?,
        })
    }
}

impl Figure {
    fn read(name: &str) -> Result<Self, String> {
        match name {
            "rate" => return Ok(Self::Rate),
            "faults" => return Ok(Self::Faults),
            "wrong" => return Ok(Self::Wrong),
            _ => {}
        }
        let (group, share) = match name.split_once('.') {
            Some(("reads", share)) => (Group::Reads, share),
            Some(("writes", share)) => (Group::Writes, share),
            _ => (Group::All, name),
        };
        let share = match share {
            "p50" => Share::P50,
            "p90" => Share::P90,
            "p99" => Share::P99,
            "p999" => Share::P999,
            "p9999" => Share::P9999,
            "max" => Share::Most,
            "mean" => Share::Mean,
            _ => {
                return Err(format!(
                    "{name:?} is none of p50, p90, p99, p999, p9999, max, mean (each also with reads. or writes. before it), \
                     rate, faults, wrong"
                ));
            }
        };
        Ok(Self::Latency(group, share))
    }
}

impl Threshold {
    /// The value in a run: seconds, requests a second, or a number.
    fn value(&self, result: &RunResult) -> f64 {
        match self.figure {
            Figure::Rate => result.figures.rate,
            Figure::Faults => fraction(result.faults()),
            Figure::Wrong => fraction(result.wrong()),
            Figure::Latency(group, share) => {
                let pair = match group {
                    Group::All => &result.figures.all,
                    Group::Reads => &result.figures.reads,
                    Group::Writes => &result.figures.writes,
                };
                fraction(share.of(&pair.response)) / 1e9
            }
        }
    }

    /// Whether the run fails by this limit.
    pub fn is_exceeded(&self, result: &RunResult) -> bool {
        let value = self.value(result);
        if self.is_above {
            value > self.limit
        } else {
            value < self.limit
        }
    }
}

impl Share {
    const fn of(self, latencies: &LatencySummary) -> u64 {
        match self {
            Self::P50 => latencies.p50,
            Self::P90 => latencies.p90,
            Self::P99 => latencies.p99,
            Self::P999 => latencies.p999,
            Self::P9999 => latencies.p9999,
            Self::Most => latencies.most,
            Self::Mean => latencies.mean,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let limit = |text: &str| text.parse::<Threshold>();
        assert!((limit("p99>20ms").unwrap().limit - 0.02).abs() < 1e-9);
        let reads = limit("reads.max > 1 s").unwrap();
        assert_eq!(reads.figure, Figure::Latency(Group::Reads, Share::Most));
        assert!(!limit("rate<500").unwrap().is_above);
        for (text, part) in [
            ("p99", "neither"),
            ("p98>1ms", "p999"),
            ("p99>20", "20ms"),
            ("faults>many", "number"),
            ("deletes.p99>1ms", "writes"),
        ] {
            let error = limit(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
