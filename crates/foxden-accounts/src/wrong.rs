//! Proofs of passwords that were wrong, so that one which is repeated is no further try and costs no hash.
//!
//! A device that is left with an old password repeats it for years. It must use up neither the tries of its account nor
//! those of its network: thousands may sit behind one address.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::AuthPw;
use crate::register::account::AccountRow;

/// Proofs of a generation; there are two. Where more come, the oldest are forgotten, and count once more.
const KEPT: usize = 8192;

/// What a proof is remembered by: a keyed hash of it, of whose it was to be, and of what it was compared with. So a proof
/// that was wrong is a new one after the password was changed, or the account was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ProofKey(u64);

/// The proofs that were wrong.
#[derive(Default)]
pub(crate) struct WrongProofs {
    keys: RandomState,
    kept: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashSet<ProofKey>,
    old: HashSet<ProofKey>,
}

impl WrongProofs {
    /// What a proof for that name is remembered by; `row` is the account that is called so.
    pub(crate) fn key(&self, row: Option<&AccountRow>, name: &str, auth_pw: &AuthPw) -> ProofKey {
        let verifier = row.and_then(|row| row.verifier.as_ref());
        let with = verifier.map(|verifier| verifier.verify_hash);
        let uid = row.map(|row| row.uid.0);
        let name = row.is_none().then_some(name);
        ProofKey(self.keys.hash_one((name, uid, with, auth_pw.0)))
    }

    pub(crate) fn is_known(&self, proof: ProofKey) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.young.contains(&proof) {
            return true;
        }
        let is_old = kept.old.contains(&proof);
        if is_old {
            kept.keep(proof);
        }
        is_old
    }

    pub(crate) fn keep(&self, proof: ProofKey) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(proof);
    }
}

impl Generations {
    fn keep(&mut self, proof: ProofKey) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(proof);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_stays_and_memory_is_bounded() {
        let proofs = WrongProofs::default();
        proofs.keep(ProofKey(0));
        for number in 1..10 * KEPT as u64 {
            proofs.keep(ProofKey(number));
            if number % (KEPT as u64 / 2) == 0 {
                assert!(proofs.is_known(ProofKey(0)), "{number}");
            }
        }
        assert!(!proofs.is_known(ProofKey(1)));
        let kept = proofs.kept.lock().unwrap();
        assert!(kept.young.len() <= KEPT && kept.old.len() <= KEPT);
    }
}
