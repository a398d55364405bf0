//! One program with all targets, since compiling and linking takes longer than the runs. `FOXDEN_FUZZ_TARGET` names the target of
//! a process.
#![no_main]

mod account_request;
mod exchange_request;
mod hawk_header;
mod legacy_request;
mod storage_token;
mod sync_request;
mod time;
mod user_request;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

/// The function of a target, which receives one input.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 8] = [
    ("account_request", account_request::fuzz),
    ("exchange_request", exchange_request::fuzz),
    ("hawk_header", hawk_header::fuzz),
    ("legacy_request", legacy_request::fuzz),
    ("storage_token", storage_token::fuzz),
    ("sync_request", sync_request::fuzz),
    ("time", time::fuzz),
    ("user_request", user_request::fuzz),
];

/// The variable that names a target.
const VARIABLE: &str = "FOXDEN_FUZZ_TARGET";

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).unwrap_or_default();
    match TARGETS.iter().find(|(target, _)| *target == name) {
        Some((_, target)) => *target,
        None => panic!("{VARIABLE} is {name:?}, and there is no such target"),
    }
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
