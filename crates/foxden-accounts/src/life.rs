//! How long what was made lasts, when the clock may have been wrong as it was made.
//!
//! Credentials store when they end. One that was made while the clock was ahead would last until the clock has caught up,
//! so none is good whose end lies further ahead than it may last. The row stays as it is: a clock that is behind now, and is
//! put right later, must not have cost anybody anything.

/// How far the clock may be set back without ending what was made before.
pub(crate) const SLACK_MILLIS: i64 = 3_600_000;

/// Whether something that ends then, and lasts so long at most, is good now.
pub(crate) const fn is_good(now: i64, expires: i64, longest: i64) -> bool {
    now < expires && expires <= latest_end(now, longest)
}

/// The latest end of what was made by now and lasts so long at most.
pub(crate) const fn latest_end(now: i64, longest: i64) -> i64 {
    now.saturating_add(longest).saturating_add(SLACK_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_too_late_was_made_by_a_clock_that_was_ahead() {
        let life = 60_000;
        for (end, good) in [
            (0, false),
            (1, true),
            (life, true),
            (life + SLACK_MILLIS, true),
            (life + SLACK_MILLIS + 1, false),
            (i64::MAX, false),
        ] {
            assert_eq!(is_good(0, end, life), good, "{end}");
        }
        assert!(is_good(i64::MAX - 1, i64::MAX, i64::MAX));
    }
}
