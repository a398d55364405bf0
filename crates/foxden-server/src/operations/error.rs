//! Why an operation failed.

use foxden_accounts::{NodeError, OperatorError, Unavailable};
use foxden_http::wire::BadUrl;

use crate::exposure::MakePrivateError;

/// Why an operation failed. Names and addresses are spelled as the operator typed them.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// Another process keeps the accounts.
    #[error("this process keeps no accounts")]
    NoAccounts,
    /// No account has that name.
    #[error("no such account")]
    UnknownAccount {
        /// The name.
        name: String,
    },
    /// Several accounts have that address: the id of one is needed.
    #[error("several accounts have that address")]
    AmbiguousName,
    /// Another account has the address.
    #[error("the account exists")]
    AccountExists,
    /// The text is not a mail address.
    #[error("invalid address")]
    InvalidAddress {
        /// The text.
        address: String,
    },
    /// No node has that address.
    #[error("no such node")]
    UnknownNode {
        /// The address.
        url: String,
    },
    /// The configuration assigns users to the node.
    #[error("the node is listed")]
    ListedNode {
        /// Its address.
        url: String,
    },
    /// The node is in use already.
    #[error("the node exists")]
    NodeExists {
        /// Its address.
        url: String,
    },
    /// The text is no address of a node.
    #[error("invalid address of a node")]
    InvalidNode {
        /// The text.
        url: String,
        /// Why not.
        #[source]
        cause: BadUrl,
    },
    /// The configuration names the nodes.
    #[error("the configuration names the nodes")]
    NodesAreNamed,
    /// No other node has room for another store.
    #[error("no node has capacity for another user")]
    NoCapacity,
    /// No invitation has that number.
    #[error("no such invitation")]
    UnknownInvitation {
        /// The number.
        id: i64,
    },
    /// An account exists, so no invitation is for the first one.
    #[error("there is an account already")]
    NotFirst,
    /// The server sends no mail.
    #[error("this server sends no mail")]
    NoMail,
    /// The address has received too many mails, or too many are queued.
    #[error("too many mails")]
    TooManyMails {
        /// The address.
        address: String,
    },
    /// No chore has that name.
    #[error("no such chore")]
    UnknownChore {
        /// The name.
        name: String,
    },
    /// A run of the chore failed.
    #[error(transparent)]
    ChoreFailed(anyhow::Error),
    /// The server cannot be made private.
    #[error(transparent)]
    MakePrivate(#[from] MakePrivateError),
    /// The accounts cannot answer now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl OperationError {
    /// The error of an operation on the account or address `name`.
    pub(super) fn on_account(error: OperatorError, name: &str) -> Self {
        let name = || name.to_owned();
        match error {
            OperatorError::UnknownAccount { .. } => Self::UnknownAccount { name: name() },
            OperatorError::Ambiguous => Self::AmbiguousName,
            OperatorError::Exists => Self::AccountExists,
            OperatorError::InvalidAddress => Self::InvalidAddress { address: name() },
            OperatorError::NoMail => Self::NoMail,
            OperatorError::UnknownNode => Self::UnknownNode { url: name() },
            OperatorError::NoCapacity => Self::NoCapacity,
            OperatorError::TooMany(_) => Self::TooManyMails { address: name() },
            OperatorError::Unavailable(error) => Self::Unavailable(error),
        }
    }

    /// The error of an operation on the node at `url`.
    pub(super) fn on_node(error: NodeError, url: &str) -> Self {
        let url = url.to_owned();
        match error {
            NodeError::Unknown => Self::UnknownNode { url },
            NodeError::Exists => Self::NodeExists { url },
            NodeError::Listed => Self::ListedNode { url },
            NodeError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}
