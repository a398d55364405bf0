//! How long credentials are valid when the clock may have been wrong.
//!
//! Credentials store when they expire. One that was created while the clock was ahead would last until the clock has
//! caught up, so a credential whose expiry lies further ahead than its lifetime is not valid. The row stays: if the
//! clock is behind now and is corrected later, nothing is lost.

/// How far the clock may be set back without ending what was made before.
pub(crate) const SLACK_MILLIS: i64 = 3_600_000;

/// Whether something that ends then, and lasts so long at most, is good now.
pub(crate) const fn is_valid(now: i64, expires: i64, longest: i64) -> bool {
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
    fn an_end_too_far_ahead_comes_from_a_wrong_clock() {
        let life = 60_000;
        for (end, good) in [
            (0, false),
            (1, true),
            (life, true),
            (life + SLACK_MILLIS, true),
            (life + SLACK_MILLIS + 1, false),
            (i64::MAX, false),
        ] {
            assert_eq!(is_valid(0, end, life), good, "{end}");
        }
        assert!(is_valid(i64::MAX - 1, i64::MAX, i64::MAX));
    }
}
