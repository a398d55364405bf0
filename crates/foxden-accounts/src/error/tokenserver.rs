//! Why the tokenserver refused.

use foxden_sql::SqlError;

use super::Unavailable;

/// Why the tokenserver refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The credential is bad, expired, or lacks the scope.
    #[error("the credential is not valid")]
    InvalidCredentials,
    /// The generation went back.
    #[error("the generation is older than one seen before")]
    InvalidGeneration,
    /// The time at which the keys changed does not fit.
    #[error("the time of the key change does not fit")]
    InvalidKeysChangedAt,
    /// The client state does not fit.
    #[error("unacceptable client state: {0}")]
    InvalidClientState(StateFault),
    /// Unknown users are not taken in.
    #[error("new users are not allowed")]
    NewUsersDisabled,
    /// The keys changed too often lately; the account keeps the store it has until then.
    #[error("the keys of the account changed too often lately")]
    TooManyKeyChanges {
        /// Seconds after which they may change again.
        retry_after: u64,
    },
    /// No node has room.
    #[error("no node has room")]
    NoCapacity,
    /// Try again later: the node of the store is out of service.
    #[error(
        "the operator has marked the node {node} as down; its users wait until foxden node up, remove or reset"
    )]
    NodeDown {
        /// Its address.
        node: String,
    },
    /// A retired user has no node any more.
    #[error("the retired user has no node")]
    NoNode,
    /// The server that verifies the credential cannot be reached.
    #[error("the verifier cannot be reached")]
    VerifierUnreachable,
    /// Try again later.
    #[error("the register cannot answer")]
    Unavailable(#[source] Unavailable),
}

/// Why a client state was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFault {
    /// Empty, though one was known.
    Empty,
    /// One that the user has left.
    Stale,
    /// New, but the generation did not rise.
    NewWithoutGeneration,
    /// New, but the time of the key change did not rise.
    NewWithoutKeyChange,
}

impl std::fmt::Display for StateFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty string",
            Self::Stale => "stale value",
            Self::NewWithoutGeneration => "new value with no generation change",
            Self::NewWithoutKeyChange => "new value with no keys_changed_at change",
        })
    }
}

impl From<Unavailable> for TokenError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

impl From<SqlError> for TokenError {
    fn from(error: SqlError) -> Self {
        Self::Unavailable(error.into())
    }
}
