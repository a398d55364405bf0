//! What all files share: clock, random numbers, and how far readers have seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use foxden_model::{Clock, Rng, SyncTime};

/// Clock and random numbers, and the time that readers were told; the same for all files.
pub(super) struct Outside {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    /// The highest hundredth told as *as of* by the clock alone. Writes stay above it, so that a clock
    /// that slips back cannot put a write where a reader has already looked.
    told: AtomicI64,
}

impl Outside {
    pub(super) fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self {
            clock,
            rng,
            told: AtomicI64::new(i64::MIN),
        }
    }

    /// The highest time that was told.
    pub(super) fn told(&self) -> SyncTime {
        SyncTime::from_hundredths(self.told.load(Ordering::SeqCst))
    }

    /// Keeps later writes above this time.
    pub(super) fn tell(&self, time: SyncTime) {
        // A hundredth is long: nearly always another reader has told it already.
        if self.told() < time {
            self.told.fetch_max(time.hundredths(), Ordering::SeqCst);
        }
    }

    pub(super) fn now(&self) -> SyncTime {
        self.clock.now()
    }
}
