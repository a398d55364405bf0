//! Where the time comes from. The only home of the system's clock.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::SyncTime;

/// Tells the time. It may jump in either direction; whoever needs rising times makes them rise.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970.
    fn millis(&self) -> i64;

    /// The same in hundredths, as Sync counts.
    fn now(&self) -> SyncTime {
        SyncTime::from_millis(self.millis())
    }

    /// The same in whole seconds.
    fn seconds(&self) -> i64 {
        self.millis().div_euclid(1000)
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one home of the system's clock")]
    fn millis(&self) -> i64 {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that stands still until it is moved, for tests and golden conversations.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows this many milliseconds since 1970.
    pub const fn at_millis(millis: i64) -> Self {
        Self(AtomicI64::new(millis))
    }

    /// Sets it, forwards or back.
    pub fn set_millis(&self, millis: i64) {
        self.0.store(millis, Ordering::SeqCst);
    }

    /// Moves it, forwards or back.
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Moves it on by one hundredth of a second.
    pub fn tick(&self) {
        self.advance_millis(10);
    }
}

impl Clock for ManualClock {
    fn millis(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
