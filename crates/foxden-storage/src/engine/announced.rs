//! How far readers have seen.

use std::sync::atomic::{AtomicI64, Ordering};

use foxden_model::SyncTime;

/// The highest time that was told to readers as *as of* by the clock alone. Writes take later times, so that a clock that slips
/// back cannot put a write where a reader has already looked.
pub(super) struct Announced(AtomicI64);

impl Announced {
    pub(super) const fn nothing() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    /// Raises the time; to be called before the reader looks.
    pub(super) fn raise(&self, time: SyncTime) {
        // A hundredth of a second is long: nearly always another reader has raised it already.
        if self.0.load(Ordering::SeqCst) < time.hundredths() {
            self.0.fetch_max(time.hundredths(), Ordering::SeqCst);
        }
    }

    /// The earliest time that a write may take from now on.
    pub(super) fn next(&self) -> SyncTime {
        SyncTime::from_hundredths(self.0.load(Ordering::SeqCst)).next()
    }
}
