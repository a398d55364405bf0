//! The command line.
//!
//! - [`migrate`]: moves objects to another engine
//! - [`user`], [`node`]: the commands about accounts and about storage nodes
//! - [`show`]: prints responses on a terminal

mod migrate;
mod node;
mod show;
mod user;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Parser, Subcommand};
use foxden_model::thread::prefer_low_latency;

use crate::config::{self, Config, Flags, document};
use crate::control::command::Role;
use crate::control::{self, Command};
use crate::terminal::{self, Style, styled};
use crate::{check, log, serve, version};

/// A Firefox Sync server: bookmarks, passwords, history and tabs of everyone in the house.
#[derive(Debug, Parser)]
#[command(name = "foxden", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the server
    Serve,
    /// Find common problems, and show how to fix them
    Check(check::CheckArgs),
    /// Manage accounts
    #[command(subcommand)]
    User(user::UserCommand),
    /// Manage storage nodes
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Create an invitation link for a new account, or manage invitations
    Invite(Invite),
    /// Make a server private again that counts as public
    Private,
    /// Move all objects to another engine, while no Foxden has either store open
    ///
    /// Every object, time, expiry and unfinished upload arrives as it was; a comparison of both stores ends the move. Users keep
    /// their uids. Accounts are not moved: `accounts.url` stays as it is.
    ///
    /// From its beginning neither store is served. If the move is interrupted, in whatever way, the same command goes on with it. At
    /// its end the new store can be served; the old one keeps what it has, and is not served.
    Migrate(migrate::MigrateArgs),
    /// Show and check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List chores (background work), or run one now
    #[command(subcommand)]
    Chore(ChoreCommand),
    /// Show the version
    Version,
}

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
struct Invite {
    #[command(subcommand)]
    command: Option<InviteCommand>,
    /// The new account becomes an administrator
    #[arg(long)]
    admin: bool,
    /// Show the link for the first account, which becomes an administrator
    #[arg(long, conflicts_with_all = ["admin", "note", "hours", "mail"])]
    first: bool,
    /// For whom it is meant
    #[arg(long, default_value = "")]
    note: String,
    /// How many hours it is valid [default: seven days]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    hours: Option<u32>,
    /// Send it to this address
    #[arg(long, value_name = "ADDRESS")]
    mail: Option<String>,
}

#[derive(Debug, Subcommand)]
enum InviteCommand {
    /// Show every invitation
    List,
    /// Revoke an invitation
    Revoke {
        /// Its number in the list
        id: i64,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show errors in the configuration
    Check,
    /// Show each value and its origin
    Print,
    /// Write the text of docs/configuration.md
    #[command(hide = true)]
    Document,
}

#[derive(Debug, Subcommand)]
enum ChoreCommand {
    /// Show every chore and when it last succeeded
    List,
    /// Run a chore now
    Run {
        /// Its name
        name: String,
    },
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Action::Serve => start(&self.flags),
            Action::Check(args) => check::check(&self.flags, &args),
            Action::User(command) => run_command(&self.flags, &command.into_command()?),
            Action::Node(command) => {
                command.check(&self.flags)?;
                run_command(&self.flags, &command.into_command()?)
            }
            Action::Invite(invite) => run_command(&self.flags, &invite.into_command()),
            Action::Private => run_command(&self.flags, &Command::MakePrivate),
            Action::Migrate(args) => migrate::run(&self.flags, args),
            Action::Config(command) => run_config(&command, &self.flags),
            Action::Chore(ChoreCommand::List) => run_command(&self.flags, &Command::ListChores),
            Action::Chore(ChoreCommand::Run { name }) => {
                run_command(&self.flags, &Command::RunChore { name })
            }
            Action::Version => {
                terminal::print_line(version::line());
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Invite {
    fn into_command(self) -> Command {
        match self.command {
            Some(InviteCommand::List) => return Command::ListInvitations,
            Some(InviteCommand::Revoke { id }) => return Command::RevokeInvitation { id },
            None if self.first => return Command::InviteFirst,
            None => {}
        }
        Command::Invite {
            role: if self.admin { Role::Admin } else { Role::Member },
            note: self.note,
            seconds: self.hours.map(|hours| u64::from(hours) * 3600),
            mail: self.mail,
        }
    }
}

fn start(flags: &Flags) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags)?;
    log::start(config.log.level);
    prefer_low_latency();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(blocking_threads())
        .build()?;
    runtime.block_on(serve::serve(config))?;
    Ok(ExitCode::SUCCESS)
}

/// The number of threads for blocking work: a password hash for each core but one, look-ups of names, requests to other nodes.
/// Without a bound the pool makes a new thread for each task that finds none idle, and each keeps some memory.
fn blocking_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores + 4
}

fn run_command(flags: &Flags, command: &Command) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags)?;
    show::response(control::run_command(&config, command)?)
}

/// Asks the person to confirm an irreversible action by typing the name of its object.
fn confirm(harm: &str, name: &str, what: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("{what} cannot be undone; add --yes to do it without being asked");
    }
    terminal::print_line(harm);
    terminal::print_line(format_args!("Type {name} to go on:"));
    let mut typed = String::new();
    io::stdin().read_line(&mut typed)?;
    if typed.trim() != name {
        bail!("nothing was changed");
    }
    Ok(())
}

fn run_config(command: &ConfigCommand, flags: &Flags) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Check => {
            Config::load(flags)?;
            terminal::print_line(styled("The configuration is fine.", Style::Good));
        }
        ConfigCommand::Print => print_config(flags)?,
        ConfigCommand::Document => terminal::print_text(document::markdown()),
    }
    Ok(ExitCode::SUCCESS)
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
        let origin = styled(format!("({})", entry.origin), Style::Dim);
        terminal::print_line(format_args!("{}  {value}  {origin}", styled(key, Style::Bold)));
    }
    Config::read(&values)?;
    Ok(())
}
