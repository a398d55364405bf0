//! `foxden node …`

use clap::Subcommand;

use super::confirm;
use crate::control::Command;
use crate::control::command::NodeState;
use crate::terminal::Style;
use crate::terminal::styled;

/// Commands about storage nodes. Nodes are added in the configuration, as `tokens.nodes`.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Show every node and how many users it has
    List,
    /// Assign no new users to a node; its users stay
    Drain {
        /// Its address
        url: String,
    },
    /// Assign users to a node again
    Resume {
        /// Its address
        url: String,
    },
    /// Mark a node as down: it gets no new users, its users stay, and no stores are emptied there
    Down {
        /// Its address
        url: String,
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

impl NodeCommand {
    /// Returns the command, after a confirmation where it is needed.
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
                    confirm(&harm, &url, "removing a node")?;
                }
                Ok(Command::RemoveNode { url })
            }
        }
    }
}
