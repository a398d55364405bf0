//! The command line.

use clap::{Parser, Subcommand};

use crate::config::{self, Config, Flags, document};
use crate::say::{self, Look, paint};
use crate::{log, serve, version};

/// A Firefox Sync server: bookmarks, passwords, history and tabs of everyone in the house.
#[derive(Debug, Parser)]
#[command(name = "foxden", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until told to stop
    Serve,
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Say which version this is
    Version,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say what is wrong with it
    Check,
    /// Show each value and who set it
    Print,
    /// Write the text of docs/configuration.md
    #[command(hide = true)]
    Document,
}

impl Cli {
    /// Does what the command line asks.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve => {
                let config = Config::load(&self.flags)?;
                log::start(config.log.level);
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
                runtime.block_on(serve::serve(config))
            }
            Command::Config(ConfigCommand::Check) => {
                Config::load(&self.flags)?;
                say::line(paint("The configuration is fine.", Look::Good));
                Ok(())
            }
            Command::Config(ConfigCommand::Print) => print_config(&self.flags),
            Command::Config(ConfigCommand::Document) => {
                say::text(document::markdown());
                Ok(())
            }
            Command::Version => {
                say::line(version::line());
                Ok(())
            }
        }
    }
}

fn print_config(flags: &Flags) -> anyhow::Result<()> {
    let values = config::source::gather(flags)?;
    let entries = document::entries(&values);
    let widest = entries.iter().map(|entry| entry.key.len()).max().unwrap_or(0);
    for entry in entries {
        let key = format!("{:widest$}", entry.key);
        let value = if entry.value.is_empty() {
            "–"
        } else {
            &entry.value
        };
        let origin = paint(format!("({})", entry.origin), Look::Dim);
        say::line(format_args!("{}  {value}  {origin}", paint(key, Look::Bold)));
    }
    Config::read(&values)?;
    Ok(())
}
