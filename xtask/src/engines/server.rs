//! What a kind of server has to tell to be started for the tests: one file each, and a line in `engines.rs`.

use std::process::Command;

use anyhow::{Result, bail};

use super::files::Files;
use super::state::State;
use crate::packages::Program;

/// The name of the account for tests in every server, and of its database.
pub const USER: &str = "foxden";

/// A kind of server.
pub trait Server: Sync {
    /// The name in commands and folders.
    fn name(&self) -> &'static str;

    /// The name in messages.
    fn title(&self) -> &'static str;

    /// The variable that tells the tests its URL.
    fn variable(&self) -> &'static str;

    /// The server program and its package.
    fn program(&self) -> &'static Program;

    /// The user of its package: a server that root starts runs as this user.
    fn system_user(&self) -> &'static str;

    /// Creates the data of a new server, with its accounts.
    fn create(&self, files: &Files) -> Result<()>;

    /// The call that serves these files on a port of 127.0.0.1.
    fn serve(&self, files: &Files, port: u16) -> Result<Command>;

    /// Returns whether clients can log in.
    fn has_started(&self, state: &State) -> bool;

    /// The signal that ends it although clients are connected, in the words of `kill`.
    fn end_signal(&self) -> &'static str;

    /// The address of its database for the account [`USER`].
    fn url(&self, state: &State) -> String;

    /// Forgets what the servers of its cluster share, once it has ended.
    fn forget(&self, _state: &State) -> Result<()> {
        Ok(())
    }

    /// Makes a standby the primary.
    fn promote(&self, _files: &Files) -> Result<()> {
        bail!("it is no standby")
    }
}
