//! Times of the clock as dates, in UTC.

use std::fmt;

use time::UtcDateTime;

/// The date and the time of day, to the second, of `millis` since 1970; the last second of the year 9999 for
/// times that the calendar does not reach.
pub fn date_time(millis: i64) -> UtcDateTime {
    UtcDateTime::from_unix_timestamp(millis.div_euclid(1000)).unwrap_or(UtcDateTime::MAX)
}

/// Milliseconds since 1970 as RFC 3339 has it.
#[derive(Clone, Copy, Debug)]
pub struct Utc(pub i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = date_time(self.0);
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        let ((hour, minute, second), millis) = (at.as_hms(), self.0.rem_euclid(1000));
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_763_690_000_000, "2025-11-21T01:53:20.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.807Z"),
        ] {
            assert_eq!(Utc(millis).to_string(), text);
        }
    }
}
