//! `foxden node …`

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};

use super::confirm;
use crate::check::{self, Finding};
use crate::config::{Config, Flags, measure};
use crate::control::Command;
use crate::control::command::{Capacity, NodeSettings, NodeState};
use crate::terminal::{Style, styled};

/// The longest time for which clients are asked not to sync again.
const LONGEST_BACKOFF: Duration = Duration::from_secs(24 * 60 * 60);

/// Commands about storage nodes. `tokens.nodes` says whether the configuration names them, or `add` and `remove` do.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Show every node: its state, its load, and what is set for it
    List,
    /// Add a node (where tokens.nodes = "commands")
    Add {
        /// Its address, as the configuration of the node says it (`public_url`)
        url: String,
        #[command(flatten)]
        settings: SettingsArgs,
        /// Add it even if it does not answer as a storage node of this server
        #[arg(long)]
        yes: bool,
    },
    /// Change a node's capacity, weight or back-off
    Set {
        /// Its address
        url: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Empty a node: it gets no new users, and those it has move to other nodes as they come
    Drain {
        /// Its address
        url: String,
        /// Only assign no new users; those it has stay
        #[arg(long)]
        keep_users: bool,
    },
    /// Mark a node as down: it gets no new users, those it has wait, and no stores are emptied there
    Down {
        /// Its address
        url: String,
    },
    /// Assign users to a node again, after drain or down
    #[command(visible_alias = "resume")]
    Up {
        /// Its address
        url: String,
    },
    /// After a loss of data: give all users of a node empty stores, there or elsewhere, which their browsers fill
    Reset {
        /// Its address
        url: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Remove a node permanently; its users get empty stores on other nodes, which their browsers fill
    Remove {
        /// Its address
        url: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// What is set for a node.
#[derive(Debug, Args)]
pub struct SettingsArgs {
    /// How many stores it takes, or none for any number; an account has one for Firefox and one for Sync 1.1
    #[arg(long, value_name = "N")]
    capacity: Option<String>,
    /// Its share of new users, from 1 to 10000: one of 200 gets twice as many as one of 100 [default: 100]
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    weight: Option<u32>,
    /// Ask its browsers to sync only after this time again, such as "30 min", at most a day; none ends it
    #[arg(long, value_name = "TIME")]
    backoff: Option<String>,
}

impl NodeCommand {
    /// Refuses to add a node that users could not use: they would be sent there at once.
    pub fn check(&self, flags: &Flags) -> anyhow::Result<()> {
        let Self::Add { url, yes: false, .. } = self else {
            return Ok(());
        };
        let findings = check::check_new_node(&Config::load(flags)?, url)?;
        for finding in findings.iter().filter(|finding| !finding.is_ok()) {
            finding.show();
        }
        ensure!(
            !findings.iter().any(Finding::is_error),
            "nothing was added: users would be sent to {url} at once; add --yes to add it all the same, and foxden node down {url} \
             has them wait until it is there"
        );
        Ok(())
    }

    /// Returns the command, after a confirmation where it is needed.
    pub fn into_command(self) -> anyhow::Result<Command> {
        let set = |url, state| Ok(Command::SetNode { url, state });
        match self {
            Self::List => Ok(Command::ListNodes),
            Self::Add { url, settings, .. } => {
                let settings = settings.read()?;
                Ok(Command::AddNode { url, settings })
            }
            Self::Set { url, settings } => {
                let settings = settings.read()?;
                ensure!(
                    settings != NodeSettings::default(),
                    "nothing is to be set: say --capacity, --weight or --backoff"
                );
                Ok(Command::ConfigureNode { url, settings })
            }
            Self::Drain {
                url,
                keep_users: true,
            } => set(url, NodeState::NoNewUsers),
            Self::Drain { url, .. } => set(url, NodeState::Draining),
            Self::Up { url } => set(url, NodeState::Accepting),
            Self::Down { url } => set(url, NodeState::Down),
            Self::Reset { url, yes } => {
                let harm = format!(
                    "This gives all users of {} empty stores, and empties what is left of the old ones.",
                    styled(&url, Style::Bold)
                );
                confirm_unless(yes, &harm, &url, "a reset")?;
                Ok(Command::ResetNode { url })
            }
            Self::Remove { url, yes } => {
                let harm = format!(
                    "This sends all users of {} elsewhere, to empty stores, and forgets the node.",
                    styled(&url, Style::Bold)
                );
                confirm_unless(yes, &harm, &url, "removing a node")?;
                Ok(Command::RemoveNode { url })
            }
        }
    }
}

fn confirm_unless(yes: bool, harm: &str, url: &str, what: &str) -> anyhow::Result<()> {
    if yes { Ok(()) } else { confirm(harm, url, what) }
}

impl SettingsArgs {
    fn read(&self) -> anyhow::Result<NodeSettings> {
        Ok(NodeSettings {
            capacity: self.capacity.as_deref().map(read_capacity).transpose()?,
            weight: self.weight,
            backoff_seconds: self.backoff.as_deref().map(read_backoff).transpose()?,
        })
    }
}

fn read_capacity(text: &str) -> anyhow::Result<Capacity> {
    if text == "none" {
        return Ok(Capacity::Unlimited);
    }
    match text.parse() {
        Ok(0) | Err(_) => bail!("--capacity: a number of stores of at least 1 is needed, or none"),
        Ok(stores) => Ok(Capacity::Stores(stores)),
    }
}

/// Whole seconds, since clients read no others.
fn read_backoff(text: &str) -> anyhow::Result<u32> {
    if text == "none" {
        return Ok(0);
    }
    let time = measure::time(text).map_err(|why| anyhow::anyhow!("--backoff: {why}, or none"))?;
    ensure!(time <= LONGEST_BACKOFF, "--backoff: at most a day is possible");
    u32::try_from(time.as_millis().div_ceil(1000)).context("--backoff")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_and_back_off_are_written_as_people_write_them() {
        assert_eq!(read_capacity("none").unwrap(), Capacity::Unlimited);
        assert_eq!(read_capacity("10").unwrap(), Capacity::Stores(10));
        for wrong in ["0", "-1", "many", ""] {
            assert!(read_capacity(wrong).is_err(), "{wrong}");
        }
        for (text, seconds) in [
            ("none", 0),
            ("0", 0),
            ("500 ms", 1),
            ("30 min", 1800),
            ("1 day", 86_400),
        ] {
            assert_eq!(read_backoff(text).unwrap(), seconds, "{text}");
        }
        for wrong in ["30", "25 h", "soon"] {
            assert!(read_backoff(wrong).is_err(), "{wrong}");
        }
    }
}
