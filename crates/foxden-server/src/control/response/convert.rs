//! Results of operations in the wire form of the control socket.

use foxden_accounts::AccountSummary;
use foxden_http::wire::chain;

use super::{Chore, CodePurpose, Event, Failure, Invitation, Node, PendingCode, Response, Store, User};
use crate::chores::ChoreReport;
use crate::exposure::MakePrivateError;
use crate::operations::OperationError;
use crate::operations::accounts::AccountDetails;

/// How many events of an account are shown.
const EVENTS: usize = 10;

impl From<AccountDetails> for Response {
    fn from(AccountDetails { account, events }: AccountDetails) -> Self {
        Self::User {
            user: account.into(),
            events: events.into_iter().take(EVENTS).map(Event::from).collect(),
        }
    }
}

impl From<AccountSummary> for User {
    fn from(account: AccountSummary) -> Self {
        Self {
            id: account.account.to_string(),
            address: account.address,
            is_confirmed: account.address_verified,
            has_password: account.has_password,
            role: account.role.into(),
            is_disabled: account.is_disabled,
            created_at: account.created_at,
            last_used: account.last_used,
            sessions: account.sessions,
            devices: account.devices,
            names: account.names,
            stores: account.stores.into_iter().map(Store::from).collect(),
        }
    }
}

impl From<foxden_accounts::StoreSummary> for Store {
    fn from(store: foxden_accounts::StoreSummary) -> Self {
        Self {
            uid: store.user.0,
            node: store.node,
            is_legacy: store.is_legacy,
        }
    }
}

impl From<foxden_accounts::SecurityEvent> for Event {
    fn from(event: foxden_accounts::SecurityEvent) -> Self {
        Self {
            time: event.time,
            kind: event.kind,
            address: event.address,
        }
    }
}

impl From<foxden_accounts::Invitation> for Invitation {
    fn from(invitation: foxden_accounts::Invitation) -> Self {
        Self {
            id: invitation.id,
            role: invitation.role.into(),
            note: invitation.note,
            expires: invitation.expires,
            used_by: invitation.used_by.map(|account| account.to_string()),
        }
    }
}

impl From<foxden_accounts::Node> for Node {
    fn from(node: foxden_accounts::Node) -> Self {
        Self {
            url: node.url,
            state: node.state.into(),
            is_listed: node.is_listed,
            users: node.users,
            legacy_users: node.legacy_users,
            stores_to_empty: node.stores_to_empty,
            load: node.load,
            capacity: node.capacity,
            weight: node.weight,
            backoff_seconds: node.backoff_seconds,
        }
    }
}

impl From<foxden_accounts::PendingCode> for PendingCode {
    fn from(waiting: foxden_accounts::PendingCode) -> Self {
        Self {
            purpose: match waiting.purpose {
                foxden_accounts::CodePurpose::ConfirmAddress => CodePurpose::ConfirmAddress,
                foxden_accounts::CodePurpose::ResetPassword => CodePurpose::ResetPassword,
                foxden_accounts::CodePurpose::ResetOtp => CodePurpose::ResetOtp,
                foxden_accounts::CodePurpose::ResetLegacy => CodePurpose::ResetLegacy,
            },
            code: waiting.code,
            expires: waiting.expires,
        }
    }
}

impl From<ChoreReport> for Chore {
    fn from(chore: ChoreReport) -> Self {
        Self {
            name: chore.name.to_owned(),
            about: chore.description.to_owned(),
            last_success: chore.status.last_success,
            failures: chore.status.failures,
            last_failure: chore.status.last_failure,
        }
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::NoAccounts => Self::NoAccounts,
            OperationError::UnknownAccount { name } => Self::UnknownAccount { name },
            OperationError::AmbiguousName => Self::AmbiguousName,
            OperationError::AccountExists => Self::AccountExists,
            OperationError::InvalidAddress { address } => Self::InvalidAddress { address },
            OperationError::UnknownNode { url } => Self::UnknownNode { url },
            OperationError::ListedNode { url } => Self::ListedNode { url },
            OperationError::NodeExists { url } => Self::NodeExists { url },
            OperationError::InvalidNode { url, cause } => Self::InvalidNode {
                url,
                cause: cause.to_string(),
            },
            OperationError::NodesAreNamed => Self::NodesAreNamed,
            OperationError::NoCapacity => Self::NoCapacity,
            OperationError::UnknownInvitation { id } => Self::UnknownInvitation { id },
            OperationError::NotFirst => Self::NotFirst,
            OperationError::NoMail => Self::NoMail,
            OperationError::TooManyMails { address } => Self::TooManyMails { address },
            OperationError::UnknownChore { name } => Self::UnknownChore { name },
            OperationError::MakePrivate(MakePrivateError::PublicByConfiguration) => {
                Self::PublicByConfiguration
            }
            OperationError::ChoreFailed(_)
            | OperationError::MakePrivate(MakePrivateError::Remove { .. })
            | OperationError::Unavailable(_) => Self::Other { cause: chain(&error) },
        }
    }
}
