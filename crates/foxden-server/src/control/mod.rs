//! Commands that look at or change what the server keeps.
//!
//! A command is an [`Order`]. The process that serves the data folder takes orders on a socket there; where
//! none serves, the command opens the files itself and carries the order out on the spot.
//!
//! - [`order`]: what can be asked, and the answers
//! - [`mod@carry_out`], [`nodes`]: doing it
//! - [`deed`]: what a security officer is told of it
//! - [`socket`]: asking the process that serves

pub mod carry_out;
mod deed;
pub mod nodes;
pub mod order;
pub mod socket;

pub use carry_out::carry_out;
pub use order::{Answer, Order};

use std::sync::Arc;

use crate::app::{App, Components, Environment, NodeSync};
use crate::config::Config;
use crate::data::{self, DataFolder};
use crate::site::configured_site;
use crate::{security_log, terminal};

/// A command that only looks at accounts opens no storage. Either is opened where it is, and never made: that is for
/// the server, as is the list of nodes.
fn components(order: &Order, config: &Config, data: &DataFolder) -> anyhow::Result<Components> {
    let register = App::register(config, data);
    let has_register = config.keeps_accounts() && register.is_file();
    let keeps_objects = App::keeps_objects(config, data);
    match order {
        Order::RunChore { .. } => Ok(Components {
            storage: keeps_objects,
            accounts: has_register,
            nodes: NodeSync::Keep,
        }),
        Order::ListChores | Order::Probe | Order::MakePrivate => Ok(Components {
            storage: false,
            accounts: false,
            nodes: NodeSync::Keep,
        }),
        about_accounts => {
            anyhow::ensure!(
                has_register,
                "no accounts are kept here, in {}; give the command where accounts are served",
                config.server.data_dir.display()
            );
            Ok(Components {
                storage: matches!(about_accounts, Order::RemoveUser { .. }) && keeps_objects,
                accounts: true,
                nodes: NodeSync::Keep,
            })
        }
    }
}

/// Has the order carried out, by the process that serves or right here.
pub fn give(config: &Config, order: &Order) -> anyhow::Result<Answer> {
    if let Some(answer) = socket::ask(&data::socket(&config.server.data_dir), order)? {
        return Ok(answer);
    }
    // A command in the wrong place must not found a second, empty server there.
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
        let components = components(order, config, &data)?;
        let site = Arc::new(configured_site(config)?);
        let environment = Environment::of_this_machine();
        let app = App::open(config, &data, site, environment, components).await?;
        let answer = carry_out(&app, order.clone()).await;
        if !app.security_log.flush(security_log::FLUSH_TIMEOUT) {
            terminal::eprint_line(
                "foxden: the security log could not be written; what this command did is missing there",
            );
        }
        Ok(answer)
    })
}
