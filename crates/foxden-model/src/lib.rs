//! The words Foxden uses. No I/O, no HTTP, no SQL, no JSON.
//!
//! - [`time`]: [`SyncTime`], whole hundredths of a second
//! - [`names`]: [`UserId`], [`CollectionName`], [`ObjectId`]
//! - [`object`]: [`Bso`], one stored object
//! - [`clock`]: where the time comes from
//! - [`chance`]: where random bytes come from
//! - [`text`]: what strangers wrote, as it is shown
//! - [`thread`]: how threads share the cores
//! - [`network`]: the network of a client, in three widths
//! - [`notice`]: how often the log is told of a bound
//! - [`budget`]: counting what is spent of a budget

pub mod budget;
pub mod chance;
pub mod clock;
pub mod names;
pub mod network;
pub mod notice;
pub mod object;
pub mod text;
pub mod thread;
pub mod time;

pub use budget::{Counters, Key, MemoryCounters, Meter};
pub use chance::{Chance, SeededChance};
pub use clock::{Clock, ManualClock, SystemClock};
pub use names::{BadName, CollectionName, ObjectId, UserId};
pub use network::{Network, Width};
pub use notice::{Notice, Unsaid};
pub use object::Bso;
pub use text::{Shown, is_unseen};
pub use time::{BadTime, SyncTime};
