//! Why the accounts refused, named by what the caller should do.

use foxden_sql::SqlError;

use crate::DeviceId;

/// Why a request about an account was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Sign in instead: the address, or a name that follows from it, is taken.
    #[error("the account exists")]
    Exists {
        /// The same address as its owner spells it, where that is known.
        address: Option<String>,
    },
    /// Nobody has that address.
    #[error("no such account")]
    UnknownAccount {
        /// The address as asked for.
        address: String,
    },
    /// The password is not that account's.
    #[error("the password is wrong")]
    WrongPassword {
        /// The address as asked for.
        address: String,
    },
    /// Repeat with this spelling: it is the one the password was stretched with.
    #[error("the address differs from the one the password was stretched with")]
    OtherSpelling {
        /// The address to stretch with.
        address: String,
    },
    /// The account has no password yet; its owner needs a link from the operator.
    #[error("no password was set yet")]
    NoPassword,
    /// The operator switched the account off.
    #[error("the account is switched off")]
    Disabled,
    /// Confirm the address first.
    #[error("the address is not confirmed")]
    AddressUnverified,
    /// Confirm the session first.
    #[error("the session is not confirmed")]
    SessionUnverified,
    /// The code is wrong.
    #[error("the code is wrong")]
    WrongCode,
    /// The code is wrong, has expired or was tried too often: ask for another.
    #[error("the code is wrong or has expired")]
    ExpiredCode,
    /// A value is not acceptable.
    #[error("invalid {what}")]
    Invalid {
        /// The parameter, as the protocol names it.
        what: &'static str,
    },
    /// Sign in again: the token is unknown, has expired or was used up.
    #[error("the token is unknown or has expired")]
    UnknownToken,
    /// The request was seen before.
    #[error("the nonce was used before")]
    Replayed,
    /// Wait: too many attempts.
    #[error("too many attempts")]
    TooMany {
        /// Seconds until the next attempt is heard.
        retry_after: u64,
    },
    /// Nobody may create an account here, or not without an invitation.
    #[error("sign-up is closed")]
    SignUpClosed,
    /// No such device of this account.
    #[error("no such device")]
    UnknownDevice,
    /// Another session of the account owns that device.
    #[error("the device belongs to another session")]
    OtherDevice {
        /// That device.
        device: DeviceId,
    },
    /// The device does not know that command.
    #[error("the device does not know that command")]
    NoSuchCommand,
    /// No such OAuth client.
    #[error("no such client")]
    UnknownClient {
        /// The client as asked for.
        client: String,
    },
    /// The client may not have these scopes.
    #[error("scopes not allowed")]
    ScopesRefused {
        /// Those refused, separated by spaces.
        scopes: String,
    },
    /// The client may not be sent there.
    #[error("wrong redirect")]
    WrongRedirect,
    /// A public client must bring a challenge.
    #[error("the code challenge is missing or not S256")]
    ChallengeMissing,
    /// The authorization code is unknown or was used.
    #[error("no such authorization code")]
    UnknownGrant,
    /// The authorization code is another client's.
    #[error("the authorization code belongs to another client")]
    OtherClientsGrant,
    /// The authorization code is too old.
    #[error("the authorization code has expired")]
    ExpiredGrant,
    /// The verifier does not fit the challenge.
    #[error("the code verifier does not fit the challenge")]
    WrongVerifier,
    /// The session is older than the last change of the keys.
    #[error("the session is older than the keys")]
    StaleSession {
        /// When the session began, in seconds.
        auth_at: i64,
    },
    /// The access token lacks the scope that this needs.
    #[error("the access token does not cover this")]
    Forbidden,
    /// The account has no address to write to.
    #[error("the account has no address")]
    NoAddress,
    /// Ask first: what browsers of today stored would become unreadable.
    #[error("nobody agreed that what newer browsers stored becomes unreadable")]
    ConsentMissing,
    /// Try again later: no node has room for another store.
    #[error("no node has room")]
    NoRoom,
    /// No node has that address.
    #[error("no such node")]
    UnknownNode,
    /// Take the node off the list first: it is in use.
    #[error("the node is listed")]
    NodeListed,
    /// Set mail up first: this server sends none.
    #[error("this server sends no mail")]
    Unable,
    /// Try again shortly: too much at once.
    #[error("too much at once")]
    Busy,
    /// Try again later: the database does not answer.
    #[error("the register cannot be reached")]
    Unavailable(#[source] SqlError),
    /// Nothing the caller can do: a row is not what this program wrote.
    #[error("the register is damaged: {0}")]
    Damaged(&'static str),
}

impl From<SqlError> for AccountError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Busy => Self::Busy,
            // Account, session or device ended while the request was on its way.
            SqlError::Orphan => Self::UnknownToken,
            other => Self::Unavailable(other),
        }
    }
}

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
    NoRoom,
    /// A retired user has no node any more.
    #[error("the retired user has no node")]
    NoNode,
    /// Whoever could verify the credential cannot be reached.
    #[error("the verifier cannot be reached")]
    VerifierUnreachable,
    /// Try again later.
    #[error("the register cannot answer")]
    Unavailable(#[source] AccountError),
}

/// What is wrong with a client state.
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

impl From<AccountError> for TokenError {
    fn from(error: AccountError) -> Self {
        Self::Unavailable(error)
    }
}

impl From<SqlError> for TokenError {
    fn from(error: SqlError) -> Self {
        Self::Unavailable(error.into())
    }
}
