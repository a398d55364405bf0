//! Operations on accounts. A `name` is the account's address, another name of it, or its id.

use foxden_accounts::security::OperatorAction;
use foxden_accounts::{AccountSummary, OperatorError, PendingCode, Role, SecurityEvent};
use foxden_http::pages::links;
use foxden_model::UserId;

use super::{OperationError, accounts_of, report, report_with, role_name};
use crate::app::App;
use crate::node::EmptyStoreError;

/// Accounts fetched at once.
const PAGE: u32 = 200;

/// An account and its security events, newest first.
#[derive(Clone, Debug)]
pub struct AccountDetails {
    /// The account.
    pub account: AccountSummary,
    /// The events.
    pub events: Vec<SecurityEvent>,
}

/// Lists the accounts in the order of their ids.
pub async fn list(app: &App) -> Result<Vec<AccountSummary>, OperationError> {
    let accounts = accounts_of(app)?;
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = accounts.list_accounts(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = Some(last.account);
        all.extend(page);
    }
}

/// Creates an account without a password. Returns the link with which its owner sets one.
pub async fn add(app: &App, address: &str, role: Role) -> Result<String, OperationError> {
    let code = accounts_of(app)?.add_account(address, role).await;
    let code = code.map_err(on(address))?;
    report_with(app, OperatorAction::AccountAdded, address, role_name(role));
    Ok(links::set_password(&app.site.public_url.origin(), &code))
}

/// Returns the account and what happened to it.
pub async fn show(app: &App, name: &str) -> Result<AccountDetails, OperationError> {
    let accounts = accounts_of(app)?;
    let account = accounts.show_account(name).await?;
    let account = account.ok_or_else(|| OperationError::UnknownAccount {
        name: name.to_owned(),
    })?;
    let events = accounts.security_events(account.account).await?;
    Ok(AccountDetails { account, events })
}

/// Removes an account with everything stored for it. Returns the stores that could not be emptied yet; a chore empties them.
pub async fn remove(app: &App, name: &str) -> Result<Vec<(UserId, EmptyStoreError)>, OperationError> {
    let accounts = accounts_of(app)?;
    let removal = async {
        let removed = accounts.remove_account(name).await;
        removed.map_err(on(name))
    };
    let empty = async |store| match accounts.store_to_empty(store).await? {
        Some(closed) => app.empty_store(&closed).await,
        None => Ok(()),
    };
    let not_emptied = accounts.complete_removal(removal, empty).await?;
    report(app, OperatorAction::AccountRemoved, name);
    Ok(not_emptied)
}

/// Returns a link with which the owner of the account sets a password.
pub async fn password_link(app: &App, name: &str) -> Result<String, OperationError> {
    let code = accounts_of(app)?.password_link(name).await;
    let code = code.map_err(on(name))?;
    report(app, OperatorAction::PasswordLinkMade, name);
    Ok(links::set_password(&app.site.public_url.origin(), &code))
}

/// Changes what the account may do.
pub async fn set_role(app: &App, name: &str, role: Role) -> Result<(), OperationError> {
    let changed = accounts_of(app)?.set_role(name, role).await;
    changed.map_err(on(name))?;
    report_with(app, OperatorAction::RoleChanged, name, role_name(role));
    Ok(())
}

/// Disables an account, which signs it out everywhere, or enables it again.
pub async fn set_disabled(app: &App, name: &str, is_disabled: bool) -> Result<(), OperationError> {
    let changed = accounts_of(app)?.set_disabled(name, is_disabled).await;
    changed.map_err(on(name))?;
    let action = if is_disabled {
        OperatorAction::AccountDisabled
    } else {
        OperatorAction::AccountEnabled
    };
    report(app, action, name);
    Ok(())
}

/// Confirms the address of an account without a code.
pub async fn confirm_address(app: &App, name: &str) -> Result<(), OperationError> {
    let confirmed = accounts_of(app)?.approve(name).await;
    confirmed.map_err(on(name))?;
    report(app, OperatorAction::AddressConfirmed, name);
    Ok(())
}

/// Lists the pending codes of an account.
pub async fn pending_codes(app: &App, name: &str) -> Result<Vec<PendingCode>, OperationError> {
    let codes = accounts_of(app)?.pending_codes(name).await;
    let codes = codes.map_err(on(name))?;
    report(app, OperatorAction::CodesShown, name);
    Ok(codes)
}

/// Moves the stores of an account to the node at `to`, else to the best other one. Returns how many were moved.
pub async fn move_stores(app: &App, name: &str, to: Option<&str>) -> Result<u64, OperationError> {
    let moved = accounts_of(app)?.move_user(name, to).await;
    let moved = moved.map_err(|error| match (error, to) {
        (error @ OperatorError::UnknownNode, Some(url)) => OperationError::on_account(error, url),
        (error, _) => OperationError::on_account(error, name),
    })?;
    let details = format!("to {}", to.unwrap_or("the best other node"));
    report_with(app, OperatorAction::UserMoved, name, &details);
    Ok(moved)
}

fn on(name: &str) -> impl FnOnce(OperatorError) -> OperationError {
    move |error| OperationError::on_account(error, name)
}
