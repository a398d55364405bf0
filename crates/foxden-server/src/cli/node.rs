//! `foxden node …`

use clap::Subcommand;

use super::agree;
use crate::control::Command;
use crate::control::command::NodeState;
use crate::terminal::Style;
use crate::terminal::styled;

/// What can be done with storage nodes. They are added in the configuration, as `tokens.nodes`.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Show every node and how many users it has
    List,
    /// Give a node no new users; those it has stay
    Drain {
        /// Its address
        url: String,
    },
    /// Let a node take users again
    Resume {
        /// Its address
        url: String,
    },
    /// Take a node out of service: it gets no new users, those it has stay, and nothing is emptied there
    Down {
        /// Its address
        url: String,
    },
    /// Strike a node off for good; its users get empty stores on others, which their browsers fill
    Remove {
        /// Its address
        url: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl NodeCommand {
    /// What is to be done, once the person has agreed.
    pub fn into_command(self) -> anyhow::Result<Command> {
        let set = |url, state| Ok(Command::SetNode { url, state });
        match self {
            Self::List => Ok(Command::ListNodes),
            Self::Drain { url } => set(url, NodeState::Draining),
            Self::Resume { url } => set(url, NodeState::Accepting),
            Self::Down { url } => set(url, NodeState::Down),
            Self::Remove { url, yes } => {
                if !yes {
                    let harm = format!(
                        "This sends all users of {} elsewhere, to empty stores, and forgets the node.",
                        styled(&url, Style::Bold)
                    );
                    agree(&harm, &url, "removing a node")?;
                }
                Ok(Command::RemoveNode { url })
            }
        }
    }
}
