//! The `foxden` program.
//!
//! - [`cli`]: the command line
//! - [`config`]: what the operator set
//! - [`serve`]: from the configuration to the last answer; [`site`]: where the server is found
//! - [`house`]: all that surfaces, chores and commands are made of
//! - [`assemble`]: what each listener serves
//! - [`chores`]: background work
//! - [`control`]: commands that look at or change what the server keeps
//! - [`mail`]: letters to people
//! - [`node`]: speaks to a storage node as a client does
//! - [`listen`]: sockets, connections, what happens to every request
//! - [`check`], [`probe`]: finding what usually goes wrong
//! - [`security_log`]: what a security officer is told
//! - [`data`]: the data folder
//! - [`allocator`]: when memory goes back to the system
//! - [`calendar`]: times of the clock as dates
//! - [`tasks`], [`rng`], [`log`], [`say`]: the homes of background work, random bytes, the log, printing

mod allocator;
mod assemble;
mod calendar;
mod check;
mod chores;
mod cli;
mod config;
mod control;
mod data;
mod greeting;
mod house;
mod listen;
mod log;
mod mail;
mod node;
mod probe;
mod reach;
mod rng;
mod say;
mod security_log;
mod serve;
mod site;
mod tasks;
mod version;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    allocator::set_bounds();
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            say::fault(&error);
            ExitCode::FAILURE
        }
    }
}
