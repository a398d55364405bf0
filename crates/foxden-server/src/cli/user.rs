//! `foxden user …`

use clap::Subcommand;

use super::confirm;
use crate::control::Command;
use crate::control::command::{Role, UserState};
use crate::terminal::{Style, styled};

/// Commands about accounts. A NAME is an address, another name of the account, or its id.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Show every account
    List,
    /// Create an account; its owner sets the password by a link
    Add {
        /// The e-mail address
        address: String,
        /// The account becomes an administrator
        #[arg(long)]
        admin: bool,
    },
    /// Show one account and its recent events
    Show {
        /// Address or id
        name: String,
    },
    /// Remove an account with everything stored for it
    Remove {
        /// Address or id
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Create a link by which the owner sets a new password
    Password {
        /// Address or id
        name: String,
    },
    /// Make an account an administrator
    Admin {
        /// Address or id
        name: String,
        /// Remove the role instead
        #[arg(long)]
        revoke: bool,
    },
    /// Disable an account: its sessions end, and sign-in is refused
    Disable {
        /// Address or id
        name: String,
    },
    /// Enable an account again
    Enable {
        /// Address or id
        name: String,
    },
    /// Confirm the account's address without its code
    Confirm {
        /// Address or id
        name: String,
    },
    /// Move an account's stores to another node; its browsers fill them anew
    Move {
        /// Address or id
        name: String,
        /// The node's address [default: the one with the fewest users]
        #[arg(long, value_name = "URL")]
        to: Option<String>,
    },
    /// Show the codes that wait for the owner
    Code {
        /// Address or id
        name: String,
    },
}

impl UserCommand {
    /// Returns the command, after a confirmation where it is needed.
    pub fn into_command(self) -> anyhow::Result<Command> {
        Ok(match self {
            Self::List => Command::ListUsers,
            Self::Add { address, admin } => Command::AddUser {
                address,
                role: if admin { Role::Admin } else { Role::Member },
            },
            Self::Show { name } => Command::ShowUser { name },
            Self::Remove { name, yes } => {
                if !yes {
                    let harm = format!(
                        "This removes {} and all that is stored for it, for good.",
                        styled(&name, Style::Bold)
                    );
                    confirm(&harm, &name, "removing an account")?;
                }
                Command::RemoveUser { name }
            }
            Self::Password { name } => Command::ResetPassword { name },
            Self::Admin { name, revoke } => Command::SetRole {
                name,
                role: if revoke { Role::Member } else { Role::Admin },
            },
            Self::Disable { name } => Command::SetUserState {
                name,
                state: UserState::Disabled,
            },
            Self::Enable { name } => Command::SetUserState {
                name,
                state: UserState::Enabled,
            },
            Self::Confirm { name } => Command::ConfirmUser { name },
            Self::Move { name, to } => Command::MoveUser { name, to },
            Self::Code { name } => Command::ShowCodes { name },
        })
    }
}
