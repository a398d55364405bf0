//! The load tester behind the `foxden-load` program. It speaks HTTP only and shares no code with the server's surfaces, so that
//! a mistake there does not cancel itself out here.
//!
//! - [`cli`]: the command line
//! - [`scenario`]: what users do, in TOML
//! - [`plan`], [`run`]: a run, from the first user to the last comparison
//! - [`spread`]: a run by several machines
//! - [`user`]: a made user; [`expected`]: what it has stored; [`content`]: its objects
//! - [`client`], [`protocol`], [`target`]: requests and answers
//! - [`fault`]: what is wrong with an answer
//! - [`measure`]: latencies and rates while users act
//! - [`result`], [`machine`]: what a run found, on which machine; [`summary`]: the same in a few lines
//! - [`compare`]: recorded runs of several servers side by side; [`trend`]: many over time
//! - [`threshold`]: limits that a run must keep
//! - [`view`]: what a run shows while it lasts; [`report`]: its page
//! - [`secret`]: secrets in files
//! - [`instant`], [`random`], [`number`], [`quantity`], [`display`]: times of the protocol, chance, numbers, sizes, their text

mod cli;
mod client;
mod compare;
mod content;
mod display;
mod expected;
mod fault;
mod instant;
mod machine;
mod measure;
mod number;
mod plan;
mod protocol;
mod quantity;
mod random;
mod report;
mod result;
mod run;
mod scenario;
mod secret;
mod spread;
mod summary;
mod target;
mod threshold;
mod trend;
mod user;
mod view;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with these arguments, of which the first is its name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::run(arguments)
}
