//! How long an agreement holds without another look.

use std::time::Duration;

/// How long what a process has seen of the agreement holds, and what follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheTimes {
    /// How long after a look at the row entries may be read.
    pub lease: Duration,
    /// How long a writer that cannot bar entries waits once the cache is paused: longer than `lease`, as clocks differ in rate.
    pub hold: Duration,
    /// How long after a look at the row a write may begin.
    pub write_lease: Duration,
    /// How long after a look a write may land, by the database's clock: longer than `write_lease`, and shorter than the minute after
    /// which a bar in a shared cache counts as one without a writer.
    pub write_limit: Duration,
    /// How long a cache is announced before it is used: longer than a write takes to land once the database has compared its leave.
    /// The server ends statements and transactions within fifteen seconds.
    pub settle: Duration,
    /// The pause before a cache is announced again that another process objected to.
    pub retry: Duration,
    /// How long a writer tries to bar an entry before it ends the use of the cache for all processes.
    pub bar_limit: Duration,
}

impl Default for CacheTimes {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(2),
            hold: Duration::from_millis(2500),
            write_lease: Duration::from_secs(15),
            write_limit: Duration::from_secs(50),
            settle: Duration::from_secs(30),
            retry: Duration::from_secs(60),
            bar_limit: Duration::from_secs(2),
        }
    }
}
