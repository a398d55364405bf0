//! Rate counters: how often a client or an account did something within a span of time.
//!
//! Resources in use, such as bytes of memory or connections, are counted by their owners.

mod shared;
mod sketch;

use std::sync::{Mutex, PoisonError};

use sketch::Sketch;

use crate::Width;
pub use shared::{SharedCount, SharedCounters};

/// One kind of event. Each kind has a table of its own, so its count does not affect others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CounterSpec {
    /// The name of the event.
    pub name: &'static str,
    /// The width of the networks that are counted; `None` if the event is not counted by network.
    pub width: Option<Width>,
    /// The span within which events count, in milliseconds.
    pub span: i64,
}

/// The subject of a count: the digest of a name or an account, and the first bits of a network; zero if there is none.
pub type Key = [u64; 2];

/// Counts events, each kind separately.
///
/// A count is never lower than the number of events within the span. It is higher only if many other keys were counted at the
/// same time; counts are never evicted. Several processes of one server share their counts behind this trait, by
/// [`SharedCounters`]: a process adds its own events at once and reads those of others in the background, so that no request waits
/// for another machine.
pub trait Counters: Send + Sync + 'static {
    /// Counts one event of `key`.
    fn add(&self, counter: CounterSpec, key: Key, now: i64);
    /// Counts one event if fewer than `allowed` count, as one atomic step: concurrent callers cannot exceed the limit. `Err` is
    /// the number of milliseconds until one more event is allowed.
    fn check_and_add(&self, counter: CounterSpec, key: Key, allowed: u32, now: i64) -> Result<(), i64>;
    /// Takes back one event that was counted at `then`.
    fn refund(&self, counter: CounterSpec, key: Key, then: i64, now: i64);
    /// Returns the milliseconds until one more event is allowed; `None`: now.
    fn retry_after(&self, counter: CounterSpec, key: Key, allowed: u32, now: i64) -> Option<i64>;
}

/// Counters in the memory of this process. Their size does not depend on the number of keys.
#[derive(Debug)]
pub struct MemoryCounters(Vec<(CounterSpec, Mutex<Sketch>)>);

impl MemoryCounters {
    /// Columns of a table by default. Each takes eight bytes, and eight more for the previous span.
    pub const COLUMNS: usize = 1 << 15;

    /// Counters for these kinds of events.
    pub fn new(specs: &[CounterSpec]) -> Self {
        Self::sized(specs.iter().map(|counter| (*counter, Self::COLUMNS)))
    }

    /// Counters for these kinds of events, each with its number of columns: about that many events are needed to raise the count of an
    /// unrelated key by one.
    pub fn sized(specs: impl Iterator<Item = (CounterSpec, usize)>) -> Self {
        let own = specs.map(|(counter, columns)| (counter, Mutex::new(Sketch::new(counter.span, columns))));
        Self(own.collect())
    }

    /// Counts that many events of `key`.
    pub fn add_times(&self, counter: CounterSpec, key: Key, times: u16, now: i64) {
        self.with(counter, |sketch| sketch.add(key, times, now));
    }

    /// The kinds of events.
    fn specs(&self) -> impl Iterator<Item = CounterSpec> {
        self.0.iter().map(|(counter, _)| *counter)
    }

    /// Events of a kind that is not in this list are not counted.
    fn with<T>(&self, counter: CounterSpec, act: impl FnOnce(&mut Sketch) -> T) -> Option<T> {
        let (_, sketch) = self.0.iter().find(|(own, _)| *own == counter)?;
        Some(act(&mut sketch.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Counters for MemoryCounters {
    fn add(&self, counter: CounterSpec, key: Key, now: i64) {
        self.add_times(counter, key, 1, now);
    }

    fn check_and_add(&self, counter: CounterSpec, key: Key, allowed: u32, now: i64) -> Result<(), i64> {
        let spent = self.with(counter, |sketch| {
            if let Some(wait) = sketch.retry_after(key, allowed, now) {
                return Err(wait);
            }
            sketch.add(key, 1, now);
            Ok(())
        });
        spent.unwrap_or(Ok(()))
    }

    fn refund(&self, counter: CounterSpec, key: Key, then: i64, now: i64) {
        self.with(counter, |sketch| sketch.refund(key, then, now));
    }

    fn retry_after(&self, counter: CounterSpec, key: Key, allowed: u32, now: i64) -> Option<i64> {
        self.with(counter, |sketch| sketch.retry_after(key, allowed, now))
            .flatten()
    }
}
