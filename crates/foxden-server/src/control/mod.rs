//! Commands of the operator, which show or change the server's data.
//!
//! The process that serves the data folder takes each [`Command`] on its control socket there. If no process serves the folder, the
//! command line opens the files itself and executes the command.
//!
//! - [`command`], [`response`]: the wire form of the socket
//! - [`mod@execute`]: executes commands by [operations](crate::operations)
//! - [`socket`]: the control socket

pub mod command;
pub mod execute;
pub mod response;
pub mod socket;

pub use command::Command;
pub use execute::execute;
pub use response::Response;

use std::sync::Arc;

use crate::app::{App, Components, Environment, NodeSync};
use crate::config::Config;
use crate::data::{self, DataFolder};
use crate::site::configured_site;
use crate::{security_log, terminal};

/// The services that a command opens. Commands about accounts do not open storage. Missing databases are not created, and the node
/// list is not written: only `foxden serve` does that.
fn components(command: &Command, config: &Config, data: &DataFolder) -> anyhow::Result<Components> {
    let has_register = App::has_register(config, data);
    let keeps_objects = App::keeps_objects(config, data);
    match command {
        Command::RunChore { .. } => Ok(Components {
            storage: keeps_objects,
            accounts: has_register,
            nodes: NodeSync::Keep,
        }),
        Command::ListChores | Command::Probe | Command::MakePrivate => Ok(Components {
            storage: false,
            accounts: false,
            nodes: NodeSync::Keep,
        }),
        about_accounts => {
            anyhow::ensure!(
                has_register,
                "there are no accounts in {}; run the command where accounts are served",
                config.server.data_dir.display()
            );
            Ok(Components {
                storage: matches!(about_accounts, Command::RemoveUser { .. }) && keeps_objects,
                accounts: true,
                nodes: NodeSync::Keep,
            })
        }
    }
}

/// Executes a command, in the serving process or in this one.
pub fn run_command(config: &Config, command: &Command) -> anyhow::Result<Response> {
    if let Some(response) = socket::send(&data::socket(&config.server.data_dir), command)? {
        return Ok(response);
    }
    // A data folder is never created here: with a mistyped path the command would run on an empty server.
    let folder = &config.server.data_dir;
    anyhow::ensure!(
        folder.is_dir(),
        "there is no data folder {}; name the one of your server with --data-dir, or start it first: foxden serve",
        folder.display()
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let data = DataFolder::open(&config.server.data_dir)?;
        let components = components(command, config, &data)?;
        let site = Arc::new(configured_site(config)?);
        let environment = Environment::of_this_machine();
        let app = App::open(config, &data, site, environment, components).await?;
        let response = execute(&app, command.clone()).await;
        if !app.security_log.flush(security_log::FLUSH_TIMEOUT) {
            terminal::eprint_line(
                "foxden: the security log could not be written; what this command did is missing there",
            );
        }
        Ok(response)
    })
}
