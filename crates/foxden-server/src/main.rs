//! The `foxden` program.
//!
//! - [`cli`]: the command line
//! - [`config`]: what the operator set
//! - [`serve`]: from the configuration to the last answer
//! - [`assemble`]: what each listener serves, and what that needs to be opened
//! - [`listen`]: sockets, connections, what happens to every request
//! - [`data`]: the data folder
//! - [`tasks`], [`chance`], [`log`], [`say`]: the homes of background work, random bytes, the log, printing

mod assemble;
mod chance;
mod cli;
mod config;
mod data;
mod greeting;
mod listen;
mod log;
mod say;
mod serve;
mod tasks;
mod version;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::fault(&error);
            ExitCode::FAILURE
        }
    }
}
