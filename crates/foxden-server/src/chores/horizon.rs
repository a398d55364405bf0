//! The time up to which chores remove expired data.
//!
//! A clock that is wrong for a while hides what seems to have expired, and shows it again once it is put right. Removing is
//! not undone like that. So chores remove by a time of their own: the clock's, as long as that moves as time passes. Where
//! the two part by more than a day, because the clock was set or because nothing ran for long, the clock is believed a week
//! later, counted while the server runs and from the last time it was set, or as soon as it is back. Until then only what has expired by the time before goes.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use foxden_model::Clock;

use crate::calendar::Utc;
use crate::data::write_whole;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// How far the clock may part from the time that has passed, and be believed at once.
const BELIEVED: i64 = DAY;
/// How long a clock that was set further is watched before it is believed.
const DOUBTED: i64 = 7 * DAY;

/// The time up to which chores remove what has expired, kept in a file.
#[derive(Debug)]
pub struct Horizon {
    file: PathBuf,
    state: Mutex<State>,
    /// What the file holds.
    written: Mutex<Option<State>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// In milliseconds since 1970.
    until: i64,
    /// How long the clock has been elsewhere; zero where it is believed.
    doubt: i64,
    /// When the chores last asked for the horizon, in steady milliseconds.
    looked: i64,
    /// What the clock showed then; nothing is known of it from before the start.
    seen: Option<i64>,
}

impl Horizon {
    /// As the file has it; where there is none, the clock is believed.
    pub fn open(file: PathBuf, clock: &dyn Clock) -> Self {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let state = State::read(&text, clock.steady_millis()).unwrap_or(State {
            until: clock.millis(),
            doubt: 0,
            looked: clock.steady_millis(),
            seen: None,
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
        let is_set_again = after.doubt < before.doubt;
        if after.doubt > 0 && (before.doubt == 0 || is_set_again) {
            tracing::warn!(
                "the clock went from {} to {}: what has expired since stays for a week, or until it is right",
                Utc(before.until),
                Utc(wall)
            );
        }
        self.write(after);
        after.until.min(wall)
    }

    /// Writes the state down, unless the file has nearly the same.
    fn write(&self, state: State) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_some_and(|written| written.is_like(state)) {
            return;
        }
        match write_whole(&self.file, &state.text()) {
            Ok(()) => *written = Some(state),
            Err(error) => {
                tracing::warn!(%error, path = %self.file.display(), "cannot write down the time for chores");
            }
        }
    }
}

impl State {
    fn read(text: &str, steady: i64) -> Option<Self> {
        let (until, doubt) = text.trim().split_once(' ')?;
        Some(Self {
            until: until.parse().ok()?,
            doubt: doubt.parse().ok()?,
            looked: steady,
            seen: None,
        })
    }

    fn is_like(self, other: Self) -> bool {
        let is_near = |one: i64, other: i64| one.abs_diff(other) < MINUTE.unsigned_abs();
        is_near(self.until, other.until)
            && is_near(self.doubt, other.doubt)
            && (self.doubt == 0) == (other.doubt == 0)
    }

    fn text(self) -> String {
        format!("{} {}\n", self.until, self.doubt)
    }

    fn advance(&mut self, wall: i64, steady: i64) {
        let passed = (steady - self.looked).max(0);
        self.looked = steady;
        let is_near = |expected: i64| wall.saturating_sub(expected).saturating_abs() <= BELIEVED;
        let seen = self.seen.replace(wall);
        let was_set = seen.is_some_and(|seen| !is_near(seen.saturating_add(passed)));
        // A clock that is set again is another one to be watched.
        let doubt = if was_set {
            0
        } else {
            self.doubt.saturating_add(passed)
        };
        let expected = self.until.saturating_add(passed);
        if is_near(expected) || doubt >= DOUBTED {
            (self.until, self.doubt) = (wall, 0);
            return;
        }
        self.doubt = doubt.max(1);
        // Time has passed, whatever the clock says; one that is behind holds it up all the same.
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
                    doubt: 0,
                    looked: 0,
                    seen: None,
                },
                off: 0,
            }
        }

        /// Lets time pass and asks once an hour. Returns the horizon, relative to the right time.
        fn pass(&mut self, hours: i64) -> i64 {
            for _ in 0..hours {
                self.look(HOUR);
            }
            self.look(0)
        }

        fn look(&mut self, passed: i64) -> i64 {
            let steady = self.state.looked + passed;
            let wall = NOW + steady + self.off;
            self.state.advance(wall, steady);
            self.state.until.min(wall) - NOW - steady
        }
    }

    #[test]
    fn a_clock_that_moves_as_time_passes_is_followed() {
        let mut watch = Watch::new();
        assert_eq!(watch.pass(1000), 0);
        // Set by a little, either way, as after a sleep or by a time server.
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
        // It is put right in time.
        watch.off = 0;
        assert_eq!((watch.pass(1), watch.state.doubt), (0, 0));
        // Or it was right.
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
            assert_eq!((watch.pass(1), watch.state.doubt), (0, 0));
        }
    }

    #[test]
    fn a_clock_that_is_set_again_is_watched_for_another_week() {
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
    fn doubts_outlast_a_restart() {
        let mut watch = Watch::new();
        watch.off = 400 * DAY;
        watch.pass(100);
        let text = watch.state.text();
        let read = State::read(&text, 0).unwrap();
        assert_eq!((read.until, read.doubt), (watch.state.until, watch.state.doubt));
        for text in ["", "1", "1 x", "x 1"] {
            assert_eq!(State::read(text, 0), None, "{text}");
        }
        let mut extreme = State {
            until: i64::MAX,
            doubt: i64::MAX - 1,
            looked: 0,
            seen: None,
        };
        extreme.advance(i64::MIN, i64::MAX);
        assert_eq!(extreme.until, i64::MIN);
        extreme.advance(i64::MAX, i64::MAX);
        assert_eq!((extreme.until, extreme.doubt), (i64::MIN, 1));
    }
}
