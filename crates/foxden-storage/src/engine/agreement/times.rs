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
    /// When a write is given up. It may land up to fifteen seconds later: the server ends its statements and transactions.
    pub write_limit: Duration,
    /// How long a cache is announced before it is used: longer than `write_lease`, `write_limit` and those fifteen seconds together.
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
            write_limit: Duration::from_secs(40),
            settle: Duration::from_secs(80),
            retry: Duration::from_secs(60),
            bar_limit: Duration::from_secs(2),
        }
    }
}
