//! Caches of committed data, for every engine that answers from memory.
//!
//! [`UserCache`] holds one state of a user: what changes with every write of that user. [`ObjectCache`] holds objects that were
//! read in a state, and shows them for as long as the user is in that very state. Both hold committed data only, and never show
//! a state older than one that a reader may already have seen:
//!
//! 1. A writer *invalidates* the user before it commits, and *resolves* the user after the commit. In between, readers ask the
//!    store, which shows either state.
//! 2. A reader takes a *ticket* before it asks the store. It may *fill* the cache with the answer only if no user of the same
//!    segment was invalidated or resolved since.
//!
//! SQLite's engine uses them directly, since its writer thread knows the new state; [`Cached`](super::Cached) puts them in front
//! of any other engine.

mod objects;
mod users;

#[cfg(test)]
mod tests;

pub(super) use objects::ObjectCache;
pub(super) use users::{FillTicket, UserCache};
