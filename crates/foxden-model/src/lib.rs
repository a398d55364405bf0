//! The words Foxden uses. No I/O, no HTTP, no SQL, no JSON.
//!
//! - [`time`]: [`SyncTime`], whole hundredths of a second
//! - [`names`]: [`UserId`], [`CollectionName`], [`ObjectId`]
//! - [`object`]: [`Bso`], one stored object
//! - [`clock`]: where the time comes from
//! - [`chance`]: where random bytes come from

pub mod chance;
pub mod clock;
pub mod names;
pub mod object;
pub mod time;

pub use chance::{Chance, SeededChance};
pub use clock::{Clock, ManualClock, SystemClock};
pub use names::{BadName, CollectionName, ObjectId, UserId};
pub use object::Bso;
pub use time::{BadTime, SyncTime};
