//! Caches of committed data, for every engine that answers from memory.
//!
//! [`UserCache`] holds the current version of each user's metadata; every write of the user replaces it. [`ObjectCache`] holds
//! objects together with the version in which they were read, and returns them while that version is current. Both hold
//! committed data only, and never return a version older than one that a reader may already have seen:
//!
//! 1. A writer *invalidates* the user before it commits, and *resolves* the user after the commit. In between, readers ask the
//!    database, which shows either version.
//! 2. A reader takes a *ticket* before it asks the database. It may *fill* the cache with the answer only if no user of the same
//!    segment was invalidated or resolved since.
//!
//! SQLite's engine uses them directly, since its writer thread knows the new version; [`Cached`](super::Cached) puts them in front
//! of any other engine.

mod objects;
mod told;
mod users;

#[cfg(test)]
mod tests;

pub(super) use objects::ObjectCache;
pub(super) use told::{Told, told};
pub(super) use users::{FillTicket, UserCache};
