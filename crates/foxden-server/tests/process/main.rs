//! The program as a whole: started, loaded, killed, stopped, started again.
//!
//! Everything runs on loopback against the built program.

#![allow(clippy::unwrap_used, reason = "a test ends where its script cannot go on")]

use std::sync::{Mutex, MutexGuard, PoisonError};

mod cluster;
mod program;
mod raw;
mod token;

mod account_flow;
mod caches;
mod clock;
mod crash;
mod databases;
mod held;
mod history;
mod legacy;
mod legacy_flow;
mod load;
mod load_tester;
mod mail;
mod manners;
mod memory;
mod migrate;
mod node_agreement;
mod node_states;
mod nodes;
mod operator;
mod peers;
mod private;
mod proxies;
mod pyfxa;
mod ready_made;
mod security;
mod setup;
mod several;
mod shared;
mod slow;
mod split;

/// A turn for a test that keeps the whole machine busy: two at once would measure each other.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
