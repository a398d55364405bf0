//! The responses to commands, as JSON on the control socket.
//!
//! The types of the services are not serialized: their fields may change, while a command line and a server of two
//! versions must understand each other, or know that they do not. So this wire form repeats what the terminal shows of them.

mod convert;

use serde::{Deserialize, Serialize};

use super::command::{NodeState, Role, UserState};
use crate::exposure::Mark;

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
        /// Its security events, newest first.
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
        /// The purpose.
        purpose: LinkPurpose,
    },
    /// Storage nodes.
    Nodes {
        /// In the order of their addresses.
        nodes: Vec<Node>,
    },
    /// Pending codes of an account.
    Codes {
        /// The codes.
        codes: Vec<PendingCode>,
    },
    /// The word that was announced, and where to look for it.
    Probe {
        /// The public address of this server.
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
    /// The command succeeded.
    Done {
        /// The result.
        outcome: Outcome,
    },
    /// The command failed.
    Failed {
        /// Why.
        failure: Failure,
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

/// The purposes of links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "purpose", rename_all = "snake_case")]
pub enum LinkPurpose {
    /// The owner of an account sets a password.
    SetPassword {
        /// The name of the account.
        name: String,
    },
    /// An invitation.
    Invitation,
    /// An invitation that was mailed as well.
    MailedInvitation {
        /// The address it was mailed to.
        address: String,
    },
    /// The invitation for the first account.
    FirstInvitation,
}

/// The results of commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// An account was removed.
    UserRemoved {
        /// Its name.
        name: String,
        /// Why one of its stores is not empty yet.
        not_emptied: Option<String>,
    },
    /// An account may do something else now.
    RoleSet {
        /// Its name.
        name: String,
        /// Its new role.
        role: Role,
    },
    /// An account was disabled or enabled.
    UserStateSet {
        /// Its name.
        name: String,
        /// Its new state.
        state: UserState,
    },
    /// The address of an account was confirmed.
    UserConfirmed {
        /// The name of the account.
        name: String,
    },
    /// The stores of an account were moved.
    UserMoved {
        /// The name of the account.
        name: String,
        /// How many stores.
        stores: u64,
    },
    /// An invitation was revoked.
    InvitationRevoked {
        /// Its number.
        id: i64,
    },
    /// A node takes users now, or takes none.
    NodeStateSet {
        /// Its address.
        url: String,
        /// Its new state.
        state: NodeState,
        /// Whether a node takes new users.
        #[serde(default = "yes")]
        has_room: bool,
    },
    /// A node was added.
    NodeAdded {
        /// Its address.
        url: String,
    },
    /// Something was set for a node.
    NodeConfigured {
        /// Its address.
        url: String,
    },
    /// All stores were taken off a node.
    NodeReset {
        /// Its address.
        url: String,
        /// How many stores begin anew.
        stores: u64,
        /// Whether a node takes new users.
        #[serde(default = "yes")]
        has_room: bool,
    },
    /// A node was removed.
    NodeRemoved {
        /// Its address.
        url: String,
        /// How many stores begin anew on other nodes.
        stores: u64,
        /// Whether a node takes new users.
        #[serde(default = "yes")]
        has_room: bool,
    },
    /// The server is private.
    MadePrivate {
        /// The evidence that had made it public.
        mark: Option<Mark>,
    },
    /// A chore ran until it had no work left.
    ChoreRan {
        /// Its name.
        name: String,
        /// How many rows or stores it cleared.
        count: u64,
    },
}

const fn yes() -> bool {
    true
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "snake_case")]
pub enum Failure {
    /// Another process keeps the accounts.
    NoAccounts,
    /// No account has that name.
    UnknownAccount {
        /// The name.
        name: String,
    },
    /// Several accounts have that address.
    AmbiguousName,
    /// Another account has the address.
    AccountExists,
    /// The text is not a mail address.
    InvalidAddress {
        /// The text.
        address: String,
    },
    /// No node has that address.
    UnknownNode {
        /// The address.
        url: String,
    },
    /// The configuration assigns users to the node.
    ListedNode {
        /// Its address.
        url: String,
    },
    /// The node is in use already.
    NodeExists {
        /// Its address.
        url: String,
    },
    /// The text is no address of a node.
    InvalidNode {
        /// The text.
        url: String,
        /// Why not.
        cause: String,
    },
    /// The configuration names the nodes.
    NodesAreNamed,
    /// No other node has room for another store.
    NoCapacity,
    /// No invitation has that number.
    UnknownInvitation {
        /// The number.
        id: i64,
    },
    /// An account exists already.
    NotFirst,
    /// The server sends no mail.
    NoMail,
    /// The address has received too many mails, or too many are queued.
    TooManyMails {
        /// The address.
        address: String,
    },
    /// No chore has that name.
    UnknownChore {
        /// The name.
        name: String,
    },
    /// The configuration makes this server public.
    PublicByConfiguration,
    /// The serving process does not know the command.
    UnknownCommand {
        /// The error of the parser.
        cause: String,
    },
    /// The serving process panicked.
    Panicked {
        /// The message of the panic.
        panic: String,
    },
    /// Something that the operator has to look at: the disk, the database, another node.
    Other {
        /// The error with its sources.
        cause: String,
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
    /// The role.
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
    /// The role.
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
    /// Stores out of use that are still to be emptied there.
    #[serde(default)]
    pub stores_to_empty: u64,
    /// Stores that count towards its capacity.
    #[serde(default)]
    pub load: u64,
    /// How many stores it takes; without it any number.
    #[serde(default)]
    pub capacity: Option<u64>,
    /// Its share of new users.
    #[serde(default)]
    pub weight: u32,
    /// Seconds for which its clients are asked not to sync again; 0: they are not asked.
    #[serde(default)]
    pub backoff_seconds: u32,
}

/// A code that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCode {
    /// The purpose.
    pub purpose: CodePurpose,
    /// The code.
    pub code: String,
    /// Milliseconds since 1970.
    pub expires: i64,
}

/// The purposes of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodePurpose {
    /// Confirms the address.
    ConfirmAddress,
    /// Resets the password.
    ResetPassword,
    /// Resets the password in a program that asks for the code.
    ResetOtp,
    /// Resets the password in an old client or on its page.
    ResetLegacy,
}

/// A chore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chore {
    /// Its name.
    pub name: String,
    /// The purpose.
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

#[cfg(test)]
mod tests;
