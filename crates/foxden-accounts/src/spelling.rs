//! Proofs that were made with another spelling of an account's address than its password was stretched with.
//!
//! Such a proof is wrong although the password may be right, and its client is told the spelling and tries again. So it
//! counts as a try, else it would be a way to guess passwords; but the same proof counts once, and a right one that
//! follows from the same network takes the count back.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;

use crate::limits::{Counted, Network, QUARTER};
use crate::memo::Key;
use crate::register::account::AccountRow;
use crate::{AccountId, Accounts, AuthPw};

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
    /// A keyed hash of the proof and of what it was compared with.
    key: Key,
    counters: [Counted; 2],
    /// In steady milliseconds.
    at: i64,
}

impl Spellings {
    /// Whether that very proof was wrong a while ago, from the same network.
    pub(crate) fn is_known(&self, misspelt: &Misspelt) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut kept, misspelt.at);
        kept.iter()
            .any(|other| other.network == misspelt.network && other.key == misspelt.key)
    }

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
        auth_pw: &AuthPw,
        network: Network,
        counters: [Counted; 2],
    ) -> Option<Misspelt> {
        if row.stretched_address == address {
            return None;
        }
        // Compared with another verifier it is another proof.
        let with = row
            .verifier
            .as_ref()
            .map_or([0; 32], |verifier| verifier.verify_hash);
        let name = format!("{}{}", row.uid, HEXLOWER.encode(&with));
        Some(Misspelt {
            account: row.uid,
            network,
            key: self
                .0
                .memo
                .key(&*self.0.chance, &name, &HEXLOWER.encode(&auth_pw.0)),
            counters,
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
            for counter in taken.counters {
                self.0.limits.refund(counter, taken.at);
            }
        }
    }
}

fn forget_old(kept: &mut VecDeque<Misspelt>, now: i64) {
    kept.retain(|one| now - one.at < QUARTER);
}
