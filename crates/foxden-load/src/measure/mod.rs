//! What is measured while users act.
//!
//! - [`recorder`][]: takes what users see, at little cost
//! - [`latency`][]: histograms
//! - [`measurement`][]: a whole run, second by second
//! - [`merge`][]: several parts of a run as one
//! - [`process`][]: what the server's process uses

pub mod latency;
pub mod measurement;
pub mod merge;
pub mod process;
pub mod recorder;
