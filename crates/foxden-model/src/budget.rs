//! Rate counters: how often a client or an account did something within a span of time.
//!
//! Resources in use, such as bytes of memory or connections, are counted by their owners.

mod sketch;

use std::sync::{Mutex, PoisonError};

use sketch::Sketch;

use crate::Width;

/// One kind of event. Each meter is counted in a table of its own and does not affect others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meter {
    /// The name of the event.
    pub name: &'static str,
    /// The width of the networks that are counted; `None` if the event is not counted by network.
    pub width: Option<Width>,
    /// The span within which events count, in milliseconds.
    pub span: i64,
}

/// The subject of a count: the digest of a name or an account, and the first bits of a network; zero if there is none.
pub type Key = [u64; 2];

/// Counts events, each meter separately.
///
/// A count is never lower than the number of events within the span. It is higher only if many other keys were counted at the
/// same time; counts are never evicted. Several processes of one server can share their counts behind this trait: a process
/// adds its own events at once and reads those of others in the background, so that no request waits for another machine.
pub trait Counters: Send + Sync + 'static {
    /// Counts one event of `key`.
    fn add(&self, meter: Meter, key: Key, now: i64);
    /// Counts one event if fewer than `allowed` count, as one atomic step: concurrent callers cannot exceed the limit. `Err` is
    /// the number of milliseconds until one more event is allowed.
    fn check_and_add(&self, meter: Meter, key: Key, allowed: u32, now: i64) -> Result<(), i64>;
    /// Takes back one event that was counted at `then`.
    fn refund(&self, meter: Meter, key: Key, then: i64, now: i64);
    /// Returns the milliseconds until one more event is allowed; `None`: now.
    fn retry_after(&self, meter: Meter, key: Key, allowed: u32, now: i64) -> Option<i64>;
}

/// Counters in the memory of this process. Their size does not depend on the number of keys.
#[derive(Debug)]
pub struct MemoryCounters(Vec<(Meter, Mutex<Sketch>)>);

impl MemoryCounters {
    /// Columns of a table by default. Each takes eight bytes, and eight more for the previous span.
    pub const COLUMNS: usize = 1 << 15;

    /// Counters for these meters.
    pub fn new(meters: &[Meter]) -> Self {
        Self::sized(meters.iter().map(|meter| (*meter, Self::COLUMNS)))
    }

    /// Counters for these meters, each with its number of columns: about that many events are needed to raise the count of an
    /// unrelated key by one.
    pub fn sized(meters: impl Iterator<Item = (Meter, usize)>) -> Self {
        let own = meters.map(|(meter, columns)| (meter, Mutex::new(Sketch::new(meter.span, columns))));
        Self(own.collect())
    }

    /// Events of a meter that was not named at the start are not counted.
    fn with<T>(&self, meter: Meter, act: impl FnOnce(&mut Sketch) -> T) -> Option<T> {
        let (_, sketch) = self.0.iter().find(|(own, _)| *own == meter)?;
        Some(act(&mut sketch.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Counters for MemoryCounters {
    fn add(&self, meter: Meter, key: Key, now: i64) {
        self.with(meter, |sketch| sketch.add(key, now));
    }

    fn check_and_add(&self, meter: Meter, key: Key, allowed: u32, now: i64) -> Result<(), i64> {
        let spent = self.with(meter, |sketch| {
            if let Some(wait) = sketch.retry_after(key, allowed, now) {
                return Err(wait);
            }
            sketch.add(key, now);
            Ok(())
        });
        spent.unwrap_or(Ok(()))
    }

    fn refund(&self, meter: Meter, key: Key, then: i64, now: i64) {
        self.with(meter, |sketch| sketch.refund(key, then, now));
    }

    fn retry_after(&self, meter: Meter, key: Key, allowed: u32, now: i64) -> Option<i64> {
        self.with(meter, |sketch| sketch.retry_after(key, allowed, now))
            .flatten()
    }
}
