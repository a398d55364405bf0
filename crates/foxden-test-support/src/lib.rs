//! Code that tests of the server share. The program does not use it.
//!
//! - [`client`]: scripted clients, written from the protocols alone
//! - [`server`]: the shipped server in the test's own process
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    reason = "a test ends where its script cannot go on, and its answers may be left alone"
)]

pub mod client;
pub mod server;
