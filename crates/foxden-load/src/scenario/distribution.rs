//! How large, how many, how often: values drawn from a distribution.
//!
//! In a scenario a distribution is a number (always that), or a table with one key: `{ uniform = [1, 5] }`,
//! `{ exponential = { mean = "10 s" } }`, `{ lognormal = { median = 350, p99 = "4 KB" } }`. The last two accept `most`, which
//! cuts off what is larger; without it they are cut at ten times the mean or the 99th percentile.

use toml::Value;

use crate::number::{fraction, whole};
use crate::quantity::Unit;
use crate::random::Random;

/// The distance of the 99th percentile of a normal distribution from its middle, in deviations.
const P99: f64 = 2.326_347_874;

/// A distribution of values that are not negative.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Fixed(f64),
    /// All from the least to the most are as likely.
    Uniform { least: f64, most: f64 },
    /// The time between events that do not know each other.
    Exponential { mean: f64, most: f64 },
    /// Most are near the median, and some are many times larger.
    LogNormal { median: f64, sigma: f64, most: f64 },
}

impl Distribution {
    /// Reads it from a scenario.
    pub fn read(value: &Value, unit: Unit) -> Result<Self, String> {
        let Some(table) = value.as_table() else {
            return Ok(Self::Fixed(amount(value, unit)?));
        };
        let mut keys = table.iter();
        let (Some((name, of)), None) = (keys.next(), keys.next()) else {
            return Err("a distribution has one key: uniform, exponential or lognormal".to_owned());
        };
        match name.as_str() {
            "uniform" => uniform(of, unit),
            "exponential" => {
                let mean = member(of, "mean", unit)?;
                let most = optional(of, "most", unit)?.unwrap_or(mean * 10.0);
                only(of, &["mean", "most"])?;
                Ok(Self::Exponential { mean, most })
            }
            "lognormal" => log_normal(of, unit),
            other => Err(format!(
                "{other:?} is none of the distributions uniform, exponential, lognormal"
            )),
        }
    }

    /// Draws a value.
    pub fn sample(&self, random: &Random) -> f64 {
        match *self {
            Self::Fixed(value) => value,
            Self::Uniform { least, most } => least + (most - least) * random.unit(),
            Self::Exponential { mean, most } => (-mean * (1.0 - random.unit()).ln()).min(most),
            Self::LogNormal { median, sigma, most } => (median * (sigma * random.normal()).exp()).min(most),
        }
    }

    /// Draws a whole number.
    pub fn sample_whole(&self, random: &Random) -> u64 {
        match *self {
            // Rounding would give the first and the last number half their share.
            Self::Uniform { least, most } => {
                whole(least) + random.below(whole(most).saturating_sub(whole(least)) + 1)
            }
            _ => whole(self.sample(random)),
        }
    }

    /// The largest value.
    pub const fn most(&self) -> f64 {
        match *self {
            Self::Fixed(most)
            | Self::Uniform { most, .. }
            | Self::Exponential { most, .. }
            | Self::LogNormal { most, .. } => most,
        }
    }

    /// The mean, without regard to what is cut off.
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Fixed(value) => value,
            Self::Uniform { least, most } => f64::midpoint(least, most),
            Self::Exponential { mean, .. } => mean,
            Self::LogNormal { median, sigma, .. } => median * (sigma * sigma / 2.0).exp(),
        }
    }
}

fn uniform(of: &Value, unit: Unit) -> Result<Distribution, String> {
    let ends = of.as_array().map(Vec::as_slice);
    let Some([least, most]) = ends else {
        return Err("uniform needs the least and the most: [1, 5]".to_owned());
    };
    let (least, most) = (amount(least, unit)?, amount(most, unit)?);
    if least > most {
        return Err(format!(
            "uniform begins with the least, and {least} is above {most}"
        ));
    }
    Ok(Distribution::Uniform { least, most })
}

fn log_normal(of: &Value, unit: Unit) -> Result<Distribution, String> {
    let median = member(of, "median", unit)?;
    let p99 = member(of, "p99", unit)?;
    if median <= 0.0 || p99 < median {
        return Err("lognormal needs a median above zero and a p99 that is not below it".to_owned());
    }
    only(of, &["median", "p99", "most"])?;
    Ok(Distribution::LogNormal {
        median,
        sigma: (p99 / median).ln() / P99,
        most: optional(of, "most", unit)?.unwrap_or(p99 * 10.0),
    })
}

fn member(of: &Value, name: &str, unit: Unit) -> Result<f64, String> {
    optional(of, name, unit)?.ok_or_else(|| format!("the distribution lacks {name}"))
}

fn optional(of: &Value, name: &str, unit: Unit) -> Result<Option<f64>, String> {
    of.get(name).map(|value| amount(value, unit)).transpose()
}

fn only(of: &Value, names: &[&str]) -> Result<(), String> {
    let mut keys = of.as_table().into_iter().flatten().map(|(name, _)| name);
    match keys.find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("{name:?} is none of {}", names.join(", "))),
        None => Ok(()),
    }
}

fn amount(value: &Value, unit: Unit) -> Result<f64, String> {
    let number = match value {
        Value::Integer(number) => u64::try_from(*number)
            .map(fraction)
            .map_err(|_| format!("{number} is negative"))?,
        Value::Float(number) => *number,
        Value::String(text) => unit.read(text)?,
        other => return Err(format!("{other} is not a number")),
    };
    if number.is_finite() && number >= 0.0 {
        Ok(number)
    } else {
        Err(format!("{number} is negative or without an end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, unit: Unit) -> Result<Distribution, String> {
        let table: toml::Table = format!("it = {text}").parse().unwrap();
        Distribution::read(&table["it"], unit)
    }

    #[test]
    fn samples_follow_their_distribution() {
        let random = Random::new(1, &[]);
        let drawn = |text: &str| {
            let distribution = read(text, Unit::Bytes).unwrap();
            let mut values: Vec<f64> = (0..20_000).map(|_| distribution.sample(&random)).collect();
            values.sort_by(f64::total_cmp);
            (values[10_000], values[19_800], values[19_999])
        };
        let (median, p99, most) = drawn("{ lognormal = { median = 350, p99 = '4 KB', most = 9000 } }");
        assert!((330.0..370.0).contains(&median), "{median}");
        assert!((3500.0..4500.0).contains(&p99), "{p99}");
        assert!(most <= 9000.0);
        let (median, ..) = drawn("{ exponential = { mean = 100 } }");
        assert!((65.0..74.0).contains(&median), "{median}");
        let (_, _, most) = drawn("{ uniform = [1, 5] }");
        assert!((4.9..5.0).contains(&most), "{most}");
        assert_eq!(drawn("'2 KB'"), (2000.0, 2000.0, 2000.0));
    }

    #[test]
    fn whole_numbers_have_equal_shares() {
        let random = Random::new(1, &[]);
        let distribution = read("{ uniform = [1, 3] }", Unit::Count).unwrap();
        let mut counts = [0; 5];
        for _ in 0..3000 {
            counts[usize::try_from(distribution.sample_whole(&random)).unwrap()] += 1;
        }
        assert_eq!((counts[0], counts[4]), (0, 0));
        assert!(counts[1..4].iter().all(|count| *count > 900), "{counts:?}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("{ uniform = [5, 1] }", "above"),
            ("{ normal = 3 }", "lognormal"),
            ("{ exponential = { median = 3 } }", "mean"),
            ("{ exponential = { mean = 3, least = 1 } }", "least"),
            ("-3", "negative"),
            ("true", "not a number"),
        ] {
            let error = read(text, Unit::Count).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
