//! Proofs that were made with another spelling of an account's address than its password was stretched with.
//!
//! Such a proof is wrong although the password may be right, and its client is told the spelling and tries again. So it
//! counts as a try, else it would be a way to guess passwords; but a right one that follows from the same network takes
//! the count back.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use foxden_model::Network;

use crate::attempt::Tries;
use crate::limits::QUARTER;
use crate::register::account::AccountRow;
use crate::{AccountId, Accounts};

/// Proofs kept at once.
const KEPT: usize = 4096;

/// The proofs that were wrong, for as long as failures are counted.
#[derive(Default)]
pub(crate) struct Spellings(Mutex<VecDeque<Misspelt>>);

/// A wrong proof.
#[derive(Clone, Copy)]
pub(crate) struct Misspelt {
    account: AccountId,
    network: Network,
    tries: Tries,
    /// In steady milliseconds.
    at: i64,
}

impl Spellings {
    fn keep(&self, misspelt: Misspelt) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(misspelt);
    }

    /// Takes out what was counted for that account from that network.
    fn take(&self, account: AccountId, network: Network, now: i64) -> VecDeque<Misspelt> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut kept, now);
        let is_theirs = |one: &Misspelt| one.account == account && one.network == network;
        let (taken, rest) = kept.drain(..).partition(is_theirs);
        *kept = rest;
        taken
    }
}

impl Accounts {
    /// How a proof would be kept if it turned out to be wrong; `None` where the address is the one that was stretched.
    pub(crate) fn misspelt(
        &self,
        row: &AccountRow,
        address: &str,
        network: Network,
        tries: Tries,
    ) -> Option<Misspelt> {
        if row.stretched_address == address {
            return None;
        }
        Some(Misspelt {
            account: row.uid,
            network,
            tries,
            at: self.steady(),
        })
    }

    /// What follows from a proof of that account: a right one takes back what others counted, a wrong one is kept if it
    /// was made with another spelling.
    pub(crate) fn settle_spelling(
        &self,
        account: AccountId,
        network: Network,
        misspelt: Option<Misspelt>,
        is_right: bool,
    ) {
        if !is_right {
            if let Some(misspelt) = misspelt {
                // Later than its window began, which may have been with this proof.
                let at = self.steady();
                self.0.spellings.keep(Misspelt { at, ..misspelt });
            }
            return;
        }
        for taken in self.0.spellings.take(account, network, self.steady()) {
            self.take_back(taken.tries, taken.at);
        }
    }
}

fn forget_old(kept: &mut VecDeque<Misspelt>, now: i64) {
    kept.retain(|one| now - one.at < QUARTER);
}
