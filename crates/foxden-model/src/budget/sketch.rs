//! A table that counts for any number of keys in a fixed number of cells.
//!
//! It is a count-min sketch: a key has a cell in each row, chosen by a hash that nobody outside can compute, and its
//! count is the least of them. So a count is never too small. It is too large only when all cells of a key are shared
//! with others that spent much: to add one to the count of a stranger, about as many must be spent as a row has columns.

use std::hash::{BuildHasher, RandomState};

use super::Key;

const ROWS: usize = 4;

/// Counts of this span and of the one before, which fades while this one goes on.
#[derive(Debug)]
pub(super) struct Sketch {
    span: i64,
    columns: usize,
    /// The number of the span that `young` counts.
    number: i64,
    young: Table,
    old: Table,
    hashes: RandomState,
}

/// Cells, made once something is counted in them: eight bytes a column.
#[derive(Debug, Default)]
struct Table(Vec<u16>);

impl Table {
    fn least(&self, places: [usize; ROWS]) -> i64 {
        let counts = places.map(|place| self.0.get(place).copied().unwrap_or(0));
        i64::from(counts.into_iter().min().unwrap_or(0))
    }

    fn change(&mut self, places: [usize; ROWS], change: impl Fn(u16) -> u16) {
        for place in places {
            if let Some(cell) = self.0.get_mut(place) {
                *cell = change(*cell);
            }
        }
    }
}

impl Sketch {
    /// A table with that many columns.
    pub(super) fn new(span: i64, columns: usize) -> Self {
        Self {
            span: span.max(1),
            columns: columns.max(1),
            number: 0,
            young: Table::default(),
            old: Table::default(),
            hashes: RandomState::new(),
        }
    }

    pub(super) fn add(&mut self, key: Key, now: i64) {
        self.turn(now);
        if self.young.0.is_empty() {
            self.young.0 = vec![0; ROWS * self.columns];
        }
        self.young
            .change(self.places(key), |count| count.saturating_add(1));
    }

    /// Takes one back where it was counted, unless that span is long over. What the span before has not counted came late and
    /// was counted in this one. Where neither has counted it, cells that others share stay as they are.
    pub(super) fn take_back(&mut self, key: Key, then: i64, now: i64) {
        let turned = self.turn(now);
        let then = if then < now { then } else { turned };
        let places = self.places(key);
        let table = match self.number - then.div_euclid(self.span) {
            1 if self.old.least(places) > 0 => &mut self.old,
            0 | 1 => &mut self.young,
            _ => return,
        };
        if table.least(places) > 0 {
            table.change(places, |count| count - 1);
        }
    }

    /// How long until fewer than `allowed` count; `None` if that is so now. What was counted in the span before counts
    /// by as much of it as lies within a span before now.
    pub(super) fn wait(&mut self, key: Key, allowed: u32, now: i64) -> Option<i64> {
        let now = self.turn(now);
        let places = self.places(key);
        let (young, old) = (self.young.least(places), self.old.least(places));
        let rest = self.span - now.rem_euclid(self.span);
        // One more must fit in, and a cell counts no further than it can.
        let room = i64::from(allowed.min(u16::MAX.into())) - 1;
        if room < 0 {
            return Some(rest);
        }
        // What `count` of the span before may still cover of this one for `room` to be left.
        let covered = |room: i64, count: i64| self.span * room / count.max(1);
        if young > room {
            return Some(rest + self.span - covered(room, young));
        }
        let left = rest - covered(room - young, old);
        (old > 0 && left > 0).then_some(left)
    }

    /// Begins the span that `now` is in; says what counts as now. A time that was read before another caller began a
    /// later span counts as the beginning of that one.
    fn turn(&mut self, now: i64) -> i64 {
        let now = now.max(self.number * self.span);
        let number = now.div_euclid(self.span);
        match number - self.number {
            0 => {}
            1 => self.old = std::mem::take(&mut self.young),
            _ => (self.old, self.young) = (Table::default(), Table::default()),
        }
        self.number = number;
        now
    }

    /// A cell in each row.
    fn places(&self, key: Key) -> [usize; ROWS] {
        let hashes = [0_u8, 1].map(|number| self.hashes.hash_one((number, key)));
        std::array::from_fn(|row| {
            let [a, b, c, d, ..] = (hashes[row / 2] >> (32 * (row % 2))).to_le_bytes();
            row * self.columns + u32::from_le_bytes([a, b, c, d]) as usize % self.columns
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: i64 = 1000;
    const COLUMNS: usize = 1 << 15;

    fn key(number: u64) -> Key {
        [number, 0]
    }

    #[test]
    fn the_eleventh_waits_until_one_has_faded() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        for _ in 0..10 {
            assert_eq!(sketch.wait(key(7), 10, 500), None);
            sketch.add(key(7), 500);
        }
        // A tenth of the next span must pass.
        assert_eq!(sketch.wait(key(7), 10, 500), Some(600));
        assert_eq!(sketch.wait(key(7), 10, 1099), Some(1));
        assert_eq!(sketch.wait(key(7), 10, 1100), None);
        sketch.add(key(7), 1100);
        assert_eq!(sketch.wait(key(7), 10, 1100), Some(100));
        assert_eq!(sketch.wait(key(8), 10, 1100), None);
        assert_eq!(sketch.wait(key(7), 10, 3000), None, "all is over");
    }

    #[test]
    fn a_wait_is_never_too_short_and_ends() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        let mut now = 0;
        for step in 0..200 {
            if let Some(wait) = sketch.wait(key(1), 7, now) {
                assert!((1..=2 * SPAN).contains(&wait), "{wait}");
                assert!(sketch.wait(key(1), 7, now + wait - 1).is_some(), "{step}");
                assert_eq!(sketch.wait(key(1), 7, now + wait), None, "{step}");
                now += wait;
            }
            sketch.add(key(1), now);
            now += 13;
        }
    }

    /// Its caller read the clock before another one began the next span.
    #[test]
    fn a_time_that_comes_late_forgets_nothing() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        for _ in 0..10 {
            sketch.add(key(1), 1000);
        }
        assert_eq!(sketch.wait(key(2), 10, 999), None);
        sketch.add(key(2), 999);
        sketch.take_back(key(3), 998, 999);
        assert!(sketch.wait(key(1), 10, 999).is_some());
        assert!(sketch.wait(key(1), 10, 1000).is_some());
        assert!(sketch.wait(key(2), 1, 1000).is_some());
    }

    /// The same: it was counted in the span that another one had begun.
    #[test]
    fn what_came_late_is_taken_back_where_it_was_counted() {
        for now in [999, 1500] {
            let mut sketch = Sketch::new(SPAN, COLUMNS);
            sketch.add(key(2), 1000);
            sketch.add(key(1), 999);
            sketch.take_back(key(1), 999, now);
            assert_eq!(sketch.wait(key(1), 1, 1500), None, "{now}");
        }
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        sketch.add(key(1), 500);
        sketch.add(key(2), 1000);
        sketch.add(key(1), 999);
        sketch.take_back(key(1), 999, 999);
        assert!(sketch.wait(key(1), 1, 1000).is_some(), "the one of before counts");
        assert_eq!(sketch.wait(key(1), 1, 2000), None, "until it has faded");
    }

    /// What was never counted, or is taken back twice, costs no stranger with whom cells are shared.
    #[test]
    fn nobody_takes_back_what_others_spent() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        let spent = || (0..200).map(key);
        for key in spent() {
            sketch.add(key, 999);
        }
        for number in 1000..20_000 {
            sketch.take_back(key(number), 999, 1000);
        }
        let is_counted = |key| sketch.wait(key, 1, 1000).is_some();
        assert!(spent().all(is_counted));
    }

    #[test]
    fn nothing_is_ever_allowed_of_nothing() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        assert!(sketch.wait(key(1), 0, 5).is_some());
    }

    #[test]
    fn what_is_taken_back_was_counted_in_that_span() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        sketch.add(key(1), 900);
        sketch.add(key(1), 1100);
        sketch.take_back(key(1), 900, 1100);
        assert_eq!(sketch.wait(key(1), 2, 1100), None);
        assert!(sketch.wait(key(1), 1, 1100).is_some());
        sketch.take_back(key(1), 1100, 1100);
        assert_eq!(sketch.wait(key(1), 1, 1100), None);
        sketch.add(key(1), 5000);
        sketch.take_back(key(1), 1100, 5000);
        assert!(sketch.wait(key(1), 1, 5000).is_some());
    }

    /// Strangers push nobody out, and hardly anybody is taken for one.
    #[test]
    fn strangers_wash_nothing_out() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        for _ in 0..10 {
            sketch.add(key(u64::MAX), 0);
        }
        for stranger in 0..100_000 {
            sketch.add(key(stranger), 0);
        }
        assert!(sketch.wait(key(u64::MAX), 10, 0).is_some());
        let taken = (200_000..201_000).filter(|number| sketch.wait(key(*number), 10, 0).is_some());
        assert_eq!(taken.count(), 0);
        assert_eq!(sketch.young.0.len(), ROWS * COLUMNS);
    }
}
