//! What a security officer is told of an order that was carried out.

use foxden_accounts::security::{Event, OperatorAction};

use super::order::{NodeState, Order, Standing, Switch};

/// What the operator did, to whom, and what exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    act: OperatorAction,
    name: Option<String>,
    what: Option<String>,
}

impl Deed {
    /// The deed that an order is; none where it only looks at what is no secret.
    pub fn of(order: &Order) -> Option<Self> {
        Some(match order {
            Order::AddUser { address, standing } => {
                Self::to(OperatorAction::AccountAdded, address).being(*standing)
            }
            Order::RemoveUser { name } => Self::to(OperatorAction::AccountRemoved, name),
            Order::ResetPassword { name } => Self::to(OperatorAction::PasswordLinkMade, name),
            Order::SetStanding { name, standing } => {
                Self::to(OperatorAction::RoleChanged, name).being(*standing)
            }
            Order::SwitchUser { name, switch } => {
                let act = match switch {
                    Switch::Off => OperatorAction::AccountDisabled,
                    Switch::On => OperatorAction::AccountEnabled,
                };
                Self::to(act, name)
            }
            Order::ConfirmUser { name } => Self::to(OperatorAction::AddressConfirmed, name),
            Order::ShowCodes { name } => Self::to(OperatorAction::CodesShown, name),
            Order::Invite {
                standing, note, mail, ..
            } => Self {
                name: mail.clone(),
                ..Self::new(OperatorAction::InvitationMade, invited(*standing, note))
            },
            Order::InviteFirst => Self::new(OperatorAction::InvitationMade, "the first account's".to_owned()),
            Order::RevokeInvitation { id } => {
                Self::new(OperatorAction::InvitationRevoked, format!("invitation {id}"))
            }
            Order::MoveUser { name, to } => {
                let to = to.as_deref().unwrap_or("the best other node");
                Self {
                    what: Some(format!("to {to}")),
                    ..Self::to(OperatorAction::UserMoved, name)
                }
            }
            Order::SetNode { url, state } => {
                Self::new(OperatorAction::NodeChanged, format!("{url} {}", state_of(*state)))
            }
            Order::MakePrivate => Self {
                act: OperatorAction::MadePrivate,
                name: None,
                what: None,
            },
            Order::RemoveNode { url } => Self::new(OperatorAction::NodeChanged, format!("{url} removed")),
            Order::ListUsers
            | Order::ListNodes
            | Order::ShowUser { .. }
            | Order::ListInvitations
            | Order::Probe
            | Order::ListChores
            | Order::RunChore { .. } => return None,
        })
    }

    /// The event to tell of.
    pub fn event(&self) -> Event<'_> {
        Event {
            name: self.name.as_deref(),
            why: self.what.as_deref(),
            ..Event::by_operator(self.act)
        }
    }

    fn to(act: OperatorAction, name: &str) -> Self {
        Self {
            act,
            name: Some(name.to_owned()),
            what: None,
        }
    }

    const fn new(act: OperatorAction, what: String) -> Self {
        Self {
            act,
            name: None,
            what: Some(what),
        }
    }

    fn being(self, standing: Standing) -> Self {
        Self {
            what: Some(role(standing).to_owned()),
            ..self
        }
    }
}

fn invited(standing: Standing, note: &str) -> String {
    let role = role(standing);
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

const fn role(standing: Standing) -> &'static str {
    match standing {
        Standing::Member => "member",
        Standing::Admin => "administrator",
    }
}
