//! The commands that the serving process takes, and their responses. Both are JSON on the control socket.

mod convert;

use serde::{Deserialize, Serialize};

use crate::exposure::Mark;

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
        /// What it may do.
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
        /// What it may do from now on.
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
        /// What the account may do.
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

/// How the running server was started, as far as `foxden check` goes by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// The ports it was told to listen on; 0 is any.
    pub ports: Vec<u16>,
    /// Whether it keeps objects.
    pub keeps_objects: bool,
    /// Whether it serves pages or accounts, which stand at the root of the public address.
    pub has_root: bool,
    /// The size of the largest upload.
    pub max_request_bytes: u64,
    /// Whether it takes people at its machine for the only ones who reach it.
    #[serde(default)]
    pub is_private: bool,
    /// Since when it does so no more.
    #[serde(default)]
    pub mark: Option<Mark>,
}

/// What an account may do.
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

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum Response {
    /// Accounts.
    Users {
        /// In the order of their ids.
        users: Vec<User>,
    },
    /// An account.
    User {
        /// The account.
        user: User,
        /// What happened to it of late, newest first.
        #[serde(default)]
        events: Vec<Event>,
    },
    /// Invitations.
    Invitations {
        /// Newest first.
        invitations: Vec<Invitation>,
    },
    /// A link to pass on.
    Link {
        /// The link.
        url: String,
        /// What it does.
        about: String,
    },
    /// Storage nodes.
    Nodes {
        /// In the order of their addresses.
        nodes: Vec<Node>,
    },
    /// Codes that wait.
    Codes {
        /// Those that wait.
        codes: Vec<WaitingCode>,
    },
    /// The word that was announced, and where to look for it.
    Probe {
        /// Where this server says it is found.
        public_url: String,
        /// The word.
        word: String,
        /// How it was started.
        serving: Serving,
    },
    /// The chores.
    Chores {
        /// In the order of the timetable.
        chores: Vec<Chore>,
    },
    /// It was done.
    Done {
        /// What was done.
        text: String,
    },
    /// It was not done.
    Failed {
        /// Why.
        text: String,
    },
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: String,
    /// The address in use.
    pub address: String,
    /// Whether the address is confirmed.
    pub is_confirmed: bool,
    /// Whether a password was set.
    pub has_password: bool,
    /// What it may do.
    pub role: Role,
    /// Whether it is switched off.
    pub is_disabled: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub last_used: Option<i64>,
    /// Sessions that exist.
    pub sessions: u64,
    /// Devices that exist.
    pub devices: u64,
    /// Further names it is known by.
    pub names: Vec<String>,
    /// Its stores.
    pub stores: Vec<Store>,
}

/// A user's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// Its uid.
    pub uid: u64,
    /// Its node's address, if the node is known.
    pub node: Option<String>,
    /// Whether it is one of Sync 1.1.
    pub is_legacy: bool,
}

/// Something that happened to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since 1970.
    pub time: i64,
    /// What.
    pub kind: String,
    /// From where.
    pub address: String,
}

/// An invitation; its code is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its number.
    pub id: i64,
    /// What the account may do.
    pub role: Role,
    /// For whom it is meant.
    pub note: String,
    /// Milliseconds since 1970.
    pub expires: i64,
    /// The id of the account it became.
    pub used_by: Option<String>,
}

/// A storage node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its address.
    pub url: String,
    /// Whether it takes users.
    pub state: NodeState,
    /// Whether the configuration names it.
    pub is_listed: bool,
    /// Stores of today's browsers there.
    pub users: u64,
    /// Stores of Sync 1.1 there.
    pub legacy_users: u64,
}

/// A code that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingCode {
    /// What it is for.
    pub purpose: String,
    /// The code.
    pub code: String,
    /// Milliseconds since 1970.
    pub expires: i64,
}

/// A chore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chore {
    /// Its name.
    pub name: String,
    /// What it does.
    pub about: String,
    /// When it last succeeded in this process, in milliseconds since 1970.
    pub last_success: Option<i64>,
    /// How often it has failed since then, in this process.
    #[serde(default)]
    pub failures: u64,
    /// Why it failed the last time.
    #[serde(default)]
    pub last_failure: Option<String>,
}
