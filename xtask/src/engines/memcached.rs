//! memcached.

use std::process::Command;

use anyhow::{Context, Result};

use super::files::Files;
use super::server::Server;
use super::state::State;
use crate::packages::{MEMCACHED, Program, find};

/// memcached.
pub struct Memcached;

impl Server for Memcached {
    fn name(&self) -> &'static str {
        "memcached"
    }

    fn title(&self) -> &'static str {
        "memcached"
    }

    fn variable(&self) -> &'static str {
        "FOXDEN_TEST_MEMCACHED"
    }

    fn program(&self) -> &'static Program {
        &MEMCACHED
    }

    fn system_user(&self) -> &'static str {
        "memcache"
    }

    fn create(&self, _files: &Files) -> Result<()> {
        Ok(())
    }

    fn serve(&self, files: &Files, port: u16) -> Result<Command> {
        let mut command = files.command(&find("memcached").context("memcached is missing")?);
        command.args(["--listen=127.0.0.1", "--udp-port=0", "--memory-limit=64"]);
        command.arg(format!("--port={port}"));
        Ok(command)
    }

    fn has_started(&self, state: &State) -> bool {
        state.is_answered(b"version\r\n", b"VERSION")
    }

    fn end_signal(&self) -> &'static str {
        "TERM"
    }

    fn url(&self, state: &State) -> String {
        format!("memcache://{}", state.address())
    }
}
