//! `foxden user …`

use clap::Subcommand;

use super::agree;
use crate::control::Command;
use crate::control::command::{Role, UserState};
use crate::terminal::{Style, styled};

/// What can be done with accounts. A NAME is an address, another name of the account, or its id.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Show every account
    List,
    /// Create an account; its owner sets the password by a link
    Add {
        /// The address of mail
        address: String,
        /// It becomes an administrator's
        #[arg(long)]
        admin: bool,
    },
    /// Show one account, and what happened to it of late
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
    /// Make a link with which the owner sets a new password
    Password {
        /// Address or id
        name: String,
    },
    /// Make an account an administrator's
    Admin {
        /// Address or id
        name: String,
        /// Take it back instead
        #[arg(long)]
        revoke: bool,
    },
    /// Disable an account: it is signed out everywhere and cannot be signed in to
    Disable {
        /// Address or id
        name: String,
    },
    /// Enable an account again
    Enable {
        /// Address or id
        name: String,
    },
    /// Take the owner's address for confirmed, without its code
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
    /// What is to be done, once the person has agreed.
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
                    agree(&harm, &name, "removing an account")?;
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
