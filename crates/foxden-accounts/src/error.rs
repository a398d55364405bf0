//! Why a request about an account was not carried out: one enum for each service, named by what the caller should do.
//!
//! [`Unavailable`] and [`TooMany`] are what all services share. A surface matches the enum of the service that it calls,
//! so each arm can be reached.

mod convert;
mod legacy;
mod tokenserver;

use foxden_sql::SqlError;

use crate::DeviceId;

pub use legacy::{
    LegacyChangeError, LegacyLoginError, LegacyResetError, LegacySignUpError, OpenStoreError,
    ResetRequestError,
};
pub use tokenserver::{StateFault, TokenError};

/// Why the accounts cannot answer now.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Try again shortly: too much at once.
    #[error("too much at once")]
    Busy,
    /// Try again later: the database does not answer.
    #[error("the register cannot be reached")]
    Database(#[source] SqlError),
    /// Change the request: a text in it holds U+0000, which databases do not keep.
    #[error("a text of the request holds U+0000")]
    NullCharacter,
    /// Nothing the caller can do: a row is not what this program wrote.
    #[error("the register is damaged: {0}")]
    Damaged(&'static str),
}

/// Wait: a rate limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts")]
pub struct TooMany {
    /// Seconds until the next attempt is accepted.
    pub retry_after: u64,
}

/// The nonce of a signed request was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the nonce was used before")]
pub struct Replayed;

/// Why the nonce of a signed request was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum NonceError {
    /// It was used before.
    #[error(transparent)]
    Replayed(#[from] Replayed),
    /// Try again.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The part that must be verified before a session may do this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The address of the account.
    #[error("the address is not confirmed")]
    Address,
    /// The session itself.
    #[error("the session is not confirmed")]
    Session,
}

/// Why a request within a rate limit was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a token, or what it stands for, was not found.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Sign in again: the token is unknown, has expired or was used up, or its account is gone.
    #[error("the token is unknown or has expired")]
    Unknown,
    /// Try again later.
    #[error(transparent)]
    Unavailable(Unavailable),
}

/// Why the keys of an account were not given.
#[derive(Debug, thiserror::Error)]
pub enum KeyFetchError {
    /// Sign in again: the token is unknown, has expired or was used up, or its account is gone.
    #[error("the token is unknown or has expired")]
    UnknownToken,
    /// Confirm the address first.
    #[error("the address is not confirmed")]
    AddressUnverified,
    /// Try again later.
    #[error(transparent)]
    Unavailable(Unavailable),
}

/// Why an account was not created, or its address not looked up.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// Sign in instead: the address, or a name that follows from it, is taken.
    #[error("the account exists")]
    Exists {
        /// The same address as its owner spells it, where that is known.
        address: Option<String>,
    },
    /// Choose another address.
    #[error("invalid address")]
    InvalidAddress,
    /// Ask for another invitation: this one is unknown, has expired or was used.
    #[error("no such invitation")]
    UnknownInvitation,
    /// Only the operator creates accounts here, or an invitation is needed.
    #[error("sign-up is closed")]
    Closed,
    /// Wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a client that sent a stretched password was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No account has that name, or it is not the session's account.
    #[error("no such account")]
    UnknownAccount {
        /// The name as the client sent it.
        name: String,
    },
    /// The password is not that account's.
    #[error("the password is wrong")]
    WrongPassword {
        /// The name as the client sent it.
        name: String,
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
    /// The address is none.
    #[error("invalid address")]
    InvalidAddress,
    /// Sign in again: the session, or the account, ended meanwhile.
    #[error("the token is unknown or has expired")]
    SessionEnded,
    /// Confirm that first.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// Wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Try again later.
    #[error(transparent)]
    Unavailable(Unavailable),
}

/// Why an address was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// Sign in again: the session, or the account, ended meanwhile.
    #[error("the token is unknown or has expired")]
    SessionEnded,
    /// Another account has confirmed the address.
    #[error("the account exists")]
    Exists,
    /// The code is wrong.
    #[error("the code is wrong")]
    WrongCode,
    /// The code is wrong, has expired or was tried too often: ask for another.
    #[error("the code is wrong or has expired")]
    ExpiredCode,
    /// Wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Try again later.
    #[error(transparent)]
    Unavailable(Unavailable),
}

/// Why a password was not changed or reset.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// No account has that address, or none that may be written to.
    #[error("no such account")]
    UnknownAccount {
        /// The address as the client sent it.
        name: String,
    },
    /// Repeat with this spelling: the new password will be stretched with it.
    #[error("the address differs from the one the password was stretched with")]
    OtherSpelling {
        /// The address to stretch with.
        address: String,
    },
    /// The operator switched the account off.
    #[error("the account is switched off")]
    Disabled,
    /// The address is none.
    #[error("invalid address")]
    InvalidAddress,
    /// Send the wrapped key: without it, what the account has stored would become unreadable.
    #[error("the wrapped key is missing")]
    KeyMissing,
    /// Another account has confirmed the address.
    #[error("the account exists")]
    Exists,
    /// Begin anew: the token is unknown, has expired or was used up.
    #[error("the token is unknown or has expired")]
    UnknownToken,
    /// The code is wrong.
    #[error("the code is wrong")]
    WrongCode,
    /// The link is wrong, has expired or was used: ask for another.
    #[error("the code is wrong or has expired")]
    ExpiredCode,
    /// Wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Try again later.
    #[error(transparent)]
    Unavailable(Unavailable),
}

/// Why a request about devices was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// That field is not acceptable.
    #[error("invalid {0} of a device")]
    Invalid(DeviceField),
    /// No such device of this account.
    #[error("no such device")]
    UnknownDevice,
    /// Another session of the account owns that device.
    #[error("the device belongs to another session")]
    OtherDevice {
        /// The caller's own device, else the one that was named.
        device: DeviceId,
    },
    /// The device does not know that command.
    #[error("the device does not know that command")]
    NoSuchCommand,
    /// Sign in again: the session, or the account, ended meanwhile.
    #[error("the token is unknown or has expired")]
    SessionEnded,
    /// Confirm that first.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// Try again later.
    #[error(transparent)]
    Unavailable(Unavailable),
}

/// A field of a device or of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceField {
    /// The name.
    Name,
    /// The type.
    Kind,
    /// The commands it takes.
    Commands,
    /// Where pushes go.
    PushCallback,
    /// Their key.
    PushPublicKey,
    /// Their secret.
    PushAuthKey,
    /// The content of a command.
    Payload,
}

impl std::fmt::Display for DeviceField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Kind => "type",
            Self::Commands => "list of commands",
            Self::PushCallback => "push address",
            Self::PushPublicKey => "push key",
            Self::PushAuthKey => "push secret",
            Self::Payload => "command",
        })
    }
}

/// Why no code, token or key was given to an OAuth client.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// No such OAuth client.
    #[error("no such client")]
    UnknownClient {
        /// The client's id as the request has it.
        client: String,
    },
    /// The request must name its client.
    #[error("no client is named")]
    ClientMissing,
    /// The scope is not a list of scopes.
    #[error("invalid scope")]
    InvalidScope,
    /// The client may not have these scopes.
    #[error("scopes not allowed")]
    ScopesRefused {
        /// Those refused, separated by spaces.
        scopes: String,
    },
    /// The encrypted keys are too long.
    #[error("the encrypted keys are too long")]
    KeysTooLong,
    /// The client may not be sent there.
    #[error("wrong redirect")]
    WrongRedirect,
    /// A public client must send a challenge.
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
    /// Sign in again: the token is unknown, has expired or was used up.
    #[error("the token is unknown or has expired")]
    UnknownToken,
    /// Confirm that first.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// Try again later.
    #[error(transparent)]
    Unavailable(Unavailable),
}

/// Why a profile was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The display name is too long, or has control characters.
    #[error("invalid display name")]
    InvalidName,
    /// The picture is too large, or of no known kind.
    #[error("invalid picture")]
    InvalidPicture,
    /// Sign in again: the account is gone.
    #[error("the token is unknown or has expired")]
    AccountGone,
    /// Try again later.
    #[error(transparent)]
    Unavailable(Unavailable),
}

/// Why the operator's command about an account was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No account has that name.
    #[error("no such account")]
    UnknownAccount {
        /// The name as the operator typed it.
        name: String,
    },
    /// Say the account's id: several accounts have that address.
    #[error("several accounts have that address")]
    Ambiguous,
    /// Another account has the address.
    #[error("the account exists")]
    Exists,
    /// The address is none.
    #[error("invalid address")]
    InvalidAddress,
    /// Set mail up first.
    #[error("this server sends no mail")]
    NoMail,
    /// No node has that address.
    #[error("no such node")]
    UnknownNode,
    /// No other node has room for another store.
    #[error("no node has room")]
    NoCapacity,
    /// Wait.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why the accounts were not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Say so in the configuration: commands manage the nodes, and it names other ones.
    #[error(
        "commands manage the storage nodes of these accounts ({}), and the configuration names others; set tokens.nodes = \
         \"commands\", or name exactly the same nodes there",
        if added.is_empty() { "none yet".to_owned() } else { added.join(", ") }
    )]
    NodesByCommand {
        /// The nodes that commands have added.
        added: Vec<String>,
    },
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why the operator's command about a node was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No node has that address.
    #[error("no such node")]
    Unknown,
    /// A node with that address is in use.
    #[error("the node exists")]
    Exists,
    /// Take the node off the list first: it is in use.
    #[error("the node is listed")]
    Listed,
    /// Try again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why an account does not get a name.
#[derive(Debug)]
pub(crate) enum NameError {
    /// Another account keeps it.
    Taken,
    Unavailable(Unavailable),
}

/// Why a verified password opens nothing any more.
#[derive(Debug)]
pub(crate) enum StaleLogin {
    /// The password was changed since, or the account was disabled or removed; by its address.
    Outdated(String),
    Unavailable(Unavailable),
}

/// Why an account gets no store for old clients.
#[derive(Debug)]
pub(crate) enum FirstStoreError {
    AccountGone,
    NoCapacity,
    Unavailable(Unavailable),
}

/// The text is no address.
#[derive(Debug)]
pub(crate) struct InvalidAddress;
