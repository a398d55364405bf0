//! The time up to which chores remove expired data.
//!
//! A wall clock that is ahead hides data that seems to have expired; once the clock is right, the data is visible again. A
//! deletion cannot be undone. So chores delete up to a time of their own, the horizon. It follows the wall clock as long as
//! that agrees, within a day, with the time that has passed. After a larger jump (the clock was set, or the server was off
//! for long) the wall clock is distrusted, and the horizon advances by elapsed time at most. The horizon follows the clock
//! again as soon as they agree, or after a week in which the server ran and the clock did not jump again.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use foxden_model::Clock;

use crate::calendar::Utc;
use crate::data::write_whole;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// How far the wall clock may differ from the elapsed time without being distrusted.
const TOLERANCE: i64 = DAY;
/// How long a clock that jumped is distrusted.
const DISTRUST: i64 = 7 * DAY;

/// The time up to which chores remove expired data, kept in a file.
#[derive(Debug)]
pub struct Horizon {
    file: PathBuf,
    state: Mutex<State>,
    /// The state in the file.
    written: Mutex<Option<State>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// The horizon, in milliseconds since 1970.
    until: i64,
    /// For how many milliseconds the clock has been distrusted; zero if it is not.
    distrusted: i64,
    /// The steady clock at the last update.
    steady: i64,
    /// The wall clock at the last update; `None` before the first.
    wall: Option<i64>,
}

impl Horizon {
    /// Reads the state from the file. Without one, the horizon starts at the wall clock.
    pub fn open(file: PathBuf, clock: &dyn Clock) -> Self {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let state = State::read(&text, clock.steady_millis()).unwrap_or(State {
            until: clock.millis(),
            distrusted: 0,
            steady: clock.steady_millis(),
            wall: None,
        });
        Self {
            file,
            state: Mutex::new(state),
            written: Mutex::default(),
        }
    }

    /// The time up to which expired data may be removed now, in milliseconds since 1970.
    pub fn until(&self, clock: &dyn Clock) -> i64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *state;
        let (wall, steady) = (clock.millis(), clock.steady_millis());
        state.advance(wall, steady);
        let after = *state;
        drop(state);
        let has_jumped_again = after.distrusted < before.distrusted;
        if after.distrusted > 0 && (before.distrusted == 0 || has_jumped_again) {
            tracing::warn!(
                "the clock went from {} to {}: expired data is kept for a week, or until the clock is right",
                Utc(before.until),
                Utc(wall)
            );
        }
        self.write(after);
        after.until.min(wall)
    }

    /// Writes the state to the file, unless that has nearly the same.
    fn write(&self, state: State) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_some_and(|written| written.is_like(state)) {
            return;
        }
        match write_whole(&self.file, &state.text()) {
            Ok(()) => *written = Some(state),
            Err(error) => {
                tracing::warn!(%error, path = %self.file.display(), "cannot write the horizon of the chores");
            }
        }
    }
}

impl State {
    fn read(text: &str, steady: i64) -> Option<Self> {
        let (until, distrusted) = text.trim().split_once(' ')?;
        Some(Self {
            until: until.parse().ok()?,
            distrusted: distrusted.parse().ok()?,
            steady,
            wall: None,
        })
    }

    fn is_like(self, other: Self) -> bool {
        let is_near = |one: i64, other: i64| one.abs_diff(other) < MINUTE.unsigned_abs();
        is_near(self.until, other.until)
            && is_near(self.distrusted, other.distrusted)
            && (self.distrusted == 0) == (other.distrusted == 0)
    }

    fn text(self) -> String {
        format!("{} {}\n", self.until, self.distrusted)
    }

    fn advance(&mut self, wall: i64, steady: i64) {
        let passed = (steady - self.steady).max(0);
        self.steady = steady;
        let is_near = |expected: i64| wall.saturating_sub(expected).saturating_abs() <= TOLERANCE;
        let last = self.wall.replace(wall);
        let has_jumped = last.is_some_and(|last| !is_near(last.saturating_add(passed)));
        // Another jump starts the distrust again.
        let distrusted = if has_jumped {
            0
        } else {
            self.distrusted.saturating_add(passed)
        };
        let expected = self.until.saturating_add(passed);
        if is_near(expected) || distrusted >= DISTRUST {
            (self.until, self.distrusted) = (wall, 0);
            return;
        }
        self.distrusted = distrusted.max(1);
        // Time has passed, even if the clock is ahead. A clock that is behind stops the horizon.
        if wall > expected {
            self.until = expected;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_690_000_000;
    const HOUR: i64 = 60 * MINUTE;

    /// A state that has followed the clock until now.
    struct Watch {
        state: State,
        off: i64,
    }

    impl Watch {
        fn new() -> Self {
            Self {
                state: State {
                    until: NOW,
                    distrusted: 0,
                    steady: 0,
                    wall: None,
                },
                off: 0,
            }
        }

        /// Lets time pass with an update every hour. Returns the horizon, relative to the right time.
        fn pass(&mut self, hours: i64) -> i64 {
            for _ in 0..hours {
                self.update(HOUR);
            }
            self.update(0)
        }

        fn update(&mut self, passed: i64) -> i64 {
            let steady = self.state.steady + passed;
            let wall = NOW + steady + self.off;
            self.state.advance(wall, steady);
            self.state.until.min(wall) - NOW - steady
        }
    }

    #[test]
    fn the_horizon_follows_small_jumps() {
        let mut watch = Watch::new();
        assert_eq!(watch.pass(1000), 0);
        // Small jumps in either direction, as after a suspend or by NTP.
        for off in [DAY, 0, -10 * MINUTE] {
            watch.off = off;
            assert_eq!(watch.pass(1), off);
        }
    }

    #[test]
    fn a_clock_that_is_years_ahead_removes_nothing_for_a_week() {
        let mut watch = Watch::new();
        watch.off = 400 * DAY;
        assert_eq!(watch.pass(100), 0);
        // The clock is corrected within the week.
        watch.off = 0;
        assert_eq!((watch.pass(1), watch.state.distrusted), (0, 0));
        // The clock was right.
        watch.off = 400 * DAY;
        assert_eq!(watch.pass(7 * 24 - 1), 0);
        assert_eq!(watch.pass(2), 400 * DAY);
    }

    #[test]
    fn a_clock_that_is_behind_at_the_start_removes_nothing_and_costs_no_week() {
        for behind in [365 * DAY, NOW - DAY] {
            let mut watch = Watch::new();
            watch.off = -behind;
            assert_eq!(watch.pass(5), -behind);
            watch.off = 0;
            assert_eq!((watch.pass(1), watch.state.distrusted), (0, 0));
        }
    }

    #[test]
    fn a_clock_that_has_jumped_again_is_watched_for_another_week() {
        for off in [-400 * DAY, 4000 * DAY] {
            let mut watch = Watch::new();
            watch.off = off;
            watch.pass(6 * 24);
            watch.off = 400 * DAY;
            assert!(watch.pass(7 * 24 - 1) <= 0, "{off}");
            assert_eq!(watch.pass(2), 400 * DAY, "{off}");
        }
    }

    #[test]
    fn distrust_survives_a_restart() {
        let mut watch = Watch::new();
        watch.off = 400 * DAY;
        watch.pass(100);
        let text = watch.state.text();
        let read = State::read(&text, 0).unwrap();
        assert_eq!(
            (read.until, read.distrusted),
            (watch.state.until, watch.state.distrusted)
        );
        for text in ["", "1", "1 x", "x 1"] {
            assert_eq!(State::read(text, 0), None, "{text}");
        }
        let mut extreme = State {
            until: i64::MAX,
            distrusted: i64::MAX - 1,
            steady: 0,
            wall: None,
        };
        extreme.advance(i64::MIN, i64::MAX);
        assert_eq!(extreme.until, i64::MIN);
        extreme.advance(i64::MAX, i64::MAX);
        assert_eq!((extreme.until, extreme.distrusted), (i64::MIN, 1));
    }
}
