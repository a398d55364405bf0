//! The server behind the `foxden` program. The program's own `main.rs` only calls [`run`]; tests open [`App`] with a clock and
//! random bytes of their own, and send requests to the [`RequestHandler`] that the program's listeners use.
//!
//! - [`cli`]: the command line
//! - [`config`]: the settings
//! - [`serve`]: `foxden serve`, from the configuration to the last answer; [`site`]: where the server is found
//! - [`server`]: services, listeners and background work together
//! - [`queue_depths`]: how much waits in it, for metrics
//! - [`app`]: the services that surfaces, chores and commands use
//! - [`assemble`]: builds the service of each listener
//! - [`chores`]: background work
//! - [`operations`]: operator commands on accounts, nodes and this server
//! - [`control`]: commands for the running server; [`messages`]: the texts of their results
//! - [`mail`]: mail to account owners
//! - [`node`]: requests to a storage node; [`http_client`]: sends them
//! - [`backoff`], [`node_orders`]: for how long clients are asked to stay away, and what the register orders this node to say
//! - [`sharing`]: meets the other processes that serve the same people
//! - [`listen`]: sockets, connections, the handling of every request
//! - [`check`]: finds common mistakes of the setup
//! - [`security_log`]: security events in CEF
//! - [`data`]: the data folder
//! - [`allocator`]: returns memory to the system
//! - [`calendar`]: times of the clock as dates
//! - [`tasks`], [`rng`], [`log`], [`terminal`]: the homes of background work, random bytes, the log, printing

mod allocator;
mod app;
mod assemble;
mod backoff;
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
mod node_orders;
mod operations;
mod queue_depths;
mod rng;
mod security_log;
mod serve;
mod server;
mod sharing;
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
