//! Names of accounts: claimed until the account confirms the address, and owned from then on.
//!
//! A claimed name leads to its account as an owned one does, and the account's clients sign in by it. But where mail
//! is sent, a claim does not keep others from signing up with the same address: the name goes to the account that
//! confirms it first. The later claims have no row, since a name leads to one account.

use foxden_sql::{Fetch, SqlError, Tx};

use crate::address::{Address, normal};
use crate::error::NameError;
use crate::register::account::{self, AccountRow, Ownership};
use crate::register::store;
use crate::security::{EntryPoint, Event, EventKind};
use crate::{AccountId, Accounts, ClientInfo, Invitation, Unavailable};

/// Accounts read at once when unconfirmed ones are removed.
const PAGE: u32 = 100;

impl Accounts {
    /// Returns the account that keeps others from signing up with that name: its owner. Where no mail is sent, no
    /// name can be confirmed, so there a claim keeps it, too.
    pub(crate) async fn name_owner(
        &self,
        from: &impl Fetch,
        name: &str,
    ) -> Result<Option<AccountRow>, Unavailable> {
        let holder = account::holder(from, &normal(name)).await?;
        match holder.filter(|(_, ownership)| *ownership == Ownership::Owned || !self.0.options.sends_mail) {
            Some((uid, _)) => Ok(account::by_id(from, uid).await?),
            None => Ok(None),
        }
    }

    /// Returns whether a mail that was requested by this name may go to the address of the account that the name
    /// leads to: the account must own the name, or the name must follow from that address. Otherwise a claim would
    /// lead mail to another mailbox. An account that has confirmed an address gets no mail at another one that is not
    /// confirmed: a typing mistake would give the account to that mailbox.
    pub(crate) async fn may_receive_mail(
        &self,
        from: &impl Fetch,
        row: &AccountRow,
        name: &str,
    ) -> Result<bool, Unavailable> {
        if !self.0.options.sends_mail {
            return Ok(true);
        }
        let (name, of_address) = (normal(name), names_of(&row.address));
        let owned = Some((row.uid, Ownership::Owned));
        let is_confirmed = match of_address.first() {
            Some(address) => account::holder(from, address).await? == owned,
            None => false,
        };
        if !is_confirmed && account::owns_an_address(from, row.uid).await? {
            return Ok(false);
        }
        Ok(of_address.contains(&name) || account::holder(from, &name).await? == owned)
    }

    /// Returns whether the address counts as confirmed at sign-up. A private client vouches for it, and so does an
    /// invitation that was mailed to it. Any other invitation vouches for a person only: where mail is sent, the
    /// address must be confirmed. The first account belongs to the operator.
    pub(crate) fn is_confirmed_at_once(
        &self,
        address: &Address,
        invitation: Option<&Invitation>,
        client: &ClientInfo,
    ) -> bool {
        let vouches = |invitation: &Invitation| {
            !self.0.options.sends_mail
                || invitation.is_first
                || invitation.address.as_deref() == Some(&*address.normal())
        };
        client.is_private || invitation.is_some_and(vouches)
    }

    /// Inserts an account with the names of its address. A name that another account keeps is an error.
    pub(crate) async fn insert_with_names(&self, tx: &Tx, row: &AccountRow) -> Result<(), NameError> {
        account::insert(tx, row).await?;
        self.assign_names(tx, row).await
    }

    /// Assigns the names of its address to the account: as owned if the address is confirmed, which ends the claims
    /// of others; else as claims where no other account has them.
    pub(crate) async fn assign_names(&self, tx: &Tx, row: &AccountRow) -> Result<(), NameError> {
        for name in names_of(&row.address) {
            match account::holder(tx, &name).await? {
                None => add_name(tx, &name, row.uid, Ownership::of(row.address_verified)).await?,
                Some((uid, ownership))
                    if uid == row.uid && (ownership == Ownership::Owned || !row.address_verified) => {}
                Some((uid, Ownership::Claimed)) if row.address_verified => {
                    account::transfer_name(tx, &name, row.uid).await?;
                    if uid != row.uid {
                        self.write_change(tx, uid).await?;
                    }
                }
                Some((_, Ownership::Claimed)) if self.0.options.sends_mail => {}
                Some(_) => return Err(NameError::Taken),
            }
        }
        Ok(())
    }

    /// Deletes the claims that an account has by an address that it leaves. Names that its password was stretched
    /// with stay claimed, since its clients use them.
    pub(crate) async fn release_claims(
        &self,
        tx: &Tx,
        row: &AccountRow,
        address: &str,
    ) -> Result<(), Unavailable> {
        let kept = names_of(&row.stretched_address);
        for name in names_of(address).iter().filter(|name| !kept.contains(name)) {
            account::delete_claim(tx, name, row.uid).await?;
        }
        Ok(())
    }

    /// Confirms the address in use, and with it everything signed in. Refused where another account has confirmed the
    /// address meanwhile.
    pub(crate) async fn confirm_address(&self, tx: &Tx, row: &mut AccountRow) -> Result<(), NameError> {
        row.address_verified = true;
        self.assign_names(tx, row).await?;
        account::set_verified(tx, row.uid).await?;
        Ok(self.write_change(tx, row.uid).await?)
    }

    /// Refuses if another account owns the address: a code for it would be of no use.
    pub(crate) async fn require_unowned(&self, from: &impl Fetch, row: &AccountRow) -> Result<(), NameError> {
        for name in names_of(&row.address) {
            let holder = account::holder(from, &name).await?;
            if holder.is_some_and(|(uid, ownership)| uid != row.uid && ownership == Ownership::Owned) {
                return Err(NameError::Taken);
            }
        }
        Ok(())
    }

    /// Removes old accounts that never confirmed an address and have no store, where mail is sent. Looks at `budget`
    /// candidates and continues behind them the next time. Disabled accounts stay, so that their address cannot be
    /// used again.
    pub(crate) async fn remove_unconfirmed(&self, now: i64, budget: u32) -> Result<u64, Unavailable> {
        let Some(ttl) = self
            .0
            .options
            .unconfirmed_ttl
            .filter(|_| self.0.options.sends_mail)
        else {
            return Ok(0);
        };
        let before = now.saturating_sub(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        let mut after = self.0.claims_after.lock().await;
        let (mut left, mut ended) = (budget, 0);
        while left > 0 {
            let page = account::unconfirmed(&self.0.database, &after, before, PAGE.min(left)).await?;
            let Some(last) = page.last() else {
                after.clear();
                break;
            };
            *after = last.to_string();
            left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
            for uid in page {
                ended += u64::from(self.remove_if_unconfirmed(uid).await?);
            }
        }
        Ok(ended)
    }

    /// Removes the account, unless it was confirmed or got a store since it was found.
    async fn remove_if_unconfirmed(&self, uid: AccountId) -> Result<bool, Unavailable> {
        let email = self.store_name(uid);
        let services = [self.0.settings.sync_service_id, self.0.settings.legacy_service_id];
        // Accounts with a store come up again and again, so they must not wait for the writer.
        for service in services {
            if !store::of(&self.0.database, service, &email).await?.is_empty() {
                return Ok(false);
            }
        }
        let email = &email;
        let ended = self.transact_change(|tx| async move {
            let row = account::by_id(&tx, uid).await?;
            for service in services {
                if !store::of(&tx, service, email).await?.is_empty() {
                    return Ok(None);
                }
            }
            let Some(row) = row.filter(|row| !row.address_verified && !row.disabled) else {
                return Ok(None);
            };
            self.write_change(&tx, uid).await?;
            account::delete(&tx, uid).await?;
            Ok::<_, Unavailable>(Some(row))
        });
        let Some(row) = ended.await? else {
            return Ok(false);
        };
        tracing::info!(account = %uid, "an account whose address was never confirmed was removed");
        let deleted = Event::new(EventKind::AccountDeleted, EntryPoint::Chore, None);
        self.emit(
            &deleted
                .with_subject(&row.address)
                .with_account(uid)
                .with_reason("address never confirmed"),
        );
        Ok(true)
    }
}

/// Adds a name. A name that another account has is an error.
pub(crate) async fn add_name(
    tx: &Tx,
    name: &str,
    uid: AccountId,
    ownership: Ownership,
) -> Result<(), NameError> {
    account::add_name(tx, &normal(name), uid, ownership)
        .await
        .map_err(|error| match error {
            SqlError::Conflict => NameError::Taken,
            other => other.into(),
        })
}

/// The names of an address; none if the account has no address.
fn names_of(address: &str) -> Vec<String> {
    Address::new(address).map_or_else(|_| Vec::new(), |address| address.names())
}
