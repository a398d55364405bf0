//! Commands of the operator. The operator's password is never asked: a caller of these has access to the files.

use foxden_model::UserId;
use foxden_sql::{Fetch, Tx};

use crate::address::{Address, normal};
use crate::invite::code_hash;
use crate::legacy::is_hashed_name;
use crate::register::account::AccountRow;
use crate::register::code::CodeKind;
use crate::register::{account, code, device, event, node, session, store};
use crate::{AccountId, Accounts, OperatorError, Removed, Role, Unavailable};

/// The longest list given at once.
const LIST: u32 = 1000;

/// An account as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSummary {
    /// The account.
    pub account: AccountId,
    /// The address in use.
    pub address: String,
    /// Whether the address is confirmed.
    pub address_verified: bool,
    /// Whether a password was set.
    pub has_password: bool,
    /// Its role.
    pub role: Role,
    /// Whether it is disabled.
    pub is_disabled: bool,
    /// In milliseconds.
    pub created_at: i64,
    /// The last use of any session, in milliseconds.
    pub last_used: Option<i64>,
    /// Sessions that exist.
    pub sessions: u64,
    /// Devices that exist.
    pub devices: u64,
    /// Its other names: those that its owner chose, and earlier addresses.
    pub names: Vec<String>,
    /// Its stores that are in use.
    pub stores: Vec<StoreSummary>,
}

/// A store, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSummary {
    /// The store.
    pub user: UserId,
    /// The base URL of its node, without a slash at the end; `None` where the node was removed.
    pub node: Option<String>,
    /// Whether it is for old clients.
    pub is_legacy: bool,
}

/// A code that waits to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCode {
    /// Its purpose.
    pub purpose: CodePurpose,
    /// The code.
    pub code: String,
    /// When it ends, in milliseconds.
    pub expires: i64,
}

/// The purposes of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePurpose {
    /// Confirms the address: six digits.
    ConfirmAddress,
    /// Resets the password: 32 hex digits.
    ResetPassword,
    /// Resets it by a program that asks for eight digits.
    ResetOtp,
    /// Resets it by the User API or a page without script: four groups of four.
    ResetLegacy,
}

/// Something that happened to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityEvent {
    /// In milliseconds.
    pub time: i64,
    /// What, in the register's words.
    pub kind: String,
    /// From where.
    pub address: String,
}

impl Accounts {
    /// Accounts in the order of their ids after `after`, at most `limit`.
    pub async fn list_accounts(
        &self,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountSummary>, Unavailable> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let mut summaries = Vec::new();
        for row in account::after(&self.0.database, &after, limit.min(LIST)).await? {
            summaries.push(self.summarise(row).await?);
        }
        Ok(summaries)
    }

    /// The account with that name: an address, another name, or the id.
    pub async fn show_account(&self, name: &str) -> Result<Option<AccountSummary>, Unavailable> {
        match find(&self.0.database, name).await? {
            Some(row) => self.summarise(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Creates an account without a password and gives the code of its set-password link.
    pub async fn add_account(&self, address: &str, role: Role) -> Result<String, OperatorError> {
        let address = Address::to_get(address)?;
        let now = self.millis().max(1);
        let mut row = self.new_row(&address, role, now);
        row.address_verified = true;
        let (row, address) = (&row, &address);
        self.transact_change(|tx| async move {
            if self.name_owner(&tx, address.as_str()).await?.is_some() {
                return Err(OperatorError::Exists);
            }
            self.insert_with_names(&tx, row).await?;
            self.write_change(&tx, row.uid).await?;
            Ok(self.make_link(&tx, row.uid).await?)
        })
        .await
    }

    /// The code of a single-use link with which the owner sets a password; good for a day.
    pub async fn password_link(&self, name: &str) -> Result<String, OperatorError> {
        self.transact(|tx| async move {
            let row = named(&tx, name).await?;
            Ok(self.make_link(&tx, row.uid).await?)
        })
        .await
    }

    /// Removes the account and all its rows. To be carried out by [`Accounts::complete_removal`].
    pub async fn remove_account(&self, name: &str) -> Result<Removed, OperatorError> {
        let row = named(&self.0.database, name).await?;
        Ok(self.remove(row.uid).await?)
    }

    /// Changes what the account may do.
    pub async fn set_role(&self, name: &str, role: Role) -> Result<(), OperatorError> {
        self.transact(|tx| async move {
            let row = named(&tx, name).await?;
            Ok(account::set_role(&tx, row.uid, role).await?)
        })
        .await
    }

    /// Disables the account, which ends everything signed in, or on again.
    pub async fn set_disabled(&self, name: &str, is_disabled: bool) -> Result<(), OperatorError> {
        self.transact_change(|tx| async move {
            let row = named(&tx, name).await?;
            account::set_disabled(&tx, row.uid, is_disabled).await?;
            if is_disabled {
                session::delete_all(&tx, row.uid).await?;
            }
            Ok(self.write_change(&tx, row.uid).await?)
        })
        .await
    }

    /// Confirms the address without a code. Where several accounts claim it, its id must say which one is meant: a name
    /// leads to the one that claimed it first.
    pub async fn approve(&self, name: &str) -> Result<(), OperatorError> {
        self.transact_change(|tx| async move {
            let mut row = named(&tx, name).await?;
            let is_by_id = normal(name) == row.uid.to_string();
            if !is_by_id && is_claimed_twice(&tx, &row.address).await? {
                return Err(OperatorError::Ambiguous);
            }
            self.confirm_address(&tx, &mut row).await?;
            code::delete(&tx, row.uid, CodeKind::Address).await?;
            code::delete(&tx, row.uid, CodeKind::Link).await?;
            Ok(())
        })
        .await
    }

    /// Lists the pending codes of the account.
    pub async fn pending_codes(&self, name: &str) -> Result<Vec<PendingCode>, OperatorError> {
        let row = named(&self.0.database, name).await?;
        let waiting = code::of(&self.0.database, row.uid, self.millis()).await?;
        let waiting = waiting.into_iter().filter_map(|row| {
            let purpose = match row.kind {
                CodeKind::Address => CodePurpose::ConfirmAddress,
                CodeKind::Reset => CodePurpose::ResetPassword,
                CodeKind::ResetOtp => CodePurpose::ResetOtp,
                CodeKind::LegacyReset => CodePurpose::ResetLegacy,
                CodeKind::Link => return None,
            };
            Some(PendingCode {
                purpose,
                code: row.code,
                expires: row.expires,
            })
        });
        Ok(waiting.collect())
    }

    /// Lists the security events of the account, newest first.
    pub async fn security_events(&self, account: AccountId) -> Result<Vec<SecurityEvent>, Unavailable> {
        Ok(event::of(&self.0.database, account).await?)
    }

    /// How many accounts there are.
    pub async fn count_accounts(&self) -> Result<u64, Unavailable> {
        Ok(account::count(&self.0.database).await?)
    }

    async fn make_link(&self, tx: &Tx, uid: AccountId) -> Result<String, Unavailable> {
        let code = self.new_code();
        code::put_link(tx, uid, &code_hash(&code), self.millis() + code::LINK_LIFE).await?;
        Ok(code)
    }

    async fn summarise(&self, row: AccountRow) -> Result<AccountSummary, Unavailable> {
        let (sessions, devices, last_used) = device::usage(&self.0.database, row.uid).await?;
        let mut names = account::names(&self.0.database, row.uid).await?;
        names.retain(|name| *name != normal(&row.address) && !is_hashed_name(name));
        Ok(AccountSummary {
            account: row.uid,
            address: row.address,
            address_verified: row.address_verified,
            has_password: row.verifier.is_some(),
            role: row.role,
            is_disabled: row.disabled,
            created_at: row.created_at,
            last_used,
            sessions,
            devices,
            names,
            stores: self.stores_of(row.uid).await?,
        })
    }

    async fn stores_of(&self, uid: AccountId) -> Result<Vec<StoreSummary>, Unavailable> {
        let (database, email) = (&self.0.database, self.store_name(uid));
        let mut stores = Vec::new();
        for service in [self.0.settings.sync_service_id, self.0.settings.legacy_service_id] {
            let rows = store::of(database, service, &email).await?;
            for row in rows.into_iter().filter(|row| row.replaced_at.is_none()) {
                stores.push(StoreSummary {
                    user: row.uid,
                    node: node::by_id(database, row.nodeid).await?.map(|node| node.node),
                    is_legacy: service == self.0.settings.legacy_service_id,
                });
            }
        }
        Ok(stores)
    }
}

/// Returns whether several accounts have that address, in upper or lower case. No dialect of SQL compares all letters
/// as [`normal`] does.
async fn is_claimed_twice(from: &impl Fetch, address: &str) -> Result<bool, Unavailable> {
    let (wanted, mut after, mut found) = (normal(address), String::new(), 0);
    loop {
        let page = account::addresses(from, &after, LIST).await?;
        let Some((last, _)) = page.last() else {
            return Ok(false);
        };
        after = last.to_string();
        found += page.iter().filter(|(_, other)| normal(other) == wanted).count();
        if found > 1 {
            return Ok(true);
        }
    }
}

/// Finds an account by its id, else by any of its names: an id goes before a chosen name.
async fn find(from: &impl Fetch, name: &str) -> Result<Option<AccountRow>, Unavailable> {
    let name = normal(name);
    if let Some(id) = AccountId::from_hex(&name)
        && let Some(row) = account::by_id(from, id).await?
    {
        return Ok(Some(row));
    }
    Ok(account::by_name(from, &name).await?)
}

pub(crate) async fn named(from: &impl Fetch, name: &str) -> Result<AccountRow, OperatorError> {
    let row = find(from, name).await?;
    row.ok_or_else(|| OperatorError::UnknownAccount {
        name: name.to_owned(),
    })
}
