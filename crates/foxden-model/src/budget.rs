//! Counting what is spent of a budget.
//!
//! A budget is a number within a span of time. What is counted here are rates; what is held at the moment, such as bytes
//! of memory or connections, is counted where it is held.

mod sketch;

use std::sync::{Mutex, PoisonError};

use sketch::Sketch;

use crate::Width;

/// A memory of its own: what is counted in one neither fills another nor is pushed out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meter {
    /// What is counted.
    pub name: &'static str,
    /// For networks of which width; `None` where it is not counted by network.
    pub width: Option<Width>,
    /// For how long what was spent is counted, in milliseconds.
    pub span: i64,
}

/// Whose it is that is counted: a name or an account, and the first bits of a network; zero where there is none.
pub type Key = [u64; 2];

/// Counts what was spent, each meter apart.
///
/// What is read is never less than what was spent within the span. It is more only where many others spent at the same
/// time, never because somebody else was forgotten. Several processes of one server share their counts behind this
/// trait: a process adds at once what was spent here, and learns in the background what was spent elsewhere, so that no
/// request waits for another machine.
pub trait Counters: Send + Sync + 'static {
    /// Spends one of what `key` has.
    fn spend(&self, meter: Meter, key: Key, now: i64);
    /// Spends one where `allowed` are within the span, in one step: of those who come at once no more are let through.
    /// `Err` is the milliseconds until one more may be spent.
    fn spend_within(&self, meter: Meter, key: Key, allowed: u32, now: i64) -> Result<(), i64>;
    /// Takes back one that was spent `then`.
    fn take_back(&self, meter: Meter, key: Key, then: i64, now: i64);
    /// In how many milliseconds one more may be spent where `allowed` are within the span; `None`: now.
    fn wait(&self, meter: Meter, key: Key, allowed: u32, now: i64) -> Option<i64>;
}

/// Counters in the memory of this process, of a fixed size whatever is counted.
#[derive(Debug)]
pub struct MemoryCounters(Vec<(Meter, Mutex<Sketch>)>);

impl MemoryCounters {
    /// Columns of a table unless it is to have more. It takes eight bytes each, and as many for the span before.
    pub const COLUMNS: usize = 1 << 15;

    /// Counters for these meters.
    pub fn new(meters: &[Meter]) -> Self {
        Self::sized(meters.iter().map(|meter| (*meter, Self::COLUMNS)))
    }

    /// Counters for these meters, with tables of that many columns: about as many must be spent to add one to the count of
    /// a stranger.
    pub fn sized(meters: impl Iterator<Item = (Meter, usize)>) -> Self {
        let own = meters.map(|(meter, columns)| (meter, Mutex::new(Sketch::new(meter.span, columns))));
        Self(own.collect())
    }

    /// Nothing is counted for a meter that was not named at the start.
    fn with<T>(&self, meter: Meter, act: impl FnOnce(&mut Sketch) -> T) -> Option<T> {
        let (_, sketch) = self.0.iter().find(|(own, _)| *own == meter)?;
        Some(act(&mut sketch.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Counters for MemoryCounters {
    fn spend(&self, meter: Meter, key: Key, now: i64) {
        self.with(meter, |sketch| sketch.add(key, now));
    }

    fn spend_within(&self, meter: Meter, key: Key, allowed: u32, now: i64) -> Result<(), i64> {
        let spent = self.with(meter, |sketch| {
            if let Some(wait) = sketch.wait(key, allowed, now) {
                return Err(wait);
            }
            sketch.add(key, now);
            Ok(())
        });
        spent.unwrap_or(Ok(()))
    }

    fn take_back(&self, meter: Meter, key: Key, then: i64, now: i64) {
        self.with(meter, |sketch| sketch.take_back(key, then, now));
    }

    fn wait(&self, meter: Meter, key: Key, allowed: u32, now: i64) -> Option<i64> {
        self.with(meter, |sketch| sketch.wait(key, allowed, now))
            .flatten()
    }
}
