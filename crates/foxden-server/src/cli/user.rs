//! `foxden user …`

use std::io::{self, IsTerminal};

use anyhow::bail;
use clap::Subcommand;

use crate::control::Order;
use crate::control::order::{Standing, Switch};
use crate::say::{self, Look, paint};

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
    /// Switch an account off: it is signed out everywhere, and nobody signs in to it
    Disable {
        /// Address or id
        name: String,
    },
    /// Switch an account on again
    Enable {
        /// Address or id
        name: String,
    },
    /// Take the owner's address for confirmed, without its code
    Confirm {
        /// Address or id
        name: String,
    },
    /// Show the codes that wait for the owner
    Code {
        /// Address or id
        name: String,
    },
}

impl UserCommand {
    /// What is to be done, once the person has agreed.
    pub fn into_order(self) -> anyhow::Result<Order> {
        Ok(match self {
            Self::List => Order::ListUsers,
            Self::Add { address, admin } => Order::AddUser {
                address,
                standing: if admin { Standing::Admin } else { Standing::Member },
            },
            Self::Show { name } => Order::ShowUser { name },
            Self::Remove { name, yes } => {
                if !yes {
                    ask_before_removing(&name)?;
                }
                Order::RemoveUser { name }
            }
            Self::Password { name } => Order::ResetPassword { name },
            Self::Admin { name, revoke } => Order::SetStanding {
                name,
                standing: if revoke { Standing::Member } else { Standing::Admin },
            },
            Self::Disable { name } => Order::SwitchUser {
                name,
                switch: Switch::Off,
            },
            Self::Enable { name } => Order::SwitchUser {
                name,
                switch: Switch::On,
            },
            Self::Confirm { name } => Order::ConfirmUser { name },
            Self::Code { name } => Order::ShowCodes { name },
        })
    }
}

fn ask_before_removing(name: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("removing an account cannot be undone; add --yes to do it without being asked");
    }
    say::line(format_args!(
        "This removes {} and all that is stored for it, for good.",
        paint(name, Look::Bold)
    ));
    say::line("Type the name again to go on:");
    let mut typed = String::new();
    io::stdin().read_line(&mut typed)?;
    if typed.trim() != name {
        bail!("nothing was removed");
    }
    Ok(())
}
