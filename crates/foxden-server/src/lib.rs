//! The server behind the `foxden` program. The program's own `main.rs` only calls [`run`]; tests open [`App`] with a clock and
//! random bytes of their own, and send requests to the [`RequestHandler`] that the program's listeners use.
//!
//! - [`cli`]: the command line
//! - [`config`]: what the operator set
//! - [`serve`]: `foxden serve`, from the configuration to the last answer; [`site`]: where the server is found
//! - [`server`]: services, listeners and background work together
//! - [`queue_depths`]: how much waits in it, for metrics
//! - [`app`]: the services that surfaces, chores and commands use
//! - [`assemble`]: what each listener serves
//! - [`chores`]: background work
//! - [`operations`]: what an operator does to accounts, nodes and this server
//! - [`control`]: commands for the running server; [`messages`]: what the terminal says about their results
//! - [`mail`]: mail to account owners
//! - [`node`]: speaks to a storage node as a client does; [`http_client`]: sends the requests
//! - [`listen`]: sockets, connections, what happens to every request
//! - [`check`]: finding what usually goes wrong
//! - [`security_log`]: what a security officer is told
//! - [`data`]: the data folder
//! - [`allocator`]: when memory goes back to the system
//! - [`calendar`]: times of the clock as dates
//! - [`tasks`], [`rng`], [`log`], [`terminal`]: the homes of background work, random bytes, the log, printing

mod allocator;
mod app;
mod assemble;
mod calendar;
mod check;
mod chores;
mod cli;
pub mod config;
mod control;
pub mod data;
mod exposure;
mod http_client;
mod listen;
mod log;
mod mail;
mod messages;
mod node;
mod operations;
mod queue_depths;
mod rng;
mod security_log;
mod serve;
mod server;
mod site;
mod startup_banner;
mod tasks;
mod terminal;
mod version;

use std::process::ExitCode;

use clap::Parser;

pub use app::{App, Components, Environment, NodeSync};
pub use listen::connection_limiter::ConnectionLimiter;
pub use listen::request_handler::RequestHandler;
pub use queue_depths::QueueDepths;
pub use server::Server;
pub use site::configured_site;

/// Runs the program by its command line.
pub fn run() -> ExitCode {
    allocator::set_bounds();
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            terminal::print_error(&error);
            ExitCode::FAILURE
        }
    }
}
