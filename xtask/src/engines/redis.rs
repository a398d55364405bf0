//! Redis, as a cache.

use std::process::Command;

use anyhow::{Context, Result};

use super::files::Files;
use super::server::Server;
use super::state::State;
use crate::packages::{Program, REDIS, find};

/// Redis.
pub struct Redis;

impl Server for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn title(&self) -> &'static str {
        "Redis"
    }

    fn variable(&self) -> &'static str {
        "FOXDEN_TEST_REDIS"
    }

    fn program(&self) -> &'static Program {
        &REDIS
    }

    fn system_user(&self) -> &'static str {
        "redis"
    }

    fn create(&self, _files: &Files) -> Result<()> {
        Ok(())
    }

    /// It saves nothing by itself. After `SAVE` it starts again with what it held then.
    fn serve(&self, files: &Files, port: u16) -> Result<Command> {
        let mut command = files.command(&find("redis-server").context("redis-server is missing")?);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--port").arg(port.to_string());
        command.arg("--dir").arg(&files.folder);
        Ok(command)
    }

    fn has_started(&self, state: &State) -> bool {
        state.is_answered(b"PING\r\n", b"+PONG")
    }

    fn end_signal(&self) -> &'static str {
        "TERM"
    }

    fn url(&self, state: &State) -> String {
        format!("redis://{}", state.address())
    }
}
