//! The program as a whole: started, loaded, killed, stopped, started again.
//!
//! Everything runs on loopback against the built program. The long form of a test runs when the environment
//! asks for it: `FOXDEN_TEST_LONG=1`, which `cargo xtask test` sets.

#![allow(clippy::unwrap_used, reason = "a test ends where its script cannot go on")]

use std::sync::{Mutex, MutexGuard, PoisonError};

#[path = "../peer/mod.rs"]
mod peer;
mod program;
mod raw;
mod token;

mod crash;
mod load;
mod manners;
mod setup;
mod slow;

/// Whether the long form of a test is wanted.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is asked for its long form through the environment"
)]
fn is_long() -> bool {
    std::env::var_os("FOXDEN_TEST_LONG").is_some()
}

/// A turn for a test that keeps the whole machine busy: two at once would measure each other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
