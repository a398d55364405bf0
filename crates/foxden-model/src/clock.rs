//! The time. No other file reads the system's clock.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use crate::SyncTime;

/// Tells the time. It may jump in either direction; code that needs rising times enforces that itself.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970.
    fn millis(&self) -> i64;

    /// Milliseconds since an arbitrary point in time. They never fall, even if the clock is set back: for durations that are not
    /// compared with times from outside this process.
    fn steady_millis(&self) -> i64;

    /// The time in hundredths of a second, the unit of Sync.
    fn now(&self) -> SyncTime {
        SyncTime::from_millis(self.millis())
    }

    /// Whole seconds since 1970.
    fn seconds(&self) -> i64 {
        self.millis().div_euclid(1000)
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the only use of the system's clock")]
    fn millis(&self) -> i64 {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        // Whole milliseconds are wider than a word, and dividing them is slow.
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 1000);
        seconds * 1000 + i64::from(since.subsec_millis())
    }

    fn steady_millis(&self) -> i64 {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        i64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that stands still until it is moved, for tests and golden conversations.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    steady: AtomicI64,
}

impl ManualClock {
    /// A clock that shows this many milliseconds since 1970.
    pub const fn at_millis(millis: i64) -> Self {
        Self {
            wall: AtomicI64::new(millis),
            steady: AtomicI64::new(0),
        }
    }

    /// Sets it, forwards or back. No time passes.
    pub fn set_millis(&self, millis: i64) {
        self.wall.store(millis, Ordering::SeqCst);
    }

    /// Lets time pass. A negative value sets the clock back.
    pub fn advance_millis(&self, millis: i64) {
        self.wall.fetch_add(millis, Ordering::SeqCst);
        self.steady.fetch_add(millis.max(0), Ordering::SeqCst);
    }

    /// Moves it on by one hundredth of a second.
    pub fn tick(&self) {
        self.advance_millis(10);
    }
}

impl Clock for ManualClock {
    fn millis(&self) -> i64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn steady_millis(&self) -> i64 {
        self.steady.load(Ordering::SeqCst)
    }
}
