//! Log-ins with another spelling of the address than the password was stretched with.
//!
//! Such a log-in fails although the password may be right, and its client is told the spelling and tries again. So it
//! counts as an attempt, since it could be used to guess passwords; a right password that follows from the same
//! network refunds it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use foxden_model::Network;

use crate::limits::QUARTER;
use crate::login_attempt::AttemptKeys;
use crate::register::account::AccountRow;
use crate::{AccountId, Accounts};

/// Proofs kept at once.
const KEPT: usize = 4096;

/// The proofs that were wrong, for as long as failures are counted.
#[derive(Default)]
pub(crate) struct MisspelledLogins(Mutex<VecDeque<MisspelledLogin>>);

/// A wrong proof.
#[derive(Clone, Copy)]
pub(crate) struct MisspelledLogin {
    account: AccountId,
    network: Network,
    tries: AttemptKeys,
    /// In steady milliseconds.
    at: i64,
}

impl MisspelledLogins {
    fn insert(&self, misspelled: MisspelledLogin) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(misspelled);
    }

    /// Takes out what was counted for that account from that network.
    fn take(&self, account: AccountId, network: Network, now: i64) -> VecDeque<MisspelledLogin> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut kept, now);
        let is_theirs = |one: &MisspelledLogin| one.account == account && one.network == network;
        let (taken, rest) = kept.drain(..).partition(is_theirs);
        *kept = rest;
        taken
    }
}

impl Accounts {
    /// How a proof would be kept if it turned out to be wrong; `None` where the address is the one that was stretched.
    pub(crate) fn misspelled(
        &self,
        row: &AccountRow,
        address: &str,
        network: Network,
        tries: AttemptKeys,
    ) -> Option<MisspelledLogin> {
        if row.stretched_address == address {
            return None;
        }
        Some(MisspelledLogin {
            account: row.uid,
            network,
            tries,
            at: self.steady(),
        })
    }

    /// Records a proof of that account: a right one takes back the failures of other spellings, a wrong one is kept if it
    /// was made with another spelling.
    pub(crate) fn record_spelling(
        &self,
        account: AccountId,
        network: Network,
        misspelled: Option<MisspelledLogin>,
        is_right: bool,
    ) {
        if !is_right {
            if let Some(misspelled) = misspelled {
                // Later than its window began, which may have been with this proof.
                let at = self.steady();
                self.0
                    .misspelled_logins
                    .insert(MisspelledLogin { at, ..misspelled });
            }
            return;
        }
        for taken in self.0.misspelled_logins.take(account, network, self.steady()) {
            self.refund_attempt(taken.tries, taken.at);
        }
    }
}

fn forget_old(kept: &mut VecDeque<MisspelledLogin>, now: i64) {
    kept.retain(|one| now - one.at < QUARTER);
}
