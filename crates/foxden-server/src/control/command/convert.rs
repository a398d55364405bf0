//! The words of the accounts in those of commands and answers, and back.

use foxden_accounts::AccountSummary;

use super::{Event, Invitation, Node, NodeState, Role, Store, User};

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

impl From<foxden_accounts::Role> for Role {
    fn from(role: foxden_accounts::Role) -> Self {
        match role {
            foxden_accounts::Role::Member => Self::Member,
            foxden_accounts::Role::Admin => Self::Admin,
        }
    }
}

impl From<Role> for foxden_accounts::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<foxden_accounts::Node> for Node {
    fn from(node: foxden_accounts::Node) -> Self {
        Self {
            url: node.url,
            state: match node.state {
                foxden_accounts::NodeState::Accepting => NodeState::Accepting,
                foxden_accounts::NodeState::Draining => NodeState::Draining,
                foxden_accounts::NodeState::Down => NodeState::Down,
            },
            is_listed: node.is_listed,
            users: node.users,
            legacy_users: node.legacy_users,
        }
    }
}

impl From<NodeState> for foxden_accounts::NodeState {
    fn from(state: NodeState) -> Self {
        match state {
            NodeState::Accepting => Self::Accepting,
            NodeState::Draining => Self::Draining,
            NodeState::Down => Self::Down,
        }
    }
}
