//! The time of a write.

use foxden_model::SyncTime;

/// How far, in seconds, the clock may be behind a user's own times for TTLs to count from it.
const MAX_CLOCK_LAG_SECONDS: i64 = 24 * 60 * 60;

/// The time of a write.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct WriteTime {
    /// The time of the clock; TTLs count from it unless the clock is far behind.
    pub(in crate::engine) now: SyncTime,
    /// The time that the write gets.
    pub(in crate::engine) next: SyncTime,
}

impl WriteTime {
    /// The same, but the write gets no earlier time than this.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(in crate::engine) fn not_before(self, time: SyncTime) -> Self {
        Self {
            next: self.next.max(time),
            ..self
        }
    }

    /// When an object expires that the write gives this TTL. A clock that is far behind is wrong, as on a machine without a battery that
    /// has just started: objects whose TTL counted from it would expire once the clock is corrected.
    pub(in crate::engine) fn expiry(self, seconds: u32) -> SyncTime {
        let is_wrong = self.next > self.now.plus_seconds(MAX_CLOCK_LAG_SECONDS);
        let begin = if is_wrong { self.next } else { self.now };
        begin.plus_seconds(seconds.into())
    }
}
