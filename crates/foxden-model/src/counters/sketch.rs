//! A count-min sketch: counts for any number of keys in a fixed number of cells.
//!
//! A key has one cell in each row, chosen by a keyed hash that clients cannot compute, and its count is the least of its cells.
//! So a count is never too small. It is too large only if all cells of a key are shared with busy keys: to raise the count of an
//! unrelated key by one, about as many events are needed as a row has columns.

use std::hash::{BuildHasher, RandomState};

use super::Key;

const ROWS: usize = 4;

/// Counts of the current span and of the previous one, whose weight decreases while the current one lasts.
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

/// Cells, allocated on first use: eight bytes a column.
#[derive(Debug, Default)]
struct Table(Vec<u16>);

impl Table {
    fn least(&self, cells: [usize; ROWS]) -> i64 {
        let counts = cells.map(|cell| self.0.get(cell).copied().unwrap_or(0));
        i64::from(counts.into_iter().min().unwrap_or(0))
    }

    fn change(&mut self, cells: [usize; ROWS], change: impl Fn(u16) -> u16) {
        for cell in cells {
            if let Some(cell) = self.0.get_mut(cell) {
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

    pub(super) fn add(&mut self, key: Key, times: u16, now: i64) {
        self.roll_over(now);
        if self.young.0.is_empty() {
            self.young.0 = vec![0; ROWS * self.columns];
        }
        self.young
            .change(self.cells(key), |count| count.saturating_add(times));
    }

    /// Takes one event back in the span that counted it, unless that span is over. An event of the previous span that came late
    /// was counted in the current one. If neither span counted the key, cells shared with other keys stay as they are.
    pub(super) fn refund(&mut self, key: Key, then: i64, now: i64) {
        let counted_now = self.roll_over(now);
        let then = if then < now { then } else { counted_now };
        let cells = self.cells(key);
        let table = match self.number - then.div_euclid(self.span) {
            1 if self.old.least(cells) > 0 => &mut self.old,
            0 | 1 => &mut self.young,
            _ => return,
        };
        if table.least(cells) > 0 {
            table.change(cells, |count| count - 1);
        }
    }

    /// Returns how long until fewer than `allowed` events count; `None`: now. The previous span counts in proportion to its
    /// overlap with the last full span before now.
    pub(super) fn retry_after(&mut self, key: Key, allowed: u32, now: i64) -> Option<i64> {
        let now = self.roll_over(now);
        let cells = self.cells(key);
        let (young, old) = (self.young.least(cells), self.old.least(cells));
        let rest = self.span - now.rem_euclid(self.span);
        // One more event must fit, and a cell saturates.
        let room = i64::from(allowed.min(u16::MAX.into())) - 1;
        if room < 0 {
            return Some(rest);
        }
        // How much of the current span the previous one may still overlap so that `count` events leave `room`.
        let covered = |room: i64, count: i64| self.span * room / count.max(1);
        if young > room {
            return Some(rest + self.span - covered(room, young));
        }
        let left = rest - covered(room - young, old);
        (old > 0 && left > 0).then_some(left)
    }

    /// Begins the span of `now` and returns the time to count by. If another caller has begun a later span since `now` was read,
    /// that is the beginning of the later span.
    fn roll_over(&mut self, now: i64) -> i64 {
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

    /// The key's cell in each row.
    fn cells(&self, key: Key) -> [usize; ROWS] {
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
    fn an_event_beyond_the_limit_waits_until_another_has_faded() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        for _ in 0..10 {
            assert_eq!(sketch.retry_after(key(7), 10, 500), None);
            sketch.add(key(7), 1, 500);
        }
        // A tenth of the next span must pass.
        assert_eq!(sketch.retry_after(key(7), 10, 500), Some(600));
        assert_eq!(sketch.retry_after(key(7), 10, 1099), Some(1));
        assert_eq!(sketch.retry_after(key(7), 10, 1100), None);
        sketch.add(key(7), 1, 1100);
        assert_eq!(sketch.retry_after(key(7), 10, 1100), Some(100));
        assert_eq!(sketch.retry_after(key(8), 10, 1100), None);
        assert_eq!(sketch.retry_after(key(7), 10, 3000), None, "all is over");
    }

    #[test]
    fn a_wait_is_never_too_short_and_ends() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        let mut now = 0;
        for step in 0..200 {
            if let Some(wait) = sketch.retry_after(key(1), 7, now) {
                assert!((1..=2 * SPAN).contains(&wait), "{wait}");
                assert!(sketch.retry_after(key(1), 7, now + wait - 1).is_some(), "{step}");
                assert_eq!(sketch.retry_after(key(1), 7, now + wait), None, "{step}");
                now += wait;
            }
            sketch.add(key(1), 1, now);
            now += 13;
        }
    }

    /// A caller read the clock before another caller began the next span.
    #[test]
    fn a_late_time_discards_no_counts() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        for _ in 0..10 {
            sketch.add(key(1), 1, 1000);
        }
        assert_eq!(sketch.retry_after(key(2), 10, 999), None);
        sketch.add(key(2), 1, 999);
        sketch.refund(key(3), 998, 999);
        assert!(sketch.retry_after(key(1), 10, 999).is_some());
        assert!(sketch.retry_after(key(1), 10, 1000).is_some());
        assert!(sketch.retry_after(key(2), 1, 1000).is_some());
    }

    /// The event was counted in the span that another caller had begun.
    #[test]
    fn a_late_count_is_refunded_in_the_span_that_counted_it() {
        for now in [999, 1500] {
            let mut sketch = Sketch::new(SPAN, COLUMNS);
            sketch.add(key(2), 1, 1000);
            sketch.add(key(1), 1, 999);
            sketch.refund(key(1), 999, now);
            assert_eq!(sketch.retry_after(key(1), 1, 1500), None, "{now}");
        }
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        sketch.add(key(1), 1, 500);
        sketch.add(key(2), 1, 1000);
        sketch.add(key(1), 1, 999);
        sketch.refund(key(1), 999, 999);
        assert!(
            sketch.retry_after(key(1), 1, 1000).is_some(),
            "the earlier event counts"
        );
        assert_eq!(sketch.retry_after(key(1), 1, 2000), None, "until it has faded");
    }

    /// Refunding an event that was never counted does not lower the count of keys that share its cells.
    #[test]
    fn a_refund_leaves_the_counts_of_others() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        let spent = || (0..200).map(key);
        for key in spent() {
            sketch.add(key, 1, 999);
        }
        for number in 1000..20_000 {
            sketch.refund(key(number), 999, 1000);
        }
        let is_counted = |key| sketch.retry_after(key, 1, 1000).is_some();
        assert!(spent().all(is_counted));
    }

    #[test]
    fn a_limit_of_zero_allows_nothing() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        assert!(sketch.retry_after(key(1), 0, 5).is_some());
    }

    #[test]
    fn a_refund_applies_to_the_span_of_its_count() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        sketch.add(key(1), 1, 900);
        sketch.add(key(1), 1, 1100);
        sketch.refund(key(1), 900, 1100);
        assert_eq!(sketch.retry_after(key(1), 2, 1100), None);
        assert!(sketch.retry_after(key(1), 1, 1100).is_some());
        sketch.refund(key(1), 1100, 1100);
        assert_eq!(sketch.retry_after(key(1), 1, 1100), None);
        sketch.add(key(1), 1, 5000);
        sketch.refund(key(1), 1100, 5000);
        assert!(sketch.retry_after(key(1), 1, 5000).is_some());
    }

    /// Many other keys do not evict a count, and rarely raise the count of a key that did nothing.
    #[test]
    fn many_keys_evict_no_count() {
        let mut sketch = Sketch::new(SPAN, COLUMNS);
        for _ in 0..10 {
            sketch.add(key(u64::MAX), 1, 0);
        }
        for other in 0..100_000 {
            sketch.add(key(other), 1, 0);
        }
        assert!(sketch.retry_after(key(u64::MAX), 10, 0).is_some());
        let taken = (200_000..201_000).filter(|number| sketch.retry_after(key(*number), 10, 0).is_some());
        assert_eq!(taken.count(), 0);
        assert_eq!(sketch.young.0.len(), ROWS * COLUMNS);
    }
}
