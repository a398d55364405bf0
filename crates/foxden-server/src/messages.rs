//! Messages of the terminal about the results of commands.

use crate::calendar::Utc;
use crate::control::command::{NodeState, Role, UserState};
use crate::control::response::{CodePurpose, Failure, LinkPurpose, Outcome};
use crate::exposure::Mark;

/// Describes the result of a command.
pub fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::UserRemoved {
            name,
            not_emptied: None,
        } => format!("{name} and everything that hung on it is gone"),
        Outcome::UserRemoved {
            name,
            not_emptied: Some(error),
        } => format!("{name} is gone; its store could not be emptied yet and will be tried again: {error}"),
        Outcome::RoleSet { name, role } => match role {
            Role::Admin => format!("{name} is an administrator now"),
            Role::Member => format!("{name} is no administrator now"),
        },
        Outcome::UserStateSet { name, state } => match state {
            UserState::Disabled => format!("{name} is signed out everywhere and kept out"),
            UserState::Enabled => format!("{name} may sign in again"),
        },
        Outcome::UserConfirmed { name } => format!("the address of {name} counts as confirmed"),
        Outcome::UserMoved { name, stores: 0 } => format!("{name} has no store that could be moved"),
        Outcome::UserMoved { name, .. } => {
            format!("{name} has an empty store elsewhere now; browsers fill it when they sync next")
        }
        Outcome::InvitationRevoked { id } => format!("invitation {id} is taken back"),
        Outcome::NodeStateSet { url, state, has_room } => node_state_set(url, *state, *has_room),
        Outcome::NodeAdded { url } => format!("{url} takes users"),
        Outcome::NodeConfigured { url } => format!("{url} is set; foxden node list shows how"),
        Outcome::NodeReset {
            url,
            stores,
            has_room,
        } => format!(
            "{}; browsers fill them when they sync next, and the old ones at {url} are emptied{}",
            stores_begin_anew(*stores),
            waiting(*has_room, "they")
        ),
        Outcome::NodeRemoved {
            url,
            stores,
            has_room,
        } => format!(
            "{url} is struck off; {} elsewhere{}",
            stores_begin_anew(*stores),
            waiting(*has_room, "they")
        ),
        Outcome::MadePrivate { mark } => made_private(mark.as_ref()),
        Outcome::ChoreRan { name, count: 0 } => format!("{name}: nothing to do"),
        Outcome::ChoreRan { name, count } => format!("{name}: {count} cleared"),
    }
}

fn node_state_set(url: &str, state: NodeState, has_room: bool) -> String {
    match state {
        NodeState::Accepting => format!("{url} takes users"),
        NodeState::NoNewUsers => {
            format!(
                "{url} takes no new users, and those it has stay{}",
                waiting(has_room, "new ones")
            )
        }
        NodeState::Draining if has_room => {
            format!("{url} takes no new users, and those it has move to other nodes as they come")
        }
        NodeState::Draining => format!(
            "{url} takes no new users, and those it has move to other nodes as they come; no node has room for them now, so \
             they stay until one does (foxden node list)"
        ),
        NodeState::Down => format!(
            "{url} is out of service: its users wait, half an hour at a time{}",
            waiting(has_room, "new ones")
        ),
    }
}

fn stores_begin_anew(stores: u64) -> String {
    match stores {
        1 => "1 store begins anew".to_owned(),
        stores => format!("{stores} stores begin anew"),
    }
}

/// What follows for those who need a store, where no node takes new users.
fn waiting(has_room: bool, who: &str) -> String {
    if has_room {
        return String::new();
    }
    format!("; no node takes new users now, so {who} wait until one does (foxden node list)")
}

fn made_private(mark: Option<&Mark>) -> String {
    match mark {
        Some(Mark { since, why }) => format!(
            "this server is private again: people at this machine make accounts without an invitation. It counted as public since {}: {why}. \
             Should that happen again, it is public again",
            Utc(*since)
        ),
        None => "this server is private: nothing has come from elsewhere".to_owned(),
    }
}

/// Why a command failed, and what helps.
pub fn failure(failure: &Failure) -> String {
    match failure {
        Failure::NoAccounts => "this process keeps no accounts".to_owned(),
        Failure::UnknownAccount { name } => {
            format!("there is no account {name}; foxden user list shows all")
        }
        Failure::AmbiguousName => {
            "invalid name: several accounts have that address, so say the id of one (foxden user list)".to_owned()
        }
        Failure::AccountExists => "the account exists".to_owned(),
        Failure::InvalidAddress { address } => format!("{address} is not an address"),
        Failure::UnknownNode { url } => {
            format!("there is no node {url}; foxden node list tells which there are")
        }
        Failure::ListedNode { url } => format!(
            "{url} is where users are sent to; take it out of tokens.nodes of the server that keeps the accounts, restart \
             that, then remove the node"
        ),
        Failure::NodeExists { url } => {
            format!("there is a node {url} already; foxden node set changes what is set for it")
        }
        Failure::InvalidNode { url, cause } => format!("{url} is no address of a node: {cause}"),
        Failure::NodesAreNamed => {
            "the configuration says which nodes there are: name the node in tokens.nodes of the server that keeps the \
             accounts, and restart that; or set tokens.nodes = \"commands\" there, to add and remove nodes by command"
                .to_owned()
        }
        Failure::NoCapacity => "no node has capacity for another user".to_owned(),
        Failure::UnknownInvitation { id } => {
            format!("there is no invitation {id}; foxden invite list tells which there are")
        }
        Failure::NotFirst => {
            "there is an account already; invite others with: foxden invite".to_owned()
        }
        Failure::NoMail => "this server has no mail server; set mail.host, or leave out --mail and pass the link on yourself"
            .to_owned(),
        Failure::TooManyMails { address } => format!(
            "too many mails went to {address} today, or too many are queued, which foxden check explains; leave out \
             --mail and pass the link on yourself"
        ),
        Failure::UnknownChore { name } => {
            format!("there is no chore {name}; foxden chore list shows them all")
        }
        Failure::PublicByConfiguration => {
            "this server has a public address or listens for other machines: it is public by its configuration".to_owned()
        }
        Failure::UnknownCommand { cause } => {
            format!("the serving process does not know this command, is it of another version? {cause}")
        }
        Failure::Panicked { panic } => format!("the serving process panicked: {panic}"),
        Failure::Other { cause } => cause.clone(),
    }
}

/// Describes the purpose of a link.
pub fn link(purpose: &LinkPurpose) -> String {
    match purpose {
        LinkPurpose::SetPassword { name } => format!("{name} sets a password here, once, within a day"),
        LinkPurpose::Invitation => "makes one account, once".to_owned(),
        LinkPurpose::MailedInvitation { address } => {
            format!("makes one account, once; mailed to {address}")
        }
        LinkPurpose::FirstInvitation => {
            "makes the first account, an administrator's, within an hour".to_owned()
        }
    }
}

/// Describes the purpose of a code.
pub const fn code(purpose: CodePurpose) -> &'static str {
    match purpose {
        CodePurpose::ConfirmAddress => "confirms the address",
        CodePurpose::ResetPassword => "resets the password",
        CodePurpose::ResetOtp => "resets the password in a program that asks for it",
        CodePurpose::ResetLegacy => "resets the password in an old client or on its page",
    }
}
