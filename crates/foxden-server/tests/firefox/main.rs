//! End-to-end tests with two real Firefox browsers, driven by Marionette.
//!
//! Each scenario is a test of its own in one of the modules below `scenarios`; `cargo xtask test` runs them.
//! They need the program `firefox-esr` and nothing else: no network, no display.

mod browser;
mod data;
mod evidence;
mod marionette;
mod page;
mod page_check;
mod process;
mod recorder;
mod requests;
mod scenarios;
mod server;
mod settings;
mod sync;
mod test_context;
