//! The audit record of an executed command, for the security log.

use foxden_accounts::security::{Event, OperatorAction};

use super::command::{Command, NodeState, Role, UserState};

/// What the operator did, to which account, and the details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    action: OperatorAction,
    name: Option<String>,
    what: Option<String>,
}

impl AuditRecord {
    /// The record that a command is; none where it only looks at what is no secret.
    pub fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::AddUser { address, role } => {
                Self::to(OperatorAction::AccountAdded, address).being(*role)
            }
            Command::RemoveUser { name } => Self::to(OperatorAction::AccountRemoved, name),
            Command::ResetPassword { name } => Self::to(OperatorAction::PasswordLinkMade, name),
            Command::SetRole { name, role } => Self::to(OperatorAction::RoleChanged, name).being(*role),
            Command::SetUserState { name, state } => {
                let action = match state {
                    UserState::Disabled => OperatorAction::AccountDisabled,
                    UserState::Enabled => OperatorAction::AccountEnabled,
                };
                Self::to(action, name)
            }
            Command::ConfirmUser { name } => Self::to(OperatorAction::AddressConfirmed, name),
            Command::ShowCodes { name } => Self::to(OperatorAction::CodesShown, name),
            Command::Invite { role, note, mail, .. } => Self {
                name: mail.clone(),
                ..Self::new(OperatorAction::InvitationMade, invited(*role, note))
            },
            Command::InviteFirst => {
                Self::new(OperatorAction::InvitationMade, "the first account's".to_owned())
            }
            Command::RevokeInvitation { id } => {
                Self::new(OperatorAction::InvitationRevoked, format!("invitation {id}"))
            }
            Command::MoveUser { name, to } => {
                let to = to.as_deref().unwrap_or("the best other node");
                Self {
                    what: Some(format!("to {to}")),
                    ..Self::to(OperatorAction::UserMoved, name)
                }
            }
            Command::SetNode { url, state } => {
                Self::new(OperatorAction::NodeChanged, format!("{url} {}", state_of(*state)))
            }
            Command::MakePrivate => Self {
                action: OperatorAction::MadePrivate,
                name: None,
                what: None,
            },
            Command::RemoveNode { url } => Self::new(OperatorAction::NodeChanged, format!("{url} removed")),
            Command::ListUsers
            | Command::ListNodes
            | Command::ShowUser { .. }
            | Command::ListInvitations
            | Command::Probe
            | Command::ListChores
            | Command::RunChore { .. } => return None,
        })
    }

    /// The event to tell of.
    pub fn event(&self) -> Event<'_> {
        Event {
            name: self.name.as_deref(),
            why: self.what.as_deref(),
            ..Event::by_operator(self.action)
        }
    }

    fn to(action: OperatorAction, name: &str) -> Self {
        Self {
            action,
            name: Some(name.to_owned()),
            what: None,
        }
    }

    const fn new(action: OperatorAction, what: String) -> Self {
        Self {
            action,
            name: None,
            what: Some(what),
        }
    }

    fn being(self, role: Role) -> Self {
        Self {
            what: Some(role_name(role).to_owned()),
            ..self
        }
    }
}

fn invited(role: Role, note: &str) -> String {
    let role = role_name(role);
    if note.is_empty() {
        role.to_owned()
    } else {
        format!("{role}, for: {note}")
    }
}

const fn state_of(state: NodeState) -> &'static str {
    match state {
        NodeState::Accepting => "accepting",
        NodeState::Draining => "draining",
        NodeState::Down => "down",
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "administrator",
    }
}
