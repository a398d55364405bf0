//! The accounts service: every surface calls [`Accounts`], and no surface has rules of its own.
//!
//! - [`accounts`]: [`Accounts`] itself, its parts and the options of the operator
//! - [`account`], [`profile`], [`operator`], [`invite`]: accounts, profiles, commands of the operator, invitations
//! - [`claim`]: names, claimed before their address is confirmed and owned afterwards
//! - [`login`], [`session`], [`secret`], [`stretch`], [`code`]: logging in, sessions, credentials, confirming
//!   addresses
//! - [`password`]: setting a new password; [`password_reset`]: the codes of resets; [`new_password`]: what both share;
//!   [`decoy_reset`]: resets for unknown addresses
//! - [`device`]: devices; [`command`]: their commands; [`command_delay`]: why some are delayed
//! - [`oauth`]: codes and tokens for browsers, and their scopes
//! - [`legacy`]: surfaces that see the plain password, and the stores of old clients
//! - [`tokenserver`], [`token`]: stores, and the tokens that open them
//! - [`nodes`]: storage nodes
//! - [`limits`], [`login_attempt`], [`code_attempt`], [`mail_limits`]: rate limits
//! - [`security`]: security events
//! - [`shared`]: what several processes share
//! - [`mail`]: mail to account owners; [`outbox`]: its queue
//! - [`chore`]: purging of expired rows
//! - [`error`]: why a request was refused, one enum for each service
//!
//! Statements are in `register/` and nowhere else.

pub mod account;
pub mod accounts;
mod address;
pub mod chore;
mod claim;
pub mod code;
mod code_attempt;
pub mod command;
mod command_delay;
mod credential_cache;
mod decoy_reset;
pub mod device;
pub mod error;
mod grant;
pub mod id;
pub mod invite;
pub mod legacy;
mod limits;
pub mod login;
mod login_attempt;
pub mod mail;
mod mail_limits;
mod misspelled_logins;
mod new_password;
pub mod nodes;
mod nonce;
pub mod oauth;
pub mod operator;
pub mod otp;
pub mod outbox;
pub mod password;
mod password_hasher;
pub mod password_reset;
mod placement;
pub mod profile;
mod punycode;
mod register;
mod rejected_passwords;
mod scope;
pub mod secret;
pub mod security;
pub mod session;
mod setting;
pub mod shared;
pub mod stretch;
pub mod token;
pub mod tokenserver;
mod validity;

pub use account::{AddressStatus, NewAccount, OneTimeCredential, Removed, SignedIn};
pub use accounts::{Accounts, ClientInfo, Cost, NewUsers, Options, Parts, SignUp};
pub use address::recipient;
pub use chore::ClosedStore;
pub use command::{CommandPage, Invocation, QueuedCommand};
pub use device::{AttachedClient, Detach, Device, DeviceOwner, DevicePatch};
pub use error::{
    ConfirmError, CredentialError, DeviceError, DeviceField, KeyFetchError, LegacyChangeError,
    LegacyLoginError, LegacyResetError, LegacySignUpError, LimitError, NodeError, NonceError, OAuthError,
    OpenError, OpenStoreError, OperatorError, PasswordError, ProfileError, Replayed, ResetRequestError,
    SignInError, SignUpError, StateFault, TokenError, TooMany, Unavailable, Unverified,
};
pub use id::{AccountId, AuthPw, DeviceId, SecretToken, TokenId, WrapKb};
pub use invite::{Invitation, Role};
pub use legacy::{DataLossConsent, LegacyStore, NewLegacyAccount, NodeLookup};
pub use login::Login;
pub(crate) use login_attempt::LoginAttempt;
pub use mail::Mail;
pub use nodes::{Node, NodeOrders, NodeSettings, NodeState, Nodes, nodes_of};
pub use oauth::{
    Access, AccessType, Authorization, AuthorizationRequest, Client, Grant, Granted, Introspection, OLDSYNC,
    RefreshAccess, ScopedKey, TokenRequest,
};
pub use operator::{AccountSummary, CodePurpose, PendingCode, SecurityEvent, StoreSummary};
pub use otp::OtpVerified;
pub use outbox::{QueuedMail, RetryDecision};
pub use password::{ChangeStarted, FollowUp, NewPassword, PasswordLink};
pub use password_hasher::HashQueue;
pub use password_reset::{ResetStarted, ResetStatus};
pub use profile::{Picture, PictureKind, Profile};

pub use secret::{CredentialKind, Secrets};
pub use session::Session;
pub use shared::{OnceKey, Shared, SharedValue, SingleProcess};
pub use tokenserver::{AccessTokens, Assignment, Identity, KeyId};

/// The steps that make the register's tables, for each kind of database.
pub const MIGRATIONS: foxden_sql::Migrations = foxden_sql::Migrations {
    sqlite: SQLITE,
    postgres: &[
        foxden_sql::Migration {
            name: "0001_initial",
            statements: include_str!("../migrations/postgres/0001_initial.sql"),
        },
        foxden_sql::Migration {
            name: "0002_shared",
            statements: include_str!("../migrations/postgres/0002_shared.sql"),
        },
        foxden_sql::Migration {
            name: "0003_nodes",
            statements: include_str!("../migrations/postgres/0003_nodes.sql"),
        },
    ],
    mysql: &[
        foxden_sql::Migration {
            name: "0001_initial",
            statements: include_str!("../migrations/mysql/0001_initial.sql"),
        },
        foxden_sql::Migration {
            name: "0002_shared",
            statements: include_str!("../migrations/mysql/0002_shared.sql"),
        },
        foxden_sql::Migration {
            name: "0003_nodes",
            statements: include_str!("../migrations/mysql/0003_nodes.sql"),
        },
    ],
    table: "register_version",
};

const SQLITE: &[foxden_sql::Migration] = &[
    foxden_sql::Migration {
        name: "0001_initial",
        statements: include_str!("../migrations/sqlite/0001_initial.sql"),
    },
    foxden_sql::Migration {
        name: "0002_plain_doors",
        statements: include_str!("../migrations/sqlite/0002_plain_doors.sql"),
    },
    foxden_sql::Migration {
        name: "0003_outbox",
        statements: include_str!("../migrations/sqlite/0003_outbox.sql"),
    },
    foxden_sql::Migration {
        name: "0004_owned_names",
        statements: include_str!("../migrations/sqlite/0004_owned_names.sql"),
    },
    foxden_sql::Migration {
        name: "0005_resets_of_nobody",
        statements: include_str!("../migrations/sqlite/0005_resets_of_nobody.sql"),
    },
    foxden_sql::Migration {
        name: "0006_change_counter",
        statements: include_str!("../migrations/sqlite/0006_change_counter.sql"),
    },
    foxden_sql::Migration {
        name: "0007_shared",
        statements: include_str!("../migrations/sqlite/0007_shared.sql"),
    },
    foxden_sql::Migration {
        name: "0008_nodes",
        statements: include_str!("../migrations/sqlite/0008_nodes.sql"),
    },
];
