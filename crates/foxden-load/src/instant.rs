//! Times of the protocol: Unix time with exactly two decimals.
//!
//! They are read here and not by the server's code, so that a fault of the server's encoder does not cancel itself out.

use std::fmt;

/// A time in hundredths of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncInstant(i64);

impl SyncInstant {
    /// Reads a time. Anything but digits, a point and two digits is refused.
    pub fn read(text: &str) -> Option<Self> {
        let (seconds, hundredths) = text.trim().split_once('.')?;
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(seconds) || !is_number(hundredths) || hundredths.len() != 2 {
            return None;
        }
        let seconds: i64 = seconds.parse().ok()?;
        let hundredths: i64 = hundredths.parse().ok()?;
        Some(Self(seconds.checked_mul(100)?.checked_add(hundredths)?))
    }
}

impl fmt::Display for SyncInstant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_two_decimals() {
        let time = SyncInstant::read("1763690000.10").unwrap();
        assert_eq!(time, SyncInstant(176_369_000_010));
        assert_eq!(time.to_string(), "1763690000.10");
        assert_eq!(SyncInstant::default().to_string(), "0.00");
        for text in [
            "1763690000.1",
            "1763690000",
            "1.234",
            "-1.00",
            "1e3.00",
            ".10",
            "",
        ] {
            assert_eq!(SyncInstant::read(text), None, "{text}");
        }
    }
}
