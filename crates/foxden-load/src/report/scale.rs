//! Axes: round numbers, evenly spaced.

use crate::number::{fraction, whole};

/// A vertical axis from zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// Its end.
    pub most: f64,
    /// The labels from the top, the unit on the first.
    pub labels: Vec<String>,
}

/// The steps of an axis, times a power of ten.
const STEPS: [f64; 5] = [1.0, 2.0, 2.5, 4.0, 5.0];
/// The parts of a vertical axis.
const PARTS: u32 = 4;

impl Scale {
    /// An axis for values up to this one.
    pub fn up_to(most: f64, unit: &str) -> Self {
        let step = step(most / f64::from(PARTS));
        let labels = (0..=PARTS).rev().map(|part| {
            let value = number(f64::from(part) * step);
            if part == PARTS && !unit.is_empty() {
                format!("{value}\u{a0}{unit}")
            } else {
                value
            }
        });
        Self {
            most: step * f64::from(PARTS),
            labels: labels.collect(),
        }
    }
}

/// A vertical axis of latencies.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyScale {
    /// The axis.
    pub scale: Scale,
    /// The nanoseconds that one of its units has.
    pub nanoseconds: f64,
}

impl LatencyScale {
    /// An axis for latencies up to this one, in nanoseconds.
    pub fn up_to(most: u64) -> Self {
        let most = fraction(most);
        let (nanoseconds, unit) = if most >= 10e9 { (1e9, "s") } else { (1e6, "ms") };
        Self {
            scale: Scale::up_to(most / nanoseconds, unit),
            nanoseconds,
        }
    }
}

/// The least round number that is not below this one.
pub fn step(least: f64) -> f64 {
    if least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let fits = STEPS
        .iter()
        .map(|step| step * power)
        .find(|step| *step >= least * 0.999_999);
    fits.unwrap_or(power * 10.0)
}

/// A number of an axis.
fn number(value: f64) -> String {
    if value >= 1000.0 {
        return crate::display::thousands(whole(value));
    }
    // Three digits, without zeros at the end.
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The labels of a horizontal axis for this many things, from 1 on: evenly spaced, so only of a number of steps that divides.
pub fn numbers(count: usize) -> Vec<String> {
    let steps = count.saturating_sub(1);
    // An odd number of labels, since every second one is left out where there is little room.
    let parts = (2..=12)
        .rev()
        .find(|parts| parts % 2 == 0 && steps.is_multiple_of(*parts));
    match (steps, parts) {
        (0, _) => vec!["1".to_owned()],
        (_, Some(parts)) => (0..=parts)
            .map(|part| (1 + part * steps / parts).to_string())
            .collect(),
        (_, None) => vec!["1".to_owned(), String::new(), count.to_string()],
    }
}

/// A horizontal axis of time.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeScale {
    /// Its end, in seconds.
    pub most: f64,
    /// The labels. Their number is odd, since every second one is left out where there is little room.
    pub labels: Vec<String>,
    /// What they count.
    pub unit: &'static str,
}

/// The steps of an axis of time, in seconds.
const TIME_STEPS: [u32; 14] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200];
/// The most parts of an axis of time.
const TIME_PARTS: u64 = 12;

impl TimeScale {
    /// An axis for this many seconds.
    pub fn up_to(seconds: f64) -> Self {
        let seconds = whole(seconds.ceil()).max(1);
        let mut steps = TIME_STEPS.iter().map(|step| u64::from(*step));
        let step = steps.clone().find(|step| seconds.div_ceil(*step) <= TIME_PARTS);
        let step = step.or(steps.next_back()).unwrap_or(1);
        let parts = seconds.div_ceil(step);
        let parts = (parts + parts % 2).max(2);
        let (worth, unit) = match step {
            short if short < 60 => (1, "seconds"),
            long if long < 3600 => (60, "minutes"),
            _ => (3600, "hours"),
        };
        Self {
            most: fraction(parts * step),
            labels: (0..=parts)
                .map(|part| number(fraction(part * step) / fraction(worth)))
                .collect(),
            unit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vertical_axis_has_round_numbers() {
        assert_eq!(
            Scale::up_to(9280.0, "").labels,
            ["10,000", "7,500", "5,000", "2,500", "0"]
        );
        assert_eq!(
            Scale::up_to(31.0, "ms").labels,
            ["40\u{a0}ms", "30", "20", "10", "0"]
        );
        assert_eq!(
            Scale::up_to(0.3, "ms").labels,
            ["0.4\u{a0}ms", "0.3", "0.2", "0.1", "0"]
        );
        assert_eq!(Scale::up_to(4.0, "").labels[0], "4");
        assert_eq!(Scale::up_to(0.0, "").labels[0], "4");
    }

    #[test]
    fn an_axis_of_numbers_is_evenly_spaced() {
        assert_eq!(numbers(1), ["1"]);
        assert_eq!(numbers(7), ["1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(
            numbers(21),
            ["1", "3", "5", "7", "9", "11", "13", "15", "17", "19", "21"]
        );
        assert_eq!(numbers(10), ["1", "", "10"]);
    }

    #[test]
    fn an_axis_of_time_has_an_odd_number_of_labels() {
        for seconds in [0.5, 1.0, 7.0, 65.0, 130.0, 600.0, 4000.0, 43_200.0] {
            let scale = TimeScale::up_to(seconds);
            assert!(
                scale.labels.len() % 2 == 1 && scale.labels.len() <= 15,
                "{scale:?}"
            );
            assert!(scale.most >= seconds);
        }
        assert_eq!(
            TimeScale::up_to(600.0).labels,
            ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
        );
        assert_eq!(TimeScale::up_to(600.0).unit, "minutes");
    }
}
