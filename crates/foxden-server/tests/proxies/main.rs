//! The program behind real proxies, each configured as the operator's book says.
//!
//! Needs nginx, Apache and `HAProxy`, so all of it is ignored but in `cargo xtask test`, which installs them. What the
//! scripted clients do is run through proxies as well: `FOXDEN_TEST_PROXY` puts one before every program.
#![allow(clippy::unwrap_used, reason = "a test ends where its script cannot go on")]

#[path = "../peer/mod.rs"]
mod peer;
#[allow(dead_code, reason = "it serves the process tests, too")]
#[path = "../process/program.rs"]
mod program;
#[path = "../process/token.rs"]
mod token;

mod check;
mod early;
mod paths;
mod private;
