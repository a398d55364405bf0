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

/// Accounts looked at in one go when claims are ended.
const PAGE: u32 = 100;

impl Accounts {
    /// The account that keeps others from signing up by that name: its owner. Where no mails are sent nothing would
    /// settle whose a name is, so there it is kept by a claim, too.
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

    /// Whether a mail that was asked for by this name may go to the address of the account that the name leads to: the
    /// name is its own, or follows from that very address. Else a claim would lead mails to another mailbox. And an
    /// account that has confirmed an address gets none at another one that it has not: a slip would give that mailbox
    /// the account.
    pub(crate) async fn may_be_written_to(
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

    /// Whether the address of an account that is made now counts as confirmed. The server's own machine vouches for it,
    /// and so does an invitation that was mailed to it. Any other invitation vouches for a person: where mails are
    /// sent, the address is confirmed by one. The first account is the operator's.
    pub(crate) fn is_vouched_for(
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

    /// Inserts an account with the names of its address; one that another account keeps makes it an account that exists.
    pub(crate) async fn insert_with_names(&self, tx: &Tx, row: &AccountRow) -> Result<(), NameError> {
        account::insert(tx, row).await?;
        self.take_names(tx, row).await
    }

    /// Gives the account the names of its address: for its own where the address is confirmed, which ends claims of
    /// others; else as claims, where no other account has them.
    pub(crate) async fn take_names(&self, tx: &Tx, row: &AccountRow) -> Result<(), NameError> {
        for name in names_of(&row.address) {
            match account::holder(tx, &name).await? {
                None => add_name(tx, &name, row.uid, Ownership::of(row.address_verified)).await?,
                Some((uid, ownership))
                    if uid == row.uid && (ownership == Ownership::Owned || !row.address_verified) => {}
                Some((uid, Ownership::Claimed)) if row.address_verified => {
                    account::give_name(tx, &name, row.uid).await?;
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
    pub(crate) async fn give_claims_back(
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
        self.take_names(tx, row).await?;
        account::set_verified(tx, row.uid).await?;
        Ok(self.write_change(tx, row.uid).await?)
    }

    /// Refuses where another account owns this one's address: no code for it is of use.
    pub(crate) async fn require_unowned(&self, from: &impl Fetch, row: &AccountRow) -> Result<(), NameError> {
        for name in names_of(&row.address) {
            let holder = account::holder(from, &name).await?;
            if holder.is_some_and(|(uid, ownership)| uid != row.uid && ownership == Ownership::Owned) {
                return Err(NameError::Taken);
            }
        }
        Ok(())
    }

    /// Removes accounts that were made so long ago, never confirmed an address and have no store, where mails are sent:
    /// looks at `budget` of those that may be so, and goes on behind them the next time. Those that are disabled stay,
    /// and keep their address from being used again.
    pub(crate) async fn end_claims(&self, now: i64, budget: u32) -> Result<u64, Unavailable> {
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
                ended += u64::from(self.end_claim(uid).await?);
            }
        }
        Ok(ended)
    }

    /// Removes the account, unless it was confirmed or got a store since it was found.
    async fn end_claim(&self, uid: AccountId) -> Result<bool, Unavailable> {
        let email = self.store_name(uid);
        let services = [self.0.settings.service, self.0.settings.legacy];
        // Those with a store come up again and again: they wait for no writer.
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
                .of(uid)
                .with_reason("address never confirmed"),
        );
        Ok(true)
    }
}

/// Adds a name; one that another account has makes it an account that exists.
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

/// The names of an address; none where an account has no address.
fn names_of(address: &str) -> Vec<String> {
    Address::new(address).map_or_else(|_| Vec::new(), |address| address.names())
}
