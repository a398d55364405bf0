//! Security events: failed log-ins, accounts created and deleted, passwords changed, tokens refused, commands of the
//! operator. This file defines them; [`SecurityEvents`] receives them.
//!
//! The register keeps a few for the owner of an account, see [`crate::SecurityEvent`]. These are for the operator,
//! and cover what belongs to no account, too.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::{AccountId, ClientInfo};

/// A security event.
///
/// It holds no secret. `name` and `why` may hold text from an unknown client, of any length and with any character:
/// the log must escape and truncate them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The kind.
    pub kind: EventKind,
    /// Where it happened.
    pub entry_point: EntryPoint,
    /// The IP address of the client; none without a request.
    pub from: Option<IpAddr>,
    /// The subject, as the request or the account spells it: an address, a name or a uid.
    pub name: Option<&'a str>,
    /// The account, where it is known.
    pub account: Option<AccountId>,
    /// The reason of a refusal, or details.
    pub why: Option<&'a str>,
    /// The refused request, if the kind alone does not identify it.
    pub request: Option<RequestInfo<'a>>,
}

/// The request that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestInfo<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A log-in failed: unknown name, wrong password, no password yet, account disabled.
    LoginFailed,
    /// A log-in was refused without a check of the password: too many had failed.
    LoginLocked,
    /// A network, an address or an account has reached a limit; `why` names it.
    LimitReached,
    /// A code, a link or an invitation was wrong, too old or used before.
    CodeRefused,
    /// An account was created by its owner.
    AccountCreated,
    /// An account was deleted: by its owner, or because it never confirmed an address.
    AccountDeleted,
    /// A client that knows the old password changed it.
    PasswordChanged,
    /// A client with a code or link reset a password.
    PasswordReset,
    /// A reset was requested.
    ResetRequested,
    /// An account's address was changed by its owner.
    AddressChanged,
    /// A captcha was missing, wrong, too old or used before.
    CaptchaFailed,
    /// The tokenserver refused a credential.
    TokenRefused,
    /// A storage node refused a token, its signature, or the credentials of another user.
    StorageRefused,
    /// A private server was reached from elsewhere, and counts as public from now on.
    BecamePublic,
    /// An action of the operator.
    Operator(OperatorAction),
}

/// The actions of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperatorAction {
    /// Added an account.
    AccountAdded,
    /// Removed an account.
    AccountRemoved,
    /// Disabled an account.
    AccountDisabled,
    /// Enabled an account again.
    AccountEnabled,
    /// Changed the role of an account.
    RoleChanged,
    /// Confirmed an address for its account.
    AddressConfirmed,
    /// Made a link that sets a password.
    PasswordLinkMade,
    /// Read the pending codes.
    CodesShown,
    /// Made an invitation.
    InvitationMade,
    /// Revoked an invitation.
    InvitationRevoked,
    /// Changed whether a node takes users.
    NodeChanged,
    /// Moved a user to another node.
    UserMoved,
    /// Made a server private again that counted as public.
    MadePrivate,
}

/// The parts of the server at which requests arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryPoint {
    /// The account API of current browsers.
    Accounts,
    /// Basic authentication at the storage of old clients.
    Basic,
    /// The User API of old clients.
    UserApi,
    /// A page whose form was sent.
    Pages,
    /// The tokenserver.
    Token,
    /// Storage, with a token.
    Storage,
    /// A command at the server itself.
    Operator,
    /// The key exchange, where old clients pair.
    KeyExchange,
    /// The listener: before any surface is asked.
    Listener,
    /// A chore of the server.
    Chore,
}

/// Receives security events; by default it drops them. It is called during a request and must not block.
#[derive(Clone)]
pub struct SecurityEvents(Arc<dyn Fn(&Event<'_>) + Send + Sync>);

impl<'a> Event<'a> {
    /// An event that a client caused.
    pub const fn from_client(client: &ClientInfo, kind: EventKind) -> Self {
        Self::new(kind, client.entry_point, Some(client.address))
    }

    /// An event at an entry point, with the IP address of the client.
    pub const fn new(kind: EventKind, entry_point: EntryPoint, from: Option<IpAddr>) -> Self {
        Self {
            kind,
            entry_point,
            from,
            name: None,
            account: None,
            why: None,
            request: None,
        }
    }

    /// A command of the operator.
    pub const fn by_operator(action: OperatorAction) -> Self {
        Self::new(EventKind::Operator(action), EntryPoint::Operator, None)
    }

    /// Adds the name that the event is about.
    #[must_use]
    pub const fn with_subject(self, name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }

    /// Adds the account.
    #[must_use]
    pub const fn with_account(self, account: AccountId) -> Self {
        Self {
            account: Some(account),
            ..self
        }
    }

    /// Adds the request.
    #[must_use]
    pub const fn with_request(self, method: &'a str, path: &'a str) -> Self {
        Self {
            request: Some(RequestInfo { method, path }),
            ..self
        }
    }

    /// Adds the reason.
    #[must_use]
    pub const fn with_reason(self, why: &'a str) -> Self {
        Self {
            why: Some(why),
            ..self
        }
    }
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 27] = [
        Self::LoginFailed,
        Self::LoginLocked,
        Self::CodeRefused,
        Self::LimitReached,
        Self::AccountCreated,
        Self::AccountDeleted,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::ResetRequested,
        Self::AddressChanged,
        Self::CaptchaFailed,
        Self::TokenRefused,
        Self::StorageRefused,
        Self::Operator(OperatorAction::AccountAdded),
        Self::Operator(OperatorAction::AccountRemoved),
        Self::Operator(OperatorAction::AccountDisabled),
        Self::Operator(OperatorAction::AccountEnabled),
        Self::Operator(OperatorAction::RoleChanged),
        Self::Operator(OperatorAction::AddressConfirmed),
        Self::Operator(OperatorAction::PasswordLinkMade),
        Self::Operator(OperatorAction::CodesShown),
        Self::Operator(OperatorAction::InvitationMade),
        Self::Operator(OperatorAction::InvitationRevoked),
        Self::Operator(OperatorAction::NodeChanged),
        Self::Operator(OperatorAction::UserMoved),
        Self::Operator(OperatorAction::MadePrivate),
        Self::BecamePublic,
    ];
}

impl fmt::Display for EntryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accounts => "accounts",
            Self::Basic => "basic",
            Self::UserApi => "user-api",
            Self::Pages => "pages",
            Self::Token => "token",
            Self::Storage => "storage",
            Self::Operator => "operator",
            Self::KeyExchange => "key-exchange",
            Self::Listener => "listener",
            Self::Chore => "chore",
        })
    }
}

impl SecurityEvents {
    /// Passes events to this function.
    pub fn new(receive: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    /// Emits an event.
    pub fn emit(&self, event: &Event<'_>) {
        (self.0)(event);
    }
}

impl Default for SecurityEvents {
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl fmt::Debug for SecurityEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecurityEvents")
    }
}
