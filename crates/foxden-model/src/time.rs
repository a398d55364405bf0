//! The time format of the Sync protocol.

use std::fmt;
use std::str::FromStr;

/// A point in time, in whole hundredths of a second since 1970.
///
/// Its `Display` is the wire form: seconds with exactly two decimals. It never passes through a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncTime(i64);

/// A text that is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTime;

impl SyncTime {
    /// The time of an object or a collection that was never written.
    pub const ZERO: Self = Self(0);

    /// The time this many hundredths of a second after 1970.
    pub const fn from_hundredths(hundredths: i64) -> Self {
        Self(hundredths)
    }

    /// The time this many milliseconds after 1970, rounded down to a hundredth of a second.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.div_euclid(10))
    }

    /// Hundredths of a second since 1970.
    pub const fn hundredths(self) -> i64 {
        self.0
    }

    /// The next hundredth.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The hundredth before.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The time this many seconds later.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(100)))
    }

    /// Whether it lies before 1970; a client may not ask for such a time in Sync 1.5.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for SyncTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", all / 100, all % 100)
    }
}

/// The latest time that is parsed: fifteen digits of seconds.
const LARGEST: i64 = 99_999_999_999_999_999;

impl FromStr for SyncTime {
    type Err = BadTime;

    /// Reads a decimal number with any number of decimals and rounds it to the nearest hundredth.
    ///
    /// Clients do arithmetic in doubles and send `1763689999.1199999`, `1763690000.1` or `1763690000`.
    fn from_str(text: &str) -> Result<Self, BadTime> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(BadTime);
        }
        let whole = whole.trim_start_matches('0');
        if whole.len() > 15 {
            return Err(BadTime);
        }
        let seconds: i64 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| BadTime)?
        };
        let digit = |at: usize| i64::from(fraction.as_bytes().get(at).map_or(0, |b| b - b'0'));
        let rounded = digit(0) * 10 + digit(1) + i64::from(digit(2) >= 5);
        let hundredths = seconds * 100 + rounded;
        // A number that is rounded up may have one digit too many.
        if hundredths > LARGEST {
            return Err(BadTime);
        }
        Ok(Self(if negative { -hundredths } else { hundredths }))
    }
}

impl fmt::Display for BadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time in seconds")
    }
}

impl std::error::Error for BadTime {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_two_decimals() {
        for (hundredths, text) in [
            (0, "0.00"),
            (1, "0.01"),
            (176_369_000_010, "1763690000.10"),
            (-1, "-0.01"),
            (-250, "-2.50"),
        ] {
            assert_eq!(SyncTime::from_hundredths(hundredths).to_string(), text);
        }
    }

    #[test]
    fn rounds_to_the_nearest_hundredth() {
        for (text, hundredths) in [
            ("1763689999.1199999", 176_368_999_912),
            ("1763690000.1", 176_369_000_010),
            ("1763690000", 176_369_000_000),
            ("1234567890.57", 123_456_789_057),
            ("1234567890.575", 123_456_789_058),
            ("0.999", 100),
            (".5", 50),
            ("5.", 500),
            ("-1", -100),
        ] {
            assert_eq!(text.parse(), Ok(SyncTime::from_hundredths(hundredths)), "{text}");
        }
    }

    #[test]
    fn refuses_text_that_is_no_number() {
        for text in [
            "",
            ".",
            "-",
            "abc",
            "inf",
            "nan",
            "1e5",
            "1.2.3",
            " 1",
            "+1",
            "1234567890123456",
            "999999999999999.995",
            "-999999999999999.999",
            "--1",
        ] {
            assert_eq!(text.parse::<SyncTime>(), Err(BadTime), "{text}");
        }
    }
}
