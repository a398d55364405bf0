//! Counters in memory whose events other processes hear of.
//!
//! What is counted here is noted beside the counters, by key, and someone carries the notes to the other processes now and then.
//! The notes have a fixed bound: beyond it a count holds in this process alone until the notes were taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{CounterSpec, Counters, Key, MemoryCounters};
use crate::Width;

/// The maximum number of notes of each kind of event. A kind that strangers cause often does not crowd out another.
const NOTES: usize = 1024;
/// A refund of an event that is not older than this is a lower count, in milliseconds.
const RECENT: i64 = 2000;

/// Counters whose events other processes hear of, and which hear of theirs.
#[derive(Debug)]
pub struct SharedCounters {
    memory: MemoryCounters,
    notes: Vec<Notes>,
    /// Whether anyone listens. Nothing is noted otherwise.
    is_heard: AtomicBool,
    dropped: AtomicU64,
}

/// What was counted of one kind of event since the notes were taken.
#[derive(Debug)]
struct Notes {
    counter: CounterSpec,
    id: u64,
    counts: Mutex<HashMap<(Key, RefundedAt), i32>>,
}

/// Whether events were counted, or old ones taken back: the second in which they were counted.
type RefundedAt = Option<i64>;

/// Events of one kind and key that a process counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedCount {
    /// The kind of event: the same number in every process that counts it within the same span.
    pub counter: u64,
    /// Their subject.
    pub key: Key,
    /// How many; below zero if they are taken back.
    pub times: i32,
    /// How many seconds ago the events were counted that are taken back.
    pub age: u32,
}

impl SharedCounters {
    /// Shares these counters, once [`SharedCounters::set_heard`] says that someone listens.
    pub fn new(memory: MemoryCounters) -> Self {
        let notes = memory.specs().map(|counter| Notes {
            counter,
            id: id_of(counter),
            counts: Mutex::default(),
        });
        Self {
            notes: notes.collect(),
            memory,
            is_heard: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        }
    }

    /// Begins to note what is counted, or stops it.
    pub fn set_heard(&self, is_heard: bool) {
        self.is_heard.store(is_heard, Ordering::Relaxed);
        if !is_heard {
            for notes in &self.notes {
                notes.lock().clear();
            }
        }
    }

    /// Takes at most so many notes for other processes. Each kind of event has its share; the others stay for the next time.
    pub fn take(&self, most: usize, now: i64) -> Vec<SharedCount> {
        let mut taken = Vec::new();
        for (number, notes) in self.notes.iter().enumerate() {
            let share = (most - taken.len()) / (self.notes.len() - number);
            let mut counts = notes.lock();
            let keys: Vec<_> = counts.keys().take(share).copied().collect();
            for (key, then) in keys {
                let times = counts.remove(&(key, then)).unwrap_or(0);
                let age = then.map_or(0, |then| u32::try_from(now / 1000 - then).unwrap_or(0));
                let note = SharedCount {
                    counter: notes.id,
                    key,
                    times,
                    age,
                };
                taken.extend((times != 0).then_some(note));
            }
        }
        taken
    }

    /// Notes again what could not be carried to the other processes.
    pub fn give_back(&self, counts: &[SharedCount], now: i64) {
        for count in counts {
            let Some(notes) = self.notes.iter().find(|notes| notes.id == count.counter) else {
                continue;
            };
            let then = (count.age > 0).then(|| now / 1000 - i64::from(count.age));
            self.note(notes.counter, count.key, then, count.times);
        }
    }

    /// Counts what another process counted. A kind of event that is not counted here is left out.
    pub fn apply(&self, count: SharedCount, now: i64) {
        let Some(notes) = self.notes.iter().find(|notes| notes.id == count.counter) else {
            return;
        };
        let times = u16::try_from(count.times.unsigned_abs()).unwrap_or(u16::MAX);
        if count.times > 0 {
            self.memory.add_times(notes.counter, count.key, times, now);
            return;
        }
        let then = now - i64::from(count.age) * 1000;
        for _ in 0..times {
            self.memory.refund(notes.counter, count.key, then, now);
        }
    }

    /// How many counts found no room among the notes since the last call.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    fn note(&self, counter: CounterSpec, key: Key, then: RefundedAt, times: i32) {
        if !self.is_heard.load(Ordering::Relaxed) {
            return;
        }
        let Some(notes) = self.notes.iter().find(|notes| notes.counter == counter) else {
            return;
        };
        let mut counts = notes.lock();
        let is_known = counts.contains_key(&(key, then));
        if !is_known && counts.len() >= NOTES {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let count = counts.entry((key, then)).or_default();
        *count = count.saturating_add(times);
        // An attempt that turned out well within the second is not told.
        if *count == 0 {
            counts.remove(&(key, then));
        }
    }
}

impl Counters for SharedCounters {
    fn add(&self, counter: CounterSpec, key: Key, now: i64) {
        self.memory.add(counter, key, now);
        self.note(counter, key, None, 1);
    }

    fn check_and_add(&self, counter: CounterSpec, key: Key, allowed: u32, now: i64) -> Result<(), i64> {
        self.memory.check_and_add(counter, key, allowed, now)?;
        self.note(counter, key, None, 1);
        Ok(())
    }

    fn refund(&self, counter: CounterSpec, key: Key, then: i64, now: i64) {
        self.memory.refund(counter, key, then, now);
        let then = (now - then > RECENT).then_some(then / 1000);
        self.note(counter, key, then, -1);
    }

    fn retry_after(&self, counter: CounterSpec, key: Key, allowed: u32, now: i64) -> Option<i64> {
        self.memory.retry_after(counter, key, allowed, now)
    }
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, HashMap<(Key, RefundedAt), i32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of a kind of event, by FNV-1a: the same in every process and release.
fn id_of(counter: CounterSpec) -> u64 {
    let width: &[u8] = match counter.width {
        None => &[0],
        Some(Width::Narrow) => &[1],
        Some(Width::Middle) => &[2],
        Some(Width::Wide) => &[3],
    };
    let parts = [counter.name.as_bytes(), width, &counter.span.to_le_bytes()];
    let bytes = parts.into_iter().flatten();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: CounterSpec = CounterSpec {
        name: "wrong passwords",
        width: Some(Width::Narrow),
        span: 900_000,
    };
    const OTHER: CounterSpec = CounterSpec {
        width: Some(Width::Wide),
        ..SPEC
    };

    fn heard() -> SharedCounters {
        let counters = SharedCounters::new(MemoryCounters::new(&[SPEC, OTHER]));
        counters.set_heard(true);
        counters
    }

    /// The steady clocks of two processes begin anywhere.
    fn carry(from: &SharedCounters, now: i64, to: &SharedCounters, there: i64) -> usize {
        let taken = from.take(usize::MAX, now);
        for count in &taken {
            to.apply(*count, there);
        }
        taken.len()
    }

    #[test]
    fn what_one_process_counts_is_spent_at_the_other() {
        let (here, there) = (heard(), heard());
        for _ in 0..10 {
            here.check_and_add(SPEC, [7, 1], 10, 1000).unwrap();
        }
        assert_eq!(carry(&here, 1000, &there, 77_000), 1, "one key is one note");
        assert!(there.check_and_add(SPEC, [7, 1], 10, 77_000).is_err());
        there.check_and_add(SPEC, [7, 2], 10, 77_000).unwrap();
        there.check_and_add(OTHER, [7, 1], 10, 77_000).unwrap();
        // What is heard is not told again.
        assert_eq!(carry(&there, 77_000, &here, 1000), 2);
        assert_eq!(carry(&here, 1000, &there, 77_000), 0);
    }

    #[test]
    fn refunds_travel_at_once_and_later() {
        let (here, there) = (heard(), heard());
        here.add(SPEC, [7, 1], 1000);
        here.refund(SPEC, [7, 1], 1000, 1030);
        assert_eq!(carry(&here, 1030, &there, 500_000), 0, "nothing happened");
        for refunded_at in [1900, 60_000] {
            here.add(SPEC, [7, 1], 1000);
            assert_eq!(carry(&here, 1800, &there, 500_000), 1);
            assert!(there.retry_after(SPEC, [7, 1], 1, 500_000).is_some());
            here.refund(SPEC, [7, 1], 1000, refunded_at);
            let there_now = 498_200 + refunded_at;
            assert_eq!(carry(&here, refunded_at, &there, there_now), 1);
            assert_eq!(there.retry_after(SPEC, [7, 1], 1, there_now), None);
        }
    }

    #[test]
    fn notes_are_bounded_for_each_kind_and_taken_in_shares() {
        let here = heard();
        for key in 0..10 * NOTES as u64 {
            here.add(SPEC, [key, 0], 0);
        }
        here.add(OTHER, [1, 0], 0);
        assert_eq!(here.take_dropped(), 9 * NOTES as u64);
        let taken = here.take(20, 0);
        assert_eq!(taken.len(), 11, "half for each kind");
        assert_eq!(here.take(usize::MAX, 0).len(), NOTES - 10);
        assert!(here.take(usize::MAX, 0).is_empty());
        here.give_back(&taken, 0);
        assert_eq!(here.take(usize::MAX, 0).len(), taken.len());
    }

    #[test]
    fn a_process_alone_notes_nothing() {
        let here = heard();
        here.add(SPEC, [1, 0], 0);
        here.set_heard(false);
        here.add(SPEC, [2, 0], 0);
        assert!(here.take(usize::MAX, 0).is_empty());
        assert!(
            here.retry_after(SPEC, [2, 0], 1, 0).is_some(),
            "it counts all the same"
        );
    }

    #[test]
    fn a_kind_has_the_same_number_everywhere_and_no_two_have_one() {
        assert_eq!(id_of(SPEC), 0x3ea9_6f65_1270_8727);
        assert_ne!(id_of(SPEC), id_of(OTHER));
        assert_ne!(id_of(SPEC), id_of(CounterSpec { span: 1, ..SPEC }));
    }
}
