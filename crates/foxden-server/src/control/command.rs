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
    /// Add a storage node.
    AddNode {
        /// Its address.
        url: String,
        /// What is set for it.
        settings: NodeSettings,
    },
    /// Change what is set for a node.
    ConfigureNode {
        /// Its address.
        url: String,
        /// What changes.
        settings: NodeSettings,
    },
    /// Set whether a node takes users.
    SetNode {
        /// Its address.
        url: String,
        /// Whether it does from now on.
        state: NodeState,
    },
    /// Take all stores off a node, so that their owners begin anew.
    ResetNode {
        /// Its address.
        url: String,
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
    /// It keeps those it has, and takes no new ones.
    NoNewUsers,
    /// Those it has move to other nodes as they come.
    Draining,
    /// It is out of service.
    Down,
}

/// What is set for a node. What is missing stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSettings {
    /// How many stores it takes.
    #[serde(default)]
    pub capacity: Option<Capacity>,
    /// Its share of new users; 100 is usual.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Seconds for which its clients are asked not to sync again; 0: they are not asked.
    #[serde(default)]
    pub backoff_seconds: Option<u32>,
}

/// How many stores a node takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capacity {
    /// Any number.
    Unlimited,
    /// So many.
    Stores(u32),
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
            foxden_accounts::NodeState::NoNewUsers => Self::NoNewUsers,
            foxden_accounts::NodeState::Draining => Self::Draining,
            foxden_accounts::NodeState::Down => Self::Down,
        }
    }
}

impl From<NodeState> for foxden_accounts::NodeState {
    fn from(state: NodeState) -> Self {
        match state {
            NodeState::Accepting => Self::Accepting,
            NodeState::NoNewUsers => Self::NoNewUsers,
            NodeState::Draining => Self::Draining,
            NodeState::Down => Self::Down,
        }
    }
}

impl From<NodeSettings> for foxden_accounts::NodeSettings {
    fn from(settings: NodeSettings) -> Self {
        Self {
            capacity: settings.capacity.map(|capacity| match capacity {
                Capacity::Unlimited => None,
                Capacity::Stores(stores) => Some(stores),
            }),
            weight: settings.weight,
            backoff_seconds: settings.backoff_seconds,
        }
    }
}
