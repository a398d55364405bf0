//! What a security officer asks about: log-ins that failed, accounts made and closed, passwords changed, tokens
//! refused, what the operator did. Here are the words; who writes them down is [`Witness`].
//!
//! The register keeps a few of these for the account's owner, see [`crate::SecurityEvent`]; this is for whoever looks
//! after the server, and covers what belongs to no account, too.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::{AccountId, Visitor};

/// Something that a security officer asks about.
///
/// It holds no secret. `name` and `why` may hold what a stranger wrote, of any length and with any character: whoever
/// prints them escapes and cuts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What happened.
    pub what: What,
    /// By which door.
    pub door: Door,
    /// From which address; none where no request made it happen.
    pub from: Option<IpAddr>,
    /// Whom it concerns, as the caller wrote it or as the account calls itself: an address, a name, a uid.
    pub name: Option<&'a str>,
    /// The account, where it is known.
    pub account: Option<AccountId>,
    /// Why it was refused, or what exactly was done.
    pub why: Option<&'a str>,
    /// The request that was refused, where that says more.
    pub request: Option<Asked<'a>>,
}

/// A request, as far as a security officer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A log-in failed: unknown name, wrong password, no password yet, account switched off.
    LoginFailed,
    /// A log-in was not even tried: too many had failed.
    LoginLocked,
    /// A network, an address or an account spent what it may of something; `why` says of what.
    LimitReached,
    /// A code, a link or an invitation was wrong, too old or used before.
    CodeRefused,
    /// An account was created by its owner.
    AccountCreated,
    /// An account was deleted: by its owner, or because it never confirmed an address.
    AccountDeleted,
    /// A password was changed by whoever knows the old one.
    PasswordChanged,
    /// A password was reset by whoever holds a code or link.
    PasswordReset,
    /// A reset was asked for.
    ResetAsked,
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
    /// The operator did something.
    Operator(Act),
}

/// What the operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Added an account.
    AccountAdded,
    /// Removed an account.
    AccountRemoved,
    /// Switched an account off.
    AccountDisabled,
    /// Switched an account on again.
    AccountEnabled,
    /// Changed what an account may do.
    RoleChanged,
    /// Took an address for confirmed.
    AddressConfirmed,
    /// Made a link that sets a password.
    PasswordLinkMade,
    /// Looked at the codes that wait.
    CodesShown,
    /// Made an invitation.
    InvitationMade,
    /// Took an invitation back.
    InvitationRevoked,
    /// Changed whether a node takes users.
    NodeChanged,
    /// Moved a user to another node.
    UserMoved,
    /// Took a server that was reached from elsewhere for private again.
    MadePrivate,
}

/// By which door it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// The account server that browsers of today speak to.
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
    /// None: what the server does by itself.
    Chore,
}

/// Who hears of events. Silent by default. It is called in the middle of a request: it must not wait.
#[derive(Clone)]
pub struct Witness(Arc<dyn Fn(&Event<'_>) + Send + Sync>);

impl<'a> Event<'a> {
    /// Something that a visitor did or tried.
    pub const fn by(visitor: &Visitor, what: What) -> Self {
        Self::new(what, visitor.door, Some(visitor.address))
    }

    /// Something that happened at a door, to whoever has that address.
    pub const fn new(what: What, door: Door, from: Option<IpAddr>) -> Self {
        Self {
            what,
            door,
            from,
            name: None,
            account: None,
            why: None,
            request: None,
        }
    }

    /// Something that the operator did.
    pub const fn by_operator(act: Act) -> Self {
        Self::new(What::Operator(act), Door::Operator, None)
    }

    /// The same, concerning whoever is called that.
    #[must_use]
    pub const fn about(self, name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }

    /// The same, concerning that account.
    #[must_use]
    pub const fn of(self, account: AccountId) -> Self {
        Self {
            account: Some(account),
            ..self
        }
    }

    /// The same, where that was asked for.
    #[must_use]
    pub const fn at(self, method: &'a str, path: &'a str) -> Self {
        Self {
            request: Some(Asked { method, path }),
            ..self
        }
    }

    /// The same, for that reason.
    #[must_use]
    pub const fn because(self, why: &'a str) -> Self {
        Self {
            why: Some(why),
            ..self
        }
    }
}

impl What {
    /// Everything that can happen.
    pub const ALL: [Self; 27] = [
        Self::LoginFailed,
        Self::LoginLocked,
        Self::CodeRefused,
        Self::LimitReached,
        Self::AccountCreated,
        Self::AccountDeleted,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::ResetAsked,
        Self::AddressChanged,
        Self::CaptchaFailed,
        Self::TokenRefused,
        Self::StorageRefused,
        Self::Operator(Act::AccountAdded),
        Self::Operator(Act::AccountRemoved),
        Self::Operator(Act::AccountDisabled),
        Self::Operator(Act::AccountEnabled),
        Self::Operator(Act::RoleChanged),
        Self::Operator(Act::AddressConfirmed),
        Self::Operator(Act::PasswordLinkMade),
        Self::Operator(Act::CodesShown),
        Self::Operator(Act::InvitationMade),
        Self::Operator(Act::InvitationRevoked),
        Self::Operator(Act::NodeChanged),
        Self::Operator(Act::UserMoved),
        Self::Operator(Act::MadePrivate),
        Self::BecamePublic,
    ];
}

impl fmt::Display for Door {
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

impl Witness {
    /// Whoever this function tells.
    pub fn new(hear: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    /// Tells of an event.
    pub fn tell(&self, event: &Event<'_>) {
        (self.0)(event);
    }
}

impl Default for Witness {
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}
