//! The commands that the serving process takes, as JSON on the control socket.

use serde::{Deserialize, Serialize};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// List the accounts.
    ListUsers,
    /// Create an account; its owner sets the password by the link in the response.
    AddUser {
        /// The address.
        address: String,
        /// The role.
        role: Role,
    },
    /// Show an account.
    ShowUser {
        /// Its address, another name of it, or its id.
        name: String,
    },
    /// Remove an account and everything that hangs on it.
    RemoveUser {
        /// Its address, another name of it, or its id.
        name: String,
    },
    /// Make a link with which an account's owner sets a password.
    ResetPassword {
        /// Its address, another name of it, or its id.
        name: String,
    },
    /// Change what an account may do.
    SetRole {
        /// Its address, another name of it, or its id.
        name: String,
        /// The new role.
        role: Role,
    },
    /// Disable an account, or enable it again.
    SetUserState {
        /// Its address, another name of it, or its id.
        name: String,
        /// The new state.
        state: UserState,
    },
    /// Confirm an account's address without a code.
    ConfirmUser {
        /// Its address, another name of it, or its id.
        name: String,
    },
    /// Show the pending codes of an account.
    ShowCodes {
        /// Its address, another name of it, or its id.
        name: String,
    },
    /// Make an invitation.
    Invite {
        /// The role.
        role: Role,
        /// For whom it is meant.
        note: String,
        /// How long it holds; without it as long as invitations do.
        seconds: Option<u64>,
        /// Where it is sent, if it is to be sent.
        #[serde(default)]
        mail: Option<String>,
    },
    /// Make the invitation for the first account.
    InviteFirst,
    /// List the invitations.
    ListInvitations,
    /// Revoke an invitation.
    RevokeInvitation {
        /// Its number.
        id: i64,
    },
    /// Give a user's stores to another node.
    MoveUser {
        /// Its address, another name of it, or its id.
        name: String,
        /// The node's address; without it the best other one.
        to: Option<String>,
    },
    /// List the storage nodes.
    ListNodes,
    /// Set whether a node takes users.
    SetNode {
        /// Its address.
        url: String,
        /// Whether it does from now on.
        state: NodeState,
    },
    /// Remove a node, and assign its users to others.
    RemoveNode {
        /// Its address.
        url: String,
    },
    /// Make a server private again that was reached from elsewhere.
    MakePrivate,
    /// Announce a word, which `foxden check` then looks for at the public address.
    Probe,
    /// List the chores and when each last succeeded.
    ListChores,
    /// Run a chore now.
    RunChore {
        /// Its name.
        name: String,
    },
}

/// The roles of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Use it.
    Member,
    /// Administer the server, too.
    Admin,
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    /// It may be used.
    Enabled,
    /// It cannot be signed in to.
    Disabled,
}

/// Whether a node takes users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It takes new ones.
    Accepting,
    /// It keeps those it has.
    Draining,
    /// It is out of service.
    Down,
}

impl From<foxden_accounts::Role> for Role {
    fn from(role: foxden_accounts::Role) -> Self {
        match role {
            foxden_accounts::Role::Member => Self::Member,
            foxden_accounts::Role::Admin => Self::Admin,
        }
    }
}

impl From<Role> for foxden_accounts::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<foxden_accounts::NodeState> for NodeState {
    fn from(state: foxden_accounts::NodeState) -> Self {
        match state {
            foxden_accounts::NodeState::Accepting => Self::Accepting,
            foxden_accounts::NodeState::Draining => Self::Draining,
            foxden_accounts::NodeState::Down => Self::Down,
        }
    }
}

impl From<NodeState> for foxden_accounts::NodeState {
    fn from(state: NodeState) -> Self {
        match state {
            NodeState::Accepting => Self::Accepting,
            NodeState::Draining => Self::Draining,
            NodeState::Down => Self::Down,
        }
    }
}
