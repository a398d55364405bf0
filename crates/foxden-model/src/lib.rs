//! Types that all crates share. No I/O, no HTTP, no SQL, no JSON.
//!
//! - [`time`]: [`SyncTime`], whole hundredths of a second
//! - [`names`]: [`UserId`], [`CollectionName`], [`ObjectId`]
//! - [`object`]: [`Bso`], one stored object
//! - [`clock`]: the time
//! - [`rng`]: random bytes
//! - [`text`]: untrusted text, escaped for display
//! - [`thread`]: scheduling of threads
//! - [`network`]: the network of a client, in three widths
//! - [`log_throttle`]: limits repeated log lines
//! - [`counters`]: rate counters

pub mod clock;
pub mod counters;
pub mod log_throttle;
pub mod names;
pub mod network;
pub mod object;
pub mod rng;
pub mod text;
pub mod thread;
pub mod time;

pub use clock::{Clock, ManualClock, SystemClock};
pub use counters::{CounterSpec, Counters, Key, MemoryCounters, SharedCount, SharedCounters};
pub use log_throttle::{LogThrottle, Suppressed};
pub use names::{BadName, CollectionName, ObjectId, UserId};
pub use network::{Network, Width};
pub use object::Bso;
pub use rng::{Rng, SeededRng};
pub use text::{Escaped, is_invisible};
pub use time::{BadTime, SyncTime};
