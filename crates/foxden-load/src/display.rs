//! Numbers as people read them.

use time::UtcDateTime;

use crate::number::{fraction, whole};

/// A number with commas between thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate: whole, but for small ones.
pub fn rate(rate: f64) -> String {
    if rate < 10.0 {
        format!("{rate:.1}")
    } else {
        thousands(whole(rate))
    }
}

/// Nanoseconds as milliseconds, with as many digits as are of use.
pub fn milliseconds(nanoseconds: u64) -> String {
    let milliseconds = fraction(nanoseconds) / 1e6;
    let digits = match milliseconds {
        small if small < 1.0 => 2,
        middle if middle < 10.0 => 1,
        _ => return format!("{} ms", thousands(whole(milliseconds))),
    };
    format!("{milliseconds:.digits$} ms")
}

/// Bytes in the largest unit that leaves a number above one.
pub fn bytes(bytes: u64) -> String {
    let bytes = fraction(bytes);
    let units = [("GB", 1e9), ("MB", 1e6), ("KB", 1e3)];
    let fits = units.iter().find(|(_, worth)| bytes >= *worth);
    match fits {
        Some((name, worth)) if bytes / worth < 10.0 => format!("{:.1} {name}", bytes / worth),
        Some((name, worth)) => format!("{} {name}", whole(bytes / worth)),
        None => format!("{bytes} B"),
    }
}

/// Seconds as people say them.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 1.0 => format!("{} ms", whole(short * 1000.0)),
        middle if middle < 120.0 => format!("{} s", (middle * 10.0).round() / 10.0),
        long => {
            let minutes = (long / 6.0).round() / 10.0;
            format!("{minutes} min")
        }
    }
}

/// How many there are of something.
pub fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(number))
}

/// How far a ratio is from 1, without its sign.
pub fn percent(ratio: f64) -> String {
    format!("{}\u{a0}%", thousands(whole((ratio - 1.0).abs() * 100.0)))
}

/// This time, in seconds since 1970.
pub fn date(seconds: i64) -> UtcDateTime {
    UtcDateTime::from_unix_timestamp(seconds).unwrap_or(UtcDateTime::MAX)
}

/// The day of this time, in seconds since 1970.
pub fn day(seconds: i64) -> String {
    let date = date(seconds);
    format!("{} {} {}", date.day(), date.month(), date.year())
}

/// The hour and minute of this time, in seconds since 1970.
pub fn hour(seconds: i64) -> String {
    let date = date(seconds);
    format!("{:02}:{:02}", date.hour(), date.minute())
}

/// The day without its year.
pub fn short_day(seconds: i64) -> String {
    let date = date(seconds);
    let month = date.month().to_string();
    format!("{}\u{a0}{}", date.day(), &month[..3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_few_digits() {
        assert_eq!(milliseconds(123_456), "0.12 ms");
        assert_eq!(milliseconds(1_234_567), "1.2 ms");
        assert_eq!(milliseconds(1_234_567_890), "1,235 ms");
        assert_eq!(
            [thousands(999), thousands(1000), thousands(1_234_567)],
            ["999", "1,000", "1,234,567"]
        );
        assert_eq!([rate(0.25), rate(9280.4)], ["0.2", "9,280"]);
        assert_eq!(
            [bytes(12), bytes(1234), bytes(31_400_000)],
            ["12 B", "1.2 KB", "31 MB"]
        );
        assert_eq!(
            [seconds(0.3), seconds(60.0), seconds(600.0)],
            ["300 ms", "60 s", "10 min"]
        );
        assert_eq!([count(1, "run"), count(1200, "run")], ["1 run", "1,200 runs"]);
        assert_eq!([percent(0.88), percent(1.1)], ["12\u{a0}%", "10\u{a0}%"]);
    }
}
