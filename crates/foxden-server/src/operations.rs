//! Operations of an operator on accounts, invitations, nodes and this server.
//!
//! Each operation returns data or an [`OperationError`]; the caller makes the words. An operation that succeeds is reported
//! to the security log.
//!
//! - [`accounts`], [`invitations`], [`nodes`]: what the register keeps
//! - [`server`]: chores, and whether this server is private
//! - [`mod@error`]: why an operation failed

pub mod accounts;
pub mod error;
pub mod invitations;
pub mod nodes;
pub mod server;

use foxden_accounts::security::{Event, OperatorAction};
use foxden_accounts::{Accounts, Role};

use crate::app::App;

pub use error::OperationError;

/// The accounts of this process.
fn accounts_of(app: &App) -> Result<&Accounts, OperationError> {
    app.accounts.as_ref().ok_or(OperationError::NoAccounts)
}

/// Reports an action on an account, named as the operator typed it.
fn report(app: &App, action: OperatorAction, name: &str) {
    let event = Event::by_operator(action).with_subject(name);
    app.security_log.emit(&event);
}

/// Reports an action on an account, with details.
fn report_with(app: &App, action: OperatorAction, name: &str, details: &str) {
    let event = Event::by_operator(action).with_subject(name).with_reason(details);
    app.security_log.emit(&event);
}

/// Reports an action that concerns no account.
fn report_details(app: &App, action: OperatorAction, details: &str) {
    let event = Event::by_operator(action).with_reason(details);
    app.security_log.emit(&event);
}

/// A role as the security log names it.
const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "administrator",
    }
}

#[cfg(test)]
mod tests;
